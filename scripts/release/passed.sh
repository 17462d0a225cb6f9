#!/usr/bin/env bash
# usage: passed.sh COMMIT
# Whether CI/CD has passed for that commit on main. Needs gh with GH_TOKEN.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh

[[ $# == 1 && $1 =~ ^[0-9a-f]{40}$ ]] || { echo "usage: passed.sh COMMIT" >&2; exit 64; }
runs=$(gh run list --repo "${GITHUB_REPOSITORY:?it is set in a job of GitHub Actions}" --workflow ci-cd.yml --branch main --event push \
    --commit "$1" --json conclusion --jq '[.[] | select(.conclusion == "success")] | length')
[[ $runs -gt 0 ]] || fail "CI/CD has not passed for $1 on main: wait for it, or mend it, then run this job again"
say "CI/CD has passed for $1"
