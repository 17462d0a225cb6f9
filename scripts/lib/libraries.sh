# shellcheck shell=bash
# NVIDIA's libraries on their way from an unpacked wheel through the cache to a folder. Needs scripts/lib/cache.sh and
# a staged cache. Sourced by scripts/tools/cuda.sh and scripts/tools/tensorrt.sh.

# libraries_take UNPACKED NAME: the libraries of an unpacked wheel, and its licence as NAME.LICENSE, into the staged folder.
libraries_take() {
    local unpacked=$1 name=$2 library
    find "$unpacked" -name '*.so*' -type f | while read -r library; do
        chmod 0444 "$library"
        mv "$library" "$CACHE_STAGING/ready/"
    done
    find "$unpacked" -iname 'licen[sc]e*' -type f | while read -r library; do
        install -m 0444 "$library" "$CACHE_STAGING/ready/$name.LICENSE"
    done
    [[ -f $CACHE_STAGING/ready/$name.LICENSE ]] || fail "the wheel of $name has no licence inside"
}

# libraries_publish CACHED: the staged folder, with the sums of its files, becomes CACHED.
libraries_publish() {
    (cd "$CACHE_STAGING/ready" && sha256sum -- *) >"$CACHE_STAGING/sums"
    mv "$CACHE_STAGING/sums" "$CACHE_STAGING/ready/.sums"
    cache_publish "$CACHE_STAGING/ready" "$1"
}

# libraries_are_whole CACHED: what is about to be installed is there and still what came out of the checked wheels.
libraries_are_whole() {
    [[ -f $1/.sums ]] && (cd "$1" && sha256sum --check --status .sums)
}

# same FILE OTHER: the very file, or a copy of its size and time.
same() {
    [[ $1 -ef $2 ]] && return
    [[ -f $1 && -f $2 && $(stat -c '%s %Y' "$1") == $(stat -c '%s %Y' "$2") ]]
}

# libraries_place CACHED DEST WHAT: links or copies into DEST, told of as WHAT unless everything was there.
libraries_place() {
    local cached=$1 dest=$2 what=$3 file placed=0
    mkdir -p "$dest"
    for file in "$cached"/*; do
        same "$file" "$dest/${file##*/}" && continue
        ln -f "$file" "$dest/${file##*/}" 2>/dev/null || cp -pf "$file" "$dest/${file##*/}"
        placed=$((placed + 1))
    done
    [[ $placed == 0 ]] || say "$what"
}
