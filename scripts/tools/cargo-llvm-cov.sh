#!/usr/bin/env bash
# usage: cargo-llvm-cov.sh
# Provides the pinned cargo-llvm-cov in the cache and prints its path. Does nothing when it is there.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh
source scripts/lib/crate.sh
source scripts/tools/versions.env

crate_provide cargo-llvm-cov "$CARGO_LLVM_COV_VERSION"
