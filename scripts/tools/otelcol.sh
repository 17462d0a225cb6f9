#!/usr/bin/env bash
# usage: otelcol.sh
# Builds a real OpenTelemetry Collector out of scripts/tools/otelcol/ into the cache
# and prints its path. Does nothing when the cache has one of the same sources.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh
source scripts/tools/versions.env

sources=scripts/tools/otelcol
fingerprint=$(cat "$sources"/{main.go,components.go,go.mod,go.sum} | sha256sum)
# By its sources, so that clones of two revisions do not rebuild each other's.
cached=$CACHE_ROOT/otelcol/$OTELCOL_VERSION-${fingerprint:0:12}

build() {
    source scripts/lib/go.sh
    cache_stage
    go_find "$(sed -n 's/^go //p' "$sources/go.mod")"
    say "building the OpenTelemetry Collector $OTELCOL_VERSION for the tests (about two minutes, once)"
    local started=$SECONDS
    mkdir "$CACHE_STAGING/ready"
    (cd "$sources" && GOFLAGS=-mod=readonly go_run build -buildvcs=false -trimpath -ldflags='-s -w' \
        -o "$CACHE_STAGING/ready/otelcol" .) >&2 ||
        fail "the OpenTelemetry Collector did not build (Go's reason is above)"
    "$CACHE_STAGING/ready/otelcol" --version >&2
    cache_publish "$CACHE_STAGING/ready" "$cached"
    say "built the OpenTelemetry Collector in $((SECONDS - started)) s"
}

if [[ ! -x $cached/otelcol ]]; then
    cache_lock otelcol
    [[ -x $cached/otelcol ]] || build
fi
echo "$cached/otelcol"
