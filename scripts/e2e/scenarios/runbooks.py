"""The automated runbooks (scripts/runbooks) on a real API server: what is only shown changes nothing, --apply does what was shown,
and what would make things worse is refused. Here those for pods, their number and their nodes."""

from .. import chart, nodes
from ..chart import RELEASE
from ..failure import expect
from ..runbook import QUICK, Runbook, mark, pod_names, release
from ..scenario import scenario
from .disruption import all_nodes, cordoned, lose


@scenario
def runbook_restart_pod(cluster):
    """restart-pod evicts one pod; refused for the last ready one, for one too many, and for a pod that is not the release's"""
    with release(cluster, "runbook-restart") as (namespace, runbook):
        first, second, third = pod_names(cluster, namespace)
        runbook.refused("is no pod of", "restart-pod", "another")
        runbook.applied("restart-pod", first)
        cluster.wait(f"{first} to go", lambda: first not in {it["metadata"]["name"] for it in chart.pods(cluster, namespace)})
        chart.wait_available(cluster, namespace, 3)
        runbook.calm()
        with cordoned(cluster, all_nodes()):
            # Where no node takes a replacement, what is lost stays lost.
            code, said = runbook.call("restart-pod", second, "--apply")
            expect(code == 0, "the second restart failed:", said)
            runbook.calm()
            runbook.refused("no pod to spare", "restart-pod", third)
            [lost] = set(pod_names(cluster, namespace)) - {third}
            lose(cluster, namespace, lost)
            runbook.calm()
            runbook.refused("the last ready pod", "restart-pod", third)
        cluster.wait("the replacement to be ready", lambda: len(pod_names(cluster, namespace)) == 2)
        runbook.calm()
        # One that is not ready answers nobody: it may go.
        runbook.applied("restart-pod", lost)
        chart.wait_available(cluster, namespace, 3)


@scenario
def runbook_scale_out(cluster):
    """scale-out raises the autoscaler's fewest; refused beyond its most, beside pods that wait, without a scaler and under GitOps"""
    with release(cluster, "runbook-scale", {"autoscaling": {"maxReplicas": 6}}) as (namespace, runbook):
        runbook.refused("more than the most, 6", "scale-out", "--to", 7)
        runbook.refused("only scales out", "scale-out", "--to", 2)
        said = runbook.applied("scale-out")
        chart.wait_available(cluster, namespace, 5)
        scaler = cluster.get("horizontalpodautoscaler", RELEASE, namespace)
        expect((scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (5, 6), "the autoscaler is now:", scaler["spec"])
        expect(said.count("kubectl") and " scale " not in said, "a number of replicas was set beside the autoscaler:", said)
        runbook.calm()
        with cordoned(cluster, all_nodes()):
            runbook.applied("scale-out", "--by", "1")
            cluster.wait("a pod to wait", lambda: len(chart.pods(cluster, namespace)) == 6)
            cluster.kubectl("patch", "hpa", RELEASE, "--namespace", namespace, "--type", "merge", "--patch", '{"spec":{"maxReplicas":9}}')
            runbook.calm()
            runbook.refused("not ready yet", "scale-out", "--by", 1)
        chart.wait_available(cluster, namespace, 6, 120)
        # The way back that is shown: the next upgrade writes what the values say.
        chart.install(cluster, namespace, QUICK | {"autoscaling": {"maxReplicas": 6}})
        spec = cluster.get("horizontalpodautoscaler", RELEASE, namespace)["spec"]
        expect((spec["minReplicas"], spec["maxReplicas"]) == (3, 6), "the upgrade left the autoscaler at:", spec)
        mark(cluster, namespace, "horizontalpodautoscaler", "argocd.argoproj.io/tracking-id")
        runbook.calm()
        runbook.refused("Argo CD keeps", "scale-out")
        chart.install(cluster, namespace, QUICK | {"autoscaling": {"mode": "none"}})
        runbook.calm()
        runbook.refused("nothing scales this release", "scale-out")


@scenario
def runbook_scale_out_keda(cluster):
    """scale-out raises the fewest of KEDA's ScaledObject, where that scales"""
    cluster.install_crds("keda/keda.sh_scaledobjects")
    with release(cluster, "runbook-keda", {"autoscaling": {"mode": "keda"}}, 1) as (namespace, runbook):
        # Nobody plays KEDA here: what it would do with the number is its own.
        runbook.applied("scale-out", "--to", "4")
        spec = cluster.get("scaledobjects.keda.sh", RELEASE, namespace)["spec"]
        expect((spec["minReplicaCount"], spec["maxReplicaCount"]) == (4, 20), "the ScaledObject is now:", spec)


@scenario
def runbook_clear_node(cluster):
    """clear-node cordons a GPU's node and moves its pods; refused where the others have no GPU left, or none takes them"""
    gpu = {
        "gpu": {"enabled": True, "count": 4}, "models": {"source": "pvc", "pvc": {"create": True}}, "model": {"name": ""},
        "autoscaling": {"mode": "none"}, "replicaCount": 2,
    }  # fmt: skip
    first, second = (it["metadata"]["name"] for it in nodes.nodes() if it["metadata"]["name"].startswith("gpu"))
    with cluster.namespace("runbook-node") as namespace:
        claim(cluster, namespace)
        gpu["models"]["pvc"] = {"claimName": "models"}
        chart.install(cluster, namespace, QUICK | gpu)
        chart.wait_available(cluster, namespace, 2)
        runbook = Runbook(cluster, namespace)
        runbook.calm()
        runbook.refused("there is no node", "clear-node", "gpu-9")
        runbook.refused("no pod of", "clear-node", "worker-1")
        places = {it["spec"]["nodeName"] for it in chart.pods(cluster, namespace)}
        expect(places == {first, second}, "the two pods are not on both nodes with GPUs:", places)
        with cordoned(cluster, [second]):
            runbook.refused("no other node takes these pods", "clear-node", first)
        holder = filler(namespace, second)
        cluster.apply([holder])
        ready = lambda: chart.is_ready(cluster.get("pod", "filler", namespace))  # noqa: E731
        cluster.wait("the GPUs of the other node to be taken", ready)
        runbook.calm()
        runbook.refused("have 0 nvidia.com/gpu left, and these pods need 4", "clear-node", first)
        cluster.kubectl("delete", "pod", "filler", "--namespace", namespace)
        runbook.calm()
        runbook.applied("clear-node", first, "--timeout", "2m")
        chart.wait_available(cluster, namespace, 2)
        places = {it["spec"]["nodeName"] for it in chart.pods(cluster, namespace)}
        expect(places == {second}, "after it the pods are on:", places)
        expect(cluster.get("node", first)["spec"].get("unschedulable"), f"{first} is open still")
        cluster.kubectl("uncordon", first)
        chart.uninstall(cluster, namespace, {"PersistentVolumeClaim/models"})


def claim(cluster, namespace):
    """A claim that is bound, by a volume of the node's own folder: nothing is mounted here."""
    spec = {"accessModes": ["ReadOnlyMany"], "storageClassName": ""}
    size = {"storage": "1Gi"}
    volume = {
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "runbook-models"},
        "spec": spec | {"capacity": size, "hostPath": {"path": "/models"}, "persistentVolumeReclaimPolicy": "Retain"},
    }  # fmt: skip
    request = {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "models", "namespace": namespace},
        "spec": spec | {"volumeName": "runbook-models", "resources": {"requests": size}},
    }  # fmt: skip
    cluster.apply([volume, request])


def filler(namespace, node):
    """A pod of somebody else that takes what GPUs a node has left."""
    container = {
        "name": "filler", "image": "filler:1", "resources": {"limits": {"nvidia.com/gpu": "4"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    }  # fmt: skip
    spec = {"containers": [container], "tolerations": [nodes.GPU_TAINT | {"operator": "Equal"}], "nodeSelector": {"kubernetes.io/hostname": node}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "filler", "namespace": namespace}, "spec": spec}
