"""The yardstick: ONNX Runtime and nothing else, with IoBinding. A process of its own that holds two sessions of a model.

bare.py LIBRARY MODEL PROVIDER OPTIONS [PROFILE]: MODEL is a folder of scripts/gpu/export.py, OPTIONS the provider's
options as JSON. Reads a line of JSON for each measurement and answers with one: {"batch": 8, "threads": 2, "seconds": 1}
runs so many sessions side by side on inputs that lie on the device; "copies" hands them over from the host before each
run and takes the outputs back. Rows/s are of the mean run time. With PROFILE the sessions write profiles, whose paths
the line {"end": true} answers with.
"""

import json
import random
import statistics
import sys
import threading
import time
from pathlib import Path

from .runtime import TYPES, Fault, Runtime

SESSIONS = 2
SEED = 7


class Loop:
    """A session in a thread."""

    def __init__(self, session, model, provider):
        self.session, self.model, self.provider = session, model, provider
        self.binding, self.bound = None, None
        self.times, self.fault = [], None

    def bind(self, batch, is_copied):
        """Binds what the batch needs, unless it is bound."""
        if self.bound == (batch, is_copied):
            return
        if self.binding:
            self.binding.close()
        self.binding, self.bound = None, None
        inputs = [made(spec, batch) for spec in self.model["inputs"]]
        self.binding = self.session.bind(inputs, self.model["outputs"], self.provider, is_copied)
        self.bound = (batch, is_copied)

    def run(self, batch, is_copied, seconds, warm):
        """Runs for a time; what each run took, in seconds."""
        self.times, self.fault = [], None
        try:
            self.bind(batch, is_copied)
            for _ in range(warm):
                self.binding.run()
            deadline = time.perf_counter() + seconds
            while (begun := time.perf_counter()) < deadline:
                if is_copied:
                    self.binding.bind_inputs()
                self.binding.run()
                self.times.append(time.perf_counter() - begun)
        except Fault as fault:
            self.fault, self.bound = str(fault), None


def made(spec, batch):
    """An input of the model: its row over and over. Integers are the tokens of one text, numbers lie around 0."""
    name, kind, shape = spec["name"], spec["type"], spec["shape"]
    count = 1
    for size in shape:
        count *= size
    row = random.Random(SEED)
    if kind == "INT64":
        fill = {"attention_mask": lambda: 1, "token_type_ids": lambda: 0}.get(name, lambda: row.randrange(1000, 30000))
        data = b"".join(fill().to_bytes(8, "little") for _ in range(count))
    else:
        # A byte below 0x3c as the higher half of every number keeps it below 1; a number's own meaning matters to nothing.
        size = TYPES[kind][1]
        data = b"".join(bytes(size - 1) + bytes((row.randrange(0x30, 0x3C),)) for _ in range(count))
    return name, kind, [batch, *shape], data * batch


def measured(loops, order):
    """One measurement."""
    chosen = loops[: order["threads"]]
    task = (order["batch"], order.get("copies", False), order["seconds"], order.get("warm", 2))
    threads = [threading.Thread(target=loop.run, args=task) for loop in chosen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fault = next((loop.fault for loop in chosen if loop.fault), None)
    if fault or not all(loop.times for loop in chosen):
        return {"fault": fault or "no run ended in time"}
    times = [took for loop in chosen for took in loop.times]
    rows = sum(order["batch"] / statistics.fmean(loop.times) for loop in chosen)
    return {"rows": rows, "p50": statistics.median(times) * 1e3, "runs": len(times)}


def main():
    """Answers until there are no more lines."""
    library, model, provider, options, *profile = sys.argv[1:]
    facts = json.loads((Path(model) / "facts.json").read_text())
    runtime = Runtime(library)
    prefix = profile[0] if profile else None
    graph = Path(model) / "1" / "model.onnx"
    begun = time.perf_counter()
    try:
        sessions = [
            runtime.session(graph, provider, json.loads(options), f"{prefix}-{number}" if prefix else None)
            for number in range(1 if prefix else SESSIONS)
        ]
    except Fault as fault:
        print(json.dumps({"fault": str(fault)}), flush=True)
        sys.exit(1)
    print(json.dumps({"version": runtime.version, "seconds": time.perf_counter() - begun}), flush=True)
    loops = [Loop(session, facts, provider) for session in sessions]
    for line in sys.stdin:
        order = json.loads(line)
        if order.get("end"):
            print(json.dumps({"profiles": [session.end_profiling() for session in sessions]}), flush=True)
            continue
        print(json.dumps(measured(loops, order)), flush=True)


if __name__ == "__main__":
    main()
