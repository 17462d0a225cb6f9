#!/usr/bin/env bash
# Compares the assembled demo models with scikit-learn and with the NumPy reference: verify.py in its environment.
#   verify.sh --write      writes model.toml and testdata of sentence-embedder from the NumPy reference
#   verify.sh --fixtures   writes tests/fixtures/models and tries each file in ONNX Runtime
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export ORT_DISABLE_TELEMETRY=1
# shellcheck source=scripts/models/venv.sh
. "$ROOT/scripts/models/venv.sh"

HERE="$ROOT/scripts/models"
case "${1:-}" in
"") RUN=(verify.py) ;;
--write) RUN=(minilm_reference.py --write) ;;
--fixtures) RUN=(fixtures.py) ;;
*) echo "usage: scripts/models/verify.sh [--write | --fixtures]" >&2; exit 64 ;;
esac
make_venv "$ROOT/.tools/venv-verify" "$ROOT/pipelines/requirements.txt" "$HERE/requirements.txt" "$HERE/weights.txt" "$HERE/requirements-verify.txt"
exec "$ROOT/.tools/venv-verify/bin/python" "$HERE/${RUN[0]}" "${RUN[@]:1}"
