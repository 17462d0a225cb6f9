"""Autoscaling: the chart's HorizontalPodAutoscaler by a real Prometheus and its adapter, and the queries of its ScaledObject."""

import time

from .. import chart
from ..chart import RELEASE
from ..failure import expect
from ..prometheus import CUSTOM, RESOURCE, Adapter, Prometheus, shortened
from ..scenario import scenario
from ..series import MIB, Fleet, Profile

MONITOR = {"metrics": {"monitor": {"enabled": True}}}
AT_ONCE = [{"type": "Percent", "value": 100, "periodSeconds": 1}]
QUICK_UP = {"stabilizationWindowSeconds": 0, "policies": AT_ONCE}
QUICK_DOWN = {"stabilizationWindowSeconds": 0, "policies": AT_ONCE}
QUICK = {"scaleUp": QUICK_UP, "scaleDown": QUICK_DOWN}
# A step of four needs 60 s: less, and the behaviour does not hold. What is seen late by a busy machine is no fault.
PERIOD, SLACK = 60, 3


class Load:
    """What a namespace's clients ask for, all together: the pods that are ready share it."""

    def __init__(self, **totals):
        self.totals = totals

    def __call__(self, _namespace, pods):
        totals = self.totals
        share = Profile(
            requests=totals.get("requests", 0) / max(len(pods), 1), in_flight=round(totals.get("in_flight", 0) / max(len(pods), 1)),
            queue_wait=totals.get("queue_wait", 0) / max(len(pods), 1), cores=totals.get("cores", 0.15) / max(len(pods), 1),
            memory=totals.get("memory", 200 * MIB),
        )  # fmt: skip
        return {it["metadata"]["name"]: share for it in pods}


def scaler(cluster, namespace):
    """The autoscaler as it is now."""
    return cluster.api.get(f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers/{RELEASE}")


def wanted(cluster, namespace):
    """How many replicas it wants now."""
    return chart.deployment(cluster, namespace)["spec"]["replicas"]


def current(cluster, namespace):
    """What it sees, by the names of its metrics, in the units of its targets; a metric that it cannot get is not there."""
    seen = {}
    for it in scaler(cluster, namespace)["status"].get("currentMetrics") or []:
        if it["type"] == "Pods":
            seen[it["pods"]["metric"]["name"]] = quantity(it["pods"]["current"]["averageValue"])
        elif it["type"] == "Resource" and "averageUtilization" in it["resource"]["current"]:
            seen[it["resource"]["name"]] = it["resource"]["current"]["averageUtilization"]
    return seen


def quantity(text):
    """A quantity such as `250m` as a number."""
    return float(text[:-1]) / 1000 if text.endswith("m") else float(text)


def reason(cluster, namespace):
    """Why the autoscaler does not act; None where it does."""
    conditions = scaler(cluster, namespace).get("status", {}).get("conditions", [])
    return next((it["reason"] for it in conditions if it["type"] == "ScalingActive" and it["status"] != "True"), None)


def stays(cluster, namespace, replicas, seconds, why):
    """Looks for so many seconds whether the number of replicas stays."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        seen = wanted(cluster, namespace)
        expect(seen == replicas, f"{why}: expected {replicas} replicas to stay for {seconds} s, and saw {seen}")
        cluster.processes.check()
        time.sleep(0.5)


def check_shipped(cluster, namespace):
    """The numbers of the brief, on the object."""
    spec = scaler(cluster, namespace)["spec"]
    behavior = {key: {it: value[it] for it in ("stabilizationWindowSeconds", "policies")} for key, value in spec["behavior"].items()}
    expect(behavior == {
        "scaleUp": {"stabilizationWindowSeconds": 60, "policies": [{"type": "Pods", "value": 4, "periodSeconds": 60}]},
        "scaleDown": {"stabilizationWindowSeconds": 300, "policies": [
            {"type": "Pods", "value": 1, "periodSeconds": 60}, {"type": "Percent", "value": 10, "periodSeconds": 60}]},
    }, "the autoscaler's behaviour is another:", behavior)  # fmt: skip
    targets = {it["type"] + "/" + (it.get("resource") or it["pods"]["metric"])["name"] for it in spec["metrics"]}
    expect(targets == {"Resource/cpu", "Resource/memory", "Pods/http_requests_per_second"}, "it has other metrics:", targets)


@scenario
def scale_by_requests(cluster):
    """3 to 7 to 8 replicas by 100 requests a second and pod, by the shipped behaviour; lost CPU metrics hold the number, not the growth"""
    cluster.install_crds("prometheus-operator")
    load = Load()
    with cluster.namespace("scale-requests") as namespace:
        chart.install(cluster, namespace, MONITOR)
        chart.wait_available(cluster, namespace, 3)
        check_shipped(cluster, namespace)
        with Fleet(cluster, [namespace], load) as fleet, Prometheus(cluster, fleet) as prometheus:
            cluster.wait("the autoscaler to say that it has no metrics", lambda: (reason(cluster, namespace) or "").startswith("FailedGet"))
            with Adapter(cluster, prometheus) as adapter:
                adapter.serve(CUSTOM)
                grow(cluster, namespace, load)
                # Nobody serves metrics.k8s.io: what is known could lie, so that nothing is taken away.
                load.totals = {}
                chart.install(cluster, namespace, MONITOR | {"autoscaling": {"behavior": {"scaleDown": QUICK_DOWN}}})
                cluster.wait("the requests to be gone", lambda: current(cluster, namespace).get("http_requests_per_second") == 0)
                stays(cluster, namespace, 8, 15, "CPU and memory are not known")
                expect("FailedGetResourceMetric" == reason(cluster, namespace), "the autoscaler does not say why it holds still:", scaler(cluster, namespace)["status"])
                adapter.serve(RESOURCE)
                cluster.wait("3 replicas again once CPU and memory are known", lambda: wanted(cluster, namespace) == 3)
        chart.uninstall(cluster, namespace)


def grow(cluster, namespace, load):
    """800 requests a second want 8 replicas: four more after a minute of it, the eighth a minute later, and no sooner. (Of 7 each has 114: a
    tenth over its target would be tolerated.)"""
    cluster.wait("the autoscaler to see no requests", lambda: current(cluster, namespace).get("http_requests_per_second") == 0)
    load.totals = {"requests": 800}
    begun = time.monotonic()
    steps, last = [], 3
    while last < 8:
        now = cluster.wait(f"more than {last} replicas", lambda: wanted(cluster, namespace) != last and wanted(cluster, namespace), 100)
        steps.append((now, time.monotonic() - begun))
        last = now
    counts, times = [it[0] for it in steps], [it[1] for it in steps]
    expect(counts == [7, 8], "the steps are others than 3 to 7 to 8:", steps)
    expect(times[0] > PERIOD - SLACK and times[1] - times[0] > PERIOD - SLACK, "it grew faster than the behaviour allows:", steps)
    cluster.wait("the load to be shared", lambda: 95 < current(cluster, namespace).get("http_requests_per_second", 0) < 105)


@scenario
def scale_by_queue(cluster):
    """with a GPU: replicas by the predictions in flight, by the time that predictions wait, and down again without load"""
    cluster.install_crds("prometheus-operator")
    load = Load()
    values = MONITOR | {"gpu": {"enabled": True}, "autoscaling": {"behavior": QUICK}}
    with cluster.namespace("scale-queue") as namespace:
        chart.install(cluster, namespace, values)
        chart.wait_available(cluster, namespace, 3)
        with Fleet(cluster, [namespace], load) as fleet, Prometheus(cluster, fleet) as prometheus, Adapter(cluster, prometheus) as adapter:
            adapter.serve(CUSTOM)
            idle = {"inference_queue_wait_seconds": 0, "inference_in_flight": 0}
            cluster.wait("both metrics, at zero without traffic", lambda: current(cluster, namespace) == idle)
            load.totals = {"requests": 60, "in_flight": 96}
            cluster.wait("6 replicas for 96 predictions in flight", lambda: wanted(cluster, namespace) == 6)
            # 50 ms for each of eight.
            load.totals = {"requests": 60, "in_flight": 16, "queue_wait": 0.4}
            cluster.wait("8 replicas for predictions that wait", lambda: wanted(cluster, namespace) == 8)
            load.totals = {}
            cluster.wait("3 replicas without load", lambda: wanted(cluster, namespace) == 3)
        chart.uninstall(cluster, namespace)


@scenario
def scale_by_resources(cluster):
    """by CPU up and down; memory that is constant: above its target the number stays at the maximum for ever, below it does nothing"""
    cluster.install_crds("prometheus-operator")
    loads = {"scale-cpu": Load(memory=300 * MIB), "scale-memory": Load(memory=480 * MIB)}
    values = MONITOR | {"autoscaling": {"mode": "cpu", "maxReplicas": 6, "behavior": QUICK}}
    with cluster.namespace("scale-cpu") as cpu, cluster.namespace("scale-memory") as memory:
        for namespace in loads:
            chart.install(cluster, namespace, values)
        fleet = Fleet(cluster, list(loads), lambda namespace, pods: loads[namespace](namespace, pods))
        with fleet, Prometheus(cluster, fleet) as prometheus, Adapter(cluster, prometheus) as adapter:
            adapter.serve(RESOURCE)
            # 480 of the 512 MiB that are asked for, in each pod, however many there are: 93 % of 80 %.
            cluster.wait("constant memory to drive the replicas to their maximum", lambda: wanted(cluster, memory) == 6, 90)
            stays(cluster, memory, 6, 8, "memory does not fall by more replicas")
            stays(cluster, cpu, 3, 5, "300 of 512 MiB are less than 80 %")
            expect(50 < current(cluster, cpu)["memory"] < 65, "memory is not what the pods hold:", current(cluster, cpu))
            loads[cpu].totals = {"cores": 1.75, "memory": 300 * MIB}
            cluster.wait("5 replicas for 1.75 cores, of which each may use 0.35", lambda: wanted(cluster, cpu) == 5, 90)
            loads[cpu].totals = {"memory": 300 * MIB}
            cluster.wait("3 replicas without load", lambda: wanted(cluster, cpu) == 3, 90)
            without = {"autoscaling": values["autoscaling"] | {"targetMemory": 0}}
            chart.install(cluster, memory, values | without)
            cluster.wait("3 replicas once memory is no signal", lambda: wanted(cluster, memory) == 3, 90)
        for namespace in loads:
            chart.uninstall(cluster, namespace)


@scenario
def keda_queries(cluster):
    """the ScaledObject is accepted, and its queries give a value under load, 0 without, and nothing once the targets are lost"""
    cluster.install_crds("prometheus-operator", "keda")
    load = Load()
    with cluster.namespace("scale-keda") as namespace:
        chart.install(cluster, namespace, MONITOR | {"autoscaling": {"mode": "keda"}})
        cluster.kubectl("scale", "deployment", RELEASE, "--replicas=3", "--namespace", namespace)
        chart.wait_available(cluster, namespace, 3)
        triggers = {it["name"]: it["metadata"] for it in cluster.get("scaledobject", RELEASE, namespace)["spec"]["triggers"]}
        expect(all(it["ignoreNullValues"] == "false" for it in triggers.values()), "an empty answer would count as 0:", triggers)
        queries = {name: shortened(it["query"]) for name, it in triggers.items()}
        with Fleet(cluster, [namespace], load) as fleet, Prometheus(cluster, fleet) as prometheus:

            def wait(what, holds):
                def answers():
                    return {name: prometheus.query(it) for name, it in queries.items()}

                cluster.wait(f"the queries to be {what} (they are {answers()})", lambda: holds(answers()), 40)

            wait("0 without traffic", lambda it: it == {"queue-wait": [0], "in-flight": [0]})
            load.totals = {"requests": 30, "in_flight": 33, "queue_wait": 0.3}
            wait("what the load is", lambda it: it["in-flight"] == [33] and len(it["queue-wait"]) == 1 and abs(it["queue-wait"][0] - 0.1) < 0.005)
            load.totals = {}
            wait("0 without traffic again", lambda it: it == {"queue-wait": [0], "in-flight": [0]})
            for way, name in (("dark", "no pod answers a scrape"), ("hidden", "no pod is found")):
                setattr(fleet, way, True)
                wait(f"without an answer when {name}", lambda it: it == {"queue-wait": [], "in-flight": []})
                setattr(fleet, way, False)
                wait("0 again", lambda it: it == {"queue-wait": [0], "in-flight": [0]})
        chart.uninstall(cluster, namespace)
