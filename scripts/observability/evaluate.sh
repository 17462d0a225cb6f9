#!/usr/bin/env bash
# usage: evaluate.sh BINARY
# `make check-expressions`: every expression of deploy/observability and of the runbooks has a value when a real
# Prometheus scrapes BINARY with the demo models (evaluate.py). Only loopback addresses, on ports that the system picks.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

export PYTHONDONTWRITEBYTECODE=1 ORT_DISABLE_TELEMETRY=1
BINARY=${1:?usage: evaluate.sh BINARY}
prometheus=$(scripts/tools/prometheus.sh)
grpcurl=$(scripts/tools/program.sh grpcurl)
PYTHONPATH=benches exec python3 scripts/observability/evaluate.py "$BINARY" --models models \
    --prometheus "$prometheus" --grpcurl "$grpcurl"
