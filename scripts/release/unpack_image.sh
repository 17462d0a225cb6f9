#!/usr/bin/env bash
# usage: unpack_image.sh IMAGE ARCHITECTURE FOLDER
# The files of ours of an image (amd64 or arm64) into FOLDER, without running it: the binary, its library, their licences.
# Needs docker.
set -euo pipefail
shopt -s inherit_errexit

[[ $# == 3 ]] || { echo "usage: unpack_image.sh IMAGE ARCHITECTURE FOLDER" >&2; exit 64; }
mkdir -p "$3/usr/local" "$3/usr/share/licenses"
container=$(docker create --quiet --platform "linux/$2" "$1")
trap 'docker rm "$container" >/dev/null' EXIT
docker cp --quiet "$container:/usr/local/bin" "$3/usr/local/"
docker cp --quiet "$container:/usr/local/lib" "$3/usr/local/"
docker cp --quiet "$container:/usr/share/licenses/ml-inference-api" "$3/usr/share/licenses/"
