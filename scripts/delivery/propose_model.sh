#!/usr/bin/env bash
# usage: propose_model.sh BRANCH
# Opens a pull request for a branch of pipelines/deploy.py, which is checked out: one commit that writes the model of one
# environment, and nothing else. Needs git and gh with GH_TOKEN.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh

[[ $# == 1 && $1 == delivery/model-?* ]] || { echo "usage: propose_model.sh delivery/model-ENVIRONMENT" >&2; exit 64; }
file=deploy/gitops/environments/${1#delivery/model-}/model.yaml
changed=$(git diff --name-only HEAD^ HEAD)
[[ $changed == "$file" ]] || fail "$1 changes $(paste -sd ' ' <<<"${changed:-nothing}"): expected $file alone"
exec scripts/delivery/pull_request.sh "$1" "gitops: $(git log -1 --format=%s)" \
    "The training pipeline has judged this version and checked what it exports: \`$(git log -1 --format=%H)\`."
