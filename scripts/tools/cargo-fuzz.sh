#!/usr/bin/env bash
# usage: cargo-fuzz.sh
# Provides the pinned cargo-fuzz in the cache and prints its path. Does nothing when it is there.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh
source scripts/tools/versions.env

cached=$CACHE_ROOT/cargo-fuzz/$CARGO_FUZZ_VERSION-$(uname -m)

if [[ ! -x $cached/bin/cargo-fuzz ]]; then
    cache_lock cargo-fuzz
    if [[ ! -x $cached/bin/cargo-fuzz ]]; then
        say "building cargo-fuzz $CARGO_FUZZ_VERSION (about a minute, once)"
        cache_stage
        cargo install --quiet --locked --version "$CARGO_FUZZ_VERSION" --root "$CACHE_STAGING/ready" \
            --target-dir "$CACHE_STAGING/target" cargo-fuzz >&2 ||
            fail "cargo-fuzz did not build (cargo's reason is above)"
        cache_publish "$CACHE_STAGING/ready" "$cached"
    fi
fi
echo "$cached/bin/cargo-fuzz"
