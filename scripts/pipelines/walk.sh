#!/usr/bin/env bash
# usage: walk.sh BINARY [--port PORT] [--mlflow-port PORT] [--keep]
# The whole way from data to a served model with BINARY, our server, against a real MLflow server on loopback: data-prep, train,
# evaluate and deploy by the Workflow's own command lines, a prediction, and a worse model that the gate refuses. --port serves
# on that port, any free one otherwise; --keep leaves MLflow and the service running until Ctrl-C, to look at them.
set -euo pipefail
shopt -s inherit_errexit

usage() { echo "usage: walk.sh BINARY [--port PORT] [--mlflow-port PORT] [--keep]" >&2; exit 64; }
[[ $# -ge 1 && $1 != -* ]] || usage
BINARY=$(realpath -- "$1")
shift
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh
[[ -x $BINARY ]] || fail "$BINARY is not there: run 'make build', or name the server's program"
python=$(scripts/pipelines/environment.sh)
export PYTHONDONTWRITEBYTECODE=1
exec "$python" scripts/pipelines/walk.py "$BINARY" "$@"
