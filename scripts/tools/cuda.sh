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
source scripts/lib/libraries.sh
source scripts/tools/versions.env

wheels=CUDA_WHEELS_${arch^^}
wheels=$(sed '/^$/d' <<<"${!wheels:-}")
[[ -n $wheels ]] || fail "scripts/tools/versions.env pins no CUDA libraries for $arch"
fingerprint=$(sha256sum <<<"$wheels")
id=$CUDA_VERSION-$arch-${fingerprint:0:12}
cached=$CACHE_ROOT/cuda/$id

# take SHA256 REQUIREMENT PREFIX...: one wheel's libraries and licence into the staged folder.
take() {
    local sha256=$1 requirement=$2 folder=$CACHE_STAGING/wheel
    local name=${requirement%%==*} version=${requirement##*==}
    shift 2
    say "fetching $name $version"
    wheel_fetch "$requirement" "$sha256" "$arch" "$folder"
    wheel_unpack "$folder" "$CACHE_STAGING/unpacked" "$@" "${name//-/_}-$version.dist-info/"
    libraries_take "$CACHE_STAGING/unpacked" "$name"
    rm -rf "$folder" "$CACHE_STAGING/unpacked"
}

fill_cache() {
    source scripts/lib/wheel.sh
    local line
    cache_stage
    mkdir "$CACHE_STAGING/ready"
    while read -r -a line; do take "${line[@]}"; done <<<"$wheels"
    libraries_publish "$cached"
}

cache_lock cuda
libraries_are_whole "$cached" || fill_cache
libraries_place "$cached" "$dest" "NVIDIA's libraries for CUDA $CUDA_VERSION ($arch) are in $1"
