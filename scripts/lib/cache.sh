# shellcheck shell=bash
# The cache that the set-up scripts share: where it is, how a thing gets into it
# (checked, under a lock, by rename) and how the scripts speak. Sourced by
# scripts/tools/*.sh. Results go to stdout; everything said here goes to stderr.

CACHE_ROOT=${XDG_CACHE_HOME:-${HOME:?neither XDG_CACHE_HOME nor HOME is set: there is no place for the cache}/.cache}/ml-inference-api
CACHE_STAGING=

# say TEXT...: one line of progress.
say() { printf '==> %s\n' "$*" >&2; }

# fail TEXT...: one sentence on what is wrong and what to do, then exit 1.
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# cache_lock NAME: wait until no other process prepares NAME; held until exit.
# Called without a subshell, so that the lock lives as long as the script.
cache_lock() {
    mkdir -p "$CACHE_ROOT/locks" || fail "the cache folder $CACHE_ROOT cannot be created"
    exec {cache_lock_fd}>"$CACHE_ROOT/locks/$1"
    if ! flock --nonblock "$cache_lock_fd"; then
        say "waiting for another process that prepares $1"
        flock "$cache_lock_fd"
    fi
}

# cache_stage: a fresh folder on the cache's file system, removed at exit, named
# by CACHE_STAGING. Fill it, then hand what is complete to cache_publish.
cache_stage() {
    mkdir -p "$CACHE_ROOT"
    CACHE_STAGING=$(mktemp -d "$CACHE_ROOT/.staging.XXXXXX")
    trap 'chmod -R u+w "$CACHE_STAGING"; rm -rf "$CACHE_STAGING"' EXIT
}

# cache_publish FROM TO: put a staged file or folder in its place by rename, so
# that nobody ever sees a half-written one.
cache_publish() {
    mkdir -p "$(dirname "$2")"
    [[ ! -d $2 ]] || rm -rf "$2"
    mv -T "$1" "$2"
}

# check_sha256 FILE EXPECTED: fail unless the file is exactly what was pinned.
check_sha256() {
    local actual
    actual=$(sha256sum "$1")
    actual=${actual%% *}
    [[ $actual == "$2" ]] ||
        fail "$(basename "$1") has sha256 $actual, but scripts/tools/versions.env pins $2"
}
