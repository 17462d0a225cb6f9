"""A real Prometheus that scrapes what a PodMonitor of the chart selects, and the real Prometheus Adapter with the rules of
deploy/observability, by which autoscalers see it."""

import contextlib
import json
import urllib.parse
import urllib.request
from pathlib import Path

import yaml

from . import tools
from .failure import expect
from .series import sanitized

ADAPTER = Path("deploy/observability/prometheus-adapter.yaml")
CUSTOM, RESOURCE = "v1beta1.custom.metrics.k8s.io", "v1beta1.metrics.k8s.io"
SYSTEM = "metrics-e2e"
# Scrapes come every second here, so that windows hold as many of them as in production, with less waiting.
WINDOW, SHIPPED_WINDOWS = "10s", ("[2m]", "[1m]")


def shortened(query):
    """A query with the test's window; all else is as shipped."""
    for window in SHIPPED_WINDOWS:
        query = query.replace(window, f"[{WINDOW}]")
    return query


def scrape_config(monitor, port):
    """What the Prometheus operator makes of a PodMonitor; addresses of pods are asked through the proxy that answers for them."""
    spec, [endpoint] = monitor["spec"], monitor["spec"]["podMetricsEndpoints"]
    meta = "__meta_kubernetes_"

    def keep(label, value):
        return {"action": "keep", "source_labels": [f"{meta}{label}"], "regex": value}

    def take(label, target):
        return {"source_labels": [f"{meta}{label}"], "target_label": target, "regex": "(.+)", "replacement": "${1}"}

    selected = [keep(f"pod_label_{sanitized(key)}", value) for key, value in spec["selector"]["matchLabels"].items()]
    names = "|".join(spec["namespaceSelector"]["matchNames"])
    relabelings = [keep("namespace", names), *selected, keep("pod_container_port_name", endpoint["port"])]
    relabelings += [take("namespace", "namespace"), take("pod_container_name", "container"), take("pod_name", "pod")]
    relabelings += [take(f"pod_label_{sanitized(it)}", sanitized(it)) for it in spec["podTargetLabels"]]
    relabelings += [{"target_label": "endpoint", "replacement": endpoint["port"]}]
    relabelings += [take(f"pod_label_{sanitized(spec['jobLabel'])}", "job"), *endpoint["relabelings"]]
    name = f"podMonitor/{monitor['metadata']['namespace']}/{monitor['metadata']['name']}/0"
    return {
        "job_name": name, "scheme": endpoint["scheme"], "metrics_path": endpoint["path"], "honor_labels": endpoint["honorLabels"],
        "sample_limit": spec["sampleLimit"], "proxy_url": f"http://127.0.0.1:{port}", "relabel_configs": relabelings,
        "http_sd_configs": [{"url": f"http://127.0.0.1:{port}/targets", "refresh_interval": "1s"}],
    }  # fmt: skip


class Prometheus:
    """The server, scraping a fleet by the PodMonitors of some namespaces while the block goes on."""

    def __init__(self, cluster, fleet):
        self.cluster, self.fleet = cluster, fleet
        self.port = cluster.port()
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        monitors = [it for name in self.fleet.namespaces for it in self.cluster.list("podmonitors", name)]
        expect(len(monitors) == len(self.fleet.namespaces), "not every namespace has one PodMonitor:", monitors)
        containers = {
            "job_name": "containers", "honor_labels": True, "metrics_path": "/cadvisor",
            "static_configs": [{"targets": [f"127.0.0.1:{self.fleet.port}"]}],
        }  # fmt: skip
        configs = [*(scrape_config(it, self.fleet.port) for it in monitors), containers]
        folder = self.cluster.folder / f"prometheus-{self.port}"
        folder.mkdir()
        path = folder / "prometheus.yml"
        path.write_text(json.dumps({"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": configs}))
        self.process = self.cluster.spawn("prometheus", [
            tools.program("prometheus"), "--config.file", path, "--storage.tsdb.path", folder / "data",
            "--web.listen-address", f"127.0.0.1:{self.port}",
        ])  # fmt: skip
        try:
            self.cluster.wait("Prometheus to be ready", self._is_ready)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.cluster.end(self.process)

    def _is_ready(self):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as answer:
            return answer.status == 200

    def query(self, expression):
        """The values of an instant query; none where it has no result."""
        self.fleet.check()
        body = urllib.parse.urlencode({"query": expression}).encode()
        with urllib.request.urlopen(f"{self.url}/api/v1/query", body, timeout=10) as answer:
            data = json.load(answer)["data"]
        expect(data["resultType"] == "vector", "the query gives no vector:", expression, data)
        return [float(it["value"][1]) for it in data["result"]]


# What prometheus-adapter serves as metrics.k8s.io, as its own documentation has it.
RESOURCES = {"namespace": {"resource": "namespace"}, "pod": {"resource": "pod"}, "node": {"resource": "node"}}
RESOURCE_RULES = {
    "window": WINDOW,
    "cpu": {
        "containerQuery": f"sum by (<<.GroupBy>>) (rate(container_cpu_usage_seconds_total{{<<.LabelMatchers>>}}[{WINDOW}]))",
        "nodeQuery": f"sum by (<<.GroupBy>>) (rate(node_cpu_seconds_total{{<<.LabelMatchers>>}}[{WINDOW}]))",
        "resources": {"overrides": RESOURCES}, "containerLabel": "container",
    },
    "memory": {
        "containerQuery": "sum by (<<.GroupBy>>) (container_memory_working_set_bytes{<<.LabelMatchers>>})",
        "nodeQuery": "sum by (<<.GroupBy>>) (node_memory_working_set_bytes{<<.LabelMatchers>>})",
        "resources": {"overrides": RESOURCES}, "containerLabel": "container",
    },
}  # fmt: skip


class Adapter:
    """prometheus-adapter with the shipped rules while the block goes on. The API server reaches it by a Service that is an
    external name: it runs beside the cluster and not in it."""

    def __init__(self, cluster, prometheus):
        self.cluster, self.prometheus, self.port = cluster, prometheus, cluster.port()
        self.served = []

    def __enter__(self):
        shipped = yaml.safe_load(ADAPTER.read_text())["rules"]
        expect(shipped["default"] is False, f"{ADAPTER} takes the adapter's default rules, which serve every series there is")
        custom = [it | {"metricsQuery": shortened(it["metricsQuery"])} for it in shipped["custom"]]
        path = self.cluster.folder / f"adapter-{self.port}.json"
        path.write_text(json.dumps({"rules": custom, "resourceRules": RESOURCE_RULES}))
        config, key = self.cluster.kubeconfig, self.cluster.pki.file
        self.process = self.cluster.spawn("prometheus-adapter", [
            tools.program("prometheus-adapter"), f"--config={path}", f"--prometheus-url={self.prometheus.url}",
            "--metrics-relist-interval=2s", "--metrics-max-age=20s", "--bind-address=127.0.0.1", f"--secure-port={self.port}",
            f"--tls-cert-file={key('kube-apiserver.crt')}", f"--tls-private-key-file={key('kube-apiserver.key')}",
            *(f"--{kind}-kubeconfig={config}" for kind in ("lister", "authentication", "authorization")),
        ])  # fmt: skip
        return self

    def __exit__(self, *_):
        try:
            if self.served:
                self.cluster.kubectl("delete", "apiservice", *self.served)
                self.cluster.kubectl("delete", "namespace", SYSTEM, "--wait=false")
        finally:
            self.cluster.end(self.process)

    def serve(self, name):
        """Registers it for one of the APIs of metrics, and waits until it answers there."""
        version, group = name.split(".", 1)
        if not self.served:
            gone = lambda: not self.cluster.api.get(f"/api/v1/namespaces/{SYSTEM}")  # noqa: E731
            self.cluster.wait(f"the namespace {SYSTEM} of an earlier scenario to go", gone)
        where = {"namespace": SYSTEM, "name": "adapter"}
        self.cluster.apply([
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}},
            {
                "apiVersion": "v1", "kind": "Service", "metadata": where,
                "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": self.port}]},
            },
            {
                "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": name},
                "spec": {
                    "group": group, "version": version, "groupPriorityMinimum": 100, "versionPriority": 100,
                    "insecureSkipTLSVerify": True, "service": where | {"port": self.port},
                },
            },
        ])  # fmt: skip
        self.served.append(name)
        self.cluster.kubectl("wait", "--for=condition=Available", "--timeout=60s", f"apiservice/{name}")
