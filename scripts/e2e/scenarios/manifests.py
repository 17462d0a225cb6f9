"""Manifests without Helm: k8s/, and what lies under deploy/ for other controllers."""

from pathlib import Path

from .. import chart
from ..chart import RELEASE, objects
from ..failure import expect
from ..scenario import scenario

K8S = Path("k8s")


@scenario
def plain(cluster):
    """kubectl apply -k k8s/: three replicas, and a second time nothing changes"""
    text = cluster.kubectl("kustomize", K8S).out
    namespaces = {it["metadata"].get("namespace") for it in objects(text)} - {None}
    expect(namespaces == {"production"}, "k8s/ has objects in other namespaces:", namespaces)
    with cluster.namespace("production") as namespace:
        first = cluster.kubectl("apply", "--kustomize", K8S)
        expect(not first.err.strip(), "the API server warned of k8s/:", first.err)
        chart.wait_available(cluster, namespace, 3)
        again = cluster.kubectl("apply", "--kustomize", K8S)
        changed = [line for line in again.out.splitlines() if not line.endswith(" unchanged")]
        # The number of replicas is the autoscaler's: applying again must not touch it.
        expect(not changed, "applied a second time, k8s/ changed something:", *changed)
        expect(cluster.get("deployment", RELEASE, namespace)["spec"]["replicas"] == 3, "the replicas were set back")
        cluster.kubectl("delete", "--kustomize", K8S)
