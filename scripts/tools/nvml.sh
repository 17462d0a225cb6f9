#!/usr/bin/env bash
# usage: nvml.sh
# Provides NVIDIA's management library in the cache and prints the path of its
# libnvidia-ml.so.1: out of Debian's package libnvidia-ml1 (no root needed, nothing
# is installed, no GPU is asked for). The package is in the component non-free, which
# few machines have: lists of our own are fetched from the mirror that apt has for main.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh
source scripts/tools/versions.env

cached=$CACHE_ROOT/nvml/$NVML_DEB_VERSION
library=$cached/libnvidia-ml.so.1
package="libnvidia-ml1 $NVML_DEB_VERSION of Debian $NVML_DEB_SUITE (component non-free)"

# non_free: for each mirror of Debian in apt's own configuration, a line that names
# the pinned release's non-free on it: a mirror has every release.
non_free() {
    local uri label component options='' keys=/usr/share/keyrings/debian-archive-keyring.gpg
    [[ ! -f $keys ]] || options="[signed-by=$keys] "
    apt-get indextargets --format '$(REPO_URI) $(LABEL) $(COMPONENT)' 'Created-By: Packages' |
        while read -r uri label component; do
            # Where the lists were never fetched, apt knows no label.
            [[ $label == Debian || ($label == '$(LABEL)' && ${uri%/} == */debian) ]] || continue
            [[ $component != main ]] || echo "deb $options$uri $NVML_DEB_SUITE non-free"
        done | sort -u
}

# from_debian FOLDER: the library out of the package, into FOLDER/ready.
from_debian() {
    local folder=$1 options deb arch sha256
    mkdir -p "$folder/lists/partial" "$folder/archives/partial" "$folder/parts" "$folder/ready"
    non_free >"$folder/sources.list"
    [[ -s $folder/sources.list ]] ||
        fail "apt here has no mirror of Debian, from which $package comes: configure one"
    options=(-q -o Dir::Etc::SourceList="$folder/sources.list" -o Dir::Etc::SourceParts="$folder/parts"
        -o Dir::State::Lists="$folder/lists" -o Dir::Cache="$folder" -o Dir::Cache::Archives="$folder/archives"
        -o APT::Sandbox::User="$(id -un)")
    apt-get "${options[@]}" update >&2 ||
        fail "apt could not read the lists of Debian $NVML_DEB_SUITE non-free (its reasons are above)"
    arch=$(dpkg --print-architecture)
    sha256=NVML_DEB_${arch^^}
    if (cd "$folder" && apt-get "${options[@]}" download "libnvidia-ml1=$NVML_DEB_VERSION") >&2; then
        sha256=${!sha256:-}
    else
        # A point release took its place. What is there now, apt checks against Debian's signed lists.
        say "the mirror does not have $package any more: taking the version that it has"
        (cd "$folder" && apt-get "${options[@]}" download libnvidia-ml1) >&2 || fail "the mirror does not have $package"
        sha256=
    fi
    deb=$(find "$folder" -maxdepth 1 -name 'libnvidia-ml1_*.deb')
    # Other architectures: apt has checked the package against Debian's signed lists.
    [[ -z $sha256 ]] || check_sha256 "$deb" "$sha256"
    mkdir "$folder/content"
    dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$folder/content"
    # The name with the driver's version is the file, the others are links to it.
    local files
    mapfile -t files < <(find "$folder/content" -type f -name 'libnvidia-ml.so*')
    [[ ${#files[@]} == 1 ]] || fail "$package has ${#files[@]} files named libnvidia-ml.so*, not one"
    install -m 0444 "${files[0]}" "$folder/ready/libnvidia-ml.so.1"
}

provide() {
    local tool
    for tool in apt-get dpkg-deb; do
        command -v "$tool" >/dev/null ||
            fail "there is no $tool here, with which $package is fetched"
    done
    local started=$SECONDS
    cache_stage
    mkdir "$CACHE_STAGING/deb"
    say "fetching libnvidia-ml.so.1 out of $package"
    from_debian "$CACHE_STAGING/deb"
    cache_publish "$CACHE_STAGING/deb/ready" "$cached"
    say "libnvidia-ml.so.1 is ready after $((SECONDS - started)) s"
}

if [[ ! -f $library ]]; then
    cache_lock nvml
    [[ -f $library ]] || provide
fi
echo "$library"
