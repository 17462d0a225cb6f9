"""Our own binary beside the cluster, for what only a server that really predicts can answer."""

import contextlib
import os
import urllib.request
from pathlib import Path

from .failure import Failure

BINARY = Path(os.environ.get("ML_INFERENCE_API", "target/release/ml-inference-api"))
MODELS = Path("models")


def binary():
    """The release binary: `make build` makes it, ML_INFERENCE_API names another."""
    if not BINARY.exists():
        raise Failure(f"{BINARY} does not exist: run `make build`, or name the binary by ML_INFERENCE_API")
    return BINARY.resolve()


class Server:
    """Runs while the block goes on, with the models of the repository."""

    def __init__(self, cluster, *models):
        self.cluster, self.models = cluster, models
        self.ports = {name: cluster.port() for name in ("http", "grpc", "admin")}
        self.url = f"http://127.0.0.1:{self.ports['http']}"

    def __enter__(self):
        addresses = {f"ML_INFERENCE_{name.upper()}__ADDR": f"127.0.0.1:{port}" for name, port in self.ports.items()}
        paths = ",".join(str((MODELS / it).resolve()) for it in self.models)
        variables = addresses | {"ML_INFERENCE_MODELS__PATHS": paths, "ORT_DISABLE_TELEMETRY": "1"}
        self.process = self.cluster.spawn("ml-inference-api", [binary(), "serve"], variables)
        try:
            self.cluster.wait("the server to be ready", lambda: self._get("/health/ready"), 90)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.cluster.end(self.process)

    def _get(self, path):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.ports['admin']}{path}", timeout=5) as answer:
            return answer.read().decode()

    def metrics(self):
        """Its exposition."""
        return self._get("/metrics")

    def predict(self, path, body):
        """Asks for a prediction; the status is 200, or this fails."""
        request = urllib.request.Request(self.url + path, body.encode(), {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read().decode()
