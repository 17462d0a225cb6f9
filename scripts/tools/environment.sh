#!/usr/bin/env bash
# usage: environment.sh NAME [PROGRAM]
# Provides what scripts/tools/NAME.txt pins, unmodified, in a Python environment in the cache, and prints the path of
# PROGRAM in it, python by default. Does nothing when the cache has one of the same requirements.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
ROOT=$PWD
source scripts/lib/cache.sh
source scripts/models/venv.sh

cached_venv "$1" "scripts/tools/$1.txt" || fail "the environment '$1' could not be made (the reason is above)"
echo "$VENV/bin/${2:-python}"
