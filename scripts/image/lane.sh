# shellcheck shell=bash
# Runs an image's containers, locked down, for scripts/image/verify.sh: through docker or podman, or,
# where buildah keeps the images, through the OCI runtime crun on the image's mounted root.
# Needs ENGINE, IMAGE, SCRATCH and the image's configuration in $SCRATCH/config.json.

# lane_open: what must be done once before a container can run.
lane_open() {
    [[ $ENGINE == buildah ]] || return 0
    command -v crun >/dev/null || engine_install crun
    LANE_CONTAINER=$(buildah from --pull-never "$IMAGE")
    LANE_ROOT=$(buildah mount "$LANE_CONTAINER")
}

# lane_close: end what runs and give the root back.
lane_close() {
    local name
    for name in ${!LANE_JOBS[*]}; do lane_kill "$name"; done
    [[ -z ${LANE_CONTAINER:-} ]] || buildah rm "$LANE_CONTAINER" >/dev/null
}

declare -A LANE_JOBS=() LANE_PIDS=()
# Names of docker's or podman's containers are shared with everything else on the machine.
LANE_PREFIX=image-verify-$$-

# lane_crun ARGUMENTS...: crun with its state in our own folder. It refuses the hybrid cgroup layout
# although it is told to leave cgroups alone: it runs where that is not to be seen.
lane_crun() {
    # shellcheck disable=SC2016  # expanded by the inner shell
    unshare --mount -- sh -c 'umount /sys/fs/cgroup/unified 2>/dev/null; exec crun --root "$0" --cgroup-manager=disabled "$@"' \
        "$SCRATCH/crun" "$@"
}

# lane_options OPTION...: sorts `--user U`, `--env N=V`, `--mount FROM:TO` and `--entrypoint P` into the arrays
# `engine_options` (docker's words) and `oci_options`, and what comes after `--` into `arguments`.
lane_options() {
    engine_options=() oci_options=() arguments=()
    while [[ $# -gt 0 ]]; do
        case $1 in
        --) shift; arguments=("$@"); return ;;
        --mount) engine_options+=(--volume "$2:ro"); oci_options+=(--mount "$2"); shift 2 ;;
        *) engine_options+=("$1" "$2"); oci_options+=("$1" "$2"); shift 2 ;;
        esac
    done
}

# lane_command NAME OPTION...: sets `command` to what runs the container in the foreground.
lane_command() {
    local name=$1 engine_options oci_options arguments
    shift
    lane_options "$@"
    if [[ $ENGINE == buildah ]]; then
        python3 scripts/image/oci.py "${oci_options[@]}" -- "$SCRATCH/config.json" "$LANE_ROOT" "$SCRATCH/$name" "${arguments[@]}"
        command=(lane_crun run --bundle "$SCRATCH/$name" "$name")
    else
        # Podman mounts a writable /tmp of its own unless told not to; Docker does not know the option.
        [[ $ENGINE == docker ]] || engine_options+=(--read-only-tmpfs=false)
        command=("$ENGINE" run --rm --name "$LANE_PREFIX$name" --read-only --cap-drop ALL --security-opt no-new-privileges
            --network none "${engine_options[@]}" "$IMAGE" "${arguments[@]}")
    fi
}

# lane_once NAME OPTION...: run to the end; its exit code.
lane_once() {
    local command
    lane_command "$@"
    "${command[@]}"
}

# lane_start NAME OPTION...: start and come back; what it says goes to $SCRATCH/NAME.log.
lane_start() {
    local command
    lane_command "$@"
    "${command[@]}" >"$SCRATCH/$1.log" 2>&1 &
    LANE_JOBS[$1]=$!
}

# lane_exec NAME COMMAND...: run a command in it; its exit code.
lane_exec() {
    local name=$1
    shift
    case $ENGINE in
    buildah) lane_crun exec "$name" "$@" ;;
    *) "$ENGINE" exec "$LANE_PREFIX$name" "$@" ;;
    esac
}

# lane_pid NAME: sets PID to its first process, as this machine counts.
lane_pid() {
    if [[ -z ${LANE_PIDS[$1]:-} ]]; then
        case $ENGINE in
        buildah) LANE_PIDS[$1]=$(lane_crun state "$1" | sed -n 's/^ *"pid": *\([0-9]*\),*$/\1/p') ;;
        *) LANE_PIDS[$1]=$("$ENGINE" inspect --format '{{.State.Pid}}' "$LANE_PREFIX$1") ;;
        esac
    fi
    PID=${LANE_PIDS[$1]}
}

# lane_ask NAME ARGUMENTS...: scripts/image/probe.py, inside the container's network, which has no other end.
lane_ask() {
    lane_pid "$1"
    shift
    nsenter --target "$PID" --net -- python3 scripts/image/probe.py http://127.0.0.1:8080 "$@"
}

# lane_running NAME: whether it still runs.
lane_running() { kill -0 "${LANE_JOBS[$1]}" 2>/dev/null; }

# lane_signal NAME SIGNAL
lane_signal() {
    case $ENGINE in
    buildah) lane_crun kill "$1" "$2" ;;
    *) "$ENGINE" kill --signal "$2" "$LANE_PREFIX$1" >/dev/null ;;
    esac
}

# lane_wait NAME: wait for its end; its exit code.
lane_wait() {
    local code=0
    wait "${LANE_JOBS[$1]}" || code=$?
    unset "LANE_JOBS[$1]"
    return "$code"
}

# lane_kill NAME: end it at once.
lane_kill() {
    lane_signal "$1" KILL 2>/dev/null || true
    lane_wait "$1" 2>/dev/null || true
}
