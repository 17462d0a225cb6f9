#!/usr/bin/env bash
# usage: check.sh [--rehearse] [--minutes N]
# `make gpu-check`: every check that needs an NVIDIA card, and the table of docs/performance-gpu.md. Looks for the card
# first; without one nothing is built or fetched. --rehearse walks the whole on the CPU, with small models, and prints.
# --minutes is how long the checks may take once everything is there (8): rounds shrink to fit, and what doesn't fit is named.
# For a machine that can fetch nothing:
#   BINARY=FILE           the release binary, instead of building it
#   GPU_LIBRARIES=FOLDER  ONNX Runtime with its CUDA and TensorRT providers, CUDA, cuDNN and, where it is to be measured,
#                         TensorRT, all in this folder, instead of fetching them
#   MODELS=FOLDER         what scripts/gpu/models.sh wrote, instead of writing it;
#   PYTHON=PROGRAM        or a Python with NumPy and onnx to write it with
#   OTELCOL=FILE          an OpenTelemetry Collector, instead of building it
set -euo pipefail
shopt -s inherit_errexit

# Relative to where this was called from.
for name in BINARY GPU_LIBRARIES MODELS OTELCOL; do
    [[ -z ${!name:-} ]] || printf -v "$name" %s "$(realpath -ms "${!name}")"
done

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh
export ORT_DISABLE_TELEMETRY=1 PYTHONDONTWRITEBYTECODE=1
command=$(printf '%q ' make gpu-check)
command=${command% }${*:+ ARGS=\'$*\'}
rehearse=
case " $* " in
*" --rehearse "*) rehearse=1 ;;
*" --help "* | *" -h "*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
esac

# given FILE WHAT: its absolute path, or the end.
given() {
    [[ -e $1 ]] || fail "$2 names $1, which is not there"
    realpath "$1"
}

if [[ -z $rehearse ]]; then
    say "looking for an NVIDIA card"
    python3 scripts/gpu/card.py >&2
fi

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
if [[ -n ${BINARY:-} ]]; then
    binary=$(given "$BINARY" BINARY)
else
    say "building the release binary"
    make build RUNTIME=cpu >&2
    binary=$target/release/ml-inference-api
fi

if [[ -n ${GPU_LIBRARIES:-} ]]; then
    folder=$(given "$GPU_LIBRARIES" GPU_LIBRARIES)
elif [[ -n $rehearse ]]; then
    folder=$target/release
    scripts/tools/onnxruntime.sh cpu "$folder"
else
    folder=$target/gpu
    say "putting ONNX Runtime's CUDA flavour, CUDA, cuDNN and TensorRT into $folder"
    scripts/tools/onnxruntime.sh cuda "$folder"
    scripts/tools/cuda.sh "$folder"
    scripts/tools/tensorrt.sh "$folder" || say "without TensorRT (the reason is above): what needs it is not measured"
fi
library=$(given "$folder/libonnxruntime.so" "the folder of the libraries")

# The providers name NVIDIA's libraries and no place to look for them; only ONNX Runtime itself looks beside it.
export ORT_DYLIB_PATH=$library LD_LIBRARY_PATH=$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

if [[ -n ${MODELS:-} ]]; then
    models=$(given "$MODELS" MODELS)
else
    models=$(scripts/gpu/models.sh ${rehearse:+--small})
fi
if [[ -n ${OTELCOL:-} ]]; then
    otelcol=$(given "$OTELCOL" OTELCOL)
else
    otelcol=$(scripts/tools/otelcol.sh) || { say "without a Collector (the reason is above): tracing is not measured"; otelcol=; }
fi

say "checking"
PYTHONPATH=scripts:benches exec python3 -m gpu --binary "$binary" --library "$library" --folder "$folder" \
    --models "$models" --out "$target/gpu-check" --otelcol "$otelcol" --command "$command" "$@"
