#!/usr/bin/env bash
# usage: verify.sh [cpu|openvino|cuda]
# Proves the image that build.sh built of that target: what it holds and says of itself, then a run of
# it, locked down (an arbitrary user id, a read-only root, no capability, nothing else mounted): health,
# metrics, predictions, the health check while it serves and while it drains, and how it ends.
# Needs root, to look at the process and to try its root. Takes ENGINE, TAG and MODELS as build.sh does, and
# RUNTIME_BASE, to know which size to hold it to.
set -euo pipefail
shopt -s inherit_errexit

usage() { sed -n '2,/^set /{/^set /!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; }
case ${1:-cpu} in
cpu | openvino | cuda) target=${1:-cpu} ;;
-h | --help) usage; exit 0 ;;
*) usage >&2; exit 64 ;;
esac

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh
source scripts/image/engine.sh
source scripts/image/lane.sh

engine_choose
IMAGE=${TAG:-ml-inference-api:$target}
[[ $IMAGE == */* || $ENGINE != buildah ]] || IMAGE=localhost/$IMAGE
models=${MODELS:-demo}
arbitrary=12345:0
binary=/usr/local/bin/ml-inference-api
# The CPU image's promise, in MB; the others' sizes are their providers', and another base's its own.
expected=(--own-layers 4)
[[ $target != cpu ]] || expected+=(--budget-own 75)
case $target-${RUNTIME_BASE:-local} in cpu-local | cpu-*distroless*) expected+=(--budget-whole 120) ;; esac
[[ $target != cuda ]] || expected=(--own-layers 5)

[[ $(id -u) == 0 ]] || fail "verifying an image needs root: sudo -E $0 $target"
engine_has "$IMAGE" || fail "$ENGINE has no image $IMAGE: run 'make image TARGET=$target'"
for tool in nsenter unshare; do
    command -v "$tool" >/dev/null || fail "$tool is not on PATH: install util-linux"
done

SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/image-verify.XXXXXX")
finish() {
    local code=$? log
    log=$(find "$SCRATCH" -name '*.log' -size +0 -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d ' ' -f 2)
    if [[ $code -ne 0 && -n $log ]]; then
        say "the end of what the container ${log##*/} said:"
        tail -n 20 "$log" >&2
    fi
    lane_close || true
    rm -rf "$SCRATCH"
    exit "$code"
}
trap finish EXIT
chmod 0755 "$SCRATCH"

# await_ready NAME: until the image's own health check says so.
await_ready() {
    local tries
    for tries in {1..240}; do
        lane_running "$1" || fail "the container $1 ended before it was ready"
        lane_exec "$1" "$binary" health >/dev/null 2>&1 && return
        sleep 0.5
    done
    fail "the container $1 is not ready after $tries tries"
}

# check_libraries: the image's own loader finds everything that the binary and each library beside it name;
# of CUDA only the driver's library is the host's.
check_libraries() {
    local loader library said missing faults=0 count=0
    loader=$(head -n 1 "$SCRATCH/libraries")
    while read -r library; do
        count=$((count + 1))
        said=$(lane_once "loader$count" --user "$arbitrary" --env LD_TRACE_LOADED_OBJECTS=1 \
            --entrypoint "$loader" -- "$library" 2>&1) || true
        missing=$(grep -v 'libcuda\.so\.1 ' <<<"$said" | grep -E '=> not found|error while loading' || true)
        grep -q 'libc\.so\.6' <<<"$said" || missing="the loader says: $said"
        [[ -z $missing ]] || { echo "FAULT: $library: $missing" >&2; faults=1; }
    done < <(tail -n +2 "$SCRATCH/libraries")
    [[ $faults == 0 ]] || fail "libraries are missing in the image"
    echo "libraries: all that the binary and $((count - 1)) libraries need is inside"
}

# check_run NAME USER OPTION...: one whole life of a container.
check_run() {
    local name=$1 user=$2 mounts=() started code model
    shift 2
    local run_as=()
    [[ $user == image ]] || run_as=(--user "$user")
    [[ $models != none ]] || mounts=(--mount "$SCRATCH/models:/models")
    started=$(date +%s%N)
    # Twice the usual delay, so that a busy machine still sees the drain from outside.
    lane_start "$name" "${run_as[@]}" "${mounts[@]}" --env ML_INFERENCE_DRAIN__DELAY=10s "$@"
    await_ready "$name"
    echo "$name: ready after $((($(date +%s%N) - started) / 1000000)) ms"
    [[ $user != image ]] || user=10001:10001
    lane_pid "$name"
    python3 scripts/image/process.py "$PID" "${user%:*}" "${user#*:}" ${mounts:+/models}
    lane_ask "$name" ready
    for model in fraud-detector digits; do
        lane_ask "$name" golden "models/$model"
    done
    check_end "$name"
}

# check_end NAME: SIGTERM: not ready at once while it drains, then exit code 0 in time.
check_end() {
    local name=$1 begun watcher code=0
    lane_ask "$name" drain "$SCRATCH/$name.watched" &
    watcher=$!
    until [[ -e $SCRATCH/$name.watched ]]; do
        kill -0 "$watcher" 2>/dev/null || fail "$name: its health cannot be watched"
        sleep 0.1
    done
    begun=$SECONDS
    lane_signal "$name" TERM
    wait "$watcher" || fail "$name: GET /health did not say that it drains"
    if lane_exec "$name" "$binary" health >/dev/null 2>&1; then
        fail "$name: the health check passes while it drains"
    fi
    lane_wait "$name" || code=$?
    [[ $code == 0 ]] || fail "$name: it ended with $code after SIGTERM, not 0"
    [[ $((SECONDS - begun)) -le 20 ]] || fail "$name: it took $((SECONDS - begun)) s to end with nothing to answer"
    echo "$name: not ready while draining, then exit code 0, $((SECONDS - begun)) s after SIGTERM"
}

# check_locale: a model that needs the locale en_US.UTF-8, mounted in place of the image's models.
check_locale() {
    lane_start locale --user "$arbitrary" --mount "$SCRATCH/proof/locale:/models" -- serve --models /models
    await_ready locale
    lane_ask locale predict lower '{"instances":[{"x":"GRÜßE"},{"x":"ΑΒΓ"}]}' '{"predictions":[{"y":"grüße"},{"y":"αβγ"}]}'
    lane_kill locale
}

# check_provider PROVIDER: a model that asks for the image's provider really runs on it; without a GPU here,
# CUDA's is loaded with all its libraries and misses the driver, and only the driver.
check_provider() {
    local said code=0
    said=$(lane_once provider --user "$arbitrary" --mount "$SCRATCH/proof/provider:/models" -- \
        check /models --format json 2>"$SCRATCH/provider.log") || code=$?
    if [[ $1 == cuda && $code != 0 && ! -e /dev/nvidiactl ]]; then
        grep -q 'libcuda\.so\.1: cannot open shared object' <<<"$said" ||
            fail "CUDA's provider misses more than the driver: $said"
        echo "provider: cuda is loaded, up to the driver's libcuda.so.1, which this machine does not have"
        return
    fi
    [[ $code == 0 ]] || fail "a model for the provider $1 does not load: $said"
    grep -q "\"provider\": *\"$1\"" <<<"$said" || fail "the provider in use is not $1: $said"
    echo "provider: $1 runs a model, its golden example right"
}

say "reading $IMAGE"
engine_archive "$IMAGE" "$SCRATCH/image.tar"
python3 scripts/image/contents.py "$SCRATCH/image.tar" "${expected[@]}" --config-out "$SCRATCH/config.json" \
    --libraries-out "$SCRATCH/libraries" || fail "the image is not what it must be (the faults are above)"
rm "$SCRATCH/image.tar"

if [[ $models == none ]]; then
    mkdir "$SCRATCH/models"
    cp -r models/fraud-detector models/digits "$SCRATCH/models/"
    chmod -R a+rX "$SCRATCH/models"
fi
say "running $IMAGE as $arbitrary with a read-only root"
lane_open
check_libraries
if lane_once idle --user "$arbitrary" -- health >/dev/null 2>&1; then
    fail "the health check passes where nothing serves"
fi
check_run arbitrary "$arbitrary"
check_run own image
python3 scripts/image/proof_models.py "$SCRATCH/proof" "$target"
chmod -R a+rX "$SCRATCH/proof"
check_locale
check_provider "$target"
say "$IMAGE is as it must be"
