#!/usr/bin/env bash
# usage: publish.sh TAG FOLDER REFERENCE...
# The release of a tag on GitHub: the notes of CHANGELOG.md, the references (images and the chart, by digest) below them, the files
# of FOLDER. Run again, it renews what is there. A version like 1.2.3-rc.1 is marked as one that comes before. Needs gh with GH_TOKEN.
set -euo pipefail
shopt -s inherit_errexit

[[ $# -ge 3 ]] || { echo "usage: publish.sh TAG FOLDER REFERENCE..." >&2; exit 64; }
tag=$1 folder=$(realpath "$2")
shift 2
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh

for reference in "$@"; do
    [[ $reference =~ ^[^@]+@sha256:[0-9a-f]{64}$ ]] || fail "'$reference' names nothing by its digest"
done
notes=$(mktemp)
trap 'rm -f "$notes"' EXIT
{
    python3 scripts/release/version.py notes "$tag"
    printf '\n### By digest\n\n'
    printf -- '- %s\n' "$@"
} >"$notes"
options=(--title "$tag" --notes-file "$notes" --verify-tag)
[[ $tag != *-* ]] || options+=(--prerelease)
if gh release view "$tag" >/dev/null 2>&1; then
    gh release edit "$tag" "${options[@]}"
    gh release upload "$tag" --clobber "$folder"/*
else
    gh release create "$tag" "${options[@]}" "$folder"/*
fi
