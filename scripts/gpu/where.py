"""Where the time of a run goes: by ONNX Runtime's own profile of the bare loop, and by nsys where it is there.

On a card the runtime's profile has the time in which the host queues each node; what is left of a run is the card's work
that the host waits for, and the gaps between. The copies over the bus are told by the bare loop with and without them.
"""

import csv
import io
import json
import shutil
import subprocess
from pathlib import Path

from . import yardstick

RUNS_SECONDS, REHEARSED = 1.0, 0.2
NSYS_TIMEOUT = 120
REPORTS = {"cuda_gpu_kern_sum": "kernels", "cuda_gpu_mem_time_sum": "copies"}


def profiled(lane, name, batch):
    """The parts of a run at a batch, in milliseconds."""
    bare = yardstick.Bare(lane, name, lane.provider, yardstick.options_of(lane), lane.folder / f"profile-{name}-{batch}")
    try:
        bare.ready()
        bare.order(batch=batch, threads=1, seconds=REHEARSED if lane.is_rehearsal else RUNS_SECONDS, warm=5)
        (path,) = bare.order(end=True)["profiles"]
    finally:
        bare.stop()
    return parts(json.loads(Path(path).read_text()))


def parts(events):
    """The parts of the run in the middle, by time, of the later half of them."""
    runs = sorted((event for event in events if event.get("name") == "model_run"), key=lambda event: event["ts"])
    runs = runs[len(runs) // 2 :]
    if not runs:
        raise RuntimeError("the profile has no run")
    nodes = [event for event in events if event.get("cat") == "Node" and event["name"].endswith("_kernel_time")]
    nodes.sort(key=lambda event: event["ts"])
    found, place = [], 0
    for run in runs:
        begin, end = run["ts"], run["ts"] + run["dur"]
        copied = queued = 0
        while place < len(nodes) and nodes[place]["ts"] < end:
            node = nodes[place]
            place += 1
            if node["ts"] < begin:
                continue
            if node["args"].get("op_name", "").startswith("Memcpy"):
                copied += node["dur"]
            else:
                queued += node["dur"]
        found.append((run["dur"], copied, queued, run["dur"] - copied - queued))
    return [part / 1e3 for part in sorted(found)[len(found) // 2]]


def traced(lane, name, batch):
    """What nsys says of the same runs: milliseconds of kernels and copies a run, and the rest of the wall time."""
    nsys = shutil.which("nsys")
    if not nsys or lane.is_rehearsal:
        return None
    report = lane.folder / f"nsys-{name}-{batch}"
    before = [nsys, "profile", "--trace=cuda", "--sample=none", "--cpuctxsw=none", "--force-overwrite=true", "-o", report]
    bare = yardstick.Bare(lane, name, lane.provider, yardstick.options_of(lane), before=before)
    try:
        bare.ready()
        # One order with nothing before it: every run that nsys sees is counted, the first ones apart.
        told = bare.order(batch=batch, threads=1, seconds=RUNS_SECONDS, warm=0)
    finally:
        bare.process.stdin.close()
        bare.process.wait(timeout=NSYS_TIMEOUT)
    command = [nsys, "stats", "--force-export=true", "--format", "csv", "--report", ",".join(REPORTS), f"{report}.nsys-rep"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=NSYS_TIMEOUT, check=True)
    sums = summed(done.stdout)
    runs = told["runs"]
    kernels, copies = (sums.get(part, 0.0) / runs / 1e6 for part in ("kernels", "copies"))
    return kernels, copies, max(told["p50"] - kernels - copies, 0.0)


def summed(text):
    """Nanoseconds by part, out of nsys' tables: each begins with a line that has `Total Time (ns)`."""
    found, rows, head = {}, csv.reader(io.StringIO(text)), None
    for row in rows:
        if "Total Time (ns)" in row:
            head = row
        elif head and len(row) == len(head):
            part = "kernels" if "Name" in head else "copies"
            total = row[head.index("Total Time (ns)")]
            found[part] = found.get(part, 0.0) + float(total)
        else:
            head = None
    return found
