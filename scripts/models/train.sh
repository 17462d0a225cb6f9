#!/usr/bin/env bash
# Trains fraud-detector in an environment of its own; arguments go to pipelines/train.py (--help shows them).
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export ORT_DISABLE_TELEMETRY=1
# shellcheck source=scripts/models/venv.sh
. "$ROOT/scripts/models/venv.sh"

make_venv "$ROOT/.tools/venv-train" "$ROOT/pipelines/requirements.txt"
exec "$ROOT/.tools/venv-train/bin/python" "$ROOT/pipelines/train.py" "$@"
