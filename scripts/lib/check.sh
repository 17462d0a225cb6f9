# shellcheck shell=bash
# How a lane of checks runs each of them. Needs scripts/lib/cache.sh. Sourced by scripts/*/check.sh.

# A folder of the lane's own, removed at its end.
CHECK_FOLDER=$(mktemp -d)
trap 'rm -rf "$CHECK_FOLDER"' EXIT

# check WHAT COMMAND...: run it, show what it says only where it fails. What it said is in $CHECK_FOLDER/said.
check() {
    local what=$1
    shift
    "$@" >"$CHECK_FOLDER/said" 2>&1 || {
        cat "$CHECK_FOLDER/said" >&2
        fail "$what (the reasons are above)"
    }
}
