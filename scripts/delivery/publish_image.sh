#!/usr/bin/env bash
# usage: publish_image.sh IMAGE FOLDER
# Puts what was pushed by digest (the names of the files in FOLDER, an image for each architecture) together under every tag of
# TAGS (whole names, one a line), and prints the digest that they then all have. Needs docker's buildx.
set -euo pipefail
shopt -s inherit_errexit

[[ $# == 2 ]] || { echo "usage: publish_image.sh IMAGE FOLDER" >&2; exit 64; }
image=$1 folder=$(realpath "$2")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh

tags=() parts=() first=
while read -r tag; do
    [[ -z $tag ]] || tags+=(--tag "$tag")
    first=${first:-$tag}
done <<<"${TAGS:?the tags, one a line}"
for file in "$folder"/*; do
    name=${file##*/}
    [[ $name =~ ^[0-9a-f]{64}$ ]] || fail "$folder has '$name', which is no digest"
    parts+=("$image@sha256:$name")
done
docker buildx imagetools create "${tags[@]}" "${parts[@]}" >&2 || fail "the tags could not be set (the reason is above)"
digest=$(docker buildx imagetools inspect "$first" --format '{{json .Manifest}}' |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["digest"])')
[[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || fail "$first has no digest, but '$digest'"
say "$image@$digest: ${#parts[@]} architectures, tags $(paste -sd ' ' <<<"$TAGS")"
echo "$digest"
