#!/usr/bin/env bash
# `make conformance`: every operator case of the onnx package that ONNX Runtime can run, served at
# once and compared bit for bit. run.sh BINARY; the cases stay in .tools/conformance until the next run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
ROOT=$PWD
source scripts/lib/cache.sh
source scripts/tools/versions.env
source scripts/models/venv.sh

grep -q "^onnxruntime==$ONNXRUNTIME_CPU_VERSION " scripts/conformance/requirements.txt ||
    fail "scripts/conformance/requirements.txt does not pin onnxruntime==$ONNXRUNTIME_CPU_VERSION, as versions.env does"

cache_lock conformance
environment=$CACHE_ROOT/conformance/python$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
make_venv "$environment" scripts/conformance/requirements.txt >&2

cases=$ROOT/.tools/conformance
rm -rf "$cases"
mkdir -p "$cases"
export PYTHONDONTWRITEBYTECODE=1 ORT_DISABLE_TELEMETRY=1
say "building the cases and asking ONNX Runtime $ONNXRUNTIME_CPU_VERSION in Python"
"$environment/bin/python" scripts/conformance/cases.py "$cases"
"$environment/bin/python" scripts/conformance/ask.py "$1" "$cases"
