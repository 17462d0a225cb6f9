# shellcheck shell=bash
# Programs out of Debian's packages, where apt has the pinned version: no root is needed, and nothing is installed.
# Needs scripts/lib/cache.sh.

# debian_download FOLDER PACKAGE=VERSION [APT OPTION...]: apt's package into FOLDER.
debian_download() {
    local folder=$1 package=$2
    shift 2
    (cd "$folder" && apt-get -q "$@" -o APT::Sandbox::User="$(id -un)" download "$package") >&2
}

# debian_provide CACHED PACKAGE VERSION PREFIX PROGRAM...: the programs into the cache as CACHED: out of the package, or where apt
# cannot give that by the caller's from_module FOLDER, which builds them into FOLDER/ready.
debian_provide() {
    local started=$SECONDS cached=$1 package=$2 version=$3 programs=${*:5}
    shift
    cache_stage
    mkdir "$CACHE_STAGING/deb" "$CACHE_STAGING/module"
    say "fetching $programs out of Debian's package $package $version"
    if debian_programs "$CACHE_STAGING/deb" "$@"; then
        cache_publish "$CACHE_STAGING/deb/ready" "$cached"
    else
        say "apt cannot give that package here"
        from_module "$CACHE_STAGING/module" ||
            fail "$programs: neither from apt nor from the Go module (the reasons are above)"
        cache_publish "$CACHE_STAGING/module/ready" "$cached"
    fi
    say "ready after $((SECONDS - started)) s: $programs"
}

# debian_programs FOLDER PACKAGE VERSION PREFIX PROGRAM...: programs of the package's /usr/bin, into FOLDER/ready. The
# variable PREFIX_ARCHITECTURE has the package's hash. Where the machine's own package lists do not have the version,
# lists of our own are fetched for this once. Fails where apt cannot give it.
debian_programs() {
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
    local folder=$1 package=$2 version=$3 prefix=$4 own deb arch sha256 program
    shift 4
    own=$folder/apt
    mkdir -p "$own/lists/partial" "$own/cache/archives/partial"
    if ! debian_download "$folder" "$package=$version"; then
        say "apt's own package lists do not have it: fetching fresh ones"
        local options=(-o Dir::State::lists="$own/lists" -o Dir::Cache="$own/cache" -o APT::Sandbox::User="$(id -un)")
        apt-get -q "${options[@]}" update >&2 || return 1
        debian_download "$folder" "$package=$version" "${options[@]}" || return 1
    fi
    deb=$(find "$folder" -maxdepth 1 -name "${package}_*.deb")
    arch=$(dpkg --print-architecture)
    sha256=${prefix}_${arch^^}
    # Other architectures: apt has checked the package against Debian's signed lists.
    [[ -z ${!sha256:-} ]] || check_sha256 "$deb" "${!sha256}"
    dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$folder" "${@/#/./usr/bin/}"
    for program in "$@"; do
        install -D -m 0555 "$folder/usr/bin/$program" "$folder/ready/$program"
        "$folder/ready/$program" --version >/dev/null
    done
}
