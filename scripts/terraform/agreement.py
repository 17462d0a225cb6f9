"""Holds deploy/terraform against the chart and against itself: what OpenTofu computes out of the pure files (nodes.tf, addons.tf,
values.tf) beside what helm renders of the chart with those values. Karpenter's objects are held against its own definitions. Each check is proven
on facts that are changed in one way. Called by check.sh; HELM, KUBECONFORM, SCHEMAS, TOFU and STAND_IN name programs and folders.
"""

import copy
import re
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "chart"))

import conform  # noqa: E402
import manifests  # noqa: E402
import yaml  # noqa: E402
from scratch import FOLDERS, Scratch  # noqa: E402

MINIMAL = {"models": {"source": "pvc", "pvc": {"claimName": "models"}}}
ADMIN = {"admins": {"x": "arn:aws:iam::111122223333:role/x"}}
APP = [
    "release", "namespace", "service_account", "monitoring_namespace", "monitor_labels", "gpu_toleration", "gpu_nodes",
    "device_plugin_values", "dcgm_exporter_values", "monitoring_values", "adapter_values", "cluster_autoscaler_values", "chart_values",
]  # fmt: skip
# GPU families that the lists of both folders name stand there in one form; so do the versions of Kubernetes.
TWICE = [(r'contains\((\["1\.[^]]*\]), var\.kubernetes_version\)', ("cluster", "app")), (r"\^\((g4dn[^)]*)\)", ("cluster", "karpenter"))]


def rendered(*values):
    """Objects of the chart with values that lie over each other."""
    def over(below, above):
        if isinstance(below, dict) and isinstance(above, dict):
            return below | {key: over(below.get(key), value) for key, value in above.items()}
        return above

    merged = {}
    for it in values:
        merged = over(merged, it)
    return manifests.parse(manifests.render(merged))


def gather():
    """All facts, as mappings and lists."""
    facts = {"texts": {}}
    with tempfile.TemporaryDirectory() as work:
        scratch = Scratch(work)
        facts["cluster"] = scratch.evaluate("cluster", ["nodes.tf", "addons.tf"], ["node_groups", "discovery", "gpu_taint"], ADMIN)
        facts["karpenter"] = scratch.evaluate("karpenter", ["nodes.tf"], ["node_objects", "node_role"], {"ami_version": "v20260202"})
        app = {name: scratch.evaluate("app", ["values.tf"], APP, given) for name, given in {
            "hpa": {}, "keda": {"scaling": "keda"}, "newest": {"kubernetes_version": "1.36"},
            "shared": {"gpu": {"shared_by": 4}}, "bucket": {"models_bucket": "models"},
        }.items()}  # fmt: skip
    facts["app"] = app
    for name in FOLDERS:
        facts["texts"][name] = "\n".join(it.read_text() for it in sorted(Path("deploy/terraform", name).glob("*.tf")))
    facts["chart"] = {name: rendered(app[name]["chart_values"]) for name in ("hpa", "keda", "bucket")}
    facts["chart"]["gpu"] = rendered(MINIMAL, {"gpu": {"enabled": True}, "model": {"name": "m"}}, app["hpa"]["chart_values"])
    facts["chart"]["shared"] = rendered(MINIMAL, {"gpu": {"enabled": True}, "model": {"name": "m"}}, app["shared"]["chart_values"])
    facts["about"] = yaml.safe_load((manifests.CHART / "Chart.yaml").read_text())
    facts["values"] = yaml.safe_load((manifests.CHART / "values.yaml").read_text())
    facts["environments"] = {it.parent.name: yaml.safe_load(it.read_text()) for it in Path("deploy/gitops/environments").glob("*/values.yaml")}
    facts["objects"] = manifests.parse(manifests.helm(
        "template", "gpu-nodes", "deploy/terraform/karpenter/objects", "--values", "-", what="helm refuses Karpenter's objects",
        given=yaml.safe_dump({"objects": facts["karpenter"]["node_objects"]}),
    ))  # fmt: skip
    return facts


def pod(objects):
    return manifests.template(manifests.of_kind(objects, *manifests.WORKLOADS)[0])["spec"]


def tolerates(tolerations, taint):
    """Whether one of the tolerations is for a taint, in the words of Kubernetes."""
    for it in tolerations:
        same = it.get("key") == taint["key"] and it.get("effect", taint["effect"]) == taint["effect"]
        if same and (it.get("operator") == "Exists" or it.get("value") == taint["value"]):
            return True
    return False


def kubernetes_taint(taint):
    """EKS writes effects in another form."""
    return taint | {"effect": {"NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute"}.get(taint["effect"], taint["effect"])}


def of_kind(facts, kind):
    return next(it for it in facts["objects"] if it["kind"] == kind)


def gpu_nodes(facts):
    """The server, the device plugin and DCGM may run on GPU nodes of both kinds, and choose them by a label that these have."""
    group = facts["cluster"]["node_groups"]["gpu"]
    pool = of_kind(facts, "NodePool")["spec"]["template"]
    kinds = {
        "the group gpu": (group["labels"], [kubernetes_taint(it) for it in group["taints"].values()]),
        "Karpenter's pool": (pool["metadata"]["labels"], pool["spec"]["taints"]),
    }
    app, server = facts["app"]["hpa"], pod(facts["chart"]["gpu"])
    pods = {
        "the server": (server["nodeSelector"], server["tolerations"]),
        "the device plugin": ({"nvidia.com/gpu.present": "true"}, app["device_plugin_values"]["tolerations"]),
        "DCGM": (app["dcgm_exporter_values"]["nodeSelector"], app["dcgm_exporter_values"]["tolerations"]),
    }
    for place, (labels, taints) in kinds.items():
        if not taints:
            yield f"{place} has no taint: anything may run there"
        for who, (selector, tolerations) in pods.items():
            if not selector.items() <= labels.items():
                yield f"{who} looks for nodes with {selector}, and {place} has {labels}"
            for it in taints:
                if not tolerates(tolerations, it):
                    yield f"{who} does not tolerate {it} of {place}"


def gpu_resource(facts):
    """What the server asks for is what the device plugin gives out, whole or shared, and what Karpenter counts."""
    def asked(name):
        return [it for it in pod(facts["chart"][name])["containers"][0]["resources"]["limits"] if it.startswith("nvidia.com/")]

    limits = of_kind(facts, "NodePool")["spec"]["limits"]
    if [it for it in asked("gpu") if it not in limits] or not asked("gpu"):
        yield f"the server asks for {asked('gpu')}, and Karpenter's pool is bounded by {limits}"
    config = yaml.safe_load(facts["app"]["shared"]["device_plugin_values"]["config"]["map"]["shared"])["sharing"]["timeSlicing"]
    [resource] = config["resources"]
    given = f"{resource['name']}.shared" if config.get("renameByDefault") else resource["name"]
    if asked("shared") != [given]:
        yield f"the server asks for {asked('shared')}, and a shared GPU is given out as {given}"


def monitoring(facts):
    """Prometheus may scrape the server, finds its monitors and rules, and is where KEDA and the adapter ask."""
    app = facts["app"]["hpa"]
    namespace = app["monitoring_namespace"]
    selector = facts["values"]["networkPolicy"]["monitoringNamespace"]
    if selector != {"kubernetes.io/metadata.name": namespace}:
        yield f"the chart lets in scrapes from {selector}, and Prometheus is in {namespace}"
    labelled = manifests.of_kind(facts["chart"]["hpa"], "PodMonitor", "ServiceMonitor", "PrometheusRule")
    if {it["kind"] for it in labelled} != {"PodMonitor", "PrometheusRule"}:
        yield "the chart renders no monitor or no rules"
    release = re.search(r'resource "helm_release" "kube_prometheus_stack" \{\s*name\s*= "([^"]*)"', facts["texts"]["app"])[1]
    for it in labelled:
        if it["metadata"]["labels"].get("release") != release:
            yield f"{manifests.name(it)} has not the label release: {release}, so Prometheus does not take it"
    sidecar = app["monitoring_values"]["grafana"]["sidecar"]["dashboards"]
    boards = [it for it in manifests.of_kind(facts["chart"]["hpa"], "ConfigMap") if "dashboard" in it["metadata"]["name"]]
    if not boards or any(it["metadata"]["labels"].get(sidecar["label"]) != sidecar["labelValue"] for it in boards):
        yield f"Grafana looks for {sidecar['label']}: {sidecar['labelValue']}, which the chart's dashboards do not have"
    address = f"http://prometheus-operated.{namespace}.svc"
    [scaler] = manifests.of_kind(facts["chart"]["keda"], "ScaledObject")
    asked = {it["metadata"]["serverAddress"] for it in scaler["spec"]["triggers"]}
    if asked != {f"{address}:9090"} or app["adapter_values"]["prometheus"]["url"] != address:
        yield f"KEDA asks {asked} and the adapter {app['adapter_values']['prometheus']['url']}, and Prometheus is at {address}:9090"


def scaling(facts):
    """Each mode has what it asks of: the adapter a rule for each metric of the HPA, KEDA no HPA beside its own."""
    [hpa] = manifests.of_kind(facts["chart"]["hpa"], "HorizontalPodAutoscaler")
    asked = {it["pods"]["metric"]["name"] for it in hpa["spec"]["metrics"] if it["type"] == "Pods"}
    given = {it["name"]["as"] for it in facts["app"]["hpa"]["adapter_values"]["rules"]["custom"]}
    if not asked or asked - given:
        yield f"the HPA asks for {sorted(asked)}, and the adapter gives {sorted(given)}"
    if manifests.of_kind(facts["chart"]["keda"], "HorizontalPodAutoscaler"):
        yield "with keda there is an HPA beside the ScaledObject"
    for name, wanted in (("hpa", "v1.35."), ("newest", "v1.36.")):
        tag = facts["app"][name]["cluster_autoscaler_values"]["image"]["tag"]
        if not tag.startswith(wanted):
            yield f"the Cluster Autoscaler is {tag}, and the cluster {wanted}x"


def environments(facts):
    """What GitOps gives the chart fits what is installed: the monitors' labels, the metrics' server, the address of Prometheus."""
    for name, given in facts["environments"].items():
        for what in ("monitor", "rules"):
            asked = given["metrics"].get(what, {})
            labels = asked.get("labels")
            # Alerts are production's.
            if (asked.get("enabled") or what == "monitor") and labels != facts["app"]["hpa"]["monitor_labels"]:
                yield f"{name}'s {what} has the labels {labels}, and Prometheus takes {facts['app']['hpa']['monitor_labels']}"
        modes = {"cpu"} | {facts["app"][it]["chart_values"]["autoscaling"]["mode"] for it in ("hpa", "keda")}
        if (mode := given["autoscaling"]["mode"]) not in modes:
            yield f"{name} scales by {mode}, and there is {sorted(modes)}"
        address = given.get("prometheus", facts["values"]["prometheus"])["address"]
        if address != facts["app"]["hpa"]["chart_values"]["prometheus"]["address"]:
            yield f"{name} asks Prometheus at {address}"
    if facts["environments"].keys() < {"staging", "production"}:
        yield f"there are only the environments {sorted(facts['environments'])}"


def identity(facts):
    """The association names the service account that the chart makes, and the policy lets its pods out to the agent and to S3."""
    app = facts["app"]["bucket"]
    [account] = manifests.of_kind(facts["chart"]["bucket"], "ServiceAccount")
    names = {account["metadata"]["name"], pod(facts["chart"]["bucket"])["serviceAccountName"]}
    if names != {app["service_account"]}:
        yield f"the role is for {app['service_account']}, and the pods run as {sorted(names)}"
    if app["namespace"] != manifests.NAMESPACE or app["release"] != manifests.RELEASE:
        yield f"the release is {app['release']} in {app['namespace']}, and elsewhere {manifests.RELEASE} in {manifests.NAMESPACE}"
    [policy] = manifests.of_kind(facts["chart"]["bucket"], "NetworkPolicy")
    ways = str(policy["spec"]["egress"])
    if "169.254.170.23/32" not in ways or "'port': 443" not in ways:
        yield "with models_bucket the network policy cuts the pods off from the agent or from S3"


def versions(facts):
    """The chart that is installed is the one here, from where its image is too, on a Kubernetes that it is checked with."""
    text = facts["texts"]["app"]
    version = re.search(r'version\s*= optional\(string, "([^"]*)"\)', text)[1]
    repository = re.search(r'repository = optional\(string, "oci://([^"]*)"\)', text)[1]
    if version != facts["about"]["version"]:
        yield f"the version of the chart is {version} by default, and the chart's own is {facts['about']['version']}"
    if f"{facts['about']['name']}@" not in text:
        yield f"the release does not name the chart {facts['about']['name']} by digest"
    image = facts["values"]["image"]["repository"]
    if repository.split("/")[:2] != image.split("/")[:2]:
        yield f"the chart comes from {repository}, and its image from {image}"
    oldest, newest = (tuple(map(int, it.split(".")[:2])) for it in manifests.KUBERNETES)
    for it in re.findall(r"1\.\d+", re.search(TWICE[0][0], facts["texts"]["cluster"])[1]):
        if not oldest <= tuple(map(int, it.split("."))) <= newest:
            yield f"kubernetes_version may be {it}, which the chart is not checked with"
    for pattern, folders in TWICE:
        found = {re.search(pattern, facts["texts"][name])[1] for name in folders}
        if len(found) != 1:
            yield f"{' and '.join(folders)} differ: {sorted(found)}"
    regions = {it for name in FOLDERS for it in re.findall(r'default\s*= "(\w\w-[a-z]+-\d)"', facts["texts"][name])}
    if regions != {"ap-northeast-2"}:
        yield f"regions differ: {sorted(regions)}"


def karpenter(facts):
    """What helm makes is what OpenTofu computed; Karpenter's definitions take it; it finds the subnets and the role of the cluster."""
    computed = sorted(facts["karpenter"]["node_objects"], key=manifests.name)
    if sorted(facts["objects"], key=manifests.name) != computed:
        yield "helm makes other objects of the node class and the pool than OpenTofu computed"
    node_class = of_kind(facts, "EC2NodeClass")["spec"]
    if node_class["role"] != facts["karpenter"]["node_role"]:
        yield f"the node class names the role {node_class['role']}, and the module makes {facts['karpenter']['node_role']}"
    for terms in ("subnetSelectorTerms", "securityGroupSelectorTerms"):
        if [it.get("tags") for it in node_class[terms]] != [facts["cluster"]["discovery"]]:
            yield f"the node class looks for {node_class[terms]}, and the cluster is tagged {facts['cluster']['discovery']}"
    said = conform.kubeconform(manifests.KUBERNETES[-1], given=yaml.safe_dump_all(facts["objects"]))
    yield from (f"Karpenter's definition does not take {it['kind']}: {it['msg']}" for it in said if it["status"] != "statusValid")
    if len(said) != len(facts["objects"]):
        yield f"kubeconform judged {len(said)} of {len(facts['objects'])} objects"


def change(*way, value):
    """A change of facts at a place; None takes it out."""
    def apply(facts):
        *path, last = way
        for step in path:
            facts = facts[step]
        if value is None:
            del facts[last]
        else:
            facts[last] = value

    return apply


CHECKS = [gpu_nodes, gpu_resource, monitoring, scaling, environments, identity, versions, karpenter]
POOL, CLASS = ("objects", 1), ("objects", 0)


def text(folder, old, new):
    def apply(facts):
        if old not in facts["texts"][folder]:
            sys.exit(f"error: agreement.py would change {old!r} in {folder}, which is not there any more")
        facts["texts"][folder] = facts["texts"][folder].replace(old, new)

    return apply


# The check that must complain, what is changed, and a word of the complaint.
MUTATIONS = [
    (gpu_nodes, change("cluster", "node_groups", "gpu", "taints", "gpu", "value", value="present"), "does not tolerate"),
    (gpu_nodes, change("cluster", "node_groups", "gpu", "taints", value={}), "has no taint"),
    (gpu_nodes, change("cluster", "node_groups", "gpu", "labels", value={}), "looks for nodes"),
    (gpu_nodes, change(*POOL, "spec", "template", "spec", "taints", 0, "effect", value="NoExecute"), "does not tolerate"),
    (gpu_nodes, change("app", "hpa", "dcgm_exporter_values", "tolerations", value=[]), "DCGM does not tolerate"),
    (gpu_resource, change(*POOL, "spec", "limits", value={"cpu": "5"}), "bounded by"),
    (gpu_resource, change("app", "shared", "device_plugin_values", "config", "map", "shared",
                          value="sharing: {timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: 4}]}}"), "given out as"),
    (monitoring, change("app", "hpa", "monitoring_namespace", value="observability"), "observability"),
    (monitoring, text("app", '"kube-prometheus-stack"', '"monitoring"'), "does not take it"),
    (monitoring, change("app", "hpa", "monitoring_values", "grafana", "sidecar", "dashboards", "label", value="board"), "board"),
    (monitoring, change("app", "hpa", "adapter_values", "prometheus", "url", value="http://prometheus"), "the adapter http://prometheus"),
    (scaling, change("app", "hpa", "adapter_values", "rules", "custom", value=[]), "the adapter gives []"),
    (scaling, change("app", "newest", "cluster_autoscaler_values", "image", "tag", value="v1.35.2"), "Cluster Autoscaler"),
    (environments, change("environments", "staging", "metrics", "monitor", "labels", value={"release": "other"}), "staging's monitor"),
    (environments, change("environments", "production", "autoscaling", "mode", value="none"), "scales by none"),
    (environments, change("environments", "production", "prometheus", value={"address": "http://prometheus:9090"}), "asks Prometheus"),
    (environments, change("environments", "staging", value=None), "only the environments"),
    (identity, change("app", "bucket", "service_account", value="default"), "run as"),
    (identity, change("app", "bucket", "namespace", value="prod"), "in prod"),
    (identity, lambda facts: manifests.of_kind(facts["chart"]["bucket"], "NetworkPolicy")[0]["spec"].update(egress=[]),
     "cuts the pods off"),
    (versions, change("about", "version", value="0.2.0"), "0.2.0"),
    (versions, change("values", "image", "repository", value="ghcr.io/other/ml-inference-api"), "ghcr.io/other"),
    (versions, text("cluster", '["1.35", "1.36"]', '["1.35", "1.37"]'), "not checked with"),
    (versions, text("app", '["1.35", "1.36"]', '["1.35"]'), "differ"),
    (versions, text("karpenter", '"ap-northeast-2"', '"us-east-1"'), "us-east-1"),
    (karpenter, change(*CLASS, "spec", "role", value="other"), "other"),
    (karpenter, change(*CLASS, "spec", "subnetSelectorTerms", value=[{"tags": {"karpenter.sh/discovery": "x"}}]), "is tagged"),
    (karpenter, change(*CLASS, "spec", "metadataOptions", "httpHopLimit", value=1), "httpHopLimit"),
    (karpenter, change(*POOL, "spec", "disruption", "consolidationPolicy", value="Never"), "consolidationPolicy"),
    (karpenter, change(*POOL, "spec", "template", "spec", "expireAfter", value="a month"), "expireAfter"),
]  # fmt: skip


def main():
    facts = gather()
    facts["objects"].sort(key=manifests.name)
    problems = [it for check in CHECKS for it in check(facts)]
    for number, (check, spoil, word) in enumerate(MUTATIONS):
        spoilt = copy.deepcopy(facts)
        spoil(spoilt)
        if not any(word in it for it in check(spoilt)):
            problems.append(f"{check.__name__} does not see mistake {number} of agreement.py ('{word}')")
    missing = [check.__name__ for check in CHECKS if check not in [it[0] for it in MUTATIONS]]
    problems += [f"no mistake proves {name}" for name in missing]
    for problem in problems:
        print(f"error: deploy/terraform: {problem}", file=sys.stderr)
    if problems:
        return 1
    print(f"{len(CHECKS)} checks find that nodes, monitoring, scaling, rights, versions and Karpenter's objects are the chart's; "
          f"they see {len(MUTATIONS)} mistakes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
