"""What must not get in: values that the chart refuses, and objects that the API server refuses."""

import json

from .. import chart
from ..failure import expect
from ..mutation import REMOVED, changed
from ..scenario import scenario

CONTAINER = "spec.template.spec.containers.ml-inference-api"

# Kind, where in it, what is written there, and what the API server has to say to it.
BROKEN = (
    ("Deployment", f"{CONTAINER}.readynessProbe", {}, "unknown field"),
    ("Deployment", "spec.selector.matchLabels", {"app": "another"}, "`selector` does not match template `labels`"),
    ("Deployment", f"{CONTAINER}.resources.requests.memory", "4Gi", "must be less than or equal to memory limit"),
    ("Deployment", f"{CONTAINER}.resources.limits.cpu", "2 cores", "quantities must match the regular expression"),
    ("Deployment", f"{CONTAINER}.ports.http.name", "the-public-http-port", "must be no more than 15 characters"),
    ("Deployment", f"{CONTAINER}.ports.grpc.name", "http", "Duplicate value"),
    ("Deployment", f"{CONTAINER}.ports.http.containerPort", 80800, "must be between 1 and 65535"),
    ("Deployment", f"{CONTAINER}.livenessProbe.successThreshold", 2, "must be 1"),
    ("Deployment", f"{CONTAINER}.readinessProbe.httpGet.scheme", "FTP", "supported values"),
    ("Deployment", f"{CONTAINER}.volumeMounts.0.name", "nowhere", "Not found"),
    ("Deployment", f"{CONTAINER}.imagePullPolicy", "Sometimes", "supported values"),
    ("Deployment", "spec.strategy.rollingUpdate", {"maxSurge": 0, "maxUnavailable": 0}, "may not be 0 when `maxSurge` is 0"),
    ("Deployment", "spec.progressDeadlineSeconds", 5, "must be greater than minReadySeconds"),
    ("Deployment", "spec.template.spec.restartPolicy", "Never", "supported values"),
    ("Deployment", "spec.template.spec.topologySpreadConstraints.0.whenUnsatisfiable", "Perhaps", "supported values"),
    ("Deployment", "metadata.name", "Not_A_Name", "RFC 1123"),
    ("Service", "spec.ports.grpc.name", "http", "Duplicate value"),
    ("Service", "spec.ports.http.port", 0, "must be between 1 and 65535"),
    ("Service", "spec.type", "Balanced", "supported values"),
    ("ConfigMap", "data.model_name", ["fraud-detector"], "cannot unmarshal array"),
    ("HorizontalPodAutoscaler", "spec.maxReplicas", 2, "must be greater than or equal to `minReplicas`"),
    ("HorizontalPodAutoscaler", "spec.metrics.0.type", "Podz", "supported values"),
    ("HorizontalPodAutoscaler", "spec.behavior.scaleDown.stabilizationWindowSeconds", 7200, "must be less than or equal to 3600"),
    ("PodDisruptionBudget", "spec.minAvailable", 2, "minAvailable and maxUnavailable cannot be both set"),
    ("PodDisruptionBudget", "spec.maxUnavailable", "one", "invalid"),
    ("PodDisruptionBudget", "spec.unhealthyPodEvictionPolicy", "Never", "supported values"),
    ("NetworkPolicy", "spec.egress", [{"to": [{"ipBlock": {"cidr": "10.0.0.0"}}]}], "must be a valid CIDR"),
    ("NetworkPolicy", "spec.policyTypes", ["Ingres"], "supported values"),
    ("Role", "rules.0.verbs", [], "verbs must contain at least one value"),
    ("Role", "rules.0.resources", [], "resource rules must supply at least one"),
    ("RoleBinding", "subjects.0.kind", "Robot", "supported values"),
    ("RoleBinding", "roleRef.kind", "Rule", "supported values"),
    ("ServiceAccount", "automountServiceAccountToken", "no", "cannot unmarshal string"),
)

# The same with foreign kinds, by the values that make them.
ROUTE = {"enabled": True, "parentRefs": [{"name": "public"}], "hostnames": ["api.example.com"]}
FOREIGN = {
    "httpRoute": ROUTE,
    "metrics": {"monitor": {"enabled": True}, "rules": {"enabled": True}},
    "autoscaling": {"mode": "keda"},
    "secrets": {"mode": "externalSecret", "apiKeys": "api-keys"},
    "delivery": {"mode": "canary"},
}
BROKEN_FOREIGN = (
    ("HTTPRoute", "spec.rules.0.matches.0.path.value", "predict", "must be an absolute path and start with"),
    ("HTTPRoute", "spec.rules.0.timeouts.request", "soon", "should match"),
    ("HTTPRoute", "spec.rules.0.backendRefs.0.weight", -1, "greater than or equal to 0"),
    ("HTTPRoute", "spec.rules.0.backendRefs.0.port", REMOVED, "Must have port for Service reference"),
    ("PodMonitor", "spec.podMetricsEndpoints.0.intervl", "15s", "unknown field"),
    ("PodMonitor", "spec.podMetricsEndpoints.0.interval", "often", "should match"),
    ("PrometheusRule", "spec.groups.0.rules.0.expr", REMOVED, "Required value"),
    ("ScaledObject", "spec.scaleTargetRef", REMOVED, "Required value"),
    ("ScaledObject", "spec.maxReplicaCount", "many", "must be of type integer"),
    ("ExternalSecret", "spec.target.creationPolicy", "Nobody", "Unsupported value"),
    ("Rollout", "spec.strategy.canary.stepz", [], "unknown field"),
    ("Rollout", "spec.revisionHistoryLimit", "few", "must be of type integer"),
    ("AnalysisTemplate", "spec.metrics.0.provider", REMOVED, "Required value"),
)
# GPUs cannot be overcommitted.
BROKEN_GPU = (
    ("Deployment", f"{CONTAINER}.resources.requests", {"nvidia.com/gpu": "2"}, "must be equal to nvidia.com/gpu limit"),
    ("Deployment", f"{CONTAINER}.resources", {"requests": {"nvidia.com/gpu": "1"}}, "Limit must be set"),
    ("Deployment", f"{CONTAINER}.resources", {"limits": {"nvidia.com/gpu": "500m"}}, "must be an integer"),
)

# Values, and the sentence by which the chart refuses them: first the schema's, then those of combinations.
WRONG = (
    ({"replicas": 3}, "'replicas' not allowed"),
    ({"autoscaling": {"minReplica": 3}}, "'minReplica' not allowed"),
    ({"autoscaling": {"mode": "both"}}, "'hpa', 'keda', 'cpu', 'none'"),
    ({"autoscaling": {"minReplicas": "three"}}, "got string, want integer"),
    ({"image": {"tag": "latest"}}, "a tag other than latest"),
    ({"image": {"digest": "sha256:abc"}}, "does not match pattern"),
    ({"delivery": {"mode": "recreate"}}, "'rolling', 'canary', 'blueGreen'"),
    ({"podDisruptionBudget": {"maxUnavailable": 0}}, "minimum"),
    ({"config": {"drain": {"delay": "soon"}}}, "does not match pattern"),
    ({"httpRoute": ROUTE, "ingress": {"enabled": True}}, "httpRoute.enabled and ingress.enabled are both true"),
    ({"httpRoute": ROUTE | {"paths": ["/health"]}}, "it would publish health, metrics or the admin routes"),
    ({"httpRoute": {"enabled": True}}, "httpRoute.enabled needs httpRoute.parentRefs"),
    ({"tls": {"secretName": "tls"}, "httpRoute": ROUTE}, "would speak plain HTTP to a server that speaks TLS"),
    ({"autoscaling": {"minReplicas": 30}}, "autoscaling.minReplicas is 30, more than autoscaling.maxReplicas (20)"),
    ({"autoscaling": {"mode": "cpu"}, "gpu": {"enabled": True}}, "the CPU says nothing of a GPU's load"),
    ({"gpu": {"enabled": True, "migProfile": "1g.10gb", "timeSlicing": True}}, "cut into slices or shared in time"),
    ({"models": {"source": "pvc"}}, "models.source pvc needs models.pvc.claimName or models.pvc.create"),
    ({"models": {"source": "oci"}}, "models.source oci needs models.oci.reference"),
    ({"secrets": {"mode": "vault"}}, "secrets.mode is vault and no file is asked for"),
    ({"delivery": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}}, "no pod could ever be replaced"),
    ({"delivery": {"mode": "canary"}}, "delivery.canary.trafficRouting gatewayAPI needs httpRoute.enabled"),
    ({"delivery": {"mode": "canary"}, "httpRoute": ROUTE}, "delivery.canary.analysis needs metrics.monitor.enabled"),
    ({"config": {"http": {"addr": "0.0.0.0:80"}}}, "config.http.addr is set by the chart"),
    ({"config": {"limits": {"request_timeout": "60s"}}}, "would cut requests that are still in time"),
    ({"config": {"drain": {"delay": "1s"}}}, "config.drain.delay is less than 5s"),
)


@scenario
def wrong_values(cluster):
    """Values that cannot work: helm install refuses each with a sentence, and leaves nothing behind"""
    with cluster.namespace("wrong-values") as namespace:
        for values, sentence in WRONG:
            said = cluster.helm(
                "install", chart.RELEASE, chart.CHART, "--namespace", namespace, "--values", "-",
                stdin=json.dumps(values), refused=True,
            ).err  # fmt: skip
            expect(sentence in said, f"{json.dumps(values)} was not refused by '{sentence}', but:", said)
        left = chart.leftovers(cluster, namespace)
        expect(not left, "refused installations left something:", left)


@scenario
def broken_objects(cluster):
    """Rendered objects with one mistake each: the API server takes them without it, and with it refuses them for that reason"""
    cluster.install_crds(*chart.GROUPS)
    with cluster.namespace("broken-objects") as namespace:
        check_broken(cluster, chart.render(cluster, namespace), BROKEN)
        check_broken(cluster, chart.render(cluster, namespace, FOREIGN), BROKEN_FOREIGN)
        gpu = chart.render(cluster, namespace, {"gpu": {"enabled": True}})
        check_broken(cluster, gpu, BROKEN_GPU)


def check_broken(cluster, rendered, mistakes):
    """Each mistake is refused with its reason, and the object without it is not."""
    for kind, path, value, reason in mistakes:
        thing = next(it for it in rendered if it["kind"] == kind)
        taken, said = cluster.api.try_to_create(thing)
        expect(taken and not said, f"the API server has something against the {kind} as it is:", said)
        taken, said = cluster.api.try_to_create(changed(thing, path, value))
        written = f"{kind} with {path} {json.dumps(value, default=str)}"
        expect(not taken, f"{written} was taken")
        expect(reason in said, f"{written} was not refused by '{reason}', but:", said)
