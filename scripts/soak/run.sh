#!/usr/bin/env bash
# usage: run.sh BINARY [--shapes [OPTION...] | --allocators [OPTION...] | --quota | OPTION...]
# `make soak`: random shapes over HTTP for 20 minutes (soak.py; its --help lists the options). --shapes compares
# settings of the runtime's memory arena instead (shapes.py), --allocators those of malloc (allocators.py), --quota sets CPU quotas (quota.sh, as root).
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
ROOT=$PWD
source scripts/lib/cache.sh
source scripts/models/venv.sh

export PYTHONDONTWRITEBYTECODE=1 ORT_DISABLE_TELEMETRY=1
BINARY=${1:?usage: run.sh BINARY [--shapes [OPTION...] | --allocators [OPTION...] | --quota | OPTION...]}
shift
case ${1:-} in
--shapes)
    cached_venv conformance scripts/conformance/requirements.txt ||
        fail "the environment with ONNX Runtime could not be made (the reason is above)"
    exec "$VENV/bin/python" scripts/soak/shapes.py "${@:2}"
    ;;
--allocators) exec python3 scripts/soak/allocators.py "$BINARY" "${@:2}" ;;
--quota) exec scripts/soak/quota.sh "$BINARY" ;;
*) exec python3 scripts/soak/soak.py "$BINARY" --report target/soak.json "$@" ;;
esac
