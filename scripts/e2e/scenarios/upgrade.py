"""The chart upgraded: from the previous version and back, and from one way of scaling or delivering to another."""

import json

from .. import chart
from ..api import Watch
from ..chart import RELEASE, ReadyCount
from ..failure import expect
from ..scenario import scenario

# The default of ten seconds for each pod would only make the lane longer.
QUICK = {"delivery": {"minReadySeconds": 2}}
SCALERS = ("HorizontalPodAutoscaler", "ScaledObject")
WORKLOADS = ("Deployment", "Rollout")
KINDS = "horizontalpodautoscalers,scaledobjects.keda.sh,deployments,rollouts.argoproj.io"


def image(cluster, namespace):
    """The image that the Deployment asks for."""
    return chart.deployment(cluster, namespace)["spec"]["template"]["spec"]["containers"][0]["image"]


def watched(cluster, namespace, what, act, replicas=3):
    """Does something while every change of the pods is looked at: never were fewer ready than are wanted."""
    count = ReadyCount()
    with Watch(cluster.api, chart.pods_path(namespace), count):
        act()
        chart.wait_available(cluster, namespace, replicas)
    expect(count.fewest >= replicas, f"during {what} only {count.fewest} of {replicas} pods were ready")
    expect(count.most > replicas, f"{what} made no new pod, so nothing was shown")


@scenario
def upgrade(cluster):
    """helm upgrade from an older version, and helm rollback: at no moment fewer than three pods ready"""
    with cluster.namespace("upgrade") as namespace:
        options = ("--wait", "--timeout", "120s")
        chart.install(cluster, namespace, QUICK, *options, chart=chart.older(cluster, "0.0.9"))
        chart.wait_available(cluster, namespace, 3)
        before = image(cluster, namespace)
        watched(cluster, namespace, "the upgrade", lambda: chart.install(cluster, namespace, QUICK, *options))
        after = image(cluster, namespace)
        expect(before.endswith(":0.0.9") and before != after, f"the upgrade went from {before} to {after}")
        images = {it["spec"]["containers"][0]["image"] for it in chart.pods(cluster, namespace)}
        expect(images == {after}, f"after the upgrade pods run {images}")
        back = ("rollback", RELEASE, "1", "--namespace", namespace, *options)
        watched(cluster, namespace, "the rollback", lambda: cluster.helm(*back))
        expect(image(cluster, namespace) == before, f"the rollback left {image(cluster, namespace)}")
        chart.uninstall(cluster, namespace)


@scenario
def configuration(cluster):
    """helm upgrade with another model: ml-config changes and new pods come; a value that the pods do not read rolls nothing"""
    with cluster.namespace("configuration") as namespace:
        chart.install(cluster, namespace, QUICK)
        chart.wait_available(cluster, namespace, 3)
        other = QUICK | {"model": {"name": "digits"}}
        watched(cluster, namespace, "the change of the model", lambda: chart.install(cluster, namespace, other))
        data = cluster.get("configmap", "ml-config", namespace)["data"]
        expect(data["model_name"] == "digits", "ml-config was not changed:", data)
        names = {it["metadata"]["name"] for it in chart.pods(cluster, namespace)}
        chart.install(cluster, namespace, other | {"autoscaling": {"maxReplicas": 21}, "networkPolicy": {"podIdentity": True}})
        chart.wait_available(cluster, namespace, 3)
        again = {it["metadata"]["name"] for it in chart.pods(cluster, namespace)}
        expect(names == again, "another maximum of replicas and another policy replaced pods")
        chart.uninstall(cluster, namespace)


@scenario
def modes(cluster):
    """helm upgrade between the ways of scaling and of delivering: exactly one scaler, on the one workload, after each"""
    cluster.install_crds(*chart.GROUPS)
    with cluster.namespace("modes") as namespace:
        canary = {"trafficRouting": "none", "analysis": {"enabled": False}}
        routed = {"delivery": QUICK["delivery"] | {"mode": "canary", "canary": canary}}
        steps = [
            ("hpa", QUICK, "Deployment"), ("cpu", QUICK, "Deployment"), ("keda", QUICK, "Deployment"),
            ("none", QUICK, "Deployment"), ("hpa", routed, "Rollout"), ("keda", routed, "Rollout"), ("hpa", QUICK, "Deployment"),
        ]  # fmt: skip
        for mode, delivery, workload in steps:
            chart.install(cluster, namespace, delivery | {"autoscaling": {"mode": mode}})
            check_one(cluster, namespace, mode, workload)
            if workload == "Deployment":
                # A mode that leaves the number alone must not lower it: helm takes the field away, the API server keeps it.
                chart.wait_available(cluster, namespace, 3)
        kept = {f"ConfigMap/{it['metadata']['name']}" for it in cluster.list("configmaps", namespace) if it.get("immutable")}
        expect(kept, "the ConfigMap of the Rollout's revision did not stay")
        chart.uninstall(cluster, namespace, kept)


def check_one(cluster, namespace, mode, workload):
    """What scales and what runs the pods, each exactly once, and the first points at the second."""
    found = cluster.list(KINDS, namespace)
    # KEDA makes an autoscaler of its own where it runs; here nobody does.
    scalers = [it for it in found if it["kind"] in SCALERS]
    kind = {"hpa": "HorizontalPodAutoscaler", "cpu": "HorizontalPodAutoscaler", "keda": "ScaledObject", "none": None}[mode]
    expect([it["kind"] for it in scalers] == [kind] * bool(kind), f"in mode {mode} there are scalers:", names(scalers))
    workloads = [it for it in found if it["kind"] in WORKLOADS]
    expect([it["kind"] for it in workloads] == [workload], f"instead of one {workload} there are:", names(workloads))
    for scaler in scalers:
        target = scaler["spec"]["scaleTargetRef"]
        aim = {"kind": workload, "name": workloads[0]["metadata"]["name"], "apiVersion": workloads[0]["apiVersion"]}
        expect(target == aim, f"in mode {mode} the scaler points elsewhere:", json.dumps(target))
    metrics = {it["type"] for scaler in scalers for it in scaler["spec"].get("metrics", [])}
    expect(("Pods" in metrics) == (mode == "hpa"), f"in mode {mode} the autoscaler asks for {metrics}")


def names(found):
    """Kinds and names, for a sentence."""
    return [f"{it['kind']}/{it['metadata']['name']}" for it in found]
