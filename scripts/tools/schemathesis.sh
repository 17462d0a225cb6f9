#!/usr/bin/env bash
# usage: schemathesis.sh
# Provides Schemathesis and a validator of OpenAPI descriptions, pinned and unmodified, in a Python environment
# in the cache, and prints that environment's python. Does nothing when the cache has one of the same
# requirements.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
ROOT=$PWD
source scripts/lib/cache.sh
source scripts/models/venv.sh

cached_venv schemathesis scripts/tools/schemathesis.txt ||
    fail "the environment with Schemathesis could not be made (the reason is above)"
echo "$VENV/bin/python"
