#!/usr/bin/env bash
# usage: check.sh [--helm4]
# Checks the Helm chart without a cluster, one line a check: helm's lint, the tests of the templates, what is kept of the chart
# (golden renders, k8s/, README), values and their schema, schemas of every object, whether objects agree with each other, what
# the policies let through, and what kube-score and checkov say. `make e2e` does what needs a real API server.
# --helm4 also holds Helm 4 against Helm 3, which is apart as it takes minutes to build.
set -euo pipefail
shopt -s inherit_errexit

[[ $# -eq 0 || $* == --helm4 ]] || { echo "usage: check.sh [--helm4]" >&2; exit 64; }
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh
source scripts/lib/check.sh
source scripts/chart/programs.sh

KUBECONFORM=$(scripts/tools/program.sh kubeconform)
KUBE_SCORE=$(scripts/tools/program.sh kube-score)
unittest=$(scripts/tools/program.sh helm-unittest)
SCHEMAS=$(scripts/tools/schemas.sh)
CHECKOV=$(scripts/tools/environment.sh checkov checkov)
export KUBECONFORM KUBE_SCORE SCHEMAS CHECKOV

newest=$(sed -n 's/^SCHEMAS_KUBERNETES=.* \(.*\).$/\1/p' scripts/tools/versions.env)
check "helm lint refuses the chart's defaults" "$HELM" lint --strict --quiet --kube-version "$newest" "$chart"
for values in "$chart"/ci/*-values.yaml; do
    check "helm lint refuses $values" "$HELM" lint --strict --quiet --kube-version "$newest" --values "$values" "$chart"
done
echo "helm lint --strict takes the defaults and the $(find "$chart/ci" -name '*-values.yaml' | wc -l) cases of ci/"

check "a test of $chart/tests fails" "$unittest" --color=false --strict "$chart"
echo "$(grep -c '^ PASS' "$CHECK_FOLDER/said") suites of the templates pass: $(sed -n 's/^Tests: *//p' "$CHECK_FOLDER/said")"
for script in refusals values render check mutate check_schemas conform linters; do
    "$python" "scripts/chart/$script.py" || fail "the chart is not right: scripts/chart/$script.py says above what is wrong"
done
if [[ $* == --helm4 ]]; then
    helm4=$(scripts/tools/program.sh helm4)
    "$python" scripts/chart/helm4.py "$helm4" || fail "Helm 4 does not take the chart as Helm 3 does (the reasons are above)"
fi
