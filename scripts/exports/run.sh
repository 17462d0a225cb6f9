#!/usr/bin/env bash
# `make exports`: real exports, served with no configuration, beside what Python's own libraries predict.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
ROOT=$PWD
export ORT_DISABLE_TELEMETRY=1 PYTHONDONTWRITEBYTECODE=1
# shellcheck source=scripts/models/venv.sh
. scripts/models/venv.sh

usage() {
    cat <<'TEXT'
usage: scripts/exports/run.sh BINARY [--write] [NAME...]
       scripts/exports/run.sh --remake [NAME...]

Serves every fixture of tests/fixtures/exports/ (or those named) with BINARY and compares each answer with Python's.
Prints a table and ends with 1 on any difference.
  --write    also write the table in docs/models.md; nothing is written when an answer differs
  --remake   train and export the fixtures of the tabular exporters anew, in an environment with the pinned libraries
TEXT
}

case "${1:-}" in
-h | --help) usage ;;
"") usage >&2; exit 64 ;;
--remake)
    make_venv "$ROOT/.tools/venv-exports" scripts/exports/requirements.txt
    export PYTHONHASHSEED=0  # exporters write sets in the order of their hashes
    exec .tools/venv-exports/bin/python scripts/exports/tabular.py "${@:2}"
    ;;
*) exec python3 scripts/exports/compare.py "$@" ;;
esac
