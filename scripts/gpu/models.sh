#!/usr/bin/env bash
# usage: models.sh [--small]
# Writes the models of `make gpu-check` into the cache and prints their folder; --small: the stand-ins of a rehearsal. Does
# nothing when the cache has those that the same scripts wrote. PYTHON=PROGRAM is a Python with NumPy and onnx, for machines
# that can fetch neither; without it both are fetched, pinned.
set -euo pipefail
shopt -s inherit_errexit

[[ $# -eq 0 || ($# -eq 1 && $1 == --small) ]] || { echo "usage: models.sh [--small]" >&2; exit 64; }
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
ROOT=$PWD
source scripts/lib/cache.sh
source scripts/models/venv.sh

export PYTHONDONTWRITEBYTECODE=1 ORT_DISABLE_TELEMETRY=1
cached=$CACHE_ROOT/gpu-models${1:-}
tokenizer=models/sentence-embedder/tokenizer.json
fingerprint=$(cat scripts/gpu/{export,resnet,cost}.py benches/measure/graphs.py scripts/models/minilm.py "$tokenizer" | sha256sum)

if [[ ! -f $cached/.sources.sha256 || $(<"$cached/.sources.sha256") != "$fingerprint" ]]; then
    python=${PYTHON:-}
    if [[ -z $python ]]; then
        cached_venv gpu-models-environment scripts/models/requirements.txt ||
            fail "the environment that writes the models could not be made: give one by PYTHON=PROGRAM"
        python=$VENV/bin/python
    fi
    cache_lock gpu-models
    say "writing the models (once${1:+; small stand-ins})"
    cache_stage
    "$python" scripts/gpu/export.py "$CACHE_STAGING/ready" "$tokenizer" "$@" >&2 ||
        fail "the models could not be written (the reason is above)"
    printf '%s\n' "$fingerprint" >"$CACHE_STAGING/ready/.sources.sha256"
    cache_publish "$CACHE_STAGING/ready" "$cached"
fi
echo "$cached"
