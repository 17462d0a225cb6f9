#!/usr/bin/env bash
# usage: grpcurl.sh
# Builds the pinned grpcurl from its Go module into the cache and prints its path. Go checks the module's
# content against its public checksum database. Does nothing when it is there.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh
source scripts/tools/versions.env

cached=$CACHE_ROOT/grpcurl/$GRPCURL_VERSION

build() {
    source scripts/lib/go.sh
    cache_stage
    go_find "$GO_VERSION"
    say "building grpcurl $GRPCURL_VERSION (about a minute, once)"
    mkdir "$CACHE_STAGING/ready"
    GOBIN=$CACHE_STAGING/ready GOFLAGS='' go_run install -buildvcs=false -trimpath -ldflags='-s -w' \
        "github.com/fullstorydev/grpcurl/cmd/grpcurl@$GRPCURL_VERSION" >&2 ||
        fail "grpcurl did not build (Go's reason is above)"
    cache_publish "$CACHE_STAGING/ready" "$cached"
}

if [[ ! -x $cached/grpcurl ]]; then
    cache_lock grpcurl
    [[ -x $cached/grpcurl ]] || build
fi
echo "$cached/grpcurl"
