"""The automated runbooks (scripts/runbooks) on a real API server: what is only shown changes nothing, --apply does what was shown,
and what would make things worse is refused."""

import contextlib
import json
import os
import subprocess
from pathlib import Path

from .. import argo, chart, nodes, tools
from ..api import MERGE
from ..chart import RELEASE
from ..cluster import COMMAND_SECONDS
from ..failure import expect
from ..scenario import scenario
from .disruption import all_nodes, cordoned, lose

RUN = Path("scripts/runbooks/run.sh")
QUICK = {"delivery": {"minReadySeconds": 1}}
REFUSED = 3
STEPS, NOTHING = "\nsteps:\n", "Nothing was done."
# What a remedy might change; what controllers write by themselves into these, once all is calm, is nothing.
KINDS = ("deployments", "replicasets", "pods", "horizontalpodautoscalers", "poddisruptionbudgets", "services", "configmaps", "secrets")
CALM_SECONDS = 3


class Runbook:
    """Calls run.sh with this cluster's kubectl and helm, for a namespace."""

    def __init__(self, cluster, namespace):
        self.cluster, self.namespace = cluster, namespace
        programs = cluster.folder / "runbooks-bin"
        if not programs.exists():
            programs.mkdir()
            for name in ("kubectl", "helm"):
                (programs / name).symlink_to(tools.program(name))
        self.variables = cluster.variables | {"PATH": f"{programs}:{os.environ['PATH']}"}

    def call(self, name, *arguments):
        """Runs it; exit code, and what it said."""
        where = ("--namespace", self.namespace)
        done = subprocess.run(
            [str(RUN), name, *map(str, arguments), *where], env=self.variables, capture_output=True, text=True, timeout=COMMAND_SECONDS,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def shown(self, name, *arguments):
        """What it would do, which must have changed nothing."""
        before = self.versions()
        code, said = self.call(name, *arguments)
        expect(code == 0 and STEPS in said and said.rstrip().endswith("--apply does it."), f"{name} showed nothing ({code}):", said)
        after = self.versions()
        expect(before == after, f"{name} without --apply changed something:", {it for it in before.items() ^ after.items()})
        return said

    def applied(self, name, *arguments):
        """Does it, after it was shown: each step that was shown must have been done, and no other."""
        shown = steps(self.shown(name, *arguments))
        code, said = self.call(name, *arguments, "--apply")
        expect(code == 0 and NOTHING not in said, f"{name} --apply failed ({code}):", said)
        done = [line.split(". ", 1)[1] for line in said.splitlines() if line.startswith("==> ")]
        expect(done == shown, f"{name} --apply did other steps than were shown:", shown, done)
        return said

    def refused(self, why, name, *arguments):
        """It must be refused for this reason, with --apply, and have changed nothing."""
        before = self.versions()
        code, said = self.call(name, *arguments, "--apply")
        expect(code == REFUSED and why in said, f"{name} {' '.join(map(str, arguments))} had to be refused ({why}); it ended with {code}:", said)
        after = self.versions()
        expect(before == after, f"{name} was refused and changed something:", {it for it in before.items() ^ after.items()})

    def versions(self):
        """The versions of all objects that a remedy might change, nodes' specs among them."""
        found = {}
        for thing in self.cluster.list(",".join(KINDS), self.namespace):
            # An autoscaler without metrics writes its conditions again and again.
            own = json.dumps(thing["spec"]) if thing["kind"] == "HorizontalPodAutoscaler" else thing["metadata"]["resourceVersion"]
            found[thing["kind"], thing["metadata"]["name"]] = own
        for thing in self.cluster.api.get("/api/v1/nodes")["items"]:
            found["Node", thing["metadata"]["name"]] = json.dumps(thing["spec"], sort_keys=True)
        return found

    def calm(self):
        """Waits until the controllers have written what they have to write."""
        seen = [self.versions()]

        def same():
            seen.append(self.versions())
            return seen[-1] == seen[-2]

        self.cluster.wait("the controllers to be done", same, 90, CALM_SECONDS)


def steps(said):
    """The steps that were shown."""
    lines = said.split(STEPS, 1)[1].split("\n\n", 1)[0].splitlines()
    return [line.split(". ", 1)[1] for line in lines]


def pod_names(cluster, namespace):
    """The names of the pods that are ready."""
    return sorted(it["metadata"]["name"] for it in chart.pods(cluster, namespace) if chart.is_ready(it))


@contextlib.contextmanager
def release(cluster, name, values=None, replicas=3, stays=frozenset()):
    """The chart in a namespace of its own, calm, and its runbook."""
    with cluster.namespace(name) as namespace:
        chart.install(cluster, namespace, QUICK | (values or {}))
        chart.wait_available(cluster, namespace, replicas)
        runbook = Runbook(cluster, namespace)
        runbook.calm()
        yield namespace, runbook
        chart.uninstall(cluster, namespace, stays)


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


def mark(cluster, namespace, kind, annotation):
    """Marks an object as those that keep it as Git says do."""
    cluster.kubectl("annotate", kind, RELEASE, f"{annotation}=x", "--namespace", namespace)


def image(cluster, namespace):
    """The tag that the Deployment asks for."""
    return chart.deployment(cluster, namespace)["spec"]["template"]["spec"]["containers"][0]["image"].rpartition(":")[2]


@scenario
def runbook_roll_back(cluster):
    """roll-back goes to the newest Helm revision that went well; refused with none, in the middle of an upgrade and under GitOps"""
    tag = lambda it: {"image": {"tag": it}}  # noqa: E731
    with release(cluster, "runbook-back", tag("1.0.0")) as (namespace, runbook):
        runbook.refused("there is no earlier revision", "roll-back")
        chart.install(cluster, namespace, QUICK | tag("1.1.0"))
        chart.wait_available(cluster, namespace, 3)
        # A third one that is never ready, which helm gives up: a failed revision is nothing to go back to.
        broken = tag("1.2.0") | {"nodeSelector": {"no": "node"}}
        arguments = ("upgrade", RELEASE, chart.CHART, "--namespace", namespace, "--values", "-", "--wait", "--timeout", "5s")
        cluster.helm(*arguments, stdin=json.dumps(QUICK | broken), refused=True)
        runbook.calm()
        runbook.refused("there is no earlier revision 3", "roll-back", "--revision", 3)
        said = runbook.applied("roll-back")
        expect("Rollback was a success" in said and image(cluster, namespace) == "1.1.0", f"it went back to {image(cluster, namespace)}:", said)
        chart.wait_available(cluster, namespace, 3)
        runbook.calm()
        runbook.applied("roll-back", "--revision", 1)
        expect(image(cluster, namespace) == "1.0.0", f"it went back to {image(cluster, namespace)}")
        pending(cluster, namespace)
        runbook.calm()
        runbook.refused("another helm is at work", "roll-back")
        mark(cluster, namespace, "deployment", "argocd.argoproj.io/tracking-id")
        runbook.calm()
        runbook.refused("git revert", "roll-back")


def pending(cluster, namespace):
    """Marks the last revision as one that a helm which was killed left behind: the label is what helm itself sets."""
    last = max(cluster.list("secrets", namespace, f"owner=helm,name={RELEASE}"), key=lambda it: int(it["metadata"]["labels"]["version"]))
    record = cluster.folder / "record"
    # Helm believes what is in the record: it is encoded twice, and packed.
    program = (
        "import base64,gzip,json,sys;d=json.loads(gzip.decompress(base64.b64decode(base64.b64decode(sys.stdin.read()))));"
        "d['info']['status']='pending-upgrade';"
        "print(base64.b64encode(base64.b64encode(gzip.compress(json.dumps(d).encode()))).decode())"
    )
    record.write_text(cluster.run(["python3", "-c", program], stdin=last["data"]["release"]).out.strip())
    path = f"/api/v1/namespaces/{namespace}/secrets/{last['metadata']['name']}"
    body = {"data": {"release": record.read_text()}, "metadata": {"labels": {"status": "pending-upgrade"}}}
    status, answer = cluster.api.call("PATCH", path, body, MERGE)
    expect(status == 200, f"the record could not be written: {answer}")


@scenario
def runbook_roll_back_manifests(cluster):
    """roll-back of plain manifests undoes the Deployment's last change; refused where there was none"""
    with cluster.namespace("runbook-undo") as namespace:
        runbook = Runbook(cluster, namespace)
        for tag in ("1.0.0", "1.1.0"):
            cluster.apply(chart.render(cluster, namespace, QUICK | {"image": {"tag": tag}}), "--namespace", namespace)
            chart.wait_available(cluster, namespace, 3)
            runbook.calm()
            if tag == "1.0.0":
                runbook.refused("there is no earlier revision", "roll-back")
        runbook.applied("roll-back")
        chart.wait_available(cluster, namespace, 3)
        expect(image(cluster, namespace) == "1.0.0", f"it went back to {image(cluster, namespace)}")


@scenario
def runbook_roll_back_canary(cluster):
    """roll-back aborts a canary that is under way, also under GitOps, and then rolls the release back; under GitOps it refuses that"""
    steps_of = [{"setWeight": 34}, {"pause": {}}, {"setWeight": 100}]
    canary = {"trafficRouting": "none", "analysis": {"enabled": False}, "steps": steps_of}
    values = lambda it: {"image": {"tag": it}, "delivery": {"mode": "canary", "minReadySeconds": 1, "canary": canary}}  # noqa: E731
    with argo.Controller(cluster, routes=False), cluster.namespace("runbook-canary") as namespace:
        runbook = Runbook(cluster, namespace)
        chart.install(cluster, namespace, values("1.0.0"))
        stable = argo.wait_phase(cluster, namespace, "Healthy")["status"]["stableRS"]
        chart.install(cluster, namespace, values("1.1.0"))
        argo.wait_phase(cluster, namespace, "Paused")
        runbook.calm()
        path = argo.path(namespace)
        cluster.api.call("PATCH", path, {"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "x"}}}, MERGE)
        runbook.calm()
        runbook.applied("roll-back")
        now = argo.wait_phase(cluster, namespace, "Degraded")
        expect(now["status"]["abort"] and now["status"]["stableRS"] == stable, "the canary was not aborted:", now["status"])
        cluster.wait("the canary's pods to go", lambda: len(chart.pods(cluster, namespace)) == 3, 90)
        runbook.calm()
        runbook.refused("git revert", "roll-back")
        cluster.api.call("PATCH", path, {"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": None}}}, MERGE)
        runbook.calm()
        runbook.applied("roll-back")
        now = argo.wait_phase(cluster, namespace, "Healthy")
        expect(now["status"]["currentPodHash"] == stable, "the release did not go back to the stable revision:", now["status"])
        chart.uninstall(cluster, namespace, argo.configurations(cluster, namespace))


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


@contextlib.contextmanager
def served(cluster):
    """Our binary behind every pod, for logs and port-forward: the way there is the API server's own, the process is one for all."""
    binary = Path(os.environ["ML_INFERENCE_API"])
    variables = {"ORT_DISABLE_TELEMETRY": "1", "ORT_DYLIB_PATH": str(binary.parent / "libonnxruntime.so"), "MODEL_NAME": "fraud-detector"}
    variables |= {"ML_INFERENCE_HTTP__ADDR": f"127.0.0.1:{cluster.behind.http}", "ML_INFERENCE_GRPC__ADDR": f"127.0.0.1:{cluster.port()}"}
    variables |= {"ML_INFERENCE_ADMIN__ADDR": f"127.0.0.1:{cluster.behind.admin}"}
    process = cluster.spawn("ml-inference-api", [binary, "serve", "--models", "models/fraud-detector", "--models", "models/digits"], variables)
    path = cluster.logs / "ml-inference-api.log"
    cluster.wait("the server to be ready", lambda: '"message":"ready"' in path.read_text() or "ready" in path.read_text(), 60)
    stamp = "2026-01-01T00:00:00.000000000Z stderr F "
    # What a container runtime makes of the lines of a process.
    cluster.behind.log.write_text("".join(f"{stamp}{line}\n" for line in path.read_text().splitlines()))
    yield
    cluster.end(process)


@scenario
def runbook_admin(cluster):
    """load-model, unload-model and telemetry with --pods reach the admin listener of each pod by kubectl port-forward"""
    with served(cluster), release(cluster, "runbook-admin", replicas=3) as (_, runbook):
        said = runbook.applied("telemetry", "--pods", "--log-level", "debug", "--for", "1s")
        expect(said.count("put back: pod/") == 1 and said.count("'log_level': 'info'") >= 6, "the level was not put back for three pods:", said)
        # One process is behind all three: the second unload finds nothing to unload, which is no fault.
        said = runbook.applied("unload-model", "digits", "--pods")
        expect(said.count("digits: 1 UNAVAILABLE (unloaded)") == 3, "digits was not unloaded in three pods:", said)
        runbook.refused("is the last model at pod/", "unload-model", "fraud-detector", "--pods")
        runbook.refused("does not serve at pod/", "unload-model", "digits", "--pods")
        said = runbook.applied("load-model", "digits", "--pods")
        expect(said.count("digits: 1 READY") == 3, "digits was not loaded in three pods:", said)


@scenario
def runbook_diagnostics(cluster):
    """diagnostics keeps descriptions, events, logs and what each pod tells; it changes nothing, and no secret is in it"""
    secret = "hunter2-not-to-be-seen"
    with served(cluster), release(cluster, "runbook-diagnostics", stays={"Secret/ml-model-secrets"}) as (namespace, runbook):
        cluster.kubectl("create", "secret", "generic", "ml-model-secrets", f"--from-literal=token={secret}", "--namespace", namespace)
        cluster.kubectl("set", "env", f"deployment/{RELEASE}", f"API_TOKEN={secret}", f"OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer {secret}", "--namespace", namespace)
        chart.wait_available(cluster, namespace, 3)
        runbook.calm()
        folder = cluster.folder / "diagnostics"
        before = runbook.versions()
        runbook.applied("diagnostics", "--pods", "--to", folder)
        expect(before == runbook.versions(), "diagnostics changed something")
        texts = {str(it.relative_to(folder)): it.read_text() for it in folder.rglob("*") if it.is_file()}
        pod = pod_names(cluster, namespace)[0]
        for name, has in (("objects.txt", RELEASE), ("objects.json", '"kind": "Pod"'), ("events.txt", "Scheduled"), ("nodes.txt", "worker-1"),
                          ("helm-history.txt", "deployed"), (f"{pod}/describe.txt", "API_TOKEN"), (f"{pod}/metrics.txt", "inference_workers"),
                          (f"{pod}/models.json", "READY"), (f"{pod}/health.json", "ready"), (f"{pod}/log.jsonl", '"level"')):  # fmt: skip
            expect(has in texts.get(name, ""), f"{name} of the bundle lacks {has}:", texts.get(name, sorted(texts))[:2000])
        with_secret = [name for name, text in texts.items() if secret in text]
        expect(not with_secret, "the secret is in:", with_secret)
        expect("missing.txt" not in texts, "something could not be had:", texts.get("missing.txt"))
        runbook.refused("is not empty", "diagnostics", "--to", folder)
