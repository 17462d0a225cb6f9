#!/usr/bin/env bash
# usage: hadolint.sh
# Provides the pinned hadolint in the cache and prints its path. Does nothing when it is there.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
ROOT=$PWD
source scripts/lib/cache.sh
source scripts/models/venv.sh

cache_lock hadolint
environment=$CACHE_ROOT/hadolint/python$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
make_venv "$environment" scripts/tools/hadolint.txt >&2 ||
    fail "the environment with hadolint could not be made (the reason is above)"
echo "$environment/bin/hadolint"
