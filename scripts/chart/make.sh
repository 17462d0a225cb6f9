#!/usr/bin/env bash
# usage: make.sh
# Makes what is made of the Helm chart: golden renders, the plain manifests under k8s/ and deploy/argo-rollouts/, the chart's README, the package
# target/chart/ml-inference-api-VERSION.tgz. Run again without a change, it changes nothing.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh
source scripts/chart/programs.sh

"$python" scripts/chart/render.py --write
mkdir -p target/chart
"$HELM" package --destination target/chart "$chart" >/dev/null || fail "helm does not package the chart (its reason is above)"
echo "target/chart has $(cd target/chart && printf '%s ' *.tgz)"
