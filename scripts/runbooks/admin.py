"""A server's admin listener, by HTTP: at an address, or in a pod, which kubectl forwards to."""

import contextlib
import json
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from .kube import name
from .plan import Failed, Refused

# A load may take admin.load_timeout.
SECONDS = 660
PORT = "admin"


class Admin:
    """The admin listener at an address; with the token of a file where it asks for one. Its label is what people call it."""

    def __init__(self, address, token_file=None, label=None):
        self.address, self.label = address, label or address
        self.headers = {"content-type": "application/json"}
        if token_file:
            try:
                self.headers["authorization"] = f"Bearer {Path(token_file).read_text().strip()}"
            except OSError as error:
                raise Failed(f"the token in {token_file} cannot be read: {error.strerror}") from None

    def text(self, method, path, body=None):
        """The text of an answer; one that is no 2xx is a failure in the server's own words."""
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"http://{self.address}{path}", data, self.headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            raise Failed(f"{method} {path} at {self.label} answered {error.code}: {error.read().decode(errors='replace').strip()}") from None
        except OSError as error:
            raise Failed(f"{self.label} does not answer: {getattr(error, 'reason', error)}") from None

    def ask(self, method, path, body=None):
        """The same as an object."""
        text = self.text(method, path, body)
        return json.loads(text) if text.strip() else {}

    def index(self):
        """Every version of every model with its state."""
        return self.ask("POST", "/v2/repository/index")

    def states(self, model):
        """The versions of one model, as text."""
        return ", ".join(
            f"{it['version']} {it['state']}" + (f" ({it['reason']})" if it.get("reason") else "") for it in self.index() if it["name"] == model
        ) or "not there"  # fmt: skip

    def metrics(self, name):
        """The series of a metric: pairs of labels, as text, and value."""
        lines = [it for it in self.text("GET", "/metrics").splitlines() if it.startswith((f"{name}{{", f"{name} "))]
        return [(it.rpartition(" ")[0].removeprefix(name), float(it.rpartition(" ")[2])) for it in lines]


def admin_port(pod):
    """The number of the port of that name in a pod."""
    ports = [port for container in pod["spec"]["containers"] for port in container.get("ports", [])]
    return next((it["containerPort"] for it in ports if it.get("name") == PORT), 8082)


@contextlib.contextmanager
def forwarded(kube, pod):
    """The admin listener of a pod while the block goes on."""
    words = kube.words("port-forward", f"pod/{name(pod)}", f":{admin_port(pod)}")
    # In a session of its own, so that Ctrl-C, on which telemetry is put back, leaves it be.
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        line = child.stdout.readline()
        if not line.startswith("Forwarding from "):
            raise Failed(f"{name(pod)} cannot be reached: {line.strip() or 'kubectl port-forward said nothing'}")
        yield Admin(line.split()[2], label=f"pod/{name(pod)}")
    finally:
        child.terminate()
        child.wait(10)
        child.stdout.close()


def listeners(stack, kube, options, missing=None):
    """Those that were named: by --admin, or, with --pods, of every pod of the release that runs. What cannot be reached is a failure,
    or, where a list is given, noted there."""
    if not options.pods:
        return [Admin(it, options.token_file) for it in options.admin]
    pods = [it for it in kube.pods() if it["status"].get("phase") == "Running" and "deletionTimestamp" not in it["metadata"]]
    if not pods and missing is None:
        raise Refused(f"no pod of {kube.release} runs in {kube.namespace}")
    found = []
    for pod in sorted(pods, key=name):
        try:
            found.append(stack.enter_context(forwarded(kube, pod)))
        except Failed as failure:
            if missing is None:
                raise
            missing.append(str(failure))
    return found
