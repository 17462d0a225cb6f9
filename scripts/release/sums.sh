#!/usr/bin/env bash
# usage: sums.sh FOLDER
# FOLDER/SHA256SUMS of its archives, for `sha256sum --check SHA256SUMS`.
set -euo pipefail
shopt -s inherit_errexit

[[ $# == 1 ]] || { echo "usage: sums.sh FOLDER" >&2; exit 64; }
cd "$1"
sums=$(sha256sum -- *.tar.gz)
printf '%s\n' "$sums" | tee SHA256SUMS
