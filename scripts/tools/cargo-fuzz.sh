#!/usr/bin/env bash
# usage: cargo-fuzz.sh
# Provides the pinned cargo-fuzz in the cache and prints its path. Does nothing when it is there.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh
source scripts/lib/crate.sh
source scripts/tools/versions.env

crate_provide cargo-fuzz "$CARGO_FUZZ_VERSION"
