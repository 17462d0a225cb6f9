#!/usr/bin/env bash
# usage: crds.sh
# Provides the CustomResourceDefinitions of the projects that the chart has to do with, out of their Go modules, in the
# cache, and prints the folder: one folder for each project of CRDS in versions.env, the files as they are published.
# Give them to an API server by `kubectl apply --server-side --filename FOLDER/PROJECT`: client-side they are too large.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh
source scripts/lib/go.sh
source scripts/lib/module.sh
source scripts/tools/versions.env

# The lines of CRDS, each with the version and the sum of its module.
wanted=$(sed '/^$/d' <<<"$CRDS" | while read -r project module folder; do
    module_row "$module"
    echo "$project $module $folder $MODULE_VERSION $MODULE_SUM"
done)
fingerprint=$(sha256sum <<<"$wanted")
cached=$CACHE_ROOT/crds/${fingerprint:0:12}

# take PROJECT MODULE FOLDER: its definitions, without what else lies beside them.
take() {
    local files=$CACHE_STAGING/files/$3
    module_unpack "$2" "$CACHE_STAGING/files" "$3/"
    mkdir "$CACHE_STAGING/ready/$1"
    grep -lZx 'kind: CustomResourceDefinition' "$files"/*.yaml | xargs -0r mv -t "$CACHE_STAGING/ready/$1"
    rm -rf "$CACHE_STAGING/files"
    compgen -G "$CACHE_STAGING/ready/$1/*" >/dev/null || fail "$2 $MODULE_VERSION has no CustomResourceDefinition in $3"
    say "took the definitions of $1 $MODULE_VERSION"
}

fill_cache() {
    local line
    cache_stage
    go_find "$GO_VERSION"
    mkdir "$CACHE_STAGING/ready"
    while read -r -a line; do take "${line[@]:0:3}"; done <<<"$wanted"
    cache_publish "$CACHE_STAGING/ready" "$cached"
}

if [[ ! -d $cached ]]; then
    cache_lock crds
    [[ -d $cached ]] || fill_cache
fi
echo "$cached"
