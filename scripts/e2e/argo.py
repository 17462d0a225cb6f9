"""The real controller of Argo Rollouts with the real plugin for the Gateway API, with the rights and the configuration that
deploy/argo-rollouts gives, and what an operator does by `kubectl argo rollouts`."""

import contextlib
import hashlib
import os
import signal
import tempfile
from pathlib import Path

import yaml

from . import chart, tools
from .api import MERGE
from .chart import RELEASE
from .failure import Failure, expect

NAMESPACE = "argo-rollouts"
DEPLOY = Path("deploy/argo-rollouts")
HASH = "rollouts-pod-template-hash"
NOT_PINNED = "0" * 64
# Of the controller's own ClusterRole what is used here. Nothing of the Gateway API is in it: that is plugin-rbac.yaml's.
EVERYTHING = ["get", "list", "watch", "create", "update", "patch", "delete"]
RULES = [
    {"apiGroups": ["argoproj.io"], "resources": ["*"], "verbs": EVERYTHING},
    {"apiGroups": ["apps"], "resources": ["replicasets", "deployments"], "verbs": EVERYTHING},
    {"apiGroups": [""], "resources": ["services", "events", "pods"], "verbs": EVERYTHING},
    {"apiGroups": [""], "resources": ["secrets", "configmaps", "podtemplates"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["networking.k8s.io", "extensions"], "resources": ["ingresses"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": EVERYTHING},
]


def account():
    """The controller's namespace and ServiceAccount."""
    rbac = "rbac.authorization.k8s.io"
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "argo-rollouts", "namespace": NAMESPACE}}
    yield {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": "argo-rollouts"}, "rules": RULES}
    yield {
        "apiVersion": f"{rbac}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "argo-rollouts"},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "argo-rollouts"},
        "subjects": [{"kind": "ServiceAccount", "name": "argo-rollouts", "namespace": NAMESPACE}],
    }  # fmt: skip


class Controller:
    """Runs while the block goes on, with the plugin where routes are to be written."""

    def __init__(self, cluster, routes=True):
        self.cluster, self.routes = cluster, routes

    def __enter__(self):
        cluster = self.cluster
        cluster.install_crds("argo-rollouts", "gateway-api", "prometheus-operator")
        cluster.apply(list(account()))
        if self.routes:
            cluster.kubectl("apply", "--filename", DEPLOY / "plugin-rbac.yaml")
            self._configure()
        token = cluster.kubectl("create", "token", "argo-rollouts", "--namespace", NAMESPACE, "--duration", "2h").out.strip()
        folder = Path(tempfile.mkdtemp(prefix="argo-rollouts-", dir=cluster.folder))
        kubeconfig = cluster.pki.kubeconfig(folder / "kubeconfig", cluster.secure_port, token=token)
        # The controller copies the plugin into the folder in which it runs. The plugin takes its kubeconfig from the environment.
        self.process = cluster.spawn("argo-rollouts", [
            "env", f"--chdir={folder}", tools.program("argo-rollouts"), "--kubeconfig", kubeconfig, "--namespaced=false",
            "--leader-elect=false", "--metricsPort", cluster.port(), "--healthzPort", cluster.port(),
        ], {"KUBECONFIG": str(kubeconfig), "POD_NAMESPACE": NAMESPACE})  # fmt: skip
        return self

    def __exit__(self, *_):
        self.cluster.end(self.process)
        # A controller that ends while it sets a weight starts its plugin anew and leaves it: it is in the same process group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.child.pid, signal.SIGKILL)
        if self.routes:
            self.cluster.kubectl("delete", "--filename", DEPLOY / "plugin-rbac.yaml", "--filename", DEPLOY / "controller-config.yaml")

    def _configure(self):
        """controller-config.yaml with the place of the plugin that was built here, and its sum."""
        plugin = tools.program("argo-rollouts-gatewayapi")
        config = yaml.safe_load((DEPLOY / "controller-config.yaml").read_text())
        [entry] = yaml.safe_load(config["data"]["trafficRouterPlugins"])
        expect(entry["sha256"] == NOT_PINNED, "controller-config.yaml has a sum, and a reader would take it for that of any file")
        entry |= {"location": f"file://{plugin}", "sha256": hashlib.sha256(plugin.read_bytes()).hexdigest()}
        config["data"]["trafficRouterPlugins"] = yaml.safe_dump([entry])
        self.cluster.apply([config])


def path(namespace, kind="rollouts", name=RELEASE):
    """Where the API server has an object of Argo's."""
    return f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/{kind}/{name}"


def rollout(cluster, namespace):
    """The Rollout as it is now."""
    return cluster.api.get(path(namespace))


def phase(thing):
    """Its phase, where the controller has seen it as it now is; None before."""
    status = (thing or {}).get("status", {})
    return status.get("phase") if status.get("observedGeneration") == str(thing["metadata"]["generation"]) else None


def wait_phase(cluster, namespace, wanted, seconds=60):
    """Waits for a phase of the Rollout, and returns it."""

    def reached():
        now = rollout(cluster, namespace)
        return phase(now) == wanted and now

    try:
        return cluster.wait(f"the Rollout in {namespace} to be {wanted}", reached, seconds)
    except Failure as failure:
        raise Failure(f"{failure}; it is {said(cluster, namespace)}") from None


def said(cluster, namespace):
    """What the controller says of it."""
    status = (rollout(cluster, namespace) or {}).get("status", {})
    return f"{status.get('phase')} {status.get('message', '')}".strip()


def pauses(cluster, namespace):
    """Why the Rollout waits."""
    return [it["reason"] for it in rollout(cluster, namespace)["status"].get("pauseConditions") or []]


def runs(cluster, namespace, pod_hash):
    """The AnalysisRuns that judge a revision; those of steps only ask whether there is anything to judge."""
    items = cluster.api.get(path(namespace, "analysisruns", ""))["items"]
    labels = [it["metadata"]["labels"] for it in items]
    return [it for it, own in zip(items, labels) if own.get(HASH) == pod_hash and own["rollout-type"] != "Step"]


def wait_analysis(cluster, namespace, pod_hash, wanted, seconds=60):
    """Waits until the one analysis of a revision ends, which must be so; returns its metrics by name."""
    ended = {"Successful", "Failed", "Error", "Inconclusive"}

    def over():
        found = runs(cluster, namespace, pod_hash)
        return len(found) == 1 and found[0].get("status", {}).get("phase") in ended and found[0]["status"]

    status = cluster.wait(f"the analysis of {pod_hash} to end", over, seconds)
    expect(status["phase"] == wanted, f"the analysis of {pod_hash} is {status['phase']}, not {wanted}:", status)
    return {it["name"]: it for it in status["metricResults"]}


def service_hash(cluster, namespace, name):
    """To which revision a Service leads; None where to all pods of the release."""
    return cluster.api.get(f"/api/v1/namespaces/{namespace}/services/{name}")["spec"]["selector"].get(HASH)


def pods(cluster, namespace, pod_hash):
    """The pods of a revision."""
    return [it for it in chart.pods(cluster, namespace) if it["metadata"]["labels"].get(HASH) == pod_hash]


def configurations(cluster, namespace):
    """The ConfigMaps of all revisions, which stay when the release goes."""
    names = (it["metadata"]["name"] for it in cluster.list("configmaps", namespace))
    return {f"ConfigMap/{it}" for it in names if it.startswith("ml-config-")}


def patch_status(cluster, namespace, **status):
    """What `kubectl argo rollouts` does by promote (pauseConditions=None), abort (abort=True) and retry (abort=False)."""
    code, answer = cluster.api.call("PATCH", f"{path(namespace)}/status", {"status": status}, MERGE)
    expect(code == 200, f"the status of the Rollout could not be set to {status}: {answer}")
