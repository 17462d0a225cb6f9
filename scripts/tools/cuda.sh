#!/usr/bin/env bash
# usage: cuda.sh DEST [x86_64]
# Puts NVIDIA's libraries that ONNX Runtime's CUDA provider needs into DEST, with their licences beside
# them: CUDA's and cuDNN's, pinned by scripts/tools/versions.env. The driver's libcuda.so.1 is the host's.
# Idempotent: does nothing when DEST has them already.
set -euo pipefail
shopt -s inherit_errexit

usage="usage: cuda.sh DEST [x86_64]"
[[ $# -eq 1 || $# -eq 2 ]] && [[ $1 != -* ]] || { echo "$usage" >&2; exit 64; }
dest=$(realpath -m "$1")
arch=${2:-$(uname -m)}

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh
source scripts/tools/versions.env

wheels=CUDA_WHEELS_${arch^^}
wheels=$(sed '/^$/d' <<<"${!wheels:-}")
[[ -n $wheels ]] || fail "scripts/tools/versions.env pins no CUDA libraries for $arch"
fingerprint=$(sha256sum <<<"$wheels")
id=$CUDA_VERSION-$arch-${fingerprint:0:12}
cached=$CACHE_ROOT/cuda/$id

# take SHA256 REQUIREMENT PREFIX...: one wheel's libraries and licence into the staged folder.
take() {
    local sha256=$1 requirement=$2 folder=$CACHE_STAGING/wheel library
    local name=${requirement%%==*} version=${requirement##*==}
    shift 2
    say "fetching $name $version"
    wheel_fetch "$requirement" "$sha256" "$arch" "$folder"
    wheel_unpack "$folder" "$CACHE_STAGING/unpacked" "$@" "${name//-/_}-$version.dist-info/"
    find "$CACHE_STAGING/unpacked" -name '*.so*' -type f | while read -r library; do
        chmod 0444 "$library"
        mv "$library" "$CACHE_STAGING/ready/"
    done
    find "$CACHE_STAGING/unpacked" -iname 'licen[sc]e*' -type f | while read -r library; do
        install -m 0444 "$library" "$CACHE_STAGING/ready/$name.LICENSE"
    done
    [[ -f $CACHE_STAGING/ready/$name.LICENSE ]] || fail "the wheel of $name has no licence inside"
    rm -rf "$folder" "$CACHE_STAGING/unpacked"
}

fill_cache() {
    source scripts/lib/wheel.sh
    local line
    cache_stage
    mkdir "$CACHE_STAGING/ready"
    while read -r -a line; do take "${line[@]}"; done <<<"$wheels"
    (cd "$CACHE_STAGING/ready" && sha256sum -- *) >"$CACHE_STAGING/sums"
    mv "$CACHE_STAGING/sums" "$CACHE_STAGING/ready/.sums"
    cache_publish "$CACHE_STAGING/ready" "$cached"
}

# same FILE OTHER: the very file, or a copy of its size and time.
same() {
    [[ $1 -ef $2 ]] && return
    [[ -f $1 && -f $2 && $(stat -c '%s %Y' "$1") == $(stat -c '%s %Y' "$2") ]]
}

cache_lock cuda
# What is about to be installed is there and still what came out of the checked wheels.
[[ -f $cached/.sums ]] && (cd "$cached" && sha256sum --check --status .sums) || fill_cache

mkdir -p "$dest"
placed=0
for file in "$cached"/*; do
    same "$file" "$dest/${file##*/}" && continue
    ln -f "$file" "$dest/${file##*/}" 2>/dev/null || cp -pf "$file" "$dest/${file##*/}"
    placed=$((placed + 1))
done
[[ $placed == 0 ]] || say "NVIDIA's libraries for CUDA $CUDA_VERSION ($arch) are in $1"
