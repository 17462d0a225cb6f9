#!/usr/bin/env bash
# usage: venv.sh NAME
# Makes the pinned Python environment of the peer NAME in the cache, outside the clone, and prints its python.
# Does nothing when the cache has one of the same requirements.
set -euo pipefail
shopt -s inherit_errexit

[[ $# -eq 1 ]] || { echo "usage: venv.sh NAME" >&2; exit 64; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."
ROOT=$PWD
source scripts/lib/cache.sh
source scripts/models/venv.sh

[[ -f $here/$1/requirements.txt ]] || fail "benches/peers/ has no peer $1 with a requirements.txt"
cached_venv "peer-$1" "$here/$1/requirements.txt" ||
    fail "the environment of $1 could not be made (pip's reason is above)"
echo "$VENV/bin/python"
