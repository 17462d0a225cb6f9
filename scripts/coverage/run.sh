#!/usr/bin/env bash
# usage: run.sh [rust|pipelines] [ARGUMENT...]
# Which lines the tests reach: target/coverage/rust.lcov and target/coverage/pipelines.xml (Cobertura), and the totals on
# stdout. Without a name both are measured. Arguments after `rust` go to `cargo test`, to bound the run: `run.sh rust --lib`.
#
# Rust: `make test` in a build of its own, in which the compiler counts what is executed; only this package is reported, not its
# dependencies. Servers that tests start count too, even where a test kills them: their counters are a mapped file, and the
# harness hands them its name (tests/integration/harness). Counting makes code slow: a test that fails here and passes in
# `make test` is told of and does not end the lane.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
ROOT=$PWD
source scripts/lib/cache.sh

usage() { echo "usage: run.sh [rust|pipelines] [ARGUMENT...]" >&2; exit 64; }
part=${1:-both}
case $part in
rust | pipelines) shift ;;
both) ;;
*) usage ;;
esac
[[ $part == rust || $# == 0 ]] || usage

out=$ROOT/target/coverage
mkdir -p "$out"

rust() {
    local tool sysroot
    tool=$(scripts/tools/cargo-llvm-cov.sh)
    sysroot=$(rustc --print sysroot)
    if ! compgen -G "$sysroot/lib/rustlib/*/bin/llvm-profdata" >/dev/null; then
        say "adding the compiler's llvm-tools, which read what was counted"
        rustup component add llvm-tools >&2 ||
            fail "the component llvm-tools is missing: run 'rustup component add llvm-tools' where rustup has the network"
    fi
    export CARGO_TARGET_DIR=$out/build
    rm -f "$out/rust.lcov" "$CARGO_TARGET_DIR"/*.profraw
    # A counter that lives in a mapped file: without it a process that is killed leaves nothing.
    export RUSTFLAGS="${RUSTFLAGS:-} -C llvm-args=-runtime-counter-relocation"
    local settings
    settings=$("$tool" llvm-cov show-env --sh)
    eval "$settings"
    # In the folder where the report looks for them: %m is one file for each program, %c keeps it mapped.
    export LLVM_PROFILE_FILE=$CARGO_TARGET_DIR/%m%c.profraw
    local failed=0
    [[ $# -gt 0 ]] || set -- --tests
    make test ARGS="--no-fail-fast $*" || failed=$?
    compgen -G "$CARGO_TARGET_DIR/*.profraw" >/dev/null || fail "the tests left nothing that was counted (their reasons are above)"
    "$tool" llvm-cov report --release --lcov --output-path "$out/rust.lcov"
    "$tool" llvm-cov report --release --summary-only | tail -n 1
    rm -f "$CARGO_TARGET_DIR"/*.profraw
    [[ $failed == 0 ]] || say "some tests failed in the counting build: if 'make test' passes, they are too slow in it"
}

pipelines() {
    make build
    scripts/pipelines/check.sh "${CARGO_TARGET_DIR:-$ROOT/target}/release/ml-inference-api" --coverage "$out/pipelines.xml"
    [[ -s $out/pipelines.xml ]] || fail "scripts/pipelines/check.sh wrote no $out/pipelines.xml"
}

[[ $part == pipelines ]] || (rust "$@")
[[ $part == rust ]] || pipelines
