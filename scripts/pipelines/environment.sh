#!/usr/bin/env bash
# usage: environment.sh
# Provides the Python environment of the pipeline's checks in the cache and prints its python: what the steps run on, MLflow's
# server, and the programs that check. Does nothing when the cache has one of the same requirements.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck disable=SC2034 # for venv.sh
ROOT=$PWD
source scripts/lib/cache.sh
source scripts/models/venv.sh

cached_venv pipelines pipelines/requirements.txt pipelines/requirements-mlflow.txt scripts/tools/pipelines.txt ||
    fail "the environment of pipelines/ could not be made (the reason is above)"
echo "$VENV/bin/python"
