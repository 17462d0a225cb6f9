"""The real programs that dashboards, rules and the walk are tried with: the server, Prometheus, a Collector. All on
ports that the system picks, all ended by their process ids. Needs benches/ on PYTHONPATH."""

import json
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from measure.processes import Child, Server, free_port

RULES = Path("deploy/observability/rules")
PATIENCE = 60.0
# What is sent may be slow on a busy machine; nothing here waits for ever.
TIMEOUT = 60.0

COLLECTOR = """
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: "127.0.0.1:{grpc}", max_recv_msg_size_mib: 64}}
exporters:
  file/traces: {{path: "{folder}/traces.jsonl", flush_interval: 100ms}}
  file/logs: {{path: "{folder}/logs.jsonl", flush_interval: 100ms}}
service:
  telemetry:
    logs: {{level: error}}
    metrics: {{level: none}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [file/traces]}}
    logs: {{receivers: [otlp], exporters: [file/logs]}}
"""

PROMETHEUS = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ["{rules}/*.yml"]
storage: {{exemplars: {{max_exemplars: 100000}}}}
scrape_configs:
  - job_name: ml-inference-api
    static_configs: [{{targets: {targets}}}]
"""

STANDIN = """
  - job_name: stand-in-{name}
    metrics_path: /{name}
    honor_labels: true
    static_configs: [{{targets: ["{address}"], labels: {labels}}}]
"""


class Inference(Server):
    """A server with the address of its admin listener too."""

    def __init__(self, binary, models, folder, variables=None, name="ml-inference-api"):
        super().__init__(binary, models, folder, variables, name)
        self.admin = json.loads(self.ready_file.read_text())["admin"]

    def model_names(self):
        """The models that are served."""
        return [it["name"] for it in get_json(f"{self.url}/predict")["models"]]

    def example(self, model):
        """The instance that the model's description shows."""
        return get_json(f"{self.url}/predict/{model}")["example"]


class Collector(Child):
    """An OpenTelemetry Collector that writes traces and logs as lines of JSON."""

    def __init__(self, program, folder):
        self.traces, self.logs = Path(folder) / "traces.jsonl", Path(folder) / "logs.jsonl"
        self.address = f"127.0.0.1:{free_port()}"
        config = Path(folder) / "collector.yaml"
        config.write_text(COLLECTOR.format(grpc=self.address.rpartition(":")[2], folder=folder))
        begun = time.perf_counter()
        super().__init__([program, "--config", config], folder, "collector")
        wait_for(self, begun, lambda: connects(self.address))


class Prometheus(Child):
    """Prometheus with the shipped rules, which are evaluated as often as it scrapes: once a second."""

    def __init__(self, program, folder, targets, standins=()):
        """`standins` are tuples of name, address and labels: pages of a fixed text."""
        folder = Path(folder)
        rules = folder / "rules"
        copy_rules(rules)
        config = PROMETHEUS.format(rules=rules, targets=json.dumps(targets))
        for name, address, labels in standins:
            config += STANDIN.format(name=name, address=address, labels=json.dumps(labels))
        (folder / "prometheus.yml").write_text(config)
        address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{address}"
        begun = time.perf_counter()
        super().__init__(
            [
                program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb",
                f"--web.listen-address={address}", "--enable-feature=exemplar-storage", "--log.level=warn",
            ],
            folder, "prometheus",
        )  # fmt: skip
        wait_for(self, begun, lambda: status(f"{self.url}/-/ready") == 200)

    def api(self, path, **parameters):
        """The data of an answer of its API; what it says against a query is an error of that query."""
        query = urllib.parse.urlencode(parameters, doseq=True)
        try:
            return get_json(f"{self.url}/api/v1/{path}?{query}")["data"]
        except urllib.error.HTTPError as error:
            raise QueryError(json.loads(error.read()).get("error", str(error))) from None

    def query(self, expression):
        """An instant query's series: pairs of labels and value."""
        data = self.api("query", query=expression)
        if data["resultType"] == "scalar":
            return [({}, float(data["result"][1]))]
        return [(it["metric"], float(it["value"][1])) for it in data["result"]]

    def exemplars(self, selector, seconds=3600):
        """Exemplars of a selector's series, the slowest first: pairs of series labels and exemplar."""
        now = time.time()
        found = self.api("query_exemplars", query=selector, start=now - seconds, end=now + 1)
        pairs = [(it["seriesLabels"], exemplar) for it in found for exemplar in it["exemplars"]]
        return sorted(pairs, key=lambda it: -float(it[1]["value"]))


def end_by_signals():
    """Lets SIGTERM, and SIGINT also where a shell in the background has it ignored, end what was started as Ctrl-C does."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


class QueryError(Exception):
    """What Prometheus says against a query."""


def copy_rules(to):
    """The shipped rules with two changes: groups run every second, and recorded series look back at no other day."""
    shutil.copytree(RULES, to)
    for file in to.glob("*.yml"):
        text = re.sub(r"(\n\s+interval: )\w+", r"\g<1>1s", file.read_text())
        file.write_text(re.sub(r" offset \d+d\b", "", text))


def wait_for(child, begun, condition):
    """Waits until the condition holds; ends with the child's log when it ended, or takes too long."""
    while not condition():
        child.check(begun)
        time.sleep(0.05)


def connects(address):
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def status(url):
    """The status of a GET, or None where nothing answers."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def get_json(url):
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
        return json.load(answer)


def post(url, body, headers=None):
    """Sends a body; status, headers and bytes of the answer, whatever they are."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"} | (headers or {}))
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def quiet(command):
    """Runs a program that has to succeed."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"error: {command[0]} failed: {done.stderr or done.stdout}")
    return done.stdout
