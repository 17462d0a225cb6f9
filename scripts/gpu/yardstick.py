"""The bare loop's process, and its best batch."""

import json
import subprocess
import sys
import time
from pathlib import Path
from measure.processes import environment



BATCHES, REHEARSED_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256), (1, 4, 8)
THREADS = (1, 2)
GLANCE, REHEARSED_GLANCE = 0.25, 0.05
PATIENCE = 5
# The search goes up until so many sizes in a row were worse than this part of the best one.
WORSE, ENOUGH = 0.9, 2


class Bare:
    """scripts/gpu/bare.py, running; ended with `stop`."""

    def __init__(self, lane, name, provider, options, profile=None, before=()):
        self.name, self.best, self.swept = name, None, {}
        command = [*before, sys.executable, "-m", "gpu.bare", lane.options.library, lane.models.path(name), provider]
        command += [json.dumps(options), *([profile] if profile else [])]
        path = str(Path(__file__).resolve().parents[1])
        self.process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=environment() | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
        self.version = None

    def ready(self):
        """Waits until its sessions are there."""
        self.version = self.read()["version"]
        return self

    def read(self):
        """A line of its answer."""
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the bare loop of {self.name} ended")
        answer = json.loads(line)
        if "fault" in answer:
            raise RuntimeError(f"the bare loop of {self.name}: {answer['fault']}")
        return answer

    def order(self, **what):
        """Has something measured."""
        print(json.dumps(what), file=self.process.stdin, flush=True)
        return self.read()

    def sweep(self, lane):
        """Finds how many rows a run, and how many sessions side by side, give most rows a second."""
        worse = 0
        for batch in REHEARSED_BATCHES if lane.is_rehearsal else BATCHES:
            found = [self.glance(lane, batch, threads) for threads in THREADS]
            self.best = max(self.swept, key=self.swept.get)
            worse = worse + 1 if max(found) < WORSE * self.swept[self.best] else 0
            if worse == ENOUGH:
                break

    def glance(self, lane, batch, threads):
        """A short look at one way; 0 where the device has no room for it."""
        try:
            found = self.order(batch=batch, threads=threads, seconds=REHEARSED_GLANCE if lane.is_rehearsal else GLANCE)
        except RuntimeError as fault:
            if self.process.poll() is not None:
                raise
            lane.tell(f"{fault} (batch {batch}, sessions {threads}: left out)")
            found = {"rows": 0.0}
        self.swept[(batch, threads)] = found["rows"]
        return found["rows"]

    def saturated(self, seconds):
        """At its best."""
        batch, threads = self.best
        return self.order(batch=batch, threads=threads, seconds=seconds)

    def alone(self, seconds, copies=False):
        """One row a run, one session."""
        return self.order(batch=1, threads=1, seconds=seconds, copies=copies)

    def stop(self):
        """Ends it."""
        self.process.stdin.close()
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def options_of(lane):
    """The provider's options as the server sets them: single precision is not TF32."""
    return {} if lane.is_rehearsal else {"use_tf32": "0"}


def started(lane, stack, names):
    """The bare loops of several models on the provider in question, started side by side, each at its best."""
    begun = {}
    for name in names:
        bare = Bare(lane, name, lane.provider, options_of(lane))
        stack.callback(bare.stop)
        begun[name] = bare
    for name, bare in begun.items():
        bare.ready()
        bare.sweep(lane)
        batch, threads = bare.best
        rate = f"{bare.swept[bare.best]:,.0f} rows/s"
        lane.tell(f"the bare loop of {name} is best at batch {batch}, sessions {threads}: {rate}")
    return begun


# What the sweep of one model takes, in seconds, with the first runs of every batch.
SWEEP_SECONDS = len(BATCHES) * len(THREADS) * (GLANCE + 0.3)
