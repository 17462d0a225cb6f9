"""MLflow's registry and artifacts by its REST API and the standard library alone: an init container that fetches a model needs
no MLflow, and starts in a moment. The server must hand out artifacts itself (`mlflow server --artifacts-destination`).
"""

import base64
import contextlib
import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request

from .command import StepError

DEFAULT_URI = "http://mlflow-server:5000"
CHAMPION, PREVIOUS = "champion", "previous-champion"
SECONDS = 30
# What another try may heal: the server starts, is overloaded, or a proxy before it is.
TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
PROXIED = "mlflow-artifacts:/"


class Absent(StepError):
    """What was asked for is not in the registry."""


class Registry:
    """A server, by MLFLOW_TRACKING_URI; credentials as MLflow's own client takes them from the environment."""

    def __init__(self, uri=None, retries=5):
        self.uri = (uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI).rstrip("/")
        if not self.uri.startswith(("http://", "https://")):
            raise StepError(f"MLFLOW_TRACKING_URI is {self.uri}: expected the address of a server, as {DEFAULT_URI}")
        self.retries, self.headers = retries, {}
        if token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
            self.headers["Authorization"] = f"Bearer {token}"
        elif user := os.environ.get("MLFLOW_TRACKING_USERNAME"):
            pair = f"{user}:{os.environ.get('MLFLOW_TRACKING_PASSWORD', '')}"
            self.headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"

    # The protocol.

    def _once(self, method, url, body, kind):
        request = urllib.request.Request(url, body, {**self.headers, "Content-Type": kind}, method=method)
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            data = answer.read()
            if (wanted := answer.headers.get("Content-Length")) and len(data) != int(wanted):
                raise http.client.IncompleteRead(data)
            return data

    def _call(self, method, path, query=None, body=None, kind="application/json"):
        """The answer's bytes. Tries again, each time later, where another try may help."""
        url = f"{self.uri}{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        for attempt in range(self.retries + 1):
            try:
                return self._once(method, url, body, kind)
            except urllib.error.HTTPError as error:
                said = _message(error)
                if error.code not in TRANSIENT:
                    absent = error.code == 404 or "not found" in said.lower()
                    raise (Absent if absent else StepError)(f"MLflow at {self.uri} refuses {path}: {error.code} {said}") from None
            except (OSError, http.client.HTTPException) as error:
                said = str(getattr(error, "reason", error)) or type(error).__name__
            if attempt < self.retries:
                print(f"registry: {said}; trying again ({attempt + 1} of {self.retries})", flush=True)
                time.sleep(min(0.5 * 2**attempt, 15))
        raise StepError(f"MLflow at {self.uri} does not answer {path} after {self.retries + 1} tries: {said}")

    def _json(self, method, path, query=None, body=None):
        data = self._call(method, f"/api/2.0/mlflow/{path}", query, json.dumps(body).encode() if body else None)
        try:
            return json.loads(data)
        except ValueError:
            raise StepError(f"{self.uri} is no MLflow server: {path} answered with something that is not JSON") from None

    def alive(self):
        """Refuses a server that does not answer, before anything is computed for it or half written to it."""
        self._call("GET", "/health")

    # Versions, their tags and aliases.

    def version(self, model, version):
        """One version, its tags and aliases as plain values."""
        found = self._json("GET", "model-versions/get", {"name": model, "version": version})["model_version"]
        found["tags"] = {it["key"]: it["value"] for it in found.get("tags", [])}
        found["aliases"] = found.get("aliases", [])
        return found

    def alias(self, model, alias):
        """The number of the version with an alias; None where no version has it."""
        try:
            return self._json("GET", "registered-models/alias", {"name": model, "alias": alias})["model_version"]["version"]
        except Absent:
            return None

    def set_alias(self, model, alias, version):
        """Moves an alias."""
        self._json("POST", "registered-models/alias", body={"name": model, "alias": alias, "version": version})

    def delete_alias(self, model, alias):
        """Takes an alias away; none is as good."""
        self._json("DELETE", "registered-models/alias", body={"name": model, "alias": alias})

    def tag(self, model, version, **tags):
        """Sets tags of a version."""
        for key, value in tags.items():
            body = {"name": model, "version": version, "key": key, "value": str(value)[:5000]}
            self._json("POST", "model-versions/set-tag", body=body)

    # Artifacts.

    def _root(self, uri, what):
        if not uri.startswith(PROXIED):
            raise StepError(f"{what} lies at {uri}, which the server does not hand out: run it with --artifacts-destination")
        return "/" + urllib.parse.urlsplit(uri).path.strip("/")

    def model_root(self, model, version):
        """Where the files of a version lie."""
        uri = self._json("GET", "model-versions/get-download-uri", {"name": model, "version": version})["artifact_uri"]
        return self._root(uri, f"{model} {version}")

    def run_root(self, run):
        """Where the artifacts of a run lie."""
        uri = self._json("GET", "runs/get", {"run_id": run})["run"]["info"]["artifact_uri"]
        return self._root(uri, f"run {run}")

    def logged_root(self, identifier):
        """Where the files of a logged model lie."""
        uri = self._json("GET", f"logged-models/{identifier}")["model"]["info"]["artifact_uri"]
        return self._root(uri, f"model {identifier}")

    def download(self, root, path):
        """The bytes of an artifact."""
        return self._call("GET", f"/api/2.0/mlflow-artifacts/artifacts{urllib.parse.quote(f'{root}/{path}')}")

    def upload(self, root, path, data):
        """Writes an artifact, or over it."""
        place = f"/api/2.0/mlflow-artifacts/artifacts{urllib.parse.quote(f'{root}/{path}')}"
        self._call("PUT", place, body=data if isinstance(data, bytes) else data.encode(), kind="application/octet-stream")


def _message(error):
    """What a refusal says, in one line."""
    text = error.read().decode(errors="replace")
    with contextlib.suppress(ValueError, KeyError, TypeError):
        text = json.loads(text)["message"]
    return " ".join(str(text).split())[:300]
