"""The processes that are measured: ours, the yardsticks, a collector; CPU time and memory by the kernel's account."""

import atexit
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

PATIENCE = 120.0
TICKS = os.sysconf("SC_CLK_TCK")
COLLECTOR = """
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: "127.0.0.1:{grpc}"}}
exporters:
  debug: {{verbosity: basic}}
service:
  telemetry:
    logs: {{level: error}}
    metrics: {{level: none}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [debug]}}
"""


def environment(variables=None):
    """Ours without anything that would configure a server, with what is given."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "ML_INFERENCE_")) and name not in ("MODEL_NAME", "RUST_LOG", "PYTHONPATH")
    }
    return kept | (variables or {})


def free_port():
    """A port of the loopback address that nothing has at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def tell(text):
    """One line of progress."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


class Child:
    """A process in a session of its own, with all that it starts."""

    running = set()

    def __init__(self, command, folder, name, variables=None):
        self.name = name
        self.log_path = Path(
            tempfile.mktemp(suffix=".log", prefix=f"{name.replace('/', '-').replace(' ', '-')}-", dir=folder)
        )
        self.log = open(self.log_path, "wb")
        self.process = subprocess.Popen(
            [str(part) for part in command], env=environment(variables), stdin=subprocess.DEVNULL,
            stdout=self.log, stderr=self.log, start_new_session=True,
        )  # fmt: skip
        self.pid = self.process.pid
        Child.running.add(self)

    def stats(self):
        """Of every process of the session and every descendant: its fields in /proc."""
        found = {}
        for entry in os.scandir("/proc"):
            if entry.name.isdigit():
                try:
                    text = Path(entry.path, "stat").read_text()
                except OSError:
                    continue
                found[int(entry.name)] = text.rpartition(")")[2].split()
        ours = {pid for pid, fields in found.items() if int(fields[3]) == self.pid}
        # Once it has been waited for, its number may be another's.
        ours |= {self.pid} if self.process.returncode is None else set()
        while more := {pid for pid, fields in found.items() if int(fields[1]) in ours} - ours:
            ours |= more
        return {pid: found[pid] for pid in ours if pid in found}

    def cpu(self):
        """User and system time of all its processes, also of those that ended and were waited for, in seconds."""
        return sum(sum(map(int, fields[11:15])) for fields in self.stats().values()) / TICKS

    def hold(self):
        """Stops all its processes until `go`: some servers are busy while nothing is asked of them."""
        self.send(signal.SIGSTOP)

    def go(self):
        """Lets them run on."""
        self.send(signal.SIGCONT)

    def send(self, number):
        """Sends a signal to each of its processes."""
        for pid in self.stats():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def resident(self):
        """Resident memory of the first process, in bytes."""
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())[1]) * 1024

    def check(self, begun):
        """Ends everything with a sentence when it ended by itself or takes too long."""
        if self.process.poll() is not None or time.perf_counter() - begun > PATIENCE:
            text = self.log_path.read_text(errors="replace")[-3000:]
            self.kill()
            sys.exit(f"{self.name} did not become ready; the end of its log:\n{text}")

    def stop(self, number=signal.SIGTERM):
        """Ends it, in peace where it obeys within ten seconds; how long that took, in seconds."""
        begun = time.perf_counter()
        self.go()
        self.process.send_signal(number)
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            tell(f"{self.name} did not end by itself")
        took = time.perf_counter() - begun
        self.kill()
        return took

    def kill(self):
        """Ends what is left of it, process by process; again, since one may have started another meanwhile."""
        for _ in range(20):
            for pid in self.stats():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()
            if all(fields[0] == "Z" for fields in self.stats().values()):
                break
            time.sleep(0.05)
        self.log.close()
        Child.running.discard(self)


@atexit.register
def end_all():
    """Ends what an interruption left."""
    for child in list(Child.running):
        child.kill()


class Server(Child):
    """A server process of ours, ready; ended with SIGINT, which skips the drain delay."""

    def __init__(self, binary, models, folder, variables=None, name="ml-inference-api"):
        self.ready_file = Path(tempfile.mktemp(suffix=".json", dir=folder))
        listeners = [part for name in ("http", "grpc", "admin") for part in (f"--{name}", "127.0.0.1:0")]
        command = [binary, "serve", *listeners, "--ready-file", self.ready_file]
        for model in models:
            command += ["--models", model]
        begun = time.perf_counter()
        super().__init__(command, folder, name, variables)
        while not self.ready_file.exists():
            self.check(begun)
            time.sleep(0.0005)
        self.ready_after = time.perf_counter() - begun
        addresses = json.loads(self.ready_file.read_text())
        self.url, self.grpc = "http://" + addresses["http"], addresses["grpc"]

    def scrape(self, accept="text/plain"):
        """The text of its metrics, in the form asked for."""
        request = urllib.request.Request(self.url + "/metrics", headers={"accept": accept})
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.read().decode()

    def metric(self, name, labels=""):
        """The sum of a metric's series whose labels contain `labels`."""
        series = re.findall(rf"^{name}((?:\{{[^\n]*\}})?) (\S+)$", self.scrape(), re.MULTILINE)
        return sum(float(value) for these, value in series if labels in these)

    def stop(self, number=signal.SIGINT):
        """Ends it at once; how long that took, in seconds."""
        return super().stop(number)


class Null(Child):
    """The axum server without a model."""

    def __init__(self, program, features, folder):
        super().__init__([program, ",".join(features)], folder, "server with no model")
        begun = time.perf_counter()
        while not (line := self.log_path.read_text()).endswith("\n"):
            self.check(begun)
            time.sleep(0.005)
        self.url = f"http://{line.strip()}"


class Collector(Child):
    """A real OpenTelemetry Collector that takes spans over gRPC and throws them away."""

    def __init__(self, program, folder):
        port = free_port()
        config = Path(folder) / "collector.yaml"
        config.write_text(COLLECTOR.format(grpc=port))
        super().__init__([program, "--config", config], folder, "collector")
        begun = time.perf_counter()
        while True:
            self.check(begun)
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        self.url = f"http://127.0.0.1:{port}"


class BlackHole:
    """A collector that takes connections and bytes and never answers."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        """Takes every connection, on a thread of its own."""
        while True:
            stream, _ = self.listener.accept()
            threading.Thread(target=self.swallow, args=(stream,), daemon=True).start()

    @staticmethod
    def swallow(stream):
        """Reads until the other side ends."""
        try:
            while stream.recv(1 << 16):
                pass
        except OSError:
            pass
