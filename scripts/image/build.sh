#!/usr/bin/env bash
# usage: build.sh [cpu|openvino|cuda]
# Builds the image of that target with docker, podman or buildah, whichever answers, from the
# Dockerfile. Where a base's registry cannot be reached, scripts/image/bases.sh makes the base here.
# The environment chooses the rest (`make image` hands it on):
#   ENGINE        docker, podman or buildah
#   TAG           the image's name; ml-inference-api:TARGET where unset
#   MODELS        demo (where unset) or none
#   BUILDER_BASE, RUNTIME_BASE   an image, or 'local' for one made here (RUNTIME_BASE also 'local-slim')
#   PROFILE       cargo's profile: dist where unset; release builds faster
#   SOURCE        the address of the sources, for the image's label
#   REVISION      what the binary and the label say it is made of; git's commit where unset
#   SOURCE_DATE_EPOCH            the time that the image bears; the last commit's where unset
# A certificate bundle named by SSL_CERT_FILE, pip's and cargo's configuration and the proxy variables
# of this machine serve the build's own downloads; nothing of them stays in the image.
set -euo pipefail
shopt -s inherit_errexit

usage() { sed -n '2,/^set /{/^set /!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; }
case ${1:-cpu} in
cpu | openvino | cuda) target=${1:-cpu} ;;
-h | --help) usage; exit 0 ;;
*) usage >&2; exit 64 ;;
esac

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh
source scripts/image/engine.sh

tag=${TAG:-ml-inference-api:$target}
models=${MODELS:-demo}
[[ $models == demo || $models == none ]] || fail "MODELS is $models: expected demo or none"

# registry_of IMAGE: the host that the image comes from; empty for one of this machine.
registry_of() {
    local host=${1%%/*}
    case $host in
    localhost) ;;
    *.* | *:*) [[ $1 == */* ]] && echo "${host/#docker.io/registry-1.docker.io}" ;;
    *) echo registry-1.docker.io ;;
    esac
}

# reachable IMAGE: the engine has it, or its registry answers as one.
reachable() {
    engine_has "$1" && return
    local registry
    registry=$(registry_of "$1")
    [[ -n $registry ]] || return 1
    python3 - "https://$registry/v2/" <<'PYTHON'
import sys, urllib.error, urllib.request
try:
    urllib.request.urlopen(sys.argv[1], timeout=10)
except urllib.error.HTTPError as error:
    sys.exit(error.code != 401 or "docker-distribution-api-version" not in {name.lower() for name in error.headers})
except OSError:
    sys.exit(1)
PYTHON
}

# base WANTED DEFAULT KIND: the base to build from.
base() {
    local wanted=$1 default=$2 kind=$3
    case $wanted in
    local) scripts/image/bases.sh "$kind" ;;
    local-slim) scripts/image/bases.sh slim ;;
    '')
        if reachable "$default"; then
            echo "$default"
        else
            say "$default cannot be had here: a base made of Debian's packages stands in"
            scripts/image/bases.sh "$kind"
        fi
        ;;
    *) echo "$wanted" ;;
    esac
}

default_of() { sed -n "s/^ARG $1=//p" Dockerfile; }

# build_access: options that let the build's package clients reach what this machine reaches.
build_access() {
    local name bundle=${SSL_CERT_FILE:-} cargo_config=${CARGO_HOME:-$HOME/.cargo}/config.toml
    for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
        [[ -z ${!name:-} ]] || access+=(--build-arg "$name")
    done
    if [[ $ENGINE == docker ]]; then
        # Docker mounts nothing into a build: a machine that needs these bakes them into BUILDER_BASE.
        return
    fi
    [[ -z $bundle ]] || access+=(--volume "$(realpath "$bundle"):/etc/ssl/certs/ca-certificates.crt:ro")
    local variable key
    for name in INDEX_URL EXTRA_INDEX_URL TRUSTED_HOST; do
        variable=PIP_$name key=${name,,}
        [[ -z ${!variable:-} ]] || printf '%s = %s\n' "${key//_/-}" "${!variable}" >>"$scratch/pip.options"
    done
    if [[ -f $scratch/pip.options ]]; then
        { echo '[global]'; cat "$scratch/pip.options"; } >"$scratch/pip.conf"
    elif [[ -f /etc/pip.conf ]]; then
        cp /etc/pip.conf "$scratch/pip.conf"
    fi
    [[ ! -f $scratch/pip.conf ]] || access+=(--volume "$scratch/pip.conf:/etc/pip.conf:ro")
    [[ ! -f $cargo_config ]] || access+=(--volume "$cargo_config:/usr/local/cargo/config.toml:ro")
}

engine_choose
export ENGINE
builder=$(base "${BUILDER_BASE:-}" "$(default_of BUILDER_BASE)" builder)
runtime=$(base "${RUNTIME_BASE:-}" "$(default_of RUNTIME_BASE)" distroless)

if [[ -z ${REVISION:-} ]]; then
    REVISION=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
    [[ -z $(git status --porcelain 2>/dev/null) ]] || REVISION+=-modified
fi
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
access=()
build_access
case $ENGINE in
docker) command=(docker build) ;;
podman) command=(podman build --format docker --layers) ;;
buildah) command=(buildah build --format docker --layers --isolation "${BUILDAH_ISOLATION:-chroot}") ;;
esac

say "building $tag: target $target, models $models, on $runtime, with $builder"
started=$SECONDS
"${command[@]}" --target "$target" --tag "$tag" "${access[@]}" \
    --build-arg "BUILDER_BASE=$builder" --build-arg "RUNTIME_BASE=$runtime" --build-arg "MODELS=$models" \
    --build-arg "PROFILE=${PROFILE:-dist}" --build-arg "REVISION=$REVISION" --build-arg "SOURCE=${SOURCE:-}" \
    --build-arg "CREATED=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)" \
    . >&2 || fail "$ENGINE could not build $tag (its reason is above)"
say "built $tag in $((SECONDS - started)) s"
