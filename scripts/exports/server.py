"""The server under test, with no configuration: checked, started on free loopback ports, asked, ended."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

LONGEST_START_SECONDS = 300
LISTENERS = [part for name in ("http", "grpc", "admin") for part in (f"--{name}", "127.0.0.1:0")]


def environment():
    """Ours without what would configure the server."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("ML_INFERENCE_", "MODEL_NAME"))}
    return kept | {"ORT_DISABLE_TELEMETRY": "1"}


def check(binary, models):
    """What `check` says about each model: {name: entry}; the problems of the bad ones: {name: [message]}."""
    command = [binary, "check", "--format", "json", *(f"{name}={path}" for name, path in models.items())]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        sys.exit(f"error: check ended with code {done.returncode} and no report: {done.stderr.strip()}")
    problems = {}
    for problem in report["problems"]:
        name = problem["model"].split(" version ")[0]
        problems.setdefault(name, []).append(problem["message"])
    return {model["name"]: model for model in report["models"]}, problems


class Server:
    """A running server; a context manager that ends it and holds it to exit code 0."""

    def __init__(self, binary, models, folder):
        ready, log = Path(folder) / "ready.json", Path(folder) / "server.log"
        named = [part for name, path in models.items() for part in ("--models", f"{name}={path}")]
        command = [binary, "serve", *named, "--ready-file", ready, *LISTENERS]
        with open(log, "wb") as output:
            self._process = subprocess.Popen(command, env=environment(), stdout=output, stderr=output)
        started = time.monotonic()
        while not ready.exists():
            if self._process.poll() is not None:
                sys.exit(f"error: the server ended with code {self._process.returncode}: {log.read_text()[-2000:]}")
            if time.monotonic() - started > LONGEST_START_SECONDS:
                self._process.kill()
                sys.exit(f"error: the server was not ready after {LONGEST_START_SECONDS} s")
            time.sleep(0.01)
        self._connection = http.client.HTTPConnection(json.loads(ready.read_text())["http"], timeout=60)

    def predict(self, model, body, content_type):
        """The status and the JSON of an answer."""
        self._connection.request("POST", f"/predict/{model}", body, {"Content-Type": content_type})
        response = self._connection.getresponse()
        return response.status, json.loads(response.read())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._connection.close()
        self._process.send_signal(signal.SIGINT)  # SIGTERM would first serve on for the drain's delay
        code = self._process.wait(60)
        if code != 0:
            sys.exit(f"error: the server ended with code {code}")
