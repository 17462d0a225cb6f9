"""usage: observe.py BINARY --models FOLDER --prometheus PROGRAM --promtool PROGRAM --otelcol PROGRAM [--once]

The server with everything that watches it: a Collector that writes traces to a file, Prometheus with the shipped rules
and exemplars, every request traced, and a light load of which some is slow on purpose. Says where all is and what to
try; Ctrl-C ends it all. With --once it runs for half a minute, does the walk of docs/observability.md itself, and exits:
with 1 if a step leads nowhere. Called by observe.sh.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import exemplars
import rules
from expression import parse, sides
from stack import RULES, Collector, Inference, Prometheus, end_by_signals, post

LOAD_SECONDS = 25
PAUSE = 0.1  # between two quick requests
BURST_EVERY = 6.0
BURST = 20  # requests at once, each of TEXTS texts: they have to queue
TEXTS = 4
TEXT = "the printer on the second floor shows a code nobody knows, and the invoice of last month was paid twice. " * 4
SLOW = "SlowResponseTime"
SELECTOR = 'http_request_duration_seconds_bucket{job="ml-inference-api", route="/predict/{model}", status="200"}'
# Every span and every request's line: this is a machine to look at, not to measure.
SETTINGS = {
    "OTEL_TRACES_SAMPLER": "always_on",
    "OTEL_BSP_SCHEDULE_DELAY": "200",
    "OTEL_BLRP_SCHEDULE_DELAY": "200",
    "OTEL_LOGS_EXPORTER": "otlp",
    "ML_INFERENCE_LOG__ACCESS": "all",
    "MODEL_NAME": "fraud-detector",
}


class Load:
    """Quick predictions all the time, and every few seconds a burst of large ones that waits in its queue."""

    def __init__(self, server):
        self.server, self.ended = server, threading.Event()
        self.pool = ThreadPoolExecutor(BURST + 1)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        example, burst_at = self.server.example("fraud-detector"), time.monotonic() + 1
        while not self.ended.wait(PAUSE * random.uniform(0.5, 1.5)):
            self.pool.submit(post, f"{self.server.url}/predict/fraud-detector", example)
            if time.monotonic() >= burst_at:
                burst_at += BURST_EVERY
                self.burst()

    def burst(self):
        for _ in range(BURST):
            self.pool.submit(post, f"{self.server.url}/predict/sentence-embedder", {"instances": [{"text": TEXT}] * TEXTS})

    def stop(self):
        self.ended.set()
        self.thread.join()
        self.pool.shutdown()


def alert_query(name):
    """What an alert of the shipped rules compares: its expression without the limit."""
    found = (rule for file in sorted(RULES.glob("*.yml")) for rule in rules.read(file) if rule.get("alert") == name)
    return " ".join(str(sides(parse(next(found)["expr"]))[0]).split())


class Walk:
    """Commands as a person would type them, each with what it says. A command that fails or says nothing ends the walk."""

    def __init__(self, stack):
        self.variables = os.environ | stack

    def step(self, title, command):
        """Runs a command; prints it and what it says as blocks of Markdown."""
        done = subprocess.run(["bash", "-c", command], env=self.variables, capture_output=True, text=True)
        text = done.stdout.replace("\r", "").rstrip()
        print(f"\n{title}\n\n```sh\n{command}\n```\n\n```\n{text}\n```", flush=True)
        if done.returncode or not text:
            sys.exit(f"error: this step leads nowhere: {done.stderr.strip() or 'it says nothing'}")


def walk(stack, prometheus, load):
    """The walk from an alert to the reason, as docs/observability.md shows it."""
    steps = Walk(stack)
    steps.step(f"1. What {SLOW} compares with 1 s, the p99 of answered predictions:",
               f"$PROMTOOL query instant $PROMETHEUS '{alert_query(SLOW)}'")  # fmt: skip
    steps.step("2. Which model and which stage it is, by the mean seconds of a request:", "$PROMTOOL query instant $PROMETHEUS 'topk(3, sum by (model, stage) ("
               "rate(inference_stage_duration_seconds_sum{job=\"ml-inference-api\"}[5m])) / sum by (model, stage) ("
               "rate(inference_stage_duration_seconds_count{job=\"ml-inference-api\"}[5m])))'")  # fmt: skip
    steps.step("3. The slowest requests, by their exemplars:", f"python3 scripts/observability/exemplars.py '{SELECTOR}' --most 3")
    trace_id = exemplars.ask(prometheus.url, SELECTOR, 3600)[0][1]["labels"]["trace_id"]
    steps.step("4. The slowest one's trace, the batch that it ran in, and what it waited behind:", f"python3 scripts/observability/trace.py {trace_id}")
    steps.step("5. Its line in the log:", f"grep -h '\"{trace_id}\"' $LOG")
    load.burst()
    time.sleep(0.3)
    steps.step("6. A request of one's own, while others wait:",
               "curl -s -o /dev/null -D - -H 'x-request-id: look-1' $HTTP/predict/sentence-embedder -d '{\"text\": \"one short text\"}'"
               " | grep -iE 'HTTP|server-timing|x-request-id|traceresponse'")  # fmt: skip


def tell(stack):
    """Where all is, and what to try."""
    print("\nEverything runs; Ctrl-C ends it all.\n")
    for name in ("HTTP", "ADMIN", "PROMETHEUS", "PROMTOOL", "TRACES", "LOG"):
        print(f"  export {name}={stack[name]}")
    print(f"""
To try, with these variables set (docs/observability.md has the whole walk):

  $PROMTOOL query instant $PROMETHEUS 'histogram_quantile(0.99, sum by (le, route) (rate(http_request_duration_seconds_bucket[1m])))'
  python3 scripts/observability/exemplars.py '{SELECTOR}'
  python3 scripts/observability/trace.py TRACE_ID     of the line before
""", flush=True)  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("binary", type=Path)
    for name in ("models", "prometheus", "promtool", "otelcol"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--once", action="store_true", help="half a minute of load, the walk, the end")
    options = parser.parse_args()
    end_by_signals()
    children, load = [], None
    with tempfile.TemporaryDirectory(prefix="observe-") as folder:
        try:
            children.append(collector := Collector(options.otelcol, folder))
            endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.address}"}
            children.append(server := Inference(options.binary, [options.models], folder, SETTINGS | endpoint))
            children.append(prometheus := Prometheus(options.prometheus, folder, [server.admin]))
            stack = {
                "HTTP": server.url, "ADMIN": f"http://{server.admin}", "PROMETHEUS": prometheus.url, "TRACES": str(collector.traces),
                "PROMTOOL": str(options.promtool), "LOG": str(server.log_path),
            }  # fmt: skip
            load = Load(server)
            if options.once:
                time.sleep(LOAD_SECONDS)
                walk(stack, prometheus, load)
            else:
                tell(stack)
                signal.pause()
        except KeyboardInterrupt:
            print("\nending", file=sys.stderr)
        finally:
            if load:
                load.stop()
            for child in reversed(children):
                child.stop()


if __name__ == "__main__":
    main()
