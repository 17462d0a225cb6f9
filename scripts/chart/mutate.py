"""usage: mutate.py

Proves that the checks of check.py can fail: breaks a render in one way each and demands that the named check complains in
a sentence with a given word. Every check must have a mutation. HELM names the program.
"""

import copy
import sys

import check
import kserve
import manifests
import policy
from manifests import of_kind


def one(objects, kind):
    return of_kind(objects, kind)[0]


def pod(objects):
    return manifests.template(of_kind(objects, *manifests.WORKLOADS)[0])


def server(objects):
    return pod(objects)["spec"]["containers"][0]


def drop(objects, it):
    """Takes an object out: tuples of mutations are expressions, and `del` is none."""
    objects[:] = [each for each in objects if each is not it]


def another(objects, kind, **changes):
    """Adds a copy of an object under another name."""
    it = copy.deepcopy(one(objects, kind))
    it["metadata"]["name"] += "-2"
    it.update(changes)
    objects.append(it)


def egress(objects):
    return one(objects, "NetworkPolicy")["spec"]["egress"]


def ingress(objects):
    return one(objects, "NetworkPolicy")["spec"]["ingress"]


# The case, what is done to its objects, the check that must complain, and a word of its sentence.
MUTATIONS = [
    ("default", lambda o: server(o)["readinessProbe"]["httpGet"].update(port="adnim"), "pod_ports", "adnim"),
    ("default", lambda o: server(o)["ports"][0].update(name="management"), "pod_ports", "startupProbe"),
    ("default", lambda o: server(o)["ports"][1].update(containerPort=8080), "pod_ports", "twice"),
    ("default", lambda o: pod(o)["metadata"]["annotations"].update({"prometheus.io/port": "8000"}), "pod_ports", "8000"),
    ("default", lambda o: one(o, "Service")["spec"]["ports"][0].update(targetPort="web"), "service_ports", "web"),
    ("canary", lambda o: one(o, "HTTPRoute")["spec"]["rules"][0]["backendRefs"][0].update(port=8080), "service_ports", "8080"),
    ("secret", lambda o: one(o, "Ingress")["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"].update(port={"name": "web"}),
     "service_ports", "web"),
    ("default", lambda o: ingress(o)[1]["ports"][0].update(port="metrics"), "policy_ports", "metrics"),
    ("canary", lambda o: one(o, "PodMonitor")["spec"]["podMetricsEndpoints"][0].update(port="metrics"), "monitors", "metrics"),
    ("canary", lambda o: one(o, "PodMonitor")["spec"].update(jobLabel="app"), "monitors", "job"),
    ("blue-green", lambda o: one(o, "ServiceMonitor")["spec"]["selector"]["matchLabels"].pop("app.kubernetes.io/component"),
     "monitors", "3 targets"),
    ("blue-green", lambda o: one(o, "ServiceMonitor")["spec"]["endpoints"][0].update(port="http"), "monitors", "http"),
    ("default", lambda o: one(o, "Service")["spec"]["selector"].pop("app.kubernetes.io/component"), "selectors", "also takes"),
    ("default", lambda o: pod(o)["metadata"]["labels"].pop("app.kubernetes.io/instance"), "selectors", "Service"),
    ("default", lambda o: one(o, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"].update(app="x"), "selectors", "Disruption"),
    ("gpu", lambda o: pod(o)["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"].update(a="b"), "selectors", "zone"),
    ("default", lambda o: one(o, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"].update(kind="Rollout"), "references", "Rollout"),
    ("canary", lambda o: drop(o, of_kind(o, "Service")[1]), "references", "-canary"),
    ("canary", lambda o: drop(o, one(o, "AnalysisTemplate")), "references", "AnalysisTemplate"),
    ("canary", lambda o: one(o, "HTTPRoute")["metadata"].update(name="other"), "references", "HTTPRoute"),
    ("default", lambda o: drop(o, one(o, "ServiceAccount")), "references", "ServiceAccount"),
    ("production", lambda o: drop(o, one(o, "ConfigMap")), "references", "ml-config"),
    ("external-secret", lambda o: one(o, "ExternalSecret")["spec"]["target"].update(name="x"), "references", "Secret ml-model-secrets"),
    ("gpu", lambda o: pod(o)["spec"]["volumes"][1]["persistentVolumeClaim"].update(claimName="x"), "references", "PersistentVolumeClaim"),
    ("gpu-dra", lambda o: drop(o, one(o, "ResourceClaimTemplate")), "references", "ResourceClaimTemplate"),
    ("default", lambda o: server(o)["volumeMounts"].append({"name": "models", "mountPath": "/m"}), "references", "volume models"),
    ("default", lambda o: one(o, "ConfigMap")["data"].pop("model_name"), "keys", "model_name"),
    ("default", lambda o: one(o, "Service")["spec"]["ports"][0].update(port=8080), "addresses", "ml-inference-api:80"),
    ("blue-green", lambda o: one(o, "AnalysisTemplate")["spec"]["metrics"][0]["provider"]["web"].update(url="http://x.production.svc:80/p"),
     "addresses", "x.production.svc"),
    ("default", lambda o: one(o, "Deployment")["spec"].update(replicas=3), "scalers", "beside"),
    ("gpu-dra", lambda o: one(o, "Deployment")["spec"].pop("replicas"), "scalers", "neither"),
    ("default", lambda o: another(o, "HorizontalPodAutoscaler"), "scalers", "both scale"),
    ("default", lambda o: another(o, "Deployment"), "scalers", "2 workloads"),
    ("canary", lambda o: one(o, "HTTPRoute")["spec"]["rules"][0]["matches"].append({"path": {"type": "PathPrefix", "value": "/health"}}),
     "routes", "/health/ready"),
    ("canary", lambda o: one(o, "HTTPRoute")["spec"]["rules"][0].pop("matches"), "routes", "/metrics"),
    ("secret", lambda o: one(o, "Ingress")["spec"]["rules"][0]["http"]["paths"][0].update(path="/"), "routes", "/admin"),
    ("canary", lambda o: one(o, "GRPCRoute")["spec"]["rules"][0].pop("matches"), "routes", "inference service"),
    ("canary", lambda o: one(o, "HTTPRoute")["spec"]["rules"][0]["backendRefs"][1].update(weight=100), "weights", "weights"),
    ("canary", lambda o: one(o, "Rollout")["spec"]["strategy"]["canary"]["analysis"]["args"].pop(), "analyses", "stable"),
    ("canary", lambda o: one(o, "PodMonitor")["spec"].pop("podTargetLabels"), "analyses", "rollouts_pod_template_hash"),
    ("production", lambda o: one(o, "PrometheusRule")["spec"]["groups"][0]["rules"].pop(), "copies", "groups"),
    ("production", lambda o: drop(o, of_kind(o, "ConfigMap")[-1]), "copies", "dashboards"),
    ("default", lambda o: o.append(one(o, "Service")), "names", "twice"),
    ("default", lambda o: one(o, "Service")["metadata"].update(namespace="default"), "names", "namespace"),
    ("default", lambda o: server(o).update(image="ghcr.io/myorg/ml-inference-api:latest"), "images", "latest"),
    ("default", lambda o: server(o).update(image="registry:5000/ml-inference-api"), "images", "digest"),
    ("external-secret", lambda o: pod(o)["spec"]["volumes"][1]["image"].update(reference="ghcr.io/myorg/models"), "images", "models"),
    ("default", lambda o: pod(o)["spec"]["securityContext"].update(runAsUser=0), "pod_security", "root"),
    ("default", lambda o: pod(o)["spec"]["securityContext"].update(runAsNonRoot=False), "pod_security", "runAsNonRoot"),
    ("default", lambda o: pod(o)["spec"]["securityContext"].pop("seccompProfile"), "pod_security", "seccomp"),
    ("default", lambda o: server(o)["securityContext"].update(privileged=True), "pod_security", "privileged"),
    ("default", lambda o: server(o)["securityContext"].pop("allowPrivilegeEscalation"), "pod_security", "escalate"),
    ("default", lambda o: server(o)["securityContext"]["capabilities"].update(add=["NET_ADMIN"]), "pod_security", "capabilities"),
    ("production", lambda o: pod(o)["spec"]["initContainers"][0].pop("securityContext"), "pod_security", "fetch-models"),
    ("default", lambda o: pod(o)["spec"]["volumes"].append({"name": "x", "hostPath": {"path": "/"}}), "pod_security", "volume x"),
    ("default", lambda o: pod(o)["spec"].update(hostNetwork=True), "pod_security", "hostNetwork"),
    ("default", lambda o: server(o)["ports"][0].update(hostPort=80), "pod_security", "port of the node"),
    ("default", lambda o: server(o)["securityContext"].update(readOnlyRootFilesystem=False), "hardening", "root"),
    ("default", lambda o: pod(o)["spec"].pop("automountServiceAccountToken"), "hardening", "token"),
    ("default", lambda o: pod(o)["spec"]["volumes"][0].update(emptyDir={}), "hardening", "disk"),
    ("default", lambda o: server(o)["resources"]["limits"].pop("memory"), "hardening", "limit of memory"),
    ("default", lambda o: server(o)["resources"]["requests"].update(memory="3Gi"), "hardening", "more memory"),
    ("gpu", lambda o: server(o)["resources"]["requests"].pop("nvidia.com/gpu"), "hardening", "nvidia.com/gpu"),
    ("default", lambda o: server(o)["livenessProbe"]["httpGet"].update(path="/health/ready"), "probes", "livenessProbe"),
    ("default", lambda o: server(o).pop("startupProbe"), "probes", "startupProbe"),
    ("default", lambda o: server(o).update(lifecycle={"preStop": {"sleep": {"seconds": 10}}}), "ending", "preStop"),
    ("default", lambda o: pod(o)["spec"].update(terminationGracePeriodSeconds=42), "ending", "42 s"),
    ("secret", lambda o: server(o)["env"].append({"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "ml-model-secrets", "key": "k"}}}),
     "secrets", "KEY"),
    ("default", lambda o: o.append({"kind": "Secret", "metadata": {"name": "x", "namespace": "production"}}), "secrets", "Secret x"),
    ("default", lambda o: egress(o).pop(0), "connections", "UDP/53 of dns is denied"),
    ("default", lambda o: egress(o)[0]["ports"].pop(0), "connections", "UDP/53 of node-dns is denied"),
    ("default", lambda o: egress(o)[0]["to"][0].pop("podSelector"), "connections", "system is let through"),
    ("default", lambda o: egress(o).append({}), "connections", "internet is let through"),
    ("default", lambda o: one(o, "NetworkPolicy")["spec"]["policyTypes"].remove("Egress"), "connections", "internet is let through"),
    ("default", lambda o: drop(o, one(o, "NetworkPolicy")), "connections", "stranger to http"),
    ("default", lambda o: ingress(o)[0]["from"].append({"podSelector": {}}), "connections", "neighbour to http"),
    ("default", lambda o: ingress(o)[0].pop("ports"), "connections", "gateway to admin"),
    ("default", lambda o: ingress(o)[0]["from"][0]["namespaceSelector"].update(matchLabels={"name": "gateway-system"}),
     "connections", "gateway to http of the server is denied"),
    ("production", lambda o: egress(o)[3]["to"][0]["ipBlock"].pop("except"), "connections", "node-credentials is let through"),
    ("production", lambda o: egress(o).pop(2), "connections", "8200 of vault is denied"),
    ("canary", lambda o: egress(o).append({"ports": [{"port": 1, "endPort": 65535}]}), "connections", "5432 of database is let through"),
]  # fmt: skip


def mutants(renders):
    """A sentence for each mutation that its check does not see."""
    for case, spoil, name, word in MUTATIONS:
        objects, values = copy.deepcopy(renders[case]), renders[case, "values"]
        spoil(objects)
        said = [sentence for check_name, sentence in check.problems(objects, values, case) if check_name == name]
        if not any(word in sentence for sentence in said):
            yield f"{case}: {name} does not complain of what was broken, with the word {word!r}; it says {said}"


# What is done to the objects of k8s/, and a word of the sentence that check.differences must say.
DIFFERENCES = [
    (lambda o: drop(o, one(o, "Service")), "has no Service"),
    (lambda o: one(o, "Deployment")["spec"].update(replicas=1), "Deployment ml-inference-api of k8s/ is not"),
    (lambda o: one(o, "Namespace")["metadata"]["labels"].update({check.ENFORCE: "baseline"}), "restricted"),
    (lambda o: another(o, "Service"), "more than"),
]


def broken_copies(renders):
    """A sentence for each difference of k8s/ from the chart that nobody notices."""
    for spoil, word in DIFFERENCES:
        _, plain = check.plain_manifests()
        spoil(plain)
        if not any(word in it for it in check.differences(plain, renders["default"])):
            yield f"nobody notices that k8s/ was broken, with the word {word!r}"


def runtime(objects):
    return one(objects, "ServingRuntime")["spec"]["containers"][0]


# What is done to the objects of deploy/kserve, and a word of the sentence that kserve.problems must say.
RUNTIMES = [
    (lambda o: runtime(o).update(name="server"), "kserve-container"),
    (lambda o: runtime(o).update(args=["serve", "--models", "/mnt/models"]), "under the InferenceService's name"),
    (lambda o: runtime(o)["livenessProbe"]["httpGet"].update(path="/health/ready"), "/health/live"),
    (lambda o: runtime(o)["ports"][0].update(containerPort=8000), "8000"),
    (lambda o: runtime(o).update(image="ghcr.io/myorg/ml-inference-api:0.0.1"), "0.0.1"),
    (lambda o: runtime(o)["securityContext"].pop("seccompProfile"), "seccomp"),
    (lambda o: runtime(o)["env"].pop(2), "kubelet kills it after 30 s"),
    (lambda o: of_kind(o, "ServingRuntime")[1]["spec"]["supportedModelFormats"][0].update(autoSelect=True), "2 runtimes"),
    (lambda o: one(o, "InferenceService")["spec"]["predictor"]["model"].update(runtime="x"), "does not serve onnx"),
    (lambda o: one(o, "InferenceService")["spec"]["predictor"]["model"].update(protocolVersion="v3"), "does not speak v3"),
]


def broken_runtimes():
    """A sentence for each mistake in deploy/kserve that nobody notices."""
    for spoil, word in RUNTIMES:
        some = kserve.objects()
        spoil(some)
        if not any(word in it for it in kserve.problems(some)):
            yield f"nobody notices that deploy/kserve was broken, with the word {word!r}: {list(kserve.problems(some))}"


def broken_tables(renders):
    """The table of connections itself, spoilt: a case and an actor that nobody knows."""
    for key, value in (("cases", {"nowhere": None}), ("always", {"in": {"nobody": ["http"]}})):
        whole = policy.TABLE[key]
        policy.TABLE[key] = whole | value
        if not list(policy.table(renders["default"], renders["default", "values"])):
            yield f"table does not complain of {value}"
        policy.TABLE[key] = whole


def main():
    renders = {}
    for case, file in manifests.cases().items():
        renders[case] = manifests.parse(manifests.render(file))
        renders[case, "values"] = manifests.merged(file)
    found = [*mutants(renders), *broken_copies(renders), *broken_runtimes(), *broken_tables(renders)]
    untouched = check.CHECKS.keys() - {name for _, _, name, _ in MUTATIONS} - {"table"}
    found += [f"no mutation proves that the check {name} can fail" for name in sorted(untouched)]
    for sentence in found:
        print(f"error: {sentence}", file=sys.stderr)
    print(f"{len(MUTATIONS) + len(DIFFERENCES) + len(RUNTIMES) + 2} things broken on purpose are each seen by their check")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
