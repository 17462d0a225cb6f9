#!/usr/bin/env bash
# usage: check.sh BINARY
# What docs/operations.md and the pages beside it say, and what scripts/runbooks and scripts/operations do, tried with the real
# server BINARY and a real Prometheus: documents.py, calculator.py, server.py, mutate.py, budgets.py. Only loopback addresses, on ports that the
# system picks. What needs a cluster is tried by `make e2e ARGS='runbook-...'`.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

export PYTHONDONTWRITEBYTECODE=1 ORT_DISABLE_TELEMETRY=1
BINARY=${1:?usage: check.sh BINARY}
[[ -x $BINARY ]] || { echo "error: $BINARY is no program: run 'make build', and name what it made" >&2; exit 1; }
command -v openssl >/dev/null || { echo "error: openssl is not installed: install it (Debian: openssl), then run this again" >&2; exit 1; }
prometheus=$(scripts/tools/prometheus.sh)
python3 scripts/operations/documents.py
python3 scripts/operations/calculator.py
export PYTHONPATH=benches:scripts/observability:scripts
python3 scripts/operations/server.py "$BINARY"
python3 scripts/operations/mutate.py "$BINARY"
python3 scripts/operations/budgets.py "$BINARY" "$prometheus"
