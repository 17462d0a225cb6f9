"""Whether the objects of a render agree with each other: ports by name, selectors, references, scalers, public paths. An
API server takes a probe that names a port which no container has, and a Service that selects nothing.

Each check takes the objects and the case's values, and yields a sentence for each problem. check.py runs them all.
"""

import json
import re

import manifests
import yaml
from manifests import containers, name, of_kind, ports, selects

FILES = manifests.CHART / "files"
# What must never be reachable from outside, whatever the prefix that would carry it.
PRIVATE = ["/", "/health", "/health/ready", "/health/live", "/health/startup", "/metrics", "/admin/models", "/telemetry"]
MONITORS = {"PodMonitor": "podMetricsEndpoints", "ServiceMonitor": "endpoints"}
# Names that values may give of objects that others make, by kind: paths into the values.
GIVEN = {
    "Secret": ["tls.secretName", "ingress.tlsSecretName", "image.pullSecrets.name", "tracing.headersSecret.name"],
    "ConfigMap": ["tls.backendCaConfigMap"],
    "PersistentVolumeClaim": ["models.pvc.claimName", "models.cache.claimName"],
    "ServiceAccount": ["serviceAccount.name"],
    "Gateway": ["httpRoute.parentRefs.name"],
}  # fmt: skip


def server_pods(objects):
    return [(it, pod) for it, pod in manifests.pods(objects) if it["kind"] in manifests.WORKLOADS]


def labels(pod):
    return pod["metadata"]["labels"]


def probes(pod):
    for container in containers(pod):
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            if kind in container:
                yield container["name"], kind, container[kind]


def backends(objects):
    """(object, name of a Service, port) of all that sends requests to a Service."""
    for it in of_kind(objects, "HTTPRoute", "GRPCRoute"):
        for ref in (ref for rule in it["spec"]["rules"] for ref in rule["backendRefs"]):
            yield it, ref["name"], ref["port"]
    for it in of_kind(objects, "Ingress"):
        for path in (path for rule in it["spec"]["rules"] for path in rule["http"]["paths"]):
            service = path["backend"]["service"]
            yield it, service["name"], service["port"].get("name") or service["port"].get("number")


def pod_ports(objects, values):
    """Ports of probes, annotations and containers."""
    for it, pod in manifests.pods(objects):
        declared = ports(pod)
        total = sum(len(container.get("ports", [])) for container in containers(pod))
        if len(declared) != total or len(set(declared.values())) != total:
            yield f"{name(it)}: a port's name or number is there twice"
        for container, kind, probe in probes(pod):
            port = (probe.get("httpGet") or probe.get("grpc") or probe.get("tcpSocket") or {}).get("port")
            if port not in declared:
                yield f"{name(it)}: the {kind} of {container} asks port {port!r}, but the pod's ports are {', '.join(map(str, declared))}"
        scraped = pod["metadata"].get("annotations", {}).get("prometheus.io/port")
        if scraped and int(scraped) not in declared.values():
            yield f"{name(it)}: prometheus.io/port is {scraped}, which no container has"


def service_ports(objects, values):
    """targetPorts of Services, and the ports of those who send to Services."""
    services = {it["metadata"]["name"]: it for it in of_kind(objects, "Service")}
    for it in services.values():
        for pod in (pod for _, pod in server_pods(objects) if selects({"matchLabels": it["spec"]["selector"]}, labels(pod))):
            for port in it["spec"]["ports"]:
                if port["targetPort"] not in ports(pod):
                    yield f"{name(it)}: targetPort {port['targetPort']!r} is no port of the pods it selects"
    for it, service, port in backends(objects):
        known = services.get(service, {"spec": {"ports": []}})["spec"]["ports"]
        if port not in [port[key] for port in known for key in ("name", "port")]:
            yield f"{name(it)}: sends to port {port!r} of the Service {service}, which has no such port"


def policy_ports(objects, values):
    for it in of_kind(objects, "NetworkPolicy"):
        for pod in (pod for _, pod in server_pods(objects) if selects(it["spec"]["podSelector"], labels(pod))):
            for port in (port for rule in it["spec"].get("ingress", []) for port in rule.get("ports", [])):
                if port.get("port") not in ports(pod):
                    yield f"{name(it)}: lets in to port {port.get('port')!r}, which is no name of a port of the pods it selects"


def monitored(objects, it):
    """What a monitor finds: (the ports by name, the labels that its series may take from)."""
    selector = it["spec"]["selector"]
    if it["kind"] == "PodMonitor":
        return [(set(ports(pod)), labels(pod)) for _, pod in server_pods(objects) if selects(selector, labels(pod))]
    found = [svc for svc in of_kind(objects, "Service") if selects(selector, svc["metadata"].get("labels", {}))]
    return [({port["name"] for port in svc["spec"]["ports"]}, svc["metadata"]["labels"]) for svc in found]


def monitors(objects, values):
    """A monitor finds its target exactly once, by a port that is there, and gives it the job that alerts select."""
    for it in of_kind(objects, *MONITORS):
        found = monitored(objects, it)
        if len(found) != 1:
            yield f"{name(it)}: its selector finds {len(found)} targets, not one"
        if manifests.NAMESPACE not in it["spec"].get("namespaceSelector", {}).get("matchNames", [manifests.NAMESPACE]):
            yield f"{name(it)}: looks in another namespace"
        for known, its_labels in found:
            for endpoint in it["spec"][MONITORS[it["kind"]]]:
                if endpoint.get("port") not in known:
                    yield f"{name(it)}: scrapes port {endpoint.get('port')!r}, but there are {', '.join(sorted(known))}"
            job = its_labels.get(it["spec"].get("jobLabel"))
            if job != "ml-inference-api" and not values["nameOverride"]:
                yield f"{name(it)}: the job of its series is {job!r}, and alerts and dashboards select ml-inference-api"


def selectors(objects, values):
    """Every selector takes the server's pods, and no selector of the server takes the test's pod."""
    own = server_pods(objects)
    others = [(it, pod) for it, pod in manifests.pods(objects) if it["kind"] == "Pod"]
    wanted = [(name(it), it["spec"]["selector"]) for it, _ in own]
    wanted += [(name(it), {"matchLabels": it["spec"].get("selector")}) for it in of_kind(objects, "Service")]
    wanted += [(name(it), it["spec"]["selector"]) for it in of_kind(objects, "PodDisruptionBudget")]
    wanted += [(name(it), it["spec"]["podSelector"]) for it in of_kind(objects, "NetworkPolicy")]
    for it, pod in own:
        for spread in pod["spec"].get("topologySpreadConstraints", []):
            wanted.append((f"{name(it)}, spread over {spread['topologyKey']}", spread.get("labelSelector")))
    for who, selector in wanted:
        if not all(selects(selector, labels(pod)) for _, pod in own):
            yield f"{who}: its selector does not take the server's pods"
        for it, pod in others:
            if selects(selector, labels(pod)):
                yield f"{who}: its selector also takes {name(it)}"


def given(values, path):
    """The strings at a path into the values; a list on the way stands for each of its elements."""
    found = [values]
    for step in path.split("."):
        found = [each.get(step) for it in found for each in (it if isinstance(it, list) else [it]) if isinstance(each, dict)]
    return {each for it in found for each in (it if isinstance(it, list) else [it]) if isinstance(each, str) and each}


def pod_references(it, pod):
    """(kind, name) of all that a pod needs to start."""
    spec = pod["spec"]
    yield "ServiceAccount", spec.get("serviceAccountName")
    for secret in spec.get("imagePullSecrets", []):
        yield "Secret", secret["name"]
    for claim in spec.get("resourceClaims", []):
        yield "ResourceClaimTemplate", claim["resourceClaimTemplateName"]
    for volume in spec.get("volumes", []):
        yield "Secret", volume.get("secret", {}).get("secretName")
        yield "ConfigMap", volume.get("configMap", {}).get("name")
        yield "PersistentVolumeClaim", volume.get("persistentVolumeClaim", {}).get("claimName")
    for env in (env for container in containers(pod) for env in container.get("env", [])):
        source = env.get("valueFrom", {})
        yield "Secret", source.get("secretKeyRef", {}).get("name")
        yield "ConfigMap", source.get("configMapKeyRef", {}).get("name")


def rollout_references(it):
    strategy = it["spec"]["strategy"]
    canary, blue_green = strategy.get("canary", {}), strategy.get("blueGreen", {})
    for key in ("stableService", "canaryService"):
        yield "Service", canary.get(key)
    for key in ("activeService", "previewService"):
        yield "Service", blue_green.get(key)
    for routing in canary.get("trafficRouting", {}).get("plugins", {}).values():
        yield "HTTPRoute", routing.get("httpRoute")
        yield "GRPCRoute", routing.get("grpcRoute")
    runs = [canary.get("analysis"), blue_green.get("prePromotionAnalysis"), blue_green.get("postPromotionAnalysis")]
    for analysis in (it for it in runs if it):
        for each in analysis["templates"]:
            yield "AnalysisTemplate", each["templateName"]


def object_references(it):
    """(kind, name) of all that any other object points at."""
    spec = it.get("spec", {})
    if it["kind"] in ("HorizontalPodAutoscaler", "ScaledObject"):
        yield spec["scaleTargetRef"]["kind"], spec["scaleTargetRef"]["name"]
    if it["kind"] == "RoleBinding":
        yield it["roleRef"]["kind"], it["roleRef"]["name"]
        for subject in it["subjects"]:
            yield subject["kind"], subject["name"]
    for ref in spec.get("parentRefs", []):
        yield ref.get("kind", "Gateway"), ref["name"]
    if it["kind"] == "BackendTLSPolicy":
        refs = [*spec["targetRefs"], *spec["validation"]["caCertificateRefs"]]
        yield from ((ref["kind"], ref["name"]) for ref in refs)
    if it["kind"] == "Ingress":
        yield from (("Secret", tls["secretName"]) for tls in spec.get("tls", []))
    if it["kind"] == "Rollout":
        yield from rollout_references(it)


def references(objects, values):
    """Every name leads to an object of the render, or is one that the values give."""
    known = {(it["kind"], it["metadata"]["name"]) for it in objects}
    known |= {("Secret", it["spec"]["target"]["name"]) for it in of_kind(objects, "ExternalSecret")}
    known |= {(kind, each) for kind, paths in GIVEN.items() for path in paths for each in given(values, path)}
    if values["secrets"]["mode"] == "secret":
        known.add(("Secret", values["secrets"]["name"]))
    wanted = [(it, ref) for it in objects for ref in object_references(it)]
    wanted += [(it, ref) for it, pod in manifests.pods(objects) for ref in pod_references(it, pod)]
    wanted += [(it, ("Service", service)) for it, service, _ in backends(objects)]
    for it, (kind, target) in wanted:
        if target and (kind, target) not in known:
            yield f"{name(it)}: refers to the {kind} {target}, which is neither rendered nor given by the values"
    for it, pod in manifests.pods(objects):
        there = {volume["name"] for volume in pod["spec"].get("volumes", [])}
        for container in containers(pod):
            for mount in container.get("volumeMounts", []):
                if mount["name"] not in there:
                    yield f"{name(it)}: mounts the volume {mount['name']}, which is not there"


def keys(objects, values):
    """A key of a ConfigMap that a pod names is in the ConfigMap."""
    data = {it["metadata"]["name"]: set(it.get("data", {})) for it in of_kind(objects, "ConfigMap")}
    for it, pod in manifests.pods(objects):
        sources = [env.get("valueFrom", {}).get("configMapKeyRef") for c in containers(pod) for env in c.get("env", [])]
        wanted = [(source["name"], source["key"]) for source in sources if source]
        maps = [volume["configMap"] for volume in pod["spec"].get("volumes", []) if "configMap" in volume]
        wanted += [(source["name"], item["key"]) for source in maps for item in source.get("items", [])]
        for source, key in wanted:
            if source in data and key not in data[source]:
                yield f"{name(it)}: wants the key {key} of the ConfigMap {source}, which has none"


def addresses(objects, values):
    """Whoever asks a Service of this namespace by its name, finds it and the port: the pod of `helm test`, analyses."""
    known = {it["metadata"]["name"]: {port["port"] for port in it["spec"]["ports"]} for it in of_kind(objects, "Service")}
    asked = [(it, arg) for it, pod in manifests.pods(objects) for c in containers(pod) for arg in c.get("args", [])]
    asked += [(it, metric["provider"]["web"]["url"]) for it in of_kind(objects, "AnalysisTemplate")
              for metric in it["spec"]["metrics"] if "web" in metric["provider"]]  # fmt: skip
    for it, text in asked:
        for host, port in re.findall(r"https?://([^/:]+):(\d+)", text):
            service, _, rest = host.partition(".")
            if rest in ("", f"{manifests.NAMESPACE}.svc") and int(port) not in known.get(service, ()):
                yield f"{name(it)}: asks {host}:{port}, and there is no such Service or port"


def scalers(objects, values):
    """One workload, one scaler at most, and a number of replicas exactly where nothing scales."""
    own = [it for it, _ in server_pods(objects)]
    scaling = of_kind(objects, "HorizontalPodAutoscaler", "ScaledObject")
    if len(own) != 1:
        yield f"there are {len(own)} workloads, not one"
    if len(scaling) > 1:
        yield f"{' and '.join(map(name, scaling))} both scale: they undo each other's work"
    for it in own:
        if scaling and "replicas" in it["spec"]:
            yield f"{name(it)}: sets replicas beside {name(scaling[0])}: every upgrade would undo the scaling"
        if not scaling and "replicas" not in it["spec"]:
            yield f"{name(it)}: has neither replicas nor a scaler, so one pod serves"


def carries(kind, value, path):
    """Whether a match of a route takes a path: a prefix ends at a slash, as Gateway API and Ingress have it."""
    if kind == "Exact":
        return path == value
    return kind not in ("PathPrefix", "Prefix") or path == value or path.startswith(value.rstrip("/") + "/")


def routes(objects, values):
    """No route carries health, metrics or the admin routes. A match that is no prefix and not exact counts as carrying all."""
    matches = []
    for it in of_kind(objects, "HTTPRoute"):
        for rule in it["spec"]["rules"]:
            paths = [match.get("path", {"type": "PathPrefix", "value": "/"}) for match in rule.get("matches", [{}])]
            matches += [(it, path["type"], path["value"]) for path in paths]
    for it in of_kind(objects, "Ingress"):
        if "defaultBackend" in it["spec"]:
            yield f"{name(it)}: its defaultBackend takes every path"
        paths = [path for rule in it["spec"]["rules"] for path in rule["http"]["paths"]]
        matches += [(it, path["pathType"], path["path"]) for path in paths]
    for it, kind, value in matches:
        carried = [path for path in PRIVATE if carries(kind, value, path)]
        if carried:
            yield f"{name(it)}: {value} carries {', '.join(carried)} to the outside"
    for it in of_kind(objects, "GRPCRoute"):
        for match in (match for rule in it["spec"]["rules"] for match in rule.get("matches", [{}])):
            if match.get("method", {}).get("service") != "inference.GRPCInferenceService":
                yield f"{name(it)}: carries more than the inference service to the outside"


def weights(objects, values):
    """Where a controller moves weights, a route sends all to stable and nothing to the canary at first."""
    for rollout in of_kind(objects, "Rollout"):
        canary = rollout["spec"]["strategy"].get("canary", {})
        if not canary.get("trafficRouting"):
            continue
        wanted = {canary["stableService"]: 100, canary["canaryService"]: 0}
        for it in of_kind(objects, "HTTPRoute", "GRPCRoute"):
            for rule in it["spec"]["rules"]:
                found = {ref["name"]: ref.get("weight") for ref in rule["backendRefs"]}
                if found != wanted:
                    yield f"{name(it)}: the weights are {found}, not {wanted}"


def analyses(objects, values):
    """Arguments of analyses are given, and the label that tells canary from stable is on the series."""
    by_name = {it["metadata"]["name"]: it for it in of_kind(objects, "AnalysisTemplate")}
    carried = [label for it in of_kind(objects, *MONITORS) for label in it["spec"].get("podTargetLabels", [])]
    for rollout in of_kind(objects, "Rollout"):
        analysis = rollout["spec"]["strategy"].get("canary", {}).get("analysis")
        if not analysis:
            continue
        passed = {it["name"] for it in analysis.get("args", [])}
        for each in analysis["templates"]:
            template = by_name.get(each["templateName"], {"spec": {}})
            needed = {it["name"] for it in template["spec"].get("args", []) if "value" not in it}
            if needed != passed:
                yield f"{name(rollout)}: gives {sorted(passed)} to {each['templateName']}, which takes {sorted(needed)}"
        if "rollouts-pod-template-hash" not in carried:
            yield f"{name(rollout)}: no monitor puts rollouts_pod_template_hash on the series that the analysis selects by"


def copies(objects, values):
    """Rules and dashboards are the files of the chart, nothing lost or changed on the way."""
    for it in of_kind(objects, "PrometheusRule"):
        groups = [group for file in sorted((FILES / "rules").glob("*.yml")) for group in yaml.safe_load(file.read_text())["groups"]]
        if it["spec"]["groups"] != groups:
            yield f"{name(it)}: its groups are not those of {FILES}/rules"
    boards = [it for it in of_kind(objects, "ConfigMap") if any(key.endswith(".json") for key in it["data"])]
    wanted = {file.name: json.loads(file.read_text()) for file in (FILES / "dashboards").glob("*.json")}
    found = {key: json.loads(text) for it in boards for key, text in it["data"].items()}
    if values["metrics"]["dashboards"]["enabled"] and found != wanted:
        yield f"the dashboards are {sorted(found)} and not as in {FILES}/dashboards, which has {sorted(wanted)}"


def names(objects, values):
    """No two objects of one kind and name, and all in the release's namespace."""
    seen = set()
    for it in objects:
        if name(it) in seen:
            yield f"{name(it)} is there twice"
        seen.add(name(it))
        if it["kind"] != "Namespace" and it["metadata"].get("namespace") != manifests.NAMESPACE:
            yield f"{name(it)}: its namespace is {it['metadata'].get('namespace')!r}, not the release's"


CHECKS = {
    check.__name__: check
    for check in (
        pod_ports, service_ports, policy_ports, monitors, selectors, references, keys, addresses, scalers, routes, weights, analyses,
        copies, names,
    )
}  # fmt: skip
