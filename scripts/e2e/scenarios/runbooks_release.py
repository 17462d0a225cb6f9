"""The automated way back to the version before, of a Helm release, plain manifests and a canary."""

import json

from .. import argo, chart
from ..api import MERGE
from ..chart import RELEASE
from ..failure import expect
from ..runbook import QUICK, Runbook, mark, release
from ..scenario import scenario


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
        # Neither to the one that failed, nor to what is there already.
        runbook.applied("roll-back")
        expect(image(cluster, namespace) == "1.0.0", f"it went back to {image(cluster, namespace)}")
        chart.wait_available(cluster, namespace, 3)
        runbook.calm()
        runbook.applied("roll-back", "--revision", 2)
        expect(image(cluster, namespace) == "1.1.0", f"it went to {image(cluster, namespace)}")
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
