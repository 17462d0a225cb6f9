#!/usr/bin/env bash
# Measures this release on this machine, prints the table of budgets, and writes what was found into target/bench/ and, with
# --write, into docs/performance.md; `benches/run.sh --help` lists the options. Needs what `make bench` sets up: the
# release binary with ONNX Runtime beside it, and the demo models. Fetches the rest, pinned, into the cache. Binds only
# loopback addresses, on ports that the system picks.
set -euo pipefail
cd "$(dirname "$0")/.."

export ORT_DISABLE_TELEMETRY=1 PYTHONDONTWRITEBYTECODE=1
target=${CARGO_TARGET_DIR:-target}
tools=()

echo 'bench: building what the server is compared with' >&2
yardsticks=$(cargo build --release --locked --bench null_server --bench bare_runtime --bench tensor_rates --bench grpc_load --message-format=json \
    | python3 -c '
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["target"]["kind"] == ["bench"]:
        print("--" + message["target"]["name"].replace("_", "-"), message["executable"])')

# The whole table also needs a collector and OpenVINO's library; nothing else does.
case " $* " in
*" --tracing "*) tools+=(--otelcol "$(scripts/tools/otelcol.sh)") ;;
*" --help "* | *" -h "* | *" --overload "* | *" --many-models "* | *" --grpc "* | *" --tensors "*) ;;
*)
    otelcol=$(scripts/tools/otelcol.sh)
    tools+=(--otelcol "$otelcol")
    # A folder of its own, so that the library beside the binary stays what it is.
    if [[ $(uname -m) == x86_64 ]] && scripts/tools/onnxruntime.sh openvino "$target/bench/openvino"; then
        tools+=(--openvino "$(realpath "$target/bench/openvino")")
    else
        echo 'bench: without the openvino library: its lines are not measured' >&2
    fi
    ;;
esac

# The lines are options and values without spaces of their own.
# shellcheck disable=SC2086
PYTHONPATH=benches exec python3 -m measure --release "${RELEASE:-$target/release}" --out "$target/bench" $yardsticks "${tools[@]}" "$@"
