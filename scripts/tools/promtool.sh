#!/usr/bin/env bash
# usage: promtool.sh
# Provides promtool in the cache and prints its path: out of Debian's prometheus
# package (no root needed, nothing is installed), or built from the Go module where
# apt does not have the pinned version.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh
source scripts/tools/versions.env

cached=$CACHE_ROOT/promtool/$PROMETHEUS_DEB_VERSION

# download FOLDER [APT OPTION...]: apt's package into FOLDER.
download() {
    local folder=$1
    shift
    (cd "$folder" && apt-get -q "$@" -o APT::Sandbox::User="$(id -un)" download "prometheus=$PROMETHEUS_DEB_VERSION") >&2
}

# from_debian FOLDER: promtool out of the package, into FOLDER. Where the machine's
# own package lists do not have it, lists of our own are fetched for this once.
from_debian() {
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
    local folder=$1 own arch sha256 package
    own=$folder/apt
    mkdir -p "$own/lists/partial" "$own/cache/archives/partial"
    if ! download "$folder"; then
        say "apt's own package lists do not have it: fetching fresh ones"
        local options=(-o Dir::State::lists="$own/lists" -o Dir::Cache="$own/cache" -o APT::Sandbox::User="$(id -un)")
        apt-get -q "${options[@]}" update >&2 || return 1
        download "$folder" "${options[@]}" || return 1
    fi
    package=$(find "$folder" -maxdepth 1 -name 'prometheus_*.deb')
    arch=$(dpkg --print-architecture)
    sha256=PROMETHEUS_DEB_${arch^^}
    # Other architectures: apt has checked the package against Debian's signed lists.
    [[ -z ${!sha256:-} ]] || check_sha256 "$package" "${!sha256}"
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$folder" ./usr/bin/promtool
    install -D -m 0555 "$folder/usr/bin/promtool" "$folder/ready/promtool"
    "$folder/ready/promtool" --version >/dev/null
}

# from_module FOLDER: promtool built from the Go module. The tag leaves out cloud
# service discovery, which promtool's checks do not need.
from_module() {
    source scripts/lib/go.sh
    go_find "$GO_VERSION"
    say "building promtool from the Go module $PROMETHEUS_MODULE_VERSION (several minutes, once)"
    GOBIN=$1/ready GOFLAGS='' go_run install -buildvcs=false -trimpath -tags remove_all_sd -ldflags='-s -w' \
        "github.com/prometheus/prometheus/cmd/promtool@$PROMETHEUS_MODULE_VERSION" >&2
}

provide() {
    local started=$SECONDS
    cache_stage
    mkdir "$CACHE_STAGING/deb" "$CACHE_STAGING/module"
    say "fetching promtool out of Debian's package prometheus $PROMETHEUS_DEB_VERSION"
    if from_debian "$CACHE_STAGING/deb"; then
        cache_publish "$CACHE_STAGING/deb/ready" "$cached"
    else
        say "apt cannot give that package here"
        from_module "$CACHE_STAGING/module" ||
            fail "promtool came neither from apt nor from its Go module (the reasons are above)"
        cache_publish "$CACHE_STAGING/module/ready" "$cached"
    fi
    say "promtool is ready after $((SECONDS - started)) s"
}

if [[ ! -x $cached/promtool ]]; then
    cache_lock promtool
    [[ -x $cached/promtool ]] || provide
fi
echo "$cached/promtool"
