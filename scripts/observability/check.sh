#!/usr/bin/env bash
# usage: check.sh
# Checks deploy/observability: promtool takes every rule file and every test passes; dashboards are what their generator
# makes of them (dashboards.py); alerts, tests, dashboards, runbooks and docs/telemetry.md agree with each other
# (check.py); runbooks name commands that there are, pages of operations name tests that there are (scripts/operations/documents.py);
# amtool takes Alertmanager's configuration, and each severity comes to its receiver. And deploy/compose.yaml: the Compose
# specification's own loader, a Collector and promtool take it and what it mounts (scripts/compose/check.py).
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh
source scripts/lib/check.sh

export PYTHONDONTWRITEBYTECODE=1
promtool=$(scripts/tools/promtool.sh)
amtool=$(scripts/tools/amtool.sh)
otelcol=$(scripts/tools/otelcol.sh)
compose=$(scripts/tools/program.sh compose)
python=$(scripts/tools/environment.sh chart)

check "a rule file of deploy/observability/rules is wrong" "$promtool" check rules deploy/observability/rules/*.yml
python3 scripts/observability/dashboards.py
# The queries of the runbooks are written into a rule file of their own, so that promtool reads them too.
python3 scripts/observability/check.py "$CHECK_FOLDER/runbooks.yml"
# What docs/ says of operations: the commands of the runbooks, and the tests that are named.
python3 scripts/operations/documents.py
check "a query of docs/runbooks or docs/slo.md is not PromQL" "$promtool" check rules "$CHECK_FOLDER/runbooks.yml"
check "a test of deploy/observability/tests fails" "$promtool" test rules deploy/observability/tests/*.yml
# In the container the rules lie beside the configuration.
cp -rL deploy/compose/prometheus.yml deploy/observability/rules "$CHECK_FOLDER"
check "deploy/compose/prometheus.yml is wrong" "$promtool" check config "$CHECK_FOLDER/prometheus.yml"
for config in deploy/compose/collector.yaml deploy/observability/print-traces.yaml; do
    check "$config is wrong" "$otelcol" validate --config "$config"
done
for script in check mutate; do
    COMPOSE=$compose "$python" "scripts/compose/$script.py" ||
        fail "deploy/compose.yaml is not right: scripts/compose/$script.py says above what is wrong"
done
check "deploy/observability/alertmanager.yml is wrong" "$amtool" check-config deploy/observability/alertmanager.yml
# route RECEIVER LABEL=VALUE...: such an alert comes to that receiver.
route() {
    check "an alert with ${*:2} does not come to $1" "$amtool" config routes test \
        --config.file=deploy/observability/alertmanager.yml --verify.receivers="$1" "${@:2}"
}
route pager severity=page service=ml-inference-api slo=latency alertname=LatencyBudgetBurn
route tickets severity=ticket service=ml-inference-api alertname=ConfidenceShift
route information severity=info service=ml-inference-api alertname=GpuThrottled
route tickets alertname=Foreign
echo "alerts, their tests, dashboards, routes and runbooks are right"
