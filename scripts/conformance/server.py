"""The server under test: started on free loopback ports over one repository, measured, ended."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

# One session of one thread a model, so that figures do not depend on the cores of the machine, and
# runs are those of the reference; its log has errors only (what is not finite is refused as one).
SETTINGS = {
    "ML_INFERENCE_DEFAULTS__EXECUTION__INSTANCES": "1",
    "ML_INFERENCE_DEFAULTS__EXECUTION__INTRA_THREADS": "1",
    "ML_INFERENCE_DRAIN__DELAY": "0s",
    "ML_INFERENCE_LOG__LEVEL": "error",
    "ORT_DISABLE_TELEMETRY": "1",
}
LONGEST_START_SECONDS = 600


def resident_bytes(pid):
    """Resident memory of a process."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def cpu_seconds(pid):
    """CPU time of a process so far, user and system."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Server:
    """A running server; a context manager that ends it by SIGTERM and holds it to exit code 0."""

    def __init__(self, binary, repository, folder):
        ready = folder / "ready.json"
        ready.unlink(missing_ok=True)
        listeners = [part for name in ("http", "grpc", "admin") for part in (f"--{name}", "127.0.0.1:0")]
        command = [binary, "serve", "--models", repository, "--ready-file", ready, *listeners]
        started = time.monotonic()
        with open(folder / "server.log", "wb") as log:
            self._process = subprocess.Popen(command, env=os.environ | SETTINGS, stdout=log, stderr=log)
        while not ready.exists():
            if self._process.poll() is not None:
                sys.exit(f"error: the server ended with code {self._process.returncode} instead of becoming ready: see {log.name}")
            if time.monotonic() - started > LONGEST_START_SECONDS:
                self._process.kill()
                sys.exit(f"error: the server was not ready after {LONGEST_START_SECONDS} s")
            time.sleep(0.005)
        self.start_seconds = time.monotonic() - started
        self.start_cpu_seconds = cpu_seconds(self._process.pid)
        addresses = json.loads(ready.read_text(encoding="utf-8"))
        self.address, self.grpc = addresses["http"], addresses["grpc"]

    def resident(self):
        """Its resident memory now, in bytes."""
        return resident_bytes(self._process.pid)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(60)
        if code != 0:
            print(f"error: the server ended with code {code}", file=sys.stderr)
            sys.exit(1)
