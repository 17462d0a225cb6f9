#!/usr/bin/env bash
# usage: walk.sh [--with-tests] [--with-pipeline] [--target FOLDER] [--page FILE]
# `make readme`: what a newcomer does who has only README.md. Clones this repository's last commit into an empty folder, and
# runs the page's commands there in their order, as they stand, on its own ports; every answer is held against the one that
# the page shows. Prints a transcript, and fails on the first difference.
#   --with-tests       `make test` too, which takes long
#   --with-pipeline    `make pipeline` too
#   --target FOLDER    build into this folder, so that what is compiled there need not be again; else everything is compiled
#   --page FILE        walk this page in place of the clone's README.md
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh
for tool in curl git; do
    command -v "$tool" >/dev/null || fail "$tool is not on PATH: install it, then run this again"
done
# The page's ports are fixed: one walk at a time.
cache_lock readme
# What the page says to install for its client in Python, by the versions that are pinned here.
client=$(scripts/tools/environment.sh tritonclient)
# A newcomer's shell has none of these; those of make would hand this target's ARGS on to the page's own.
unset ARGS MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES CARGO_TARGET_DIR RUNTIME MODEL_NAME RUST_LOG "${!OTEL_@}" "${!ML_INFERENCE_@}"
export PYTHONDONTWRITEBYTECODE=1 ORT_DISABLE_TELEMETRY=1
exec python3 scripts/readme/walk.py --python "$client" "$@"
