# shellcheck shell=bash
# Programs of cargo that come from crates.io: built from the published source with the versions that it locks itself.
# Needs scripts/lib/cache.sh.

# crate_provide NAME VERSION: the program NAME into the cache, and its path to stdout. Does nothing when it is there.
crate_provide() {
    local name=$1 version=$2 cached
    cached=$CACHE_ROOT/$name/$version-$(uname -m)
    if [[ ! -x $cached/bin/$name ]]; then
        cache_lock "$name"
        [[ -x $cached/bin/$name ]] || crate_build "$name" "$version" "$cached"
    fi
    echo "$cached/bin/$name"
}

# crate_build NAME VERSION CACHED: build it, and put it in its place.
crate_build() {
    say "building $1 $2 (about a minute, once)"
    cache_stage
    cargo install --quiet --locked --version "$2" --root "$CACHE_STAGING/ready" --target-dir "$CACHE_STAGING/target" "$1" >&2 ||
        fail "$1 did not build (cargo's reason is above)"
    cache_publish "$CACHE_STAGING/ready" "$3"
}
