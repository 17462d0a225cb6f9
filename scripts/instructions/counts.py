"""Runs each bench of a program under callgrind and holds the counts against a baseline.

Called by run.sh, which builds the program. A count is exact for one binary on one kind of CPU; what it
depends on besides the code (compiler, C library, CPU) is kept in the baseline and named where it differs.
"""

import argparse
import concurrent.futures
import json
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

BASELINE = Path(__file__).resolve().parents[2] / "benches/instructions/baseline.json"
# As `CALLS` and `counted_instructions` in benches/instructions/main.rs.
CALLS = 10
FUNCTION = "*counted_instructions*"
PATIENCE_S = 300


def counted(program, bench, folder):
    """Instructions of one call of `bench`."""
    out = Path(folder) / (re.sub(r"\W+", "-", bench) + ".callgrind")
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", f"--toggle-collect={FUNCTION}"]
    done = subprocess.run(
        [*command, program, bench], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"error: {bench}: valgrind ended with {done.returncode}:\n{done.stderr[-2000:]}")
    totals = re.search(r"^totals: (\d+)", out.read_text(), re.MULTILINE)
    count = int(totals.group(1)) if totals else 0
    if count == 0:
        raise SystemExit(f"error: {bench}: callgrind counted nothing: is {FUNCTION} still the function's name?")
    return round(count / CALLS)


def text_of(*command):
    """The first line that a command prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]


def cpu():
    """The vector units that valgrind offers, which decide how libraries copy memory."""
    flags = set(Path("/proc/cpuinfo").read_text().split())
    return " ".join(flag for flag in ("avx", "avx2", "bmi2", "fma") if flag in flags) or "none of avx, avx2"


def surroundings():
    """What counts depend on besides the code."""
    return {
        "architecture": platform.machine(),
        "compiler": text_of("rustc", "--version"),
        "c_library": " ".join(platform.libc_ver()),
        "cpu": cpu(),
        "valgrind": text_of("valgrind", "--version"),
    }


def row(bench, count, base):
    """A line of the table, and the change in percent where there is a base."""
    change = None if base is None else (count - base) / base * 100
    shown = "new" if change is None else f"{change:+.2f} %"
    print(f"{bench:<40} {count:>10,} {'-' if base is None else f'{base:,}':>10} {shown:>10}", flush=True)
    return change


def compare(counts, baseline, tolerance):
    """Faults of `counts` against `baseline`, as sentences; prints the table."""
    print(f"{'instructions a call':<40} {'counted':>10} {'baseline':>10} {'change':>10}")
    faults = []
    for bench, count in counts.items():
        change = row(bench, count, baseline["counts"].get(bench))
        if change is None:
            faults.append(f"{bench}: not in the baseline; add it with ARGS=--write")
        elif change > tolerance:
            faults.append(f"{bench}: {change:.2f} % more than the baseline; {tolerance} % are tolerated")
        elif change < -tolerance:
            print(f"note: {bench} needs less: renew the baseline with ARGS=--write", file=sys.stderr)
    return faults


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--write", action="store_true", help="renew the baseline")
    parser.add_argument("--tolerance", type=float, help="percent; unset: the baseline's own")
    parser.add_argument("--jobs", type=int, default=2, help="benches at once; counts do not depend on it")
    parser.add_argument("benches", nargs="*", help="only these")
    return parser.parse_args()


def count_all(options, names):
    """Counts of all benches in their order, with a line of progress each."""
    counts = {}
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        found = [pool.submit(counted, options.program, name, folder) for name in names]
        for place, (name, future) in enumerate(zip(names, found, strict=True), start=1):
            counts[name] = future.result()
            print(f"{place}/{len(names)} {name}", file=sys.stderr, flush=True)
    return counts


def main():
    """Counts, then compares or writes."""
    options = arguments()
    known = subprocess.run([options.program, "list"], capture_output=True, text=True, check=True)
    names = [name for name in known.stdout.splitlines() if not options.benches or name in options.benches]
    if not names:
        raise SystemExit("error: there is no such bench; the program's `list` names them")
    counts = count_all(options, names)
    here = surroundings()
    baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {"tolerance_percent": 2.0, "counts": {}}
    tolerance = baseline["tolerance_percent"] if options.tolerance is None else options.tolerance
    faults = compare(counts, baseline, tolerance)
    if options.write:
        kept = {name: count for name, count in baseline["counts"].items() if name in known.stdout.splitlines()}
        written = {"tolerance_percent": tolerance, "counted_with": here, "counts": kept | counts}
        BASELINE.write_text(json.dumps(written, indent=2) + "\n")
        print(f"wrote {BASELINE}", file=sys.stderr)
        return 0
    gone = [] if options.benches else sorted(set(baseline["counts"]) - set(names))
    faults += [f"{name}: in the baseline, but no bench any more" for name in gone]
    before = baseline.get("counted_with", here)
    differs = [f"{key}: {before.get(key)} there, {here[key]} here" for key in here if before.get(key) != here[key]]
    if faults and differs:
        faults.append("the baseline was counted elsewhere, which may be the reason: " + "; ".join(differs))
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
