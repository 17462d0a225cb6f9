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
    """3 to 7 to 8 replicas for 800 requests a second, by the shipped behaviour; without CPU metrics it grows and never shrinks"""
    cluster.install_crds("prometheus-operator")
    load = Load()
    with cluster.namespace("scale-requests") as namespace:
        chart.install(cluster, namespace, MONITOR)
        chart.wait_available(cluster, namespace, 3)
        check_shipped(cluster, namespace)
        with Fleet(cluster, [namespace], load) as fleet, Prometheus(cluster, fleet) as prometheus:
            blind = lambda: (reason(cluster, namespace) or "").startswith("FailedGet")  # noqa: E731
            cluster.wait("the autoscaler to say that it has no metrics", blind)
            with Adapter(cluster, prometheus) as adapter:
                adapter.serve(CUSTOM)
                grow(cluster, namespace, load)
                # Nobody serves metrics.k8s.io: what is known could lie, so that nothing is taken away.
                load.totals = {}
                chart.install(cluster, namespace, MONITOR | {"autoscaling": {"behavior": {"scaleDown": QUICK_DOWN}}})
                cluster.wait("the requests to be gone", lambda: current(cluster, namespace).get("http_requests_per_second") == 0)
                stays(cluster, namespace, 8, 15, "CPU and memory are not known")
                why = reason(cluster, namespace)
                expect(why == "FailedGetResourceMetric", "the autoscaler gives another reason for holding still:", why)
                adapter.serve(RESOURCE)
                cluster.wait("3 replicas again once CPU and memory are known", lambda: wanted(cluster, namespace) == 3)
        chart.uninstall(cluster, namespace)


def grow(cluster, namespace, load):
    """800 requests a second want 8 replicas: four more after a minute of it, the eighth a minute later, and no sooner. Of seven
    each has 114: up to a tenth over its target would be tolerated."""
    cluster.wait("the autoscaler to see no requests", lambda: current(cluster, namespace).get("http_requests_per_second") == 0)
    load.totals = {"requests": 800}
    begun = time.monotonic()
    steps, last = [], 3
    while last < 8:
        now = cluster.wait(f"more than {last} replicas", lambda: wanted(cluster, namespace) != last and wanted(cluster, namespace), 100)
        steps.append((now, time.monotonic() - begun))
        last = now
    counts, times = [it[0] for it in steps], [it[1] for it in steps]
    # Where the mean still rises there is a step between, as the least that was wanted in the last minute is what counts.
    expect(7 in counts and counts == sorted(counts) and counts[-1] == 8, "it grew by other steps than 3 to 7 to 8:", steps)
    expect(times[0] > PERIOD - SLACK and times[-1] - times[0] > PERIOD - SLACK, "it grew faster than the behaviour allows:", steps)
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
        fleet = Fleet(cluster, [namespace], load)
        with fleet, Prometheus(cluster, fleet) as prometheus, Adapter(cluster, prometheus) as adapter:
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
    """by CPU up and down; constant memory above its target holds the maximum for ever, below it does nothing"""
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

            def answer(wait, in_flight, when):
                def answers():
                    asked = {name: prometheus.query(it) for name, it in queries.items()}
                    return [round(it, 2) for it in asked["queue-wait"]] == wait and asked["in-flight"] == in_flight

                cluster.wait(f"the queries to answer {wait} and {in_flight} {when}", answers, 40)

            answer([0], [0], "without traffic")
            load.totals = {"requests": 30, "in_flight": 33, "queue_wait": 0.3}
            answer([0.1], [33], "under load")
            load.totals = {}
            answer([0], [0], "without traffic again")
            for way, when in (("dark", "where no pod answers a scrape"), ("hidden", "where no pod is found")):
                setattr(fleet, way, True)
                answer([], [], when)
                setattr(fleet, way, False)
                answer([0], [0], "when they are back")
        chart.uninstall(cluster, namespace)
