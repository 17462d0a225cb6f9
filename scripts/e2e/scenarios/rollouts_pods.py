"""Rollouts where nobody divides the traffic."""

import contextlib

from .. import argo, chart
from ..api import Watch
from ..chart import RELEASE, ReadyCount
from ..failure import expect
from ..scenario import scenario

# Replicas, and what 10 % of them are: pods of the canary, and of stable beside it.
SHARES = {10: (1, 9), 3: (1, 3)}
# By default, of a Deployment and of a Rollout.
REPLICAS = 3


def values(tag, replicas):
    """The values of a canary that waits at 10 % for a person."""
    steps = [{"setWeight": 10}, {"pause": {}}, {"setWeight": 100}]
    canary = {"trafficRouting": "none", "analysis": {"enabled": False}, "steps": steps}
    return {
        "image": {"tag": tag}, "autoscaling": {"mode": "none"}, "replicaCount": replicas,
        "delivery": {"mode": "canary", "minReadySeconds": 1, "canary": canary},
    }  # fmt: skip


@scenario
def canary_by_pods(cluster):
    """without the plugin a weight is a share of the pods: 10 % of ten replicas are one in ten, of three one in four"""
    with contextlib.ExitStack() as stack:
        stack.enter_context(argo.Controller(cluster, routes=False))
        places = {stack.enter_context(cluster.namespace(f"canary-of-{it}")): it for it in SHARES}
        for namespace, replicas in places.items():
            chart.install(cluster, namespace, values("1.0.0", replicas))
        stable = {it: argo.wait_phase(cluster, it, "Healthy")["status"]["stableRS"] for it in places}
        for namespace, replicas in places.items():
            chart.install(cluster, namespace, values("1.1.0", replicas))
        for namespace, replicas in places.items():
            canary = argo.wait_phase(cluster, namespace, "Paused")["status"]["currentPodHash"]
            wanted, old = SHARES[replicas], stable[namespace]
            counts = lambda: tuple(len(argo.pods(cluster, namespace, it)) for it in (canary, old))  # noqa: B023, E731
            cluster.wait(f"{wanted[0]} pod of the canary and {wanted[1]} of stable", lambda: counts() == wanted)  # noqa: B023
            argo.patch_status(cluster, namespace, pauseConditions=None)
        for namespace in places:
            now = argo.wait_phase(cluster, namespace, "Healthy")
            expect(now["status"]["stableRS"] != stable[namespace], f"the canary in {namespace} was not promoted")
            chart.uninstall(cluster, namespace, argo.configurations(cluster, namespace))


@scenario
def migration(cluster):
    """from a Deployment to a Rollout as docs/kubernetes.md says: at no moment fewer than three pods ready, at the end the Rollout's alone"""
    canary = {"trafficRouting": "none", "analysis": {"enabled": False}}
    delivery = {"minReadySeconds": 1}
    with argo.Controller(cluster, routes=False), cluster.namespace("migration") as namespace:
        chart.install(cluster, namespace, {"delivery": delivery})
        chart.wait_available(cluster, namespace, REPLICAS)
        cluster.kubectl("annotate", "deployment", RELEASE, "helm.sh/resource-policy=keep", "--namespace", namespace)
        count = ReadyCount()
        with Watch(cluster.api, chart.pods_path(namespace), count):
            chart.install(cluster, namespace, {"delivery": delivery | {"mode": "canary", "canary": canary}})
            stable = argo.wait_phase(cluster, namespace, "Healthy")["status"]["stableRS"]
            ready = lambda: sum(map(chart.is_ready, argo.pods(cluster, namespace, stable))) == REPLICAS  # noqa: E731
            cluster.wait("the Rollout to have all its pods", ready)
            expect(chart.deployment(cluster, namespace), "helm deleted the Deployment")
            cluster.kubectl("delete", "deployment", RELEASE, "--namespace", namespace)
            cluster.wait("the Deployment's pods to go", lambda: len(chart.pods(cluster, namespace)) == REPLICAS)
        expect(count.fewest >= REPLICAS, f"only {count.fewest} of {REPLICAS} pods were ready in between")
        expect(count.most >= 2 * REPLICAS, f"there were never more than {count.most} pods, so nothing was shown")
        chart.uninstall(cluster, namespace, argo.configurations(cluster, namespace))
