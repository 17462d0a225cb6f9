#!/usr/bin/env bash
# Trains the demo models whose training is in pipelines/, in an environment of its own.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export ORT_DISABLE_TELEMETRY=1
# shellcheck source=scripts/models/venv.sh
. "$ROOT/scripts/models/venv.sh"

usage() {
    cat <<'TEXT'
usage: scripts/models/train.sh [--check | --out DIR] [NAME...]

Trains fraud-detector, digits and the head of ticket-topic, or only those named, and writes their files under models/.
  --out DIR   writes to DIR/NAME instead
  --check     writes nothing there; trains again and exits 1 if a file would not be, byte for byte, the one it is
TEXT
}

# The script that trains a model; fails for a name that has none. That of fraud-detector is two steps of its pipeline.
script_of() {
    case "$1" in
    fraud-detector) echo train.py ;;
    digits) echo digits.py ;;
    ticket-topic) echo ticket_head.py ;;
    *) echo "error: $1 is not trained here: fraud-detector, digits and ticket-topic are" >&2; return 64 ;;
    esac
}

# train PYTHON NAME OUT: trains a model and writes its files.
train() {
    local script
    script="$ROOT/pipelines/$(script_of "$2")"
    if [ "$2" != fraud-detector ]; then
        "$1" "$script" --out "$3"
        return
    fi
    # What is held out is all for the figures of the README: nobody chooses by them.
    "$1" "$ROOT/pipelines/prepare_data.py" --out "$DATA" --test-share 0.25 --validation-share 0
    "$1" "$script" --data "$DATA" --layout "$3"
}

# Compares every file that was written to $2 with the model's own.
same_files() {
    local name=$1 written=$2 file different=0
    while IFS= read -r -d '' file; do
        file=${file#"$written"/}
        cmp --silent "$written/$file" "$ROOT/models/$name/$file" || {
            echo "train: $name: models/$name/$file is not what training writes here" >&2
            different=1
        }
    done < <(find "$written" -type f -print0)
    [ "$different" = 0 ] && echo "train: $name: trained again, every file byte for byte the same"
}

OUT="" CHECK="" NAMES=()
while [ $# -gt 0 ]; do
    case "$1" in
    --out) [ $# -ge 2 ] || { usage >&2; exit 64; }; OUT=$2; shift ;;
    --check) CHECK=1 ;;
    -h | --help) usage; exit 0 ;;
    -*) usage >&2; exit 64 ;;
    *) script_of "$1" >/dev/null; NAMES+=("$1") ;;
    esac
    shift
done
[ -z "$CHECK" ] || [ -z "$OUT" ] || { usage >&2; exit 64; }
[ ${#NAMES[@]} -gt 0 ] || NAMES=(fraud-detector digits ticket-topic)

SCRATCH=$(mktemp -d)
trap 'rm -rf "$SCRATCH"' EXIT
DATA=$SCRATCH/data
[ -z "$CHECK" ] || OUT=$SCRATCH/out
failed=0
for name in "${NAMES[@]}"; do
    out="${OUT:-$ROOT/models}/$name"
    if [ -n "$CHECK" ]; then
        mkdir -p "$out"
        cp "$ROOT/models/$name/README.md" "$out/" # training writes the table of metrics into it
    fi
    venv="$ROOT/.tools/venv-train"
    if [ "$name" = ticket-topic ]; then # its features come from the encoder's weights
        venv="$ROOT/.tools/venv-verify"
        make_verify_venv
    else
        make_venv "$venv" "$ROOT/pipelines/requirements.txt"
    fi
    train "$venv/bin/python" "$name" "$out"
    [ -z "$CHECK" ] || same_files "$name" "$out" || failed=1
done
exit "$failed"
