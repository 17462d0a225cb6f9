"""usage: budgets.py BINARY PROMETHEUS

Tries budget.py, the gate of the error budget, against a real Prometheus with the shipped rules, which scrapes the real server: no
series, some left, spent, an exception, and no answer. Called by check.sh.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from stack import Inference, Prometheus, end_by_signals, post

GATE = Path("scripts/operations/budget.py")
SLOW = Path("tests/fixtures/models/slow.onnx")
LEFT, SPENT, UNKNOWN = 0, 1, 2
PATIENCE = 60


def gate(prometheus, *arguments):
    """Its exit code, and what it said."""
    done = subprocess.run([GATE, prometheus, *arguments], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def until(what, prometheus, code, act, *arguments):
    """Acts until the gate ends with a code; fails when it does not."""
    end = time.monotonic() + PATIENCE
    while (seen := gate(prometheus, *arguments))[0] != code:
        if time.monotonic() > end:
            sys.exit(f"error: budget.py: {what}: it ended with {seen[0]}, not {code}, for {PATIENCE} s: {seen[1]}")
        act()
        time.sleep(0.5)
    print(f"budget: {what}: exit code {code}: {' '.join(seen[1].split())}")


def must(what, code, seen):
    """Fails unless the gate ended with this code."""
    if seen[0] != code:
        sys.exit(f"error: budget.py: {what}: it ended with {seen[0]}, not {code}: {seen[1]}")
    print(f"budget: {what}: exit code {code}: {' '.join(seen[1].split())}")


def main(binary, program):
    """All cases, in the order in which a month has them."""
    end_by_signals()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = Inference(binary, [SLOW], folder)
        example, url = server.example("slow"), f"{server.url}/predict/slow"
        prometheus = Prometheus(program, folder, [server.admin])
        must("without traffic", UNKNOWN, gate(prometheus.url))
        until("some is left", prometheus.url, LEFT, lambda: post(url, example))
        until("a model's, too", prometheus.url, LEFT, lambda: post(url, example), "--model", "slow")
        must("another service", UNKNOWN, gate(prometheus.url, "--service", "another"))
        must("more than all is asked for", SPENT, gate(prometheus.url, "--least", "1.1"))
        until("requests fail", prometheus.url, SPENT, lambda: post(url, example, {"x-request-timeout-ms": "0"}))
        must("a change for reliability", LEFT, gate(prometheus.url, "--exception", "takes the slow model out"))
        prometheus.kill()
        must("Prometheus is away", UNKNOWN, gate(prometheus.url))
        must("and a person lets it pass", LEFT, gate(prometheus.url, "--exception", "mends Prometheus"))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
