#!/usr/bin/env bash
# usage: run.sh [SECONDS [TARGET...]]
# `make fuzz`: every fuzz target (or those named) for so many seconds each, 60 by default. A crash ends
# the lane with its input under fuzz/artifacts/. What was found interesting stays in fuzz/corpus/, where
# the next run begins; fuzz/seeds/ is in git.
#
# The toolchain is the pinned stable one: without a sanitizer, everything that cargo-fuzz passes to the
# compiler is stable. The decoders have no unsafe code that a sanitizer would look into; memory is held
# to a bound by the targets themselves.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib/cache.sh

seconds=${1:-60}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || fail "expected whole seconds for each target, got '$seconds'"
shift || true
targets=("$@")
[[ $# -gt 0 ]] || targets=(predict_json csv image forms embeddings infer_json infer_binary infer_grpc)

command -v c++ >/dev/null || fail "c++ is not on PATH, and libFuzzer is C++: install it (Debian: apt-get install g++)"
fuzz=$(scripts/tools/cargo-fuzz.sh)
# cargo-fuzz has no --locked of its own.
cargo fetch --quiet --locked --manifest-path fuzz/Cargo.toml ||
    fail "fuzz/Cargo.lock is not that of fuzz/Cargo.toml (cargo's reason is above)"
say "building the targets (the first time, the whole server with coverage: several minutes)"
"$fuzz" build --sanitizer none

# summary LOG: the figures of a finished target.
summary() {
    local runs coverage
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$1")
    coverage=$(grep -o 'cov: [0-9]* ft: [0-9]* corp: [0-9]*' "$1" | tail -n 1)
    printf '    %s executions, %s\n' "$runs" "${coverage:-no coverage}"
}

for target in "${targets[@]}"; do
    mkdir -p "fuzz/corpus/$target" "fuzz/artifacts/$target"
    log=fuzz/artifacts/$target.log
    say "$target for $seconds s"
    if ! "$fuzz" run --sanitizer none "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
        -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 >"$log" 2>&1; then
        tail -n 60 "$log" >&2
        fail "$target: the input that did it is under fuzz/artifacts/$target (the whole log: $log)"
    fi
    summary "$log"
done
