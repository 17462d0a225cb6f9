#!/usr/bin/env bash
# usage: pull_request.sh BRANCH TITLE BODY
# Opens a pull request for a branch that was pushed, or says anew in the one that is open what it proposes. Needs gh with GH_TOKEN.
# BASE is the branch it goes to; main where unset.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh

[[ $# == 3 ]] || { echo "usage: pull_request.sh BRANCH TITLE BODY" >&2; exit 64; }
branch=$1 title=$2 body=$3 base=${BASE:-main}
open=$(gh pr list --base "$base" --head "$branch" --state open --json number --jq '.[0].number')
if [[ -n $open ]]; then
    gh pr edit "$open" --title "$title" --body "$body" >&2
    say "pull request $open now proposes: $title"
else
    gh pr create --base "$base" --head "$branch" --title "$title" --body "$body" >&2
    say "a new pull request proposes: $title"
fi
