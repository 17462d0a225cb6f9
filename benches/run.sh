#!/usr/bin/env bash
# Measures this release on this machine and writes what was found into
# target/bench/ and docs/performance.md; `benches/run.sh --help` lists the options.
# Needs what `make bench` sets up: the release binary with ONNX Runtime beside it,
# and the demo models. Binds only loopback addresses, on ports that the system picks.
set -euo pipefail
cd "$(dirname "$0")/.."

export ORT_DISABLE_TELEMETRY=1
target=${CARGO_TARGET_DIR:-target}

echo 'building what the server is compared with' >&2
yardsticks=$(cargo build --release --locked --bench null_server --bench bare_runtime --bench tensor_rates --message-format=json \
    | python3 -c '
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["target"]["kind"] == ["bench"]:
        print("--" + message["target"]["name"].replace("_", "-"), message["executable"])')

# The lines are options and values without spaces of their own.
# shellcheck disable=SC2086
exec python3 benches/measure.py --release "$target/release" --out "$target/bench" $yardsticks "$@"
