#!/usr/bin/env bash
# usage: program.sh NAME
# Builds a program of the table GO_PROGRAMS in versions.env out of its Go module, whose content GO_MODULES there pins,
# into the cache, and prints its path. Does nothing when it is there; a changed line in either table builds anew.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh
source scripts/lib/go.sh
source scripts/lib/module.sh
source scripts/tools/versions.env

[[ $# -eq 1 && $1 != -* ]] || { echo "usage: program.sh NAME" >&2; exit 64; }
name=$1
row=$(awk -v name="$name" '$1 == name' <<<"$GO_PROGRAMS")
[[ -n $row ]] ||
    fail "GO_PROGRAMS in scripts/tools/versions.env has no '$name': $(awk 'NF { print $1 }' <<<"$GO_PROGRAMS" | paste -sd ' ')"
read -r _ module package settings <<<"$row"
module_row "$module"
settings=${settings//VERSION/$MODULE_VERSION}
fingerprint=$(sha256sum <<<"$row $MODULE_VERSION $MODULE_SUM $(uname -m)")
cached=$CACHE_ROOT/$name/$MODULE_VERSION-${fingerprint:0:12}

build() {
    cache_stage
    go_find "$GO_VERSION"
    say "building $name $MODULE_VERSION out of its Go module (one to fifteen minutes, once)"
    local started=$SECONDS
    mkdir "$CACHE_STAGING/ready"
    # shellcheck disable=SC2086 # several settings
    module_build "$module" "$package" "$CACHE_STAGING/ready/$name" $settings
    cache_publish "$CACHE_STAGING/ready" "$cached"
    say "built $name in $((SECONDS - started)) s"
}

if [[ ! -x $cached/$name ]]; then
    cache_lock "$name"
    [[ -x $cached/$name ]] || build
fi
echo "$cached/$name"
