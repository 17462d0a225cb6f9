#!/usr/bin/env bash
# `make describe`: serves the demo models and a tensors fixture, and lets Schemathesis make requests out of the
# OpenAPI description. run.sh BINARY [EXAMPLES [SEED]]: examples for each operation (200), the seed (1).
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh

python=$(scripts/tools/environment.sh schemathesis)
folder=$(mktemp -d)
server=
trap '[[ -z $server ]] || kill "$server" || true; rm -rf "$folder"' EXIT
ML_INFERENCE_DRAIN__DELAY=0ms "$1" serve --models models/fraud-detector --models models/digits \
    --models tests/fixtures/models/add-one.onnx --http 127.0.0.1:0 --grpc 127.0.0.1:0 --admin 127.0.0.1:0 \
    --ready-file "$folder/ready" 2>"$folder/log" &
server=$!
for _ in $(seq 600); do
    [[ ! -e $folder/ready ]] || break
    kill -0 "$server" 2>/dev/null || fail "the server ended: $(tail -n 5 "$folder/log")"
    sleep 0.1
done
[[ -e $folder/ready ]] || fail "the server was not ready within a minute"
address=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["http"])' "$folder/ready")
PYTHONUTF8=1 PYTHONDONTWRITEBYTECODE=1 "$python" tests/clients/openapi.py "http://$address" "${2:-200}" "${3:-1}"
