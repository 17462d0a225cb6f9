#!/usr/bin/env bash
# usage: prerequisites.sh
# Checks what must be on the machine before anything else works, and says in one
# sentence each what is missing and how to get it.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."

missing=0
need() {
    printf 'error: %s\n' "$*" >&2
    missing=1
}

minimum=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
if ! command -v cargo >/dev/null; then
    need "cargo is not on PATH: install Rust $minimum or newer with rustup"
elif ! found=$(rustc --version 2>&1); then
    need "rustc does not run here (it says: ${found%%$'\n'*}): run 'rustup toolchain install', which reads rust-toolchain.toml"
else
    found=${found#rustc }
    found=${found%% *}
    [[ $(printf '%s\n' "$minimum" "$found" | sort -V | head -n 1) == "$minimum" ]] ||
        need "rustc is $found, but Rust $minimum or newer is needed"
fi

command -v cc >/dev/null ||
    need "cc is not on PATH: install a C compiler (Debian: apt-get install build-essential)"

if ! command -v python3 >/dev/null; then
    need "python3 is not on PATH: install it (Debian: apt-get install python3 python3-venv)"
elif ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))'; then
    need "$(python3 --version) is too old: 3.9 or newer is needed"
elif ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    need "python3 cannot make virtual environments: install venv (Debian: apt-get install python3-venv)"
fi

for tool in flock sha256sum; do
    command -v "$tool" >/dev/null ||
        need "$tool is not on PATH: install util-linux and coreutils"
done

exit "$missing"
