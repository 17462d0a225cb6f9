#!/usr/bin/env bash
# usage: observe.sh BINARY [--once]
# `make observe`: the server with the demo models, a Collector, Prometheus and a light load, all on loopback ports that
# the system picks (observe.py).
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

export PYTHONDONTWRITEBYTECODE=1 ORT_DISABLE_TELEMETRY=1
BINARY=${1:?usage: observe.sh BINARY [--once]}
shift
prometheus=$(scripts/tools/prometheus.sh)
promtool=$(scripts/tools/promtool.sh)
otelcol=$(scripts/tools/otelcol.sh)
PYTHONPATH=benches exec python3 scripts/observability/observe.py "$BINARY" --models models \
    --prometheus "$prometheus" --promtool "$promtool" --otelcol "$otelcol" "$@"
