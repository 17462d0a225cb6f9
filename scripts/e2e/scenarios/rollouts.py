"""Progressive delivery by the real Argo Rollouts, judged by a real Prometheus: canaries whose weights are shares of pods, and such
with weights of the Gateway API."""

import contextlib
import json
import math
import time

from .. import argo, chart
from ..api import Watch
from ..chart import RELEASE
from ..failure import Failure, expect
from ..prometheus import WINDOW, Prometheus
from ..scenario import by_name, scenario
from ..series import Fleet, Profile

CANARY_SERVICE = f"{RELEASE}-canary"
REPLICAS = 3
# Of which 10, 30 and 60 % are whole pods.
REPLICAS_BY_PODS = 10
WEIGHTS = [10, 30, 60, 100]
OTHER_MODEL = {"model": {"name": "ticket-topic"}}
# The first pause in seconds of a good version, of one that is not known to be, and of one that does not come to its end. Prometheus
# learns of new pods within five: that pause and the beginning of the analysis leave it time.
GOOD, UNKNOWN, LONG = 15, 30, 300
ANALYSIS = {
    "interval": "2s", "initialDelay": "10s", "failureLimit": 1, "inconclusiveLimit": 2, "window": WINDOW, "minRequests": 100,
    "predictionWindow": WINDOW, "minPredictions": 100,
}  # fmt: skip
REQUESTS = 400  # a second, of all clients
SLOW = 0.25
# What the pods of each image do; the route's weights say how much of it they get.
VERSIONS = {
    "1.0.0": {"seconds": SLOW}, "1.1.0": {"seconds": SLOW}, "1.2.0-failing": {"seconds": SLOW, "failures": 0.05},
    "1.3.0-slow": {"seconds": 3 * SLOW}, "1.4.0-shifted": {"seconds": SLOW, "labels": {"legitimate": 0.6, "fraud": 0.4}},
    "1.5.0-unready": {}, "1.6.0-unknown": {"seconds": SLOW}, "1.7.0-touched": {"seconds": SLOW},
}  # fmt: skip
# By what each bad one is found.
BAD = {"1.2.0-failing": "error-ratio", "1.3.0-slow": "p99", "1.4.0-shifted": "predictions"}


def steps(first):
    """The chart's steps with other pauses, in seconds: the first one, and six for the others."""
    pauses = {10: first, 30: 6, 60: 6}
    parts = [[{"setWeight": it}, {"pause": {"duration": f"{pauses[it]}s"}}] for it in WEIGHTS[:-1]]
    return [*(part for pair in parts for part in pair), {"setWeight": WEIGHTS[-1]}]


def values(prometheus, tag, first=LONG, **more):
    """The values of a canary, with short pauses."""
    return {
        "image": {"tag": tag}, "prometheus": {"address": prometheus.url}, "metrics": {"monitor": {"enabled": True}},
        "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}], "grpc": True},
        # A pod that has not started within these seconds has failed.
        "probes": {"startup": {"periodSeconds": 1, "failureThreshold": 5}},
        "delivery": {
            "mode": "canary", "minReadySeconds": 1, "progressDeadlineSeconds": 15,
            "canary": {"steps": steps(first), "scaleDownDelaySeconds": 5, "analysis": ANALYSIS},
        },
    } | more  # fmt: skip


def route_path(namespace, kind, name=""):
    """Where the API server has a route of the Gateway API."""
    return f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/{kind}/{name}".rstrip("/")


def weights(route):
    """The weights of a route, by the Service."""
    return {it["name"]: it["weight"] for it in route["spec"]["rules"][0]["backendRefs"]}


class Gateway:
    """Divides the clients' requests as a gateway would: by the route's weights among the Services, and by their selectors among the
    pods that are ready."""

    def __init__(self, cluster):
        self.cluster, self.requests = cluster, REQUESTS

    def __call__(self, namespace, pods):
        profiles = {}
        route = self.cluster.api.get(route_path(namespace, "httproutes", RELEASE))
        shares = {name: 0.0 for name in (it["metadata"]["name"] for it in pods)}
        # Without a route clients come by the Service.
        for service, weight in (weights(route) if route else {RELEASE: 100}).items():
            wanted = argo.service_hash(self.cluster, namespace, service)
            behind = [it for it in pods if wanted in (None, it["metadata"]["labels"][argo.HASH])]
            for pod in behind:
                shares[pod["metadata"]["name"]] += self.requests * weight / 100 / len(behind)
        for pod in pods:
            tag = pod["spec"]["containers"][0]["image"].rsplit(":", 1)[1]
            profiles[pod["metadata"]["name"]] = Profile(requests=shares[pod["metadata"]["name"]], **VERSIONS[tag])
        return profiles


class Weights:
    """Given to a watch of routes: the canary's weights in the order in which they were set."""

    def __init__(self):
        self.seen = []

    def __call__(self, routes):
        for route in routes.values():
            found = weights(route)
            expect(sum(found.values()) == 100, "the weights are no 100 together:", found)
            if self.seen[-1:] != [found[CANARY_SERVICE]]:
                self.seen.append(found[CANARY_SERVICE])


class Delivery:
    """A release with canaries in a namespace, whose weights are set in its routes, and what its scenarios share."""

    replicas = REPLICAS
    values = staticmethod(values)

    def __init__(self, cluster, namespace, prometheus, gateway):
        self.cluster, self.namespace, self.prometheus, self.gateway = cluster, namespace, prometheus, gateway

    def leads_to(self, stable, canary_hash):
        """To which revisions the Services must lead while a canary goes on."""
        return {RELEASE: stable, CANARY_SERVICE: canary_hash}

    def kept(self, _canary_pods):
        """How many of stable's pods must be those that were there."""
        return self.replicas

    def upgrade(self, tag, **more):
        """helm upgrade to an image; returns the hash of its revision once the controller has begun."""
        before = (argo.rollout(self.cluster, self.namespace) or {}).get("status", {}).get("currentPodHash")
        chart.install(self.cluster, self.namespace, self.values(self.prometheus, tag, **more))

        def begun():
            now = argo.rollout(self.cluster, self.namespace)
            return argo.phase(now) and now["status"].get("currentPodHash") not in (None, before) and now

        return self.cluster.wait(f"the controller to begin with {tag}", begun)["status"]["currentPodHash"]

    def weight(self):
        """The canary's weight by the controller's own account."""
        status = argo.rollout(self.cluster, self.namespace)["status"]
        return status.get("canary", {}).get("weights", {}).get("canary", {}).get("weight", 0)

    def wait_weight(self, weight):
        """Waits for a step."""
        self.cluster.wait(f"the canary to get {weight} %", lambda: self.weight() == weight, 60, 0.1)

    def names(self, pod_hash):
        """The pods of a revision that are there and stay."""
        return {it["metadata"]["uid"] for it in argo.pods(self.cluster, self.namespace, pod_hash) if chart.is_ready(it)}

    @contextlib.contextmanager
    def watched(self, wanted):
        """Both routes get these weights in this order while the block goes on."""
        with contextlib.ExitStack() as stack:
            seen = {kind: Weights() for kind in ("httproutes", "grpcroutes")}
            for kind, recorder in seen.items():
                stack.enter_context(Watch(self.cluster.api, route_path(self.namespace, kind), recorder))
            yield
            with contextlib.suppress(Failure):
                self.cluster.wait("the weights", lambda: all(it.seen == wanted for it in seen.values()), 15)
            for kind, recorder in seen.items():
                expect(recorder.seen == wanted, f"the canary was to get {wanted} of the {kind}, and got {recorder.seen}")


class ByPods(Delivery):
    """One without a plugin and without a route: the one Service leads to all pods, and a weight is the canary's share of them."""

    replicas = REPLICAS_BY_PODS

    @staticmethod
    def values(prometheus, tag, first=LONG, **more):
        made = values(prometheus, tag, first, **more) | {"autoscaling": {"mode": "none"}, "replicaCount": REPLICAS_BY_PODS}
        del made["httpRoute"]
        made["delivery"]["canary"]["trafficRouting"] = "none"
        return made

    def leads_to(self, stable, canary_hash):
        return {RELEASE: None}

    def kept(self, canary_pods):
        return self.replicas - canary_pods

    def weight(self):
        pods = [it for it in chart.pods(self.cluster, self.namespace) if chart.is_ready(it)]
        new = argo.rollout(self.cluster, self.namespace)["status"]["currentPodHash"]
        # A pod that ends beside the new ones, and one more than are wanted, are of a change that goes on.
        if len(pods) != self.replicas:
            return None
        return 100 * sum(it["metadata"]["labels"][argo.HASH] == new for it in pods) // self.replicas

    @contextlib.contextmanager
    def watched(self, wanted):
        """The canary never has more of the pods than it is to get."""
        most, stable = max(wanted), argo.rollout(self.cluster, self.namespace)["status"]["stableRS"]
        counts = Shares(stable)
        with Watch(self.cluster.api, chart.pods_path(self.namespace), counts):
            yield
        allowed = self.replicas * most // 100
        expect(counts.most <= allowed, f"the canary was to have {allowed} pods of {self.replicas}, and had {counts.most}")


class Shares:
    """Given to a watch of pods: how many of another revision than stable were ready at most."""

    def __init__(self, stable):
        self.stable, self.most = stable, 0

    def __call__(self, pods):
        ready = [it for it in pods.values() if chart.is_ready(it)]
        self.most = max(self.most, sum(it["metadata"]["labels"].get(argo.HASH) != self.stable for it in ready))


@scenario
def canary(cluster):
    """a canary walks 10, 30, 60, 100 % of the pods; failing, slow, shifted, unknown and unready ones end, and stable serves on"""
    walk(cluster, ByPods)


@by_name
def canary_by_routes(cluster):
    """the same with three pods by weights of HTTPRoute and GRPCRoute, with the plugin for the Gateway API, and upgrades in between"""
    walk(cluster, Delivery)


def walk(cluster, kind):
    """Good and bad versions, one after the other."""
    gateway = Gateway(cluster)
    routes = kind is Delivery
    with argo.Controller(cluster, routes=routes), cluster.namespace("canary") as namespace:
        fleet = Fleet(cluster, [namespace], gateway)
        with fleet:
            # The monitor comes with the chart: first without an address of Prometheus.
            chart.install(cluster, namespace, kind.values(Nowhere, "1.0.0"))
            with Prometheus(cluster, fleet) as prometheus:
                delivery = kind(cluster, namespace, prometheus, gateway)
                argo.wait_phase(cluster, namespace, "Healthy")
                cluster.wait("all replicas", lambda: sum(map(chart.is_ready, chart.pods(cluster, namespace))) == kind.replicas)
                promoted(delivery)
                # Before any abort: Argo Rollouts 1.10.1 counts no deadline as long as the mark of an aborted revision's last delay
                # is left on its ReplicaSet, which is for ever at times.
                unready(delivery)
                for tag, metric in BAD.items():
                    aborted(delivery, tag, metric)
                if routes:
                    touched(delivery)
                unknown(delivery)
        kept = argo.configurations(cluster, namespace)
        expect(len(kept) == 2, "of two configurations there are not two ConfigMaps:", kept)
        chart.uninstall(cluster, namespace, kept)


class Nowhere:
    """No Prometheus."""

    url = "http://127.0.0.1:9"


def config_of(pod):
    """The ConfigMap that a pod reads the model's name from."""
    env = pod["spec"]["containers"][0]["env"]
    return next(it["valueFrom"]["configMapKeyRef"]["name"] for it in env if it["name"] == "MODEL_NAME")


def promoted(delivery):
    """A good version with another configuration."""
    cluster, namespace = delivery.cluster, delivery.namespace
    stable = argo.rollout(cluster, namespace)["status"]["stableRS"]
    old_pods = delivery.names(stable)
    [old_config] = {config_of(it) for it in argo.pods(cluster, namespace, stable)}
    with delivery.watched([0, *WEIGHTS, 0]):
        canary_hash = delivery.upgrade("1.1.0", first=GOOD, **OTHER_MODEL)
        for weight in WEIGHTS[:-1]:
            delivery.wait_weight(weight)
            wanted = delivery.leads_to(stable, canary_hash)
            found = {it: argo.service_hash(cluster, namespace, it) for it in wanted}
            expect(found == wanted, f"at {weight} % the Services lead to {found}, not {wanted}")
            new = argo.pods(cluster, namespace, canary_hash)
            expect(len(new) == math.ceil(delivery.replicas * weight / 100), f"at {weight} % the canary has {len(new)} pods")
            left = delivery.names(stable)
            expect(left <= old_pods and len(left) == delivery.kept(len(new)), f"at {weight} % stable's pods are others, or fewer")
            expect({config_of(it) for it in new}.isdisjoint({old_config}), "the canary reads the old configuration")
            expect(cluster.get("configmap", old_config, namespace), "the configuration of stable's pods is gone")
        argo.wait_phase(cluster, namespace, "Healthy", 90)
    metrics = argo.wait_analysis(cluster, namespace, canary_hash, "Successful")
    expect(set(metrics) == {"error-ratio", "p99", "predictions"}, "the analysis measured something else:", set(metrics))
    enough = all(it.get("successful", 0) >= 3 and not it.get("failed") for it in metrics.values())
    expect(enough, "it measured too little, or found a fault:", metrics)
    expect(argo.rollout(cluster, namespace)["status"]["stableRS"] == canary_hash, "the canary has not become stable")
    led = argo.service_hash(cluster, namespace, RELEASE)
    expect(led == delivery.leads_to(canary_hash, None)[RELEASE], f"the Service leads to {led}, not to the new version")
    expect(cluster.get("configmap", old_config, namespace), "the old revision's configuration is gone, and with it the way back")


def aborted(delivery, tag, metric):
    """A bad version: one metric finds it."""
    cluster, namespace = delivery.cluster, delivery.namespace
    stable = argo.rollout(cluster, namespace)["status"]["stableRS"]
    old_pods = delivery.names(stable)
    with delivery.watched([0, 10, 0]):
        bad = delivery.upgrade(tag, **OTHER_MODEL)
        metrics = argo.wait_analysis(cluster, namespace, bad, "Failed")
        argo.wait_phase(cluster, namespace, "Degraded")
    found = {name for name, it in metrics.items() if it["phase"] == "Failed"}
    expect(found == {metric}, f"{tag} was to be found by {metric}, and was by {found}:", json.dumps(metrics)[:2000])
    check_stable(delivery, stable, old_pods)


def check_stable(delivery, stable, old_pods):
    """Stable has all traffic, with the pods that it had."""
    cluster, namespace = delivery.cluster, delivery.namespace
    status = argo.rollout(cluster, namespace)["status"]
    expect(status["stableRS"] == stable and status.get("abort"), "the Rollout is not aborted, or has another stable version:", status)
    led = argo.service_hash(cluster, namespace, RELEASE)
    expect(led == delivery.leads_to(stable, None)[RELEASE], f"the Service leads to {led}, not to stable")
    back = cluster.wait("all of stable's pods", lambda: len(now := delivery.names(stable)) == delivery.replicas and now)
    expect(len(back & old_pods) >= delivery.kept(1), "stable's pods are others")


def touched(delivery):
    """A helm upgrade in the middle of a canary that writes the route and the Services leaves weights and selectors as they are."""
    cluster, namespace = delivery.cluster, delivery.namespace
    stable = argo.rollout(cluster, namespace)["status"]["stableRS"]
    old_pods = delivery.names(stable)
    with delivery.watched([0, 10, 0]):
        new = delivery.upgrade("1.7.0-touched", **OTHER_MODEL)
        delivery.wait_weight(10)
        changed = values(delivery.prometheus, "1.7.0-touched", **OTHER_MODEL)
        route = changed["httpRoute"] | {"requestTimeout": "40s"}
        changed |= {"service": {"annotations": {"touched": "yes"}}, "httpRoute": route}
        chart.install(cluster, namespace, changed)
        rule = cluster.api.get(route_path(namespace, "httproutes", RELEASE))["spec"]["rules"][0]
        expect(rule["timeouts"] == {"request": "40s"}, "the upgrade did not reach the route:", rule)
        hashes = [argo.service_hash(cluster, namespace, it) for it in (RELEASE, CANARY_SERVICE)]
        expect(hashes == [stable, new], f"an upgrade that changes a Service made the Services lead to {hashes}")
        argo.patch_status(cluster, namespace, abort=True)
        argo.wait_phase(cluster, namespace, "Degraded")
    check_stable(delivery, stable, old_pods)


def unknown(delivery):
    """So little traffic that nothing can be said: it waits for a person, who ends it."""
    cluster, namespace = delivery.cluster, delivery.namespace
    stable = argo.rollout(cluster, namespace)["status"]["stableRS"]
    old_pods = delivery.names(stable)
    with delivery.watched([0, 10, 0]):
        delivery.gateway.requests = 2
        begun = time.monotonic()
        quiet = delivery.upgrade("1.6.0-unknown", first=UNKNOWN, **OTHER_MODEL)
        argo.wait_analysis(cluster, namespace, quiet, "Inconclusive")
        cluster.wait("the Rollout to pause for it", lambda: "InconclusiveAnalysisRun" in argo.pauses(cluster, namespace))
        # Until the step's own pause is over: it does not go on by itself.
        time.sleep(max(0, begun + UNKNOWN + 8 - time.monotonic()))
        expect(delivery.weight() == 10 and argo.pauses(cluster, namespace), "it went on by itself")
        argo.patch_status(cluster, namespace, abort=True)
        argo.wait_phase(cluster, namespace, "Degraded")
        delivery.gateway.requests = REQUESTS
    check_stable(delivery, stable, old_pods)


def unready(delivery):
    """A version that never becomes ready, here since no node takes it."""
    cluster, namespace = delivery.cluster, delivery.namespace
    stable = argo.rollout(cluster, namespace)["status"]["stableRS"]
    old_pods = delivery.names(stable)
    with delivery.watched([0]):
        delivery.upgrade("1.5.0-unready", nodeSelector={"nowhere": "true"}, **OTHER_MODEL)
        now = argo.wait_phase(cluster, namespace, "Degraded")
        message = now["status"]["message"]
        expect("has timed out progressing" in message, "it was given up for another reason:", message)
    check_stable(delivery, stable, old_pods)
