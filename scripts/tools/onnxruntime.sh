#!/usr/bin/env bash
# usage: onnxruntime.sh cpu|openvino|cuda DEST [x86_64|aarch64]
# Puts the pinned ONNX Runtime library into DEST as libonnxruntime.so, with the
# provider libraries of its flavour and the licences beside it. The server looks
# for it beside its own executable, so DEST is usually target/release.
# Idempotent: does nothing when DEST has it already. Libraries of another flavour
# that an earlier run put there are removed.
set -euo pipefail
shopt -s inherit_errexit

usage="usage: onnxruntime.sh cpu|openvino|cuda DEST [x86_64|aarch64]"
[[ $# -eq 2 || $# -eq 3 ]] || { echo "$usage" >&2; exit 64; }
flavour=$1
dest=$(realpath -m "$2")
arch=${3:-$(uname -m)}

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh
source scripts/tools/versions.env

case $flavour in
cpu) package=onnxruntime ;;
openvino) package=onnxruntime-openvino ;;
cuda) package=onnxruntime-gpu ;;
*) echo "$usage" >&2; exit 64 ;;
esac

version=ONNXRUNTIME_${flavour^^}_VERSION
version=${!version}
wheel_sha256=ONNXRUNTIME_${flavour^^}_WHEEL_${arch^^}
wheel_sha256=${!wheel_sha256:-}
files=ONNXRUNTIME_${flavour^^}_FILES_${arch^^}
files=$(sed '/^$/d' <<<"${!files:-}")
[[ -n $wheel_sha256 && -n $files ]] ||
    fail "scripts/tools/versions.env pins no ONNX Runtime of flavour $flavour for $arch"
licences='LICENSE ThirdPartyNotices.txt'

id=$flavour-$version-$arch
cached=$CACHE_ROOT/onnxruntime/$id
stamp=$dest/.onnxruntime

# installed: DEST has every file of this flavour, each the very file of the cache
# (or a copy of the same size and time).
installed() {
    [[ -f $stamp && $(head -n 1 "$stamp") == "$id" ]] || return 1
    local name
    while read -r name; do
        [[ $dest/$name -ef $cached/$name ]] && continue
        [[ -f $dest/$name && -f $cached/$name ]] || return 1
        [[ $(stat -c '%s %Y' "$dest/$name") == $(stat -c '%s %Y' "$cached/$name") ]] || return 1
    done < <(tail -n +2 "$stamp")
}

# fill_cache: download the wheel and keep its libraries, each checked by hash.
fill_cache() {
    source scripts/lib/wheel.sh
    say "fetching ONNX Runtime $version ($flavour, $arch)"
    cache_stage
    wheel_fetch "$package==$version" "$wheel_sha256" "$arch" "$CACHE_STAGING/wheel"
    wheel_unpack "$CACHE_STAGING/wheel" "$CACHE_STAGING/unpacked" onnxruntime/capi/lib onnxruntime/LICENSE onnxruntime/ThirdPartyNotices.txt
    mkdir "$CACHE_STAGING/ready"
    local sha256 name target
    while read -r sha256 name target; do
        check_sha256 "$CACHE_STAGING/unpacked/onnxruntime/capi/$name" "$sha256"
        install -m 0444 "$CACHE_STAGING/unpacked/onnxruntime/capi/$name" "$CACHE_STAGING/ready/$target"
    done <<<"$files"
    for name in $licences; do
        install -m 0444 "$CACHE_STAGING/unpacked/onnxruntime/$name" "$CACHE_STAGING/ready/libonnxruntime.$name"
    done
    cache_publish "$CACHE_STAGING/ready" "$cached"
}

# cache_is_whole: what is about to be installed is there and still what was pinned.
cache_is_whole() {
    local sha256 name sums=
    while read -r sha256 _ name; do
        [[ -f $cached/$name ]] || return 1
        sums+="$sha256  $cached/$name"$'\n'
    done <<<"$files"
    for name in $licences; do
        [[ -f $cached/libonnxruntime.$name ]] || return 1
    done
    sha256sum --check --status <<<"${sums%$'\n'}"
}

installed && exit 0

cache_lock onnxruntime
cache_is_whole || fill_cache

mkdir -p "$dest"
if [[ -f $stamp ]]; then
    tail -n +2 "$stamp" | while read -r name; do rm -f "$dest/$name"; done
    rm -f "$stamp"
fi
names=$(cd "$cached" && printf '%s\n' *)
while read -r name; do
    ln -f "$cached/$name" "$dest/$name" 2>/dev/null || cp -pf "$cached/$name" "$dest/$name"
done <<<"$names"
printf '%s\n' "$id" "$names" >"$stamp.new"
mv "$stamp.new" "$stamp"
say "ONNX Runtime $version ($flavour, $arch) is in $2"
