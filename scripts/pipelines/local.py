"""The pipeline on one machine: a real MLflow server, the steps as processes with the Workflow's own command lines, and our service.
Used by the tests and by the walk."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import workflow

START_SECONDS = 300
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "GIT_PYTHON_REFRESH": "quiet",
    "ORT_DISABLE_TELEMETRY": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1",
}  # fmt: skip
# What the Workflow proposes a model on.
BRANCH = "delivery/model-staging"
IMAGE = "ghcr.io/myorg/model-deployer@sha256:" + "0123456789abcdef" * 4


def free_port():
    """A port that nobody listens on at this moment."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Ended(RuntimeError):
    """A server that did not come up."""


class Process:
    """A server in a process group of its own, which ends with the block."""

    def __init__(self, command, log, variables=None, folder=None):
        self.log = Path(log)
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("ML_INFERENCE_", "MODEL_NAME", "COV"))}
        with self.log.open("wb") as output:
            self.child = subprocess.Popen(
                [str(it) for it in command], env=kept | QUIET | (variables or {}), cwd=folder, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip

    def wait_until(self, ready, seconds=START_SECONDS):
        """Waits for what `ready` returns, if it is true."""
        begun = time.monotonic()
        while not (found := ready()):
            if self.child.poll() is not None or time.monotonic() - begun > seconds:
                self.end()
                raise Ended(f"{self.child.args[0]} did not come up (exit code {self.child.returncode}):\n{self.log.read_text()[-2000:]}")
            time.sleep(0.05)
        return found

    def end(self, first=signal.SIGTERM):
        """Ends the process and what it started."""
        for number in (first, signal.SIGKILL):
            if self.child.poll() is None:
                os.killpg(self.child.pid, number)
                try:
                    self.child.wait(60)
                except subprocess.TimeoutExpired:
                    continue
        with contextlib.suppress(ProcessLookupError):  # what it started and left behind
            os.killpg(self.child.pid, signal.SIGKILL)
        return self.child.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


class Mlflow(Process):
    """`mlflow server` with a file for its registry and a folder for artifacts."""

    def __init__(self, folder, port=None):
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        port = port or free_port()
        self.uri = f"http://127.0.0.1:{port}"
        super().__init__([
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", port, "--workers", 1,
            "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", folder / "artifacts",
        ], folder / "server.log", folder=folder)  # fmt: skip
        self.wait_until(self._answers)

    def _answers(self):
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False


class Service(Process):
    """Our service over a folder of models."""

    def __init__(self, binary, models, folder, listen="127.0.0.1:0"):
        ready = Path(folder) / "ready.json"
        ready.unlink(missing_ok=True)
        super().__init__(
            [binary, "serve", "--models", models, "--http", listen, "--admin", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--ready-file", ready],
            Path(folder) / "service.log",
        )
        self.wait_until(ready.exists)
        self.address = json.loads(ready.read_text())["http"]

    def ask(self, path, body=None):
        """(status, JSON) of an answer."""
        connection = http.client.HTTPConnection(self.address, timeout=60)
        try:
            headers = {"Content-Type": "application/json"}
            connection.request("POST" if body is not None else "GET", path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def end(self, first=signal.SIGINT):
        """SIGTERM would first serve on for the drain's delay."""
        return super().end(first)


class Steps:
    """Runs steps of the Workflow, one folder a run, as the DAG hands folders from one to the next."""

    def __init__(self, uri, folder, binary, repository):
        self.template = workflow.template_of(workflow.objects())
        self.uri, self.folder, self.binary, self.repository = uri, Path(folder), Path(binary).resolve(), str(repository)

    def values(self, **given):
        """The template's parameters for this machine."""
        here = {"tracking_uri": self.uri, "serving_tracking_uri": self.uri, "repository": self.repository, "deployer_image": IMAGE}
        return workflow.parameters(self.template, **(here | given))

    def run(self, run, task, **given):
        """Runs one task in the folder of a run; returns the finished process, its output with its errors."""
        step = workflow.steps(self.template)[next(it["template"] for it in workflow.tasks(self.template) if it["name"] == task)]
        places = [("/usr/local/bin/ml-inference-api", self.binary)]
        argv, variables = workflow.command(step, self.values(**given), self.folder / run, sys.executable, places)
        return subprocess.run(argv, env=variables | QUIET, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)

    def all(self, run, **given):
        """Every task in the DAG's order, up to the first that fails, as Argo would: [(task, process)]."""
        done = []
        for task in workflow.order(self.template):
            done.append((task["name"], self.run(run, task["name"], **given)))
            if done[-1][1].returncode:
                break
        return done

    def share(self, origin, run, name="data"):
        """Gives a run the folder that another made, as a task that need not run again."""
        shutil.copytree(self.folder / origin / name, self.folder / run / name)


def script(name, uri, *arguments):
    """Runs a script of pipelines/ with arguments of one's own."""
    return subprocess.run(
        [sys.executable, str(workflow.PIPELINES / name), *map(str, arguments)], env={**os.environ, **QUIET, "MLFLOW_TRACKING_URI": uri},
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip


def bare_repository(folder):
    """A bare repository with a branch main that has the environments' files, as a GitOps repository has."""
    bare, work = Path(folder) / "gitops.git", Path(folder) / "gitops"
    git = ["git", "-c", "user.name=people", "-c", "user.email=people@example.org", "-c", "commit.gpgsign=false"]
    for name in ("values", "image", "model"):
        path = work / f"deploy/gitops/environments/staging/{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n")
    for command in (
        ["init", "--quiet", "--bare", "--initial-branch", "main", bare], ["init", "--quiet", "--initial-branch", "main", work],
        ["-C", work, "add", "."], ["-C", work, "commit", "--quiet", "--message", "environments"],
        ["-C", work, "push", "--quiet", bare, "main"],
    ):  # fmt: skip
        subprocess.run([*git, *map(str, command)], check=True, capture_output=True)
    return bare


def git(repository, *command):
    """What git says of a repository."""
    return subprocess.run(["git", "-C", str(repository), *command], check=True, text=True, capture_output=True).stdout.strip()
