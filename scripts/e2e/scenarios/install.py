"""The chart installed: with no values, and with each file of ci/."""

import contextlib

from .. import chart
from ..chart import CI_VALUES, GROUPS, RELEASE
from ..failure import expect
from ..nodes import ZONES
from ..scenario import scenario

# Claims and ConfigMaps of Rollouts stay by `helm.sh/resource-policy`: models are precious, and old revisions read their own.
KEEP = "helm.sh/resource-policy"


@scenario
def install(cluster):
    """helm install with no values: the brief's defaults, three replicas, NOTES, no warning, a clean uninstall"""
    with cluster.namespace("production") as namespace:
        done = cluster.helm("install", RELEASE, chart.CHART, "--namespace", namespace, "--wait", "--timeout", "120s")
        expect(not done.err.strip(), "helm warned:", done.err)
        notes = cluster.helm("get", "notes", RELEASE, "--namespace", namespace).out
        expect("curl" in notes and "/predict" in notes, "NOTES show no first prediction:", notes)
        manifest = chart.objects(cluster.helm("get", "manifest", RELEASE, "--namespace", namespace).out)
        expect("replicas" not in chart.only(manifest, "Deployment")["spec"], "the chart sets replicas beside an autoscaler")
        check_defaults(chart.wait_available(cluster, namespace, 3), cluster, namespace)
        check_endpoints(cluster, namespace)
        check_spread(cluster, namespace)
        # kwok lets a hook's pod run for ever, but the API server says whether it would be let in.
        hooks = cluster.helm("get", "hooks", RELEASE, "--namespace", namespace).out
        expect("helm.sh/hook: test" in hooks, "the release has no pod for 'helm test':", hooks)
        warned = cluster.apply(hooks, "--namespace", namespace, "--dry-run=server", "--validate=strict").err
        expect(not warned.strip(), "the API server warned of the test's pod:", warned)
        generation = chart.deployment(cluster, namespace)["metadata"]["generation"]
        chart.install(cluster, namespace)
        again = chart.deployment(cluster, namespace)["metadata"]["generation"]
        expect(again == generation, "an upgrade to the same version with the same values changed the Deployment")
        chart.uninstall(cluster, namespace)


def check_defaults(deployment, cluster, namespace):
    """The brief's numbers, as the API server has them."""
    rolling = deployment["spec"]["strategy"]["rollingUpdate"]
    expect(rolling == {"maxSurge": 1, "maxUnavailable": 0}, "the Deployment does not keep all replicas:", rolling)
    container = chart_container(deployment)
    wanted = {"requests": ("500m", "512Mi"), "limits": ("2", "2Gi")}
    for kind, values in wanted.items():
        seen = container["resources"][kind]
        expect((seen["cpu"], seen["memory"]) == values, f"the {kind} are not {values}:", seen)
    source = [it["valueFrom"] for it in container["env"] if it["name"] == "MODEL_NAME"]
    reference = {"configMapKeyRef": {"name": "ml-config", "key": "model_name"}}
    expect(source == [reference], "MODEL_NAME does not come from ml-config:", source)
    data = cluster.get("configmap", "ml-config", namespace)["data"]
    expect(data["model_name"] == "fraud-detector", "ml-config names another model:", data)
    scaler = cluster.get("horizontalpodautoscaler", RELEASE, namespace)["spec"]
    expect((scaler["minReplicas"], scaler["maxReplicas"]) == (3, 20), "the autoscaler's limits are others:", scaler)


def chart_container(deployment):
    """The server's container."""
    return next(it for it in deployment["spec"]["template"]["spec"]["containers"] if it["name"] == RELEASE)


def check_endpoints(cluster, namespace):
    """The Service leads to every pod by its ports for clients, and not to the admin listener."""
    path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"

    def complete():
        items = cluster.api.get(path)["items"]
        slices = [it for it in items if it["metadata"]["labels"]["kubernetes.io/service-name"] == RELEASE]
        ready = [end for it in slices for end in it["endpoints"] if end["conditions"]["ready"]]
        return len(ready) == 3 and slices

    slices = cluster.wait("three ready endpoints of the Service", complete)
    ports = {(port["name"], port["port"]) for it in slices for port in it["ports"]}
    expect(ports == {("http", 8080), ("grpc", 8081)}, "the Service leads to other ports:", ports)


def check_spread(cluster, namespace):
    """The scheduler put the three pods into three zones, on three nodes, none with a GPU."""
    nodes = {it["metadata"]["name"]: it["metadata"]["labels"] for it in cluster.api.get("/api/v1/nodes")["items"]}
    used = [it["spec"]["nodeName"] for it in chart.pods(cluster, namespace)]
    zones = {nodes[name]["topology.kubernetes.io/zone"] for name in used}
    expect(zones == set(ZONES) and not any(name.startswith("gpu") for name in used), "the pods are spread badly:", used)


@scenario
def ci_values(cluster):
    """helm install with each file of ci/: accepted without warnings, available, and a clean uninstall"""
    expect(CI_VALUES, "helm/ml-inference-api/ci has no values")
    cluster.install_crds(*GROUPS)
    # All at once, so that the seconds in which pods prove themselves are waited for only once.
    with contextlib.ExitStack() as stack:
        manifests = {}
        for path in CI_VALUES:
            namespace = stack.enter_context(cluster.namespace(f"ci-{path.name.removesuffix('-values.yaml')}"))
            manifest = manifests[namespace] = chart.render(cluster, namespace, None, "--values", path)
            prepare(cluster, namespace, manifest)
            chart.install(cluster, namespace, None, "--values", path)
        for namespace, manifest in manifests.items():
            wait_workload(cluster, namespace, manifest)
        for namespace, manifest in manifests.items():
            kept = [it for it in manifest if (it["metadata"].get("annotations") or {}).get(KEEP) == "keep"]
            stays = [*kept, *presupposed(manifest)]
            chart.uninstall(cluster, namespace, {f"{it['kind']}/{it['metadata']['name']}" for it in stays})


def wait_workload(cluster, namespace, manifest):
    """Until as many pods as can be had here are available. Without Argo's controller a Rollout has none: scenarios of
    its own walk it. Without KEDA nobody raises the API server's default of one replica."""
    kinds = {it["kind"]: it for it in manifest}
    if "Rollout" in kinds:
        expect("Deployment" not in kinds, "the chart makes a Deployment beside a Rollout")
        expect(cluster.get("rollouts.argoproj.io", RELEASE, namespace), "the Rollout is not there")
        return
    replicas = kinds["Deployment"]["spec"].get("replicas", 1)
    if "HorizontalPodAutoscaler" in kinds:
        replicas = kinds["HorizontalPodAutoscaler"]["spec"]["minReplicas"]
    chart.wait_available(cluster, namespace, replicas)


def pod_spec(manifest):
    """The pods' specification, of a Deployment or a Rollout."""
    return next(it for it in manifest if it["kind"] in ("Deployment", "Rollout"))["spec"]["template"]["spec"]


def presupposed(manifest):
    """What such values take for granted in the namespace: claims and a ServiceAccount that the chart does not make."""
    own = {(it["kind"], it["metadata"]["name"]) for it in manifest}
    spec = pod_spec(manifest)
    claims = [it["persistentVolumeClaim"]["claimName"] for it in spec["volumes"] if "persistentVolumeClaim" in it]
    for name in claims:
        if ("PersistentVolumeClaim", name) not in own:
            yield {
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
                "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}},
            }  # fmt: skip
    account = spec["serviceAccountName"]
    if ("ServiceAccount", account) not in own:
        yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}}


def prepare(cluster, namespace, manifest):
    """Makes what the values take for granted, in the namespace and in the cluster."""
    brought = list(presupposed(manifest))
    spec = pod_spec(manifest)
    wide = []
    if name := spec.get("priorityClassName"):
        wide.append({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}, "value": 1000})
    if name := spec.get("runtimeClassName"):
        wide.append({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": name}, "handler": name})
    claims = [it for it in [*brought, *manifest] if it["kind"] == "PersistentVolumeClaim"]
    wide += [volume(namespace, claim) for claim in claims]
    if brought or wide:
        cluster.apply([*wide, *({**it, "metadata": it["metadata"] | {"namespace": namespace}} for it in brought)])


def volume(namespace, claim):
    """A volume for one claim, in place of what a storage class provides."""
    name, spec = claim["metadata"]["name"], claim["spec"]
    return {
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": f"{namespace}-{name}"},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]}, "accessModes": spec["accessModes"],
            "storageClassName": spec.get("storageClassName", ""), "hostPath": {"path": "/nowhere"},
            "claimRef": {"namespace": namespace, "name": name},
        },
    }  # fmt: skip
