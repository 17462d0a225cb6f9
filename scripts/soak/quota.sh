#!/usr/bin/env bash
# usage: quota.sh BINARY
# Starts the server in control groups of the running kernel and compares what it says of itself with the quota
# that was set: whole, with a fraction, in a group above, and used up. Needs root and a control group with the
# cpu controller, of version 1 or 2; removes its groups when it ends.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export ORT_DISABLE_TELEMETRY=1

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

BINARY=${1:?usage: quota.sh BINARY}
if [[ -e /sys/fs/cgroup/cgroup.subtree_control ]]; then
    VERSION=2 TOP=/sys/fs/cgroup
    grep -qw cpu "$TOP/cgroup.subtree_control" || fail "the cpu controller is not handed down in $TOP/cgroup.subtree_control"
elif [[ -e /sys/fs/cgroup/cpu/cpu.cfs_quota_us ]]; then
    VERSION=1 TOP=/sys/fs/cgroup/cpu
else
    fail "no control group with the cpu controller is mounted under /sys/fs/cgroup"
fi
OUTER=$TOP/inference-quota-$$ INNER=$TOP/inference-quota-$$/inner
FOLDER=$(mktemp -d)
SERVER=

clean() {
    [[ -z $SERVER ]] || kill -INT "$SERVER" 2>/dev/null || true
    [[ -z $SERVER ]] || wait "$SERVER" || true
    rmdir "$INNER" "$OUTER" 2>/dev/null || true
    rm -rf "$FOLDER"
}
trap clean EXIT

mkdir "$OUTER" || fail "no group can be made under $TOP: run this as root"
[[ $VERSION == 1 ]] || echo +cpu >"$OUTER/cgroup.subtree_control"
mkdir "$INNER"

# set_quota GROUP PERCENT: of one core; none removes it.
set_quota() {
    local quota=$2
    [[ $quota == none ]] || quota=$(($2 * 1000))
    case $VERSION in
    1) echo "${quota/none/-1}" >"$1/cpu.cfs_quota_us" ;;
    2) echo "${quota/none/max} 100000" >"$1/cpu.max" ;;
    esac
}

# start: the server inside the inner group, ready.
start() {
    rm -f "$FOLDER/ready.json"
    bash -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$INNER" "$BINARY" serve --models models/fraud-detector \
        --http 127.0.0.1:0 --grpc 127.0.0.1:0 --admin 127.0.0.1:0 --ready-file "$FOLDER/ready.json" 2>"$FOLDER/log" &
    SERVER=$!
    for _ in {1..600}; do
        [[ ! -e $FOLDER/ready.json ]] || break
        kill -0 "$SERVER" 2>/dev/null || fail "the server ended: $(tail -n 3 "$FOLDER/log")"
        sleep 0.1
    done
    URL=http://$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["http"])' "$FOLDER/ready.json")
}

stop() {
    kill -INT "$SERVER"
    wait "$SERVER"
    SERVER=
}

# metric NAME: its samples, added up.
metric() {
    python3 - "$URL/metrics" "$1" <<'PYTHON'
import re, sys, urllib.request
text = urllib.request.urlopen(sys.argv[1], timeout=30).read().decode()
print(sum(float(found) for found in re.findall(rf"^{sys.argv[2]}(?:\{{.*\}})? (\S+)$", text, re.MULTILINE)))
PYTHON
}

# expect NAME VALUE WHEN
expect() {
    local found
    found=$(metric "$1")
    python3 -c 'import sys; sys.exit(abs(float(sys.argv[1]) - float(sys.argv[2])) > 1e-6)' "$found" "$2" ||
        fail "$1 is $found, not $2, $3"
    echo "ok: $1 = $found, $3"
}

CORES=$(python3 -c 'import os; print(len(os.sched_getaffinity(0)))')
whole() { python3 -c 'import sys; print(max(1, int(min(float(sys.argv[1]), float(sys.argv[2])))))' "$1" "$CORES"; }
least() { python3 -c 'import sys; print(min(float(sys.argv[1]), float(sys.argv[2])))' "$1" "$CORES"; }

start
expect process_cpu_limit_cores "$CORES" 'without a quota'
expect inference_workers "$CORES" 'without a quota'
stop

set_quota "$INNER" 150
start
expect process_cpu_limit_cores "$(least 1.5)" 'with a quota of 1.5 in its own group'
expect inference_workers "$(whole 1.5)" 'with a quota of 1.5 in its own group'
stop

set_quota "$INNER" none
set_quota "$OUTER" 50
start
expect process_cpu_limit_cores 0.5 'with a quota of 0.5 in the group above'
expect inference_workers 1 'with a quota of 0.5 in the group above'
"$BINARY" bench "$URL/predict/fraud-detector" --connections 16 --duration 3s --warmup 0s >"$FOLDER/bench"
throttled=$(metric process_cpu_throttled_periods_total)
waited=$(metric process_cpu_throttled_seconds_total)
python3 -c 'import sys; sys.exit(not (float(sys.argv[1]) > 5 and float(sys.argv[2]) > 0.1))' "$throttled" "$waited" ||
    fail "after 3 s of load on half a core only $throttled periods were throttled, for $waited s"
echo "ok: after 3 s of load on half a core $throttled periods were throttled, for $waited s"
stop
