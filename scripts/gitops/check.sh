#!/usr/bin/env bash
# usage: check.sh
# Checks deploy/gitops without a cluster: kustomize builds what Flux would, every object has the form that Argo CD's, Flux's and
# sigstore's definitions ask for, helm renders each environment with its three files of values, and both tools say the same of it
# and leave alone exactly what an autoscaler or a rollout's controller owns. Then that each of these checks can fail. `make e2e`
# does what needs a real API server, and runs Flux's controllers: gitops, and by their names gitops-flux and gitops-flux-canary.
set -euo pipefail
shopt -s inherit_errexit

[[ $# -eq 0 ]] || { echo "usage: check.sh" >&2; exit 64; }
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh

HELM=$(scripts/tools/program.sh helm)
KUBECONFORM=$(scripts/tools/program.sh kubeconform)
KUSTOMIZE=$(scripts/tools/program.sh kustomize)
SCHEMAS=$(scripts/tools/schemas.sh)
python=$(scripts/tools/environment.sh chart)
export HELM KUBECONFORM KUSTOMIZE SCHEMAS PYTHONDONTWRITEBYTECODE=1

for script in checks mutate; do
    PYTHONPATH=scripts/chart "$python" "scripts/gitops/$script.py" ||
        fail "deploy/gitops is not right: scripts/gitops/$script.py says above what is wrong"
done
