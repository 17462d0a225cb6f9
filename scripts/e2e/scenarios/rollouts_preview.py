"""Blue-green by the real Argo Rollouts, with golden predictions asked of our own binary."""

import json
import re

import yaml

from .. import argo, chart
from ..chart import RELEASE
from ..failure import expect
from ..scenario import scenario
from ..series import Counters, Profile
from ..server import Server

PREVIEW = f"{RELEASE}-preview"
REPLICAS = 3


def golden():
    """The golden predictions of the chart's defaults."""
    return yaml.safe_load((chart.CHART / "values.yaml").read_text())["delivery"]["blueGreen"]["analysis"]["golden"]


def values(server, tag, expected=None):
    """The values of a release whose preview is our server, and with another expectation if need be."""
    asked = [it | ({} if expected is None else {"expected": expected}) for it in golden()]
    return {
        "image": {"tag": tag},
        "delivery": {
            "mode": "blueGreen", "minReadySeconds": 1,
            "blueGreen": {"scaleDownDelaySeconds": 5, "analysis": {"address": server.url, "golden": asked}},
        },
    }  # fmt: skip


def services(cluster, namespace):
    """The revisions behind the active and the preview Service."""
    return [argo.service_hash(cluster, namespace, it) for it in (RELEASE, PREVIEW)]


@scenario
def blue_green(cluster):
    """golden predictions of our binary let a preview wait for promotion, which switches the Service; a wrong answer stops it"""
    controller, serving = argo.Controller(cluster, routes=False), Server(cluster, "fraud-detector")
    with controller, serving as server, cluster.namespace("blue-green") as namespace:
        check_series(server)
        chart.install(cluster, namespace, values(server, "1.0.0"))
        first = argo.wait_phase(cluster, namespace, "Healthy")["status"]["stableRS"]
        cluster.wait("three replicas", lambda: len(argo.pods(cluster, namespace, first)) == REPLICAS)
        second = promoted(cluster, namespace, server, first)
        refused(cluster, namespace, server, second)
        chart.uninstall(cluster, namespace, argo.configurations(cluster, namespace))


def promoted(cluster, namespace, server, first):
    """A version that answers right waits, beside the one that serves, until somebody promotes it."""
    chart.install(cluster, namespace, values(server, "1.1.0"))
    cluster.wait("the preview Service to lead to the new version", lambda: services(cluster, namespace)[1] not in (None, first))
    second = services(cluster, namespace)[1]
    metrics = argo.wait_analysis(cluster, namespace, second, "Successful")
    [result] = metrics.values()
    seen = [float(it["value"]) for it in result["measurements"]]
    [asked] = golden()
    is_golden = [abs(it - asked["expected"]) <= asked["tolerance"] for it in seen]
    expect(is_golden == [True] * 3, "the binary predicts something else:", seen)
    argo.wait_phase(cluster, namespace, "Paused")
    reasons = argo.pauses(cluster, namespace)
    expect(reasons == ["BlueGreenPause"], "it waits for something else:", reasons)
    expect(services(cluster, namespace) == [first, second], "the Service was switched before the promotion")
    # previewReplicaCount: one until it is promoted.
    expect(len(argo.pods(cluster, namespace, second)) == 1, "the preview has more than one pod")
    argo.patch_status(cluster, namespace, pauseConditions=None)
    cluster.wait("the Service to lead to the promoted version", lambda: services(cluster, namespace)[0] == second, 60, 0.05)
    ready = [it for it in argo.pods(cluster, namespace, second) if chart.is_ready(it)]
    old = [it for it in argo.pods(cluster, namespace, first) if chart.is_ready(it)]
    expect(len(ready) == REPLICAS, f"at the switch {len(ready)} pods of the new version were ready, not three")
    expect(len(old) == REPLICAS, f"at the switch {len(old)} pods of the old version were left, and requests on their way lost")
    argo.wait_phase(cluster, namespace, "Healthy")
    cluster.wait("the old version's pods to go", lambda: not argo.pods(cluster, namespace, first))
    return second


def refused(cluster, namespace, server, second):
    """A version whose answer is not the golden one."""
    before = {it["metadata"]["uid"] for it in argo.pods(cluster, namespace, second)}
    chart.install(cluster, namespace, values(server, "1.2.0-wrong", 0.5))
    cluster.wait("the preview Service to lead to the wrong version", lambda: services(cluster, namespace)[1] != second)
    third = services(cluster, namespace)[1]
    metrics = argo.wait_analysis(cluster, namespace, third, "Failed")
    expect(all((it["phase"], it["failed"]) == ("Failed", 1) for it in metrics.values()), "the analysis says something else:", metrics)
    argo.wait_phase(cluster, namespace, "Degraded")
    expect(services(cluster, namespace)[0] == second, "the Service was switched to a version that predicts wrongly")
    after = {it["metadata"]["uid"] for it in argo.pods(cluster, namespace, second) if chart.is_ready(it)}
    expect(after == before, "the pods that serve are others, or fewer")


def shapes(text):
    """The names of series with the names of their labels."""
    found = re.findall(r"^([a-z_]+)\{([^}]*)\}", text, re.M)
    return {(name, frozenset(re.findall(r'([a-z_]+)="', labels))) for name, labels in found}


def check_series(server):
    """The series that scenarios make up for pods are such as the binary writes: each name, each label, each bound."""
    [asked] = golden()
    server.predict(asked["path"], json.dumps(asked["body"]))
    real, made = server.metrics(), Counters()
    made.advance(Profile(requests=1), 1)
    unknown = shapes(made.text()) - shapes(real)
    expect(not unknown, "the binary writes no such series:", unknown)
    bounds = [set(re.findall(r'^http_request_duration_seconds_bucket\{.*le="([^"]+)"', it, re.M)) for it in (real, made.text())]
    expect(bounds[0] == bounds[1], "the binary has other bounds:", bounds)
