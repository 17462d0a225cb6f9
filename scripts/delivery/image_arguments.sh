#!/usr/bin/env bash
# usage: image_arguments.sh
# What the builds of all architectures must agree on, as lines for $GITHUB_OUTPUT: the image's name, each base of the Dockerfiles by
# the digest that it has now, the time of the commit. Needs docker's buildx.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh

# pinned BASE DOCKERFILE: the file's default of that argument, by digest.
pinned() {
    local base digest
    base=$(sed -n "s/^ARG $1=//p" "$2")
    [[ -n $base ]] || fail "$2 has no ARG $1"
    if [[ $base != *@sha256:* ]]; then
        digest=$(docker buildx imagetools inspect "$base" --format '{{json .Manifest}}' |
                python3 -c 'import json, sys; print(json.load(sys.stdin)["digest"])') ||
            fail "the digest of $base cannot be had (the reason is above)"
        base=$base@$digest
    fi
    echo "$base"
}

owner=${GITHUB_REPOSITORY_OWNER:-myorg}
epoch=$(git log -1 --format=%ct)
builder=$(pinned BUILDER_BASE Dockerfile)
runtime=$(pinned RUNTIME_BASE Dockerfile)
python=$(pinned PYTHON_BASE pipelines/Dockerfile)
# A registry knows only lower case.
printf '%s\n' "image=ghcr.io/${owner,,}/ml-inference-api" "builder=$builder" "runtime=$runtime" "python=$python" "epoch=$epoch" \
    "created=$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)"
