#!/usr/bin/env bash
# usage: verify_image.sh NAME@DIGEST
# Whether the image or the chart was signed by this repository's own workflows, of main or of a version's tag. The certificate
# names the workflow that signed: image.yml for images, also where another one called it, and release.yml for the chart.
# GITHUB_REPOSITORY says whose; myorg/ml-inference-api where unset. Needs cosign 3 (or 2.6 with --new-bundle-format).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh

[[ $# == 1 && $1 =~ ^[^@]+@sha256:[0-9a-f]{64}$ ]] || { echo "usage: verify_image.sh NAME@DIGEST" >&2; exit 64; }
command -v cosign >/dev/null || fail "cosign is not on PATH: install it (https://docs.sigstore.dev)"
repository=${GITHUB_REPOSITORY:-myorg/ml-inference-api}
identity="^https://github\\.com/${repository//./\\.}/\\.github/workflows/(image|release)\\.yml@refs/(heads/main|tags/v[0-9][0-9A-Za-z.+-]*)\$"
cosign verify --certificate-oidc-issuer https://token.actions.githubusercontent.com \
    --certificate-identity-regexp "$identity" "$1" >/dev/null ||
    fail "$1 bears no signature of the workflows of $repository (cosign's reason is above)"
say "$1 is signed by $repository"
