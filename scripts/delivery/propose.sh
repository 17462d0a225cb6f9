#!/usr/bin/env bash
# usage: propose.sh ENVIRONMENT OPTION...
# Writes the image of an environment by set_image.py with these options, and proposes it: the branch delivery/ENVIRONMENT is made
# anew of the branch that is checked out, with one commit, and a pull request is opened unless there is one. A pull request and no
# push, since the branch is protected, and since who merges it decides what a cluster runs. Does nothing where nothing changes.
# Needs git with the remote `origin`, and gh with GH_TOKEN. BASE is the branch it goes to; main where unset.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh

[[ $# -ge 2 ]] || { echo "usage: propose.sh ENVIRONMENT OPTION..." >&2; exit 64; }
environment=$1
base=${BASE:-main}
branch=delivery/$environment
file=deploy/gitops/environments/$environment/image.yaml
[[ -z $(git status --porcelain -- "$file") ]] || fail "$file is changed already: commit it or take it back first"

image=$(python3 scripts/delivery/set_image.py "$@")
if [[ -z $(git status --porcelain -- "$file") ]]; then
    say "$environment has $image already: nothing to propose"
    exit 0
fi
gh auth setup-git
title="gitops: $environment runs ${image: -12}"
body="$environment is to run \`$image\`, proposed at $(git rev-parse HEAD)."
[[ -z ${GITHUB_RUN_ID:-} ]] || body+=" The run that proposes it: $GITHUB_SERVER_URL/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID"
git switch --quiet --force-create "$branch"
git add -- "$file"
git -c user.name='github-actions[bot]' -c user.email='41898282+github-actions[bot]@users.noreply.github.com' \
    commit --quiet --message "$title" --message "$body"
git push --quiet --force origin "HEAD:refs/heads/$branch"
BASE=$base scripts/delivery/pull_request.sh "$branch" "$title" "$body"
