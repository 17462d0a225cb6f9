#!/usr/bin/env bash
# usage: clients.sh
# Provides the Python clients of OpenAI, KServe and MLflow, pinned and unmodified, in one environment in the cache,
# and prints that environment's python. Does nothing when the cache has one of the same requirements.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
ROOT=$PWD
source scripts/lib/cache.sh
source scripts/models/venv.sh

cached_venv clients scripts/tools/clients.txt ||
    fail "the environment with the clients of others could not be made (the reason is above)"
echo "$VENV/bin/python"
