#!/usr/bin/env bash
# usage: amtool.sh
# Provides amtool in the cache and prints its path: out of Debian's prometheus-alertmanager package (no root needed,
# nothing is installed), or built from the Go module where apt does not have the pinned version.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh
source scripts/lib/debian.sh
source scripts/tools/versions.env

cached=$CACHE_ROOT/alertmanager/$ALERTMANAGER_DEB_VERSION

# from_module FOLDER: amtool built from the Go module.
from_module() {
    source scripts/lib/go.sh
    go_find "$GO_VERSION"
    say "building amtool from the Go module $ALERTMANAGER_MODULE_VERSION (several minutes, once)"
    GOBIN=$1/ready GOFLAGS='' go_run install -buildvcs=false -trimpath -ldflags='-s -w' \
        "github.com/prometheus/alertmanager/cmd/amtool@$ALERTMANAGER_MODULE_VERSION" >&2
}

if [[ ! -x $cached/amtool ]]; then
    cache_lock alertmanager
    [[ -x $cached/amtool ]] ||
        debian_provide "$cached" prometheus-alertmanager "$ALERTMANAGER_DEB_VERSION" ALERTMANAGER_DEB amtool
fi
echo "$cached/amtool"
