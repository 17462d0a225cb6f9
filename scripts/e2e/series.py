"""What the pods of a release would expose if a server ran in them: kwok's pods run nothing. The series have the names, labels
and bounds of the server's own, their values follow a load that a scenario sets."""

import contextlib
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from .chart import is_ready

TICK = 0.5
MIB = 1 << 20
MODEL = {"model": "fraud-detector", "version": "1"}
PREDICT = {"method": "POST", "route": "/predict/{model}"}
PROBE = {"method": "GET", "route": "/health/ready", "status": "200"}
DURATIONS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, "+Inf")


@dataclass(frozen=True)
class Profile:
    """What one pod does."""

    requests: float = 0.0  # a second
    failures: float = 0.0  # the share of them that is answered by 500
    seconds: float = 0.05  # within which every answer comes
    labels: dict = field(default_factory=lambda: {"legitimate": 0.9, "fraud": 0.1})
    queue_wait: float = 0.0  # seconds, of each prediction
    in_flight: int = 0
    cores: float = 0.05
    memory: int = 200 * MIB


class Counters:
    """One pod's series. Rates become counters by the time that has passed."""

    def __init__(self):
        self.values, self.profile, self.container = {}, Profile(), {}

    def add(self, name, labels, amount):
        """Raises a counter, which is there at zero from the beginning."""
        key = (name, tuple((labels | {"service": "ml-inference-api"}).items()))
        self.values[key] = self.values.get(key, 0.0) + amount

    def advance(self, profile, seconds):
        """So many seconds of such a life. The kubelet's probes are requests too, and count as none of the clients'."""
        self.profile = profile
        answered = profile.requests * seconds
        failed = answered * profile.failures
        for status, amount in (("200", answered - failed), ("500", failed)):
            self.add("http_requests_total", PREDICT | {"status": status}, amount)
            for bound in DURATIONS:
                counted = amount if bound == "+Inf" or profile.seconds <= bound else 0
                self.add("http_request_duration_seconds_bucket", PREDICT | {"status": status, "le": str(bound)}, counted)
        self.add("http_requests_total", PROBE, 50 * seconds)
        self.add("inference_queue_wait_seconds_sum", MODEL, answered * profile.queue_wait)
        self.add("inference_queue_wait_seconds_count", MODEL, answered)
        for label, share in profile.labels.items():
            self.add("inference_predictions_total", MODEL | {"label": label}, (answered - failed) * share)
        self.container["cpu"] = self.container.get("cpu", 0.0) + profile.cores * seconds

    def text(self):
        """The exposition of the server."""
        gauge = (("inference_in_flight", tuple((MODEL | {"service": "ml-inference-api"}).items())), self.profile.in_flight)
        return "".join(line(name, labels, value) for (name, labels), value in [*self.values.items(), gauge])


def line(name, labels, value):
    """A line of an exposition."""
    pairs = ",".join(f'{key}="{text}"' for key, text in labels)
    return f"{name}{{{pairs}}} {value:.6f}\n"


class Fleet:
    """The pods of some namespaces, each living by the profile that `load` gives it: `load(namespace, pods)` returns profiles by
    the pods' names. Serves their series over loopback HTTP, and to whom asks where they are, as Kubernetes' discovery tells it."""

    def __init__(self, cluster, namespaces, load):
        self.cluster, self.namespaces, self.load = cluster, namespaces, load
        self.counters, self.pods, self.error = {}, [], None
        # Pods that answer no scrape, and whether discovery finds any.
        self.dark, self.hidden = False, False
        self.ended = threading.Event()
        self.port = cluster.port()
        fleet = self

        class Handler(BaseHTTPRequestHandler):
            """Prometheus asks for each pod by its address, through this as its proxy."""

            def do_GET(self):
                status, kind, text = fleet.answer(self.path)
                self.send_response(status)
                self.send_header("content-type", kind)
                self.end_headers()
                with contextlib.suppress(ConnectionError):
                    self.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.threads = [threading.Thread(target=it, daemon=True) for it in (self.server.serve_forever, self._live)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.server.shutdown()
        for thread in self.threads:
            thread.join(10)
        self.server.server_close()

    def _live(self):
        last = time.monotonic()
        while not self.ended.wait(TICK):
            now = time.monotonic()
            try:
                self._tick(now - last)
            except Exception as error:  # told by `check`: a thread has nobody to tell it to
                self.error = error
            last = now

    def _tick(self, seconds):
        everyone = []
        for namespace in self.namespaces:
            # The server's pods of every release in it, whatever its name.
            path = f"/api/v1/namespaces/{namespace}/pods?labelSelector=app.kubernetes.io%2Fcomponent%3Dserver"
            found = [it for it in self.cluster.api.get(path)["items"] if it.get("status", {}).get("podIP")]
            profiles = self.load(namespace, [it for it in found if is_ready(it)])
            for pod in found:
                counters = self.counters.setdefault(pod["status"]["podIP"], Counters())
                counters.advance(profiles.get(pod["metadata"]["name"], Profile()), seconds)
            everyone += found
        self.pods = everyone

    def check(self):
        """Fails where the thread could not go on."""
        if self.error:
            raise self.error

    def answer(self, path):
        """The status, type and text for a path, or for an address where this is the proxy."""
        address = urlsplit(path)
        if address.path == "/targets":
            return 200, "application/json", json.dumps([] if self.hidden else [target(it) for it in self.pods])
        if address.path == "/cadvisor":
            return 200, "text/plain", "".join(map(self._containers, self.pods))
        counters = self.counters.get(address.hostname or "")
        if self.dark or not counters or address.path != "/metrics":
            return 502, "text/plain", "no such pod\n"
        return 200, "text/plain; version=0.0.4", counters.text()

    def _containers(self, pod):
        """What the kubelet would tell of the pod's container."""
        counters = self.counters[pod["status"]["podIP"]]
        name = pod["spec"]["containers"][0]["name"]
        labels = {"namespace": pod["metadata"]["namespace"], "pod": pod["metadata"]["name"], "container": name}.items()
        used = line("container_cpu_usage_seconds_total", labels, counters.container.get("cpu", 0))
        return used + line("container_memory_working_set_bytes", labels, counters.profile.memory)


def target(pod):
    """A pod as Kubernetes' discovery has it: its address by the port `admin`, and what is known of it as labels."""
    container = pod["spec"]["containers"][0]
    port = next(it for it in container["ports"] if it["name"] == "admin")
    meta = {"namespace": pod["metadata"]["namespace"], "pod_name": pod["metadata"]["name"]}
    meta |= {"pod_container_name": container["name"], "pod_container_port_name": port["name"]}
    for key, value in pod["metadata"]["labels"].items():
        meta[f"pod_label_{sanitized(key)}"] = value
        meta[f"pod_labelpresent_{sanitized(key)}"] = "true"
    labels = {f"__meta_kubernetes_{key}": value for key, value in meta.items()}
    return {"targets": [f"{pod['status']['podIP']}:{port['containerPort']}"], "labels": labels}


def sanitized(label):
    """A label's name as Prometheus can have it."""
    return "".join(it if it.isalnum() else "_" for it in label)
