#!/usr/bin/env bash
# usage: push_chart.sh PACKAGE [HELM OPTION...]
# Pushes the chart's package to ghcr.io/OWNER/charts, and prints `chart=NAME` and `digest=DIGEST` for $GITHUB_OUTPUT.
# REGISTRY takes the place of ghcr.io/OWNER; the owner is GITHUB_REPOSITORY_OWNER, or myorg. Docker's login is Helm's too.
set -euo pipefail
shopt -s inherit_errexit

[[ $# -ge 1 ]] || { echo "usage: push_chart.sh PACKAGE [HELM OPTION...]" >&2; exit 64; }
package=$(realpath "$1")
shift
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh

owner=${GITHUB_REPOSITORY_OWNER:-myorg}
registry=${REGISTRY:-ghcr.io/${owner,,}}/charts
helm=$(scripts/tools/program.sh helm)
said=$("$helm" push "$package" "oci://$registry" --registry-config "${DOCKER_CONFIG:-$HOME/.docker}/config.json" "$@" 2>&1) ||
    fail "the chart could not be pushed to $registry: $said"
printf '%s\n' "$said" >&2
digest=$(sed -n 's/^Digest: *//p' <<<"$said")
[[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || fail "helm push told no digest"
printf '%s\n' "chart=$registry/ml-inference-api" "digest=$digest"
