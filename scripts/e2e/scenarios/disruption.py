"""The disruption budget, by the eviction API and by a real drain."""

import contextlib

from .. import chart, nodes
from ..api import Watch
from ..chart import PODS, ReadyCount
from ..failure import expect
from ..scenario import scenario

QUICK = {"delivery": {"minReadySeconds": 2}}
STRATEGIC = "application/strategic-merge-patch+json"


@contextlib.contextmanager
def cordoned(cluster, names):
    """No new pods on these nodes until the block ends."""
    cluster.kubectl("cordon", *names)
    try:
        yield
    finally:
        cluster.kubectl("uncordon", *names)


def evict(cluster, namespace, name):
    """The status of an eviction, and what was said."""
    path = f"/api/v1/namespaces/{namespace}/pods/{name}/eviction"
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace}}
    status, answer = cluster.api.call("POST", path, body)
    return status, answer.get("message", "")


def all_nodes():
    """The names of all nodes."""
    return [it["metadata"]["name"] for it in nodes.nodes()]


@scenario
def evictions(cluster):
    """One eviction passes, the next is refused until there is a replacement, and a pod that is not ready holds up none"""
    with cluster.namespace("evictions") as namespace:
        chart.install(cluster, namespace, QUICK)
        chart.wait_available(cluster, namespace, 3)
        first, second, third = sorted(it["metadata"]["name"] for it in chart.pods(cluster, namespace))
        path = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/{chart.RELEASE}"

        def allowed(number):
            budget = cluster.api.get(path)
            status = budget.get("status", {})
            current = status.get("observedGeneration") == budget["metadata"]["generation"]
            return current and status["expectedPods"] == 3 and status["disruptionsAllowed"] == number

        cluster.wait("the budget to allow one disruption", lambda: allowed(1))
        # Where no node takes it, the replacement waits, and the state in between stays to be looked at.
        with cordoned(cluster, all_nodes()):
            status, said = evict(cluster, namespace, first)
            expect(status == 201, f"the first eviction was answered by {status}: {said}")
            status, said = evict(cluster, namespace, second)
            expect(status == 429 and "disruption budget" in said, f"the second eviction was answered by {status}: {said}")
            cluster.wait("the budget to allow none", lambda: allowed(0))
            status, said = evict(cluster, namespace, third)
            expect(status == 429 and "disruption budget" in said, f"a later eviction was answered by {status}: {said}")
            lose(cluster, namespace, second)
            cluster.wait("the budget to count one healthy pod", lambda: cluster.api.get(path)["status"]["currentHealthy"] == 1)
            status, said = evict(cluster, namespace, second)
            expect(status == 201, f"the eviction of a pod that is not ready was answered by {status}: {said}")
        chart.wait_available(cluster, namespace, 3)
        cluster.wait("the budget to allow one disruption again", lambda: allowed(1))
        status, said = evict(cluster, namespace, third)
        expect(status == 201, f"the eviction after the replacement was answered by {status}: {said}")
        chart.wait_available(cluster, namespace, 3)
        chart.uninstall(cluster, namespace)


def lose(cluster, namespace, name):
    """Lets a running pod become unready, as its kubelet would when a probe fails."""
    conditions = [{"type": kind, "status": "False"} for kind in ("Ready", "ContainersReady")]
    path = f"/api/v1/namespaces/{namespace}/pods/{name}/status"
    status, answer = cluster.api.call("PATCH", path, {"status": {"conditions": conditions}}, STRATEGIC)
    expect(status == 200, f"the status of {name} could not be set: {answer}")


@scenario
def drain(cluster):
    """kubectl drain of a node with all three pods: they leave one by one, and two are ready at every moment"""
    node, *others = all_nodes()
    with cluster.namespace("drain") as namespace:
        with cordoned(cluster, others):
            chart.install(cluster, namespace, QUICK)
            chart.wait_available(cluster, namespace, 3)
        places = {it["spec"]["nodeName"] for it in chart.pods(cluster, namespace)}
        expect(places == {node}, f"the pods are not all on {node}, but on {places}")
        count = ReadyCount()
        with Watch(cluster.api, chart.pods_path(namespace), count), cordoned(cluster, [node]):
            cluster.kubectl("drain", node, "--delete-emptydir-data", "--pod-selector", PODS, "--timeout", "120s")
            chart.wait_available(cluster, namespace, 3)
            places = {it["spec"]["nodeName"] for it in chart.pods(cluster, namespace)}
            expect(node not in places, f"after the drain there are pods on {node}")
        expect(count.fewest == 2, f"the drain left {count.fewest} pods ready at some moment, not two")
        chart.uninstall(cluster, namespace)
