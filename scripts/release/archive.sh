#!/usr/bin/env bash
# usage: archive.sh ROOT VERSION ARCHITECTURE OUT
# Packs what an image has (usr/local/bin, usr/local/lib, usr/share/licenses under ROOT) into
# OUT/ml-inference-api-VERSION-linux-ARCHITECTURE.tar.gz: bin/ with the binary, lib/ beside it, where it looks for ONNX Runtime, and
# the licences. The same files give the same archive, bit for bit.
set -euo pipefail
shopt -s inherit_errexit

[[ $# == 4 ]] || { echo "usage: archive.sh ROOT VERSION ARCHITECTURE OUT" >&2; exit 64; }
root=$(realpath "$1") version=$2 architecture=$3 out=$(realpath -m "$4")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh

declare -A machines=([amd64]=62 [arm64]=183)
[[ -n ${machines[$architecture]:-} ]] || fail "the architecture is '$architecture': expected amd64 or arm64"
for file in bin/ml-inference-api lib/libonnxruntime.so; do
    [[ -f $root/usr/local/$file ]] || fail "$root/usr/local/$file is missing: $root is no unpacked image"
    machine=$(od -An -t u2 -j 18 -N 2 "$root/usr/local/$file" | tr -d ' ')
    [[ $machine == "${machines[$architecture]}" ]] || fail "$file is not for $architecture (its ELF header names machine $machine)"
done
name=ml-inference-api-$version-linux-$architecture
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch/$name/licenses" "$out"
install -D -m 0755 "$root/usr/local/bin/ml-inference-api" "$scratch/$name/bin/ml-inference-api"
install -d "$scratch/$name/lib"
for file in "$root"/usr/local/lib/*; do
    [[ ! -f $file ]] || install -m 0644 "$file" "$scratch/$name/lib/"
done
install -m 0644 LICENSE "$scratch/$name/licenses/"
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
tar --create --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$epoch" -C "$scratch" "$name" |
    gzip --no-name -9 >"$out/$name.tar.gz"
say "$out/$name.tar.gz has $(stat -c %s "$out/$name.tar.gz") bytes"
