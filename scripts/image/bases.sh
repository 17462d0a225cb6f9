#!/usr/bin/env bash
# usage: bases.sh [--fresh] builder|distroless|slim
# Makes a base image out of Debian 12's packages, for places where no registry can be reached, and
# prints its name. Idempotent: an image of the same recipe is taken as it is, unless --fresh asks for
# the packages of today.
#   builder     Debian with a C compiler, python3 and this machine's pinned Rust toolchain
#   distroless  only what gcr.io/distroless/cc-debian12 has: no shell, no package manager
#   slim        Debian's smallest set, as debian:bookworm-slim
# ENGINE=docker|podman|buildah chooses who keeps it, DEBIAN_MIRROR where packages come from.
set -euo pipefail
shopt -s inherit_errexit

usage="usage: bases.sh [--fresh] builder|distroless|slim"
fresh=
[[ ${1:-} != --help ]] || { echo "$usage"; exit 0; }
[[ ${1:-} != --fresh ]] || { fresh=yes; shift; }
[[ $# -eq 1 && $1 =~ ^(builder|distroless|slim)$ ]] || { echo "$usage" >&2; exit 64; }
kind=$1

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh
source scripts/image/engine.sh

MIRROR=${DEBIAN_MIRROR:-http://deb.debian.org}
SUITE=bookworm
BUILDER_PACKAGES=ca-certificates,g++,gcc,libc6-dev,locales,make,pkg-config,python3,python3-pip,python3-venv
DISTROLESS_PACKAGES=(base-files ca-certificates gcc-12-base libc6 libgcc-s1 libgomp1 libstdc++6 netbase tzdata)
system_path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# sources: apt's lines for the suite with its updates, trusted by Debian's own keyring only.
sources() {
    local trust='[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]'
    printf 'deb %s %s %s main\n' "$trust" "$MIRROR/debian" "$SUITE" "$trust" "$MIRROR/debian" "$SUITE-updates" \
        "$trust" "$MIRROR/debian-security" "$SUITE-security"
}

# toolchain: the folder of the pinned Rust on this machine.
toolchain() {
    local channel folder
    channel=$(sed -n 's/^channel = "\(.*\)"$/\1/p' rust-toolchain.toml)
    folder=$(rustc "+$channel" --print sysroot 2>/dev/null || rustc --print sysroot)
    [[ $("$folder/bin/rustc" --version) == "rustc $channel "* ]] ||
        fail "Rust $channel is not on this machine: run 'rustup toolchain install $channel'"
    realpath "$folder"
}

# strap VARIANT TAR [OPTION...]: Debian by mmdebstrap.
strap() {
    local variant=$1 tar=$2
    shift 2
    command -v mmdebstrap >/dev/null || engine_install mmdebstrap
    sources >"$CACHE_STAGING/sources.list"
    mmdebstrap --quiet --variant="$variant" --aptopt='Acquire::Languages "none"' "$@" \
        "$SUITE" "$tar" "$CACHE_STAGING/sources.list" >&2
}

make_builder() {
    local rust=$1
    # shellcheck disable=SC2016  # $1 is the hook's own: the folder of the new system
    strap minbase "$2" --include="$BUILDER_PACKAGES" \
        --customize-hook='mkdir -p "$1/usr/local/rust"' \
        --customize-hook="cp -a '$rust/bin' '$rust/lib' '$rust/libexec' \"\$1/usr/local/rust/\""
}

make_slim() {
    strap minbase "$1" --include=ca-certificates,netbase,tzdata \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright'
}

# make_distroless TAR: the packages' files and nothing else, as distroless has them.
make_distroless() {
    local own=$CACHE_STAGING/apt root=$CACHE_STAGING/root options package
    mkdir -p "$own/lists/partial" "$own/cache/archives/partial" "$own/debs" "$root"
    sources >"$own/sources.list"
    : >"$own/status"
    options=(-o Dir::Etc::SourceList="$own/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o Dir::State::Lists="$own/lists" -o Dir::State::Status="$own/status" -o Dir::Cache="$own/cache"
        -o APT::Sandbox::User="$(id -un)")
    apt-get -qq "${options[@]}" update >&2 || fail "apt-get cannot read $MIRROR (its reason is above)"
    (cd "$own/debs" && apt-get -qq "${options[@]}" download "${DISTROLESS_PACKAGES[@]}") >&2
    mkdir -p "$root"/{tmp,root,var/lib/dpkg/status.d,etc/ssl/certs}
    for package in "$own"/debs/*.deb; do
        dpkg-deb --extract "$package" "$root"
        dpkg-deb --field "$package" >"$root/var/lib/dpkg/status.d/$(dpkg-deb --field "$package" Package)"
    done
    find "$root/usr/share" -mindepth 1 -maxdepth 1 ! -name doc ! -name zoneinfo ! -name ca-certificates -exec rm -rf {} +
    find "$root/usr/share/doc" ! -type d ! -name copyright -delete
    find "$root/usr/sbin" "$root/usr/bin" "$root/sbin" "$root/bin" ! -type d -delete 2>/dev/null || true
    find "$root/usr/share/ca-certificates" -name '*.crt' -print0 | sort -z | xargs -0 cat >"$root/etc/ssl/certs/ca-certificates.crt"
    printf '%s\n' 'root:x:0:0:root:/root:/sbin/nologin' 'nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin' >"$root/etc/passwd"
    printf '%s\n' 'root:x:0:' 'nogroup:x:65534:' >"$root/etc/group"
    echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
    chmod 1777 "$root/tmp"
    chmod 0700 "$root/root"
    tar --create --file "$1" --directory "$root" --sort=name --owner=0 --group=0 --numeric-owner .
}

[[ -n ${ENGINE:-} ]] || engine_choose
rust=
[[ $kind != builder ]] || rust=$(toolchain)
# The recipe is this file: a base of another recipe has another name.
recipe=$({ cat scripts/image/bases.sh; echo "$rust" "$MIRROR"; } | sha256sum)
image=localhost/ml-inference-api-base/$kind:${recipe:0:12}
tar=$CACHE_ROOT/image-bases/$kind-${recipe:0:12}.tar

if [[ -n $fresh ]] || ! engine_has "$image"; then
    cache_lock "image-base-$kind"
    if [[ -n $fresh || ! -f $tar ]]; then
        say "making the base image '$kind' from Debian's packages (some minutes, once)"
        cache_stage
        case $kind in
        builder) make_builder "$rust" "$CACHE_STAGING/base.tar" ;;
        distroless) make_distroless "$CACHE_STAGING/base.tar" ;;
        slim) make_slim "$CACHE_STAGING/base.tar" ;;
        esac
        rm -f "$CACHE_ROOT/image-bases/$kind"-*.tar
        cache_publish "$CACHE_STAGING/base.tar" "$tar"
    fi
    [[ -z $rust ]] || system_path=/usr/local/rust/bin:$system_path
    engine_import "$tar" "$image" "$system_path"
fi
echo "$image"
