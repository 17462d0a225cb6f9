#!/usr/bin/env bash
# usage: stand-in.sh
# Builds the provider of scripts/terraform/stand-in, which knows schemas and nothing else, into the cache and prints its path. Does
# nothing when the cache has it of the same sources.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh
source scripts/lib/go.sh
source scripts/tools/versions.env

sources=scripts/terraform/stand-in
fingerprint=$(cat "$sources"/{go.mod,go.sum,main.go} - <<<"$(uname -m)" | sha256sum)
cached=$CACHE_ROOT/stand-in/${fingerprint:0:12}

build() {
    cache_stage
    go_find "$GO_VERSION"
    say "building the stand-in for Terraform's providers (some seconds, once)"
    mkdir "$CACHE_STAGING/ready"
    (cd "$sources" && GOFLAGS=-mod=readonly go_run build -buildvcs=false -trimpath -ldflags='-s -w' \
        -o "$CACHE_STAGING/ready/stand-in" .) >&2 || fail "the stand-in did not build (Go's reason is above)"
    cache_publish "$CACHE_STAGING/ready" "$cached"
}

if [[ ! -x $cached/stand-in ]]; then
    cache_lock stand-in
    [[ -x $cached/stand-in ]] || build
fi
echo "$cached/stand-in"
