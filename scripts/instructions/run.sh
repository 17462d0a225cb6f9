#!/usr/bin/env bash
# usage: run.sh [--write] [--tolerance PERCENT] [BENCH...]
# Counts the instructions of each bench under callgrind and fails where one needs more than
# benches/instructions/baseline.json says, beyond the tolerance. --write renews that file.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

command -v valgrind >/dev/null || {
    echo "error: valgrind is not on PATH: install it (Debian: apt-get install valgrind)" >&2
    exit 1
}

echo 'building what is counted' >&2
# An incremental build cuts the crate elsewhere, which changes what is inlined.
program=$(CARGO_INCREMENTAL=0 CARGO_PROFILE_RELEASE_INCREMENTAL=false \
    cargo build --release --locked --bench instructions --message-format=json | python3 -c '
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["target"]["name"] == "instructions":
        print(message["executable"])')

exec python3 scripts/instructions/counts.py --program "$program" "$@"
