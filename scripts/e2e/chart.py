"""The chart as scenarios use it: rendered, installed under its own name, and looked at."""

import json
import shutil
from pathlib import Path

import yaml

from .cluster import condition
from .failure import Failure, expect

CHART = Path("helm/ml-inference-api")
CI_VALUES = sorted((CHART / "ci").glob("*-values.yaml"))
RELEASE = "ml-inference-api"
PODS = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component=server"
# All foreign kinds that some value of the chart makes. The API server takes seconds for each large definition.
GROUPS = (
    "argo-rollouts", "external-secrets/external-secrets.io_externalsecrets", "gateway-api", "keda/keda.sh_scaledobjects",
    "prometheus-operator/*monitors", "prometheus-operator/*prometheusrules",
)  # fmt: skip
# What every namespace has, and the kinds that tell of objects that are gone.
ALWAYS = {"ServiceAccount/default", "ConfigMap/kube-root-ca.crt"}
FLEETING = {"Event", "Lease"}


def objects(text):
    """The objects of a rendering."""
    return [it for it in yaml.safe_load_all(text) if it]


def render(cluster, namespace, values=None, *arguments):
    """The objects that the chart makes of values (hooks such as the test's pod left out)."""
    version = cluster.api.get("/version")["gitVersion"]
    done = cluster.helm(
        "template", RELEASE, CHART, "--namespace", namespace, "--kube-version", version, "--no-hooks", "--values", "-",
        *arguments, stdin=json.dumps(values or {}),
    )  # fmt: skip
    return objects(done.out)


def install(cluster, namespace, values=None, *arguments, chart=CHART):
    """Installs the chart, or upgrades what is there, with values. An API server's warning is a failure: helm passes them on
    by stderr, where it has nothing else to say."""
    done = cluster.helm(
        "upgrade", "--install", RELEASE, chart, "--namespace", namespace, "--values", "-", *arguments,
        stdin=json.dumps(values or {}),
    )  # fmt: skip
    expect(not done.err.strip(), f"helm warned of the release in {namespace}:", done.err)
    return done.out


def only(items, kind):
    """The one object of a kind."""
    found = [it for it in items if it["kind"] == kind]
    names = [it["metadata"]["name"] for it in found]
    expect(len(found) == 1, f"expected one {kind}, found {len(found)}:", names)
    return found[0]


def older(cluster, version):
    """The chart as an earlier version: a copy with another version and appVersion, and so another image."""
    copy = cluster.folder / f"chart-{version}"
    if not copy.exists():
        shutil.copytree(CHART, copy)
        path = copy / "Chart.yaml"
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"version": version, "appVersion": version}))
    return copy


def is_ready(pod):
    """Whether it serves: ready, and not on its way out."""
    return condition(pod, "Ready") and "deletionTimestamp" not in pod["metadata"]


def pods_path(namespace):
    """Where the API server has the pods of the release."""
    return f"/api/v1/namespaces/{namespace}/pods?labelSelector={PODS.replace('=', '%3D').replace(',', '%2C').replace('/', '%2F')}"


def pods(cluster, namespace):
    """The pods of the release."""
    return cluster.api.get(pods_path(namespace))["items"]


def deployment(cluster, namespace):
    """The Deployment of the release as it is now."""
    return cluster.api.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/{RELEASE}")


def wait_available(cluster, namespace, replicas, seconds=90):
    """Waits until the Deployment is as it was last asked for, with so many replicas, all available; returns it."""

    def complete():
        now = deployment(cluster, namespace)
        status = now and now.get("status", {})
        counts = ("replicas", "updatedReplicas", "availableReplicas")
        if status and status.get("observedGeneration") == now["metadata"]["generation"]:
            return all(status.get(name) == replicas for name in counts) and now

    return cluster.wait(f"{replicas} replicas of {RELEASE} in {namespace} to be available", complete, seconds)


def leftovers(cluster, namespace):
    """Every object of a namespace, of whatever kind, as Kind/name, without what is always there."""
    found = set()
    for prefix, plural, kind in cluster.api.namespaced_kinds():
        if kind not in FLEETING:
            listing = cluster.api.get(f"{prefix}/namespaces/{namespace}/{plural}")
            found |= {f"{kind}/{it['metadata']['name']}" for it in listing["items"]} if listing else set()
    return found - ALWAYS


def uninstall(cluster, namespace, stays=frozenset()):
    """Uninstalls the release; what then stays is what is meant to, and nothing else."""
    cluster.helm("uninstall", RELEASE, "--namespace", namespace)
    seen = set()

    def clean():
        seen.clear()
        seen.update(leftovers(cluster, namespace))
        return seen == set(stays)

    try:
        cluster.wait(f"'helm uninstall' to leave {sorted(stays) or 'nothing'} in {namespace}", clean)
    except Failure as failure:
        raise Failure(f"{failure}; there is {sorted(seen)}") from None


class ReadyCount:
    """Given to a watch of pods: the fewest that were ready at any moment since it began, and the most that there were."""

    def __init__(self):
        self.fewest, self.most = None, 0

    def __call__(self, found):
        ready = sum(map(is_ready, found.values()))
        self.fewest = ready if self.fewest is None else min(self.fewest, ready)
        self.most = max(self.most, len(found))
