#!/usr/bin/env bash
# Compares the demo models with scikit-learn and with the NumPy references: verify.py in its environment.
#   verify.sh --write      writes model.toml and testdata of sentence-embedder and ticket-topic from the NumPy references
#   verify.sh --fixtures   writes tests/fixtures/models and tries each file in ONNX Runtime
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export ORT_DISABLE_TELEMETRY=1
# shellcheck source=scripts/models/venv.sh
. "$ROOT/scripts/models/venv.sh"

HERE="$ROOT/scripts/models"
case "${1:-}" in
"") RUN=(verify.py) ;;
--write) RUN=(minilm_reference.py ticket_reference.py) ;;
--fixtures) RUN=(fixtures.py) ;;
*) echo "usage: scripts/models/verify.sh [--write | --fixtures]" >&2; exit 64 ;;
esac
make_verify_venv
for script in "${RUN[@]}"; do
    if [ "${1:-}" = --write ]; then
        "$ROOT/.tools/venv-verify/bin/python" "$HERE/$script" --write
    else
        "$ROOT/.tools/venv-verify/bin/python" "$HERE/$script"
    fi
done
