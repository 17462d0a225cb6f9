#!/usr/bin/env bash
# usage: prometheus.sh [PROGRAM]
# Provides Prometheus's server and promtool in the cache and prints the path of PROGRAM, prometheus by default: out of
# Debian's prometheus package (no root needed, nothing is installed), or built from the Go module where apt does not have
# the pinned version.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh
source scripts/lib/debian.sh
source scripts/tools/versions.env

programs=(prometheus promtool)
cached=$CACHE_ROOT/prometheus/$PROMETHEUS_DEB_VERSION

# from_module FOLDER: both built from the Go module. The tag leaves out cloud service discovery, which nothing here
# needs; the module has no web pages, so that of these only the API answers.
from_module() {
    source scripts/lib/go.sh
    go_find "$GO_VERSION"
    say "building ${programs[*]} from the Go module $PROMETHEUS_MODULE_VERSION (many minutes, once)"
    local packages=("${programs[@]/#/github.com/prometheus/prometheus/cmd/}")
    GOBIN=$1/ready GOFLAGS='' go_run install -buildvcs=false -trimpath -tags remove_all_sd -ldflags='-s -w' \
        "${packages[@]/%/@$PROMETHEUS_MODULE_VERSION}" >&2
}

program=${1:-prometheus}
[[ " ${programs[*]} " == *" $program "* ]] || fail "$program is none of ${programs[*]}"
if [[ ! -x $cached/$program ]]; then
    cache_lock prometheus
    [[ -x $cached/$program ]] ||
        debian_provide "$cached" prometheus "$PROMETHEUS_DEB_VERSION" PROMETHEUS_DEB "${programs[@]}"
fi
echo "$cached/$program"
