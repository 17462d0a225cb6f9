#!/usr/bin/env bash
# Makes the fixtures of images, of Hugging Face exports and of Triton repositories anew, with pinned libraries.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/exports/remake-hf.sh [images|hugging_face|triton]... [--check]

Writes tests/fixtures/images and folders of tests/fixtures/exports; all three without a name.
With --check nothing is written: images must be byte for byte those in git, and of the others every
expected answer must come out again. hugging_face downloads PyTorch (3 GB with what it depends on).
TEXT
}

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export ORT_DISABLE_TELEMETRY=1 PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false TRANSFORMERS_VERBOSITY=error PYTHONWARNINGS=ignore
# shellcheck source=scripts/models/venv.sh
. "$ROOT/scripts/models/venv.sh"

what=() check=()
for argument in "$@"; do
    case $argument in
    images | hugging_face | triton) what+=("$argument") ;;
    --check) check=(--check) ;;
    -h | --help)
        usage
        exit 0
        ;;
    *)
        usage >&2
        exit 64
        ;;
    esac
done
[ ${#what[@]} -gt 0 ] || what=(images hugging_face triton)

for name in "${what[@]}"; do
    case $name in
    images) environment=images script=images.py ;;
    hugging_face) environment=hf script=hugging_face.py ;;
    # Not triton.py: PyTorch imports a package of that name.
    triton) environment=hf script=triton_layout.py ;;
    esac
    venv="$ROOT/.tools/venv-exports-$environment"
    make_venv "$venv" "$ROOT/scripts/exports/requirements-$environment.txt"
    echo "==> $name"
    "$venv/bin/python" "$ROOT/scripts/exports/$script" "${check[@]}"
done
