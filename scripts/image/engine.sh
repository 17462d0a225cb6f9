# shellcheck shell=bash
# Which program builds and keeps images, and its few words. Sourced by scripts/image/*.sh after
# scripts/lib/cache.sh.

# engine_answers NAME: whether the engine is here and works.
engine_answers() {
    command -v "$1" >/dev/null || return 1
    case $1 in
    docker) docker info >/dev/null 2>&1 ;;
    *) "$1" info >/dev/null 2>&1 ;;
    esac
}

# engine_choose: sets ENGINE, unless it is set, to the first of docker, podman and buildah that
# answers. Where none does, buildah is installed if this is Debian and we are root.
engine_choose() {
    local name
    if [[ -n ${ENGINE:-} ]]; then
        case $ENGINE in docker | podman | buildah) ;; *) fail "ENGINE is $ENGINE: expected docker, podman or buildah" ;; esac
        engine_answers "$ENGINE" || fail "$ENGINE does not answer here ('$ENGINE info' says why)"
    else
        for name in docker podman buildah; do
            engine_answers "$name" && ENGINE=$name && break
        done
        if [[ -z ${ENGINE:-} ]]; then
            engine_install buildah crun
            engine_answers buildah || fail "buildah is installed, but 'buildah info' fails"
            ENGINE=buildah
        fi
    fi
    say "images are built with $ENGINE"
}

# engine_install PACKAGE...: from Debian, as root; else a sentence on what to install.
engine_install() {
    if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
        fail "this needs $*: install docker or podman, or (Debian) run 'apt-get install --no-install-recommends $*' as root"
    fi
    say "installing $* from Debian"
    { apt-get -q update && apt-get -q install -y --no-install-recommends "$@"; } >&2 ||
        fail "apt-get could not install $* (its reason is above)"
}

# engine_has IMAGE: whether the engine keeps it.
engine_has() {
    case $ENGINE in
    buildah) buildah inspect --type image "$1" >/dev/null 2>&1 ;;
    *) "$ENGINE" image inspect "$1" >/dev/null 2>&1 ;;
    esac
}

# engine_import TAR IMAGE PATH: a root file system as an image whose PATH variable is PATH.
engine_import() {
    if [[ $ENGINE != buildah ]]; then
        "$ENGINE" import --change "ENV PATH=$3" "$1" "$2" >/dev/null
        return
    fi
    local container
    container=$(buildah from scratch)
    buildah add --quiet "$container" "$1" / >/dev/null
    buildah config --env "PATH=$3" "$container"
    buildah commit --quiet --rm --format docker "$container" "$2" >/dev/null
}

# engine_archive IMAGE FILE: the image as docker's archive, which every engine writes.
engine_archive() {
    case $ENGINE in
    docker) docker save --output "$2" "$1" ;;
    podman) podman save --quiet --format docker-archive --output "$2" "$1" ;;
    buildah) buildah push --quiet "$1" "docker-archive:$2:$1" ;;
    esac
}
