#!/usr/bin/env bash
# usage: tensorrt.sh DEST [x86_64]
# Puts TensorRT's libraries that ONNX Runtime's TensorRT provider needs into DEST, with NVIDIA's licence beside them:
# libnvinfer, its plugins, the ONNX parser and the builder resources of the pinned architectures, out of NVIDIA's wheel
# (3.7 GB to fetch, about twice that on the disk while it is unpacked). The registry has only a stub of that wheel, which
# fetches it from NVIDIA's own index; where that is out of reach, TENSORRT_WHEEL=FILE names the wheel itself.
# Idempotent: does nothing when DEST has them already.
set -euo pipefail
shopt -s inherit_errexit

usage="usage: tensorrt.sh DEST [x86_64]"
[[ $# -eq 1 || $# -eq 2 ]] && [[ $1 != -* ]] || { echo "$usage" >&2; exit 64; }
dest=$(realpath -m "$1")
arch=${2:-$(uname -m)}
given=${TENSORRT_WHEEL:+$(realpath -m "$TENSORRT_WHEEL")}

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh
source scripts/lib/libraries.sh
source scripts/tools/versions.env

wheel_sha256=TENSORRT_WHEEL_${arch^^}
wheel_sha256=${!wheel_sha256:-}
[[ -n $wheel_sha256 ]] || fail "scripts/tools/versions.env pins no TensorRT for $arch"
fingerprint=$(sha256sum <<<"$wheel_sha256 $TENSORRT_FILES")
cached=$CACHE_ROOT/tensorrt/$TENSORRT_VERSION-$arch-${fingerprint:0:12}
name=tensorrt_cu13_libs

# fetch FOLDER: NVIDIA's wheel into FOLDER, by the pinned stub, built by the pinned package.
fetch() {
    local folder=$1
    say "fetching TensorRT $TENSORRT_VERSION for CUDA 13 (3.7 GB)"
    python3 -m venv "$CACHE_STAGING/venv" >&2 ||
        fail "python3 can't make a virtual environment: install its venv package (Debian: python3-venv)"
    printf '%s --hash=sha256:%s\n' "$TENSORRT_STUB_BUILDER" "$TENSORRT_STUB_BUILDER_SHA256" >"$CACHE_STAGING/builder.txt"
    "$CACHE_STAGING/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
        --require-hashes --requirement "$CACHE_STAGING/builder.txt" >&2 ||
        fail "pip could not install $TENSORRT_STUB_BUILDER (its reason is above)"
    printf '%s==%s --hash=sha256:%s\n' "${name//_/-}" "$TENSORRT_VERSION" "$TENSORRT_STUB_SHA256" >"$CACHE_STAGING/stub.txt"
    mkdir -p "$folder"
    "$CACHE_STAGING/venv/bin/pip" wheel --disable-pip-version-check --no-deps --no-cache-dir --no-build-isolation \
        --no-binary :all: --require-hashes --requirement "$CACHE_STAGING/stub.txt" --wheel-dir "$folder" >&2 ||
        fail "NVIDIA's wheel of TensorRT could not be fetched (the reason is above): where its index is out of reach," \
            "fetch $name-$TENSORRT_VERSION for $arch elsewhere and name the file in TENSORRT_WHEEL"
    rm -rf "$CACHE_STAGING/venv"
}

fill_cache() {
    source scripts/lib/wheel.sh
    local library prefix prefixes=()
    cache_stage
    if [[ -n $given ]]; then
        [[ -f $given && $given == *.whl ]] || fail "TENSORRT_WHEEL names $given, which is no wheel"
        mkdir "$CACHE_STAGING/wheel"
        ln -s "$given" "$CACHE_STAGING/wheel/$(basename "$given")"
    else
        fetch "$CACHE_STAGING/wheel"
    fi
    for library in "$CACHE_STAGING/wheel"/*.whl; do check_sha256 "$library" "$wheel_sha256"; done
    for prefix in $TENSORRT_FILES; do prefixes+=("tensorrt_libs/$prefix"); done
    wheel_unpack "$CACHE_STAGING/wheel" "$CACHE_STAGING/unpacked" "${prefixes[@]}" "$name-$TENSORRT_VERSION.dist-info/"
    rm -rf "$CACHE_STAGING/wheel"
    mkdir "$CACHE_STAGING/ready"
    libraries_take "$CACHE_STAGING/unpacked" "$name"
    for library in libnvinfer.so.10 libnvinfer_plugin.so.10 libnvonnxparser.so.10; do
        [[ -f $CACHE_STAGING/ready/$library ]] || fail "the wheel of TensorRT has no $library inside"
    done
    for prefix in $TENSORRT_FILES; do
        compgen -G "$CACHE_STAGING/ready/$prefix*" >/dev/null ||
            fail "the wheel of TensorRT has no file whose name begins with $prefix"
    done
    libraries_publish "$cached"
}

cache_lock tensorrt
libraries_are_whole "$cached" || fill_cache
libraries_place "$cached" "$dest" "TensorRT $TENSORRT_VERSION ($arch) is in $1"
