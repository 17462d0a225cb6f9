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

provide() {
    local started=$SECONDS
    cache_stage
    mkdir "$CACHE_STAGING/deb" "$CACHE_STAGING/module"
    say "fetching ${programs[*]} out of Debian's package prometheus $PROMETHEUS_DEB_VERSION"
    if debian_programs "$CACHE_STAGING/deb" prometheus "$PROMETHEUS_DEB_VERSION" PROMETHEUS_DEB "${programs[@]}"; then
        cache_publish "$CACHE_STAGING/deb/ready" "$cached"
    else
        say "apt cannot give that package here"
        from_module "$CACHE_STAGING/module" ||
            fail "prometheus and promtool came neither from apt nor from their Go module (the reasons are above)"
        cache_publish "$CACHE_STAGING/module/ready" "$cached"
    fi
    say "${programs[*]} are ready after $((SECONDS - started)) s"
}

program=${1:-prometheus}
[[ " ${programs[*]} " == *" $program "* ]] || fail "$program is none of ${programs[*]}"
if [[ ! -x $cached/$program ]]; then
    cache_lock prometheus
    [[ -x $cached/$program ]] || provide
fi
echo "$cached/$program"
