#!/usr/bin/env bash
# usage: clients.sh
# Provides OpenAI's client, KServe's SDK and MLflow's client of its scoring server, pinned and unmodified, in a Python
# environment in the cache, and prints that environment's python. Does nothing when the cache has one of the same
# requirements.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
ROOT=$PWD
source scripts/lib/cache.sh
source scripts/models/venv.sh

cached_venv clients scripts/tools/clients.txt ||
    fail "the environment with OpenAI's, KServe's and MLflow's clients could not be made (the reason is above)"
echo "$VENV/bin/python"
