#!/usr/bin/env bash
# usage: tritonclient.sh
# Provides Triton's own clients for HTTP and gRPC, pinned and unmodified, in a Python environment in the cache, and
# prints that environment's python. Does nothing when the cache has one of the same requirements.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
ROOT=$PWD
source scripts/lib/cache.sh
source scripts/models/venv.sh

cached_venv tritonclient scripts/tools/tritonclient.txt ||
    fail "the environment with Triton's client could not be made (the reason is above)"
echo "$VENV/bin/python"
