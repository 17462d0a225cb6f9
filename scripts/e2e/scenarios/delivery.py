"""What the job `deploy` of .github/workflows/ci-cd.yml runs, scripts/delivery/deploy.sh, on the control plane."""

import json
import threading

from .. import argo, chart, tools
from ..api import MERGE
from ..chart import RELEASE
from ..failure import expect
from ..scenario import scenario

IMAGE = "ghcr.io/myorg/ml-inference-api"
FIRST, SECOND, THIRD = (f"sha256:{it * 64}" for it in "abc")
QUICK = {"delivery": {"minReadySeconds": 1}}
CANARY = {
    "autoscaling": {"mode": "none"},
    "delivery": {
        "mode": "canary", "minReadySeconds": 1,
        "canary": {
            "trafficRouting": "none", "analysis": {"enabled": False},
            "steps": [{"setWeight": 10}, {"pause": {"duration": "5s"}}, {"setWeight": 100}],
        },
    },
}  # fmt: skip


def deploy(cluster, namespace, digest, values, refused=False):
    """Runs the script with these values, as the workflow does; what it said."""
    folder = cluster.folder / f"values-{namespace}"
    folder.mkdir(exist_ok=True)
    for name, content in (("values", values), ("image", {"image": {"digest": FIRST}}), ("model", {})):
        (folder / f"{name}.yaml").write_text(json.dumps(content))
    settings = {
        "NAMESPACE": namespace, "VALUES": folder, "TIMEOUT": "30s", "POLL_SECONDS": "0.5", "ROLLOUT_SECONDS": "60",
        "HELM": tools.program("helm"), "KUBECTL": tools.program("kubectl"),
    }  # fmt: skip
    command = ["env", *(f"{name}={value}" for name, value in settings.items()), "scripts/delivery/deploy.sh", "production", IMAGE, digest]
    return cluster.run(command, refused=refused).err


class Tests:
    """Ends the pods of `helm test` while the block goes on, which kwok lets run for ever: passed, or failed."""

    def __init__(self, cluster, namespace, phase="Succeeded"):
        self.api, self.path = cluster.api, f"/api/v1/namespaces/{namespace}/pods/{RELEASE}-test"
        self.phase, self.seen, self.over = phase, 0, threading.Event()
        self.thread = threading.Thread(target=self._end)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def _end(self):
        while not self.over.wait(0.3):
            pod = self.api.get(self.path)
            if pod and pod["status"].get("phase") == "Running":
                code, _ = self.api.call("PATCH", f"{self.path}/status", {"status": {"phase": self.phase}}, MERGE)
                self.seen += code == 200


def runs(cluster, namespace, kind="deployments"):
    """The image that the workload asks for."""
    prefix = "apps" if kind == "deployments" else "argoproj.io"
    version = "v1" if kind == "deployments" else "v1alpha1"
    thing = cluster.api.get(f"/apis/{prefix}/{version}/namespaces/{namespace}/{kind}/{RELEASE}")
    return thing["spec"]["template"]["spec"]["containers"][0]["image"]


@scenario
def delivery(cluster):
    """the workflow's deployment: by digest, tested; pods that never come and a test that fails are rolled back"""
    with cluster.namespace("delivery") as namespace:
        with Tests(cluster, namespace) as tests:
            deploy(cluster, namespace, FIRST, QUICK)
            expect(tests.seen == 1, f"helm test ran {tests.seen} times, not once")
            expect(runs(cluster, namespace) == f"{IMAGE}@{FIRST}", f"what runs is {runs(cluster, namespace)}")
            said = deploy(cluster, namespace, SECOND, QUICK | {"nodeSelector": {"no-such": "node"}}, refused=True)
            expect("rolled it back" in said and runs(cluster, namespace) == f"{IMAGE}@{FIRST}", "pods that never came were not rolled back:", said)
            deploy(cluster, namespace, SECOND, QUICK)
            expect(runs(cluster, namespace) == f"{IMAGE}@{SECOND}", f"what runs is {runs(cluster, namespace)}")
        with Tests(cluster, namespace, "Failed"):
            said = deploy(cluster, namespace, THIRD, QUICK, refused=True)
        expect("helm test failed; rolled back" in said, "it ended for another reason:", said)
        expect(runs(cluster, namespace) == f"{IMAGE}@{SECOND}", f"after a test that failed {runs(cluster, namespace)} runs")
        chart.wait_available(cluster, namespace, 3)
        cluster.kubectl("delete", "pod", f"{RELEASE}-test", "--namespace", namespace, "--ignore-not-found", "--force", "--grace-period", "0")
        chart.uninstall(cluster, namespace)


@scenario
def delivery_canary(cluster):
    """the same for a canary, of which helm's --wait knows nothing: it is waited for to its end, and taken back when it was aborted"""
    controller = argo.Controller(cluster, routes=False)
    with controller, cluster.namespace("delivery-canary") as namespace, Tests(cluster, namespace):
        deploy(cluster, namespace, FIRST, CANARY)
        stable = argo.wait_phase(cluster, namespace, "Healthy")["status"]["stableRS"]
        said = deploy(cluster, namespace, SECOND, CANARY)
        now = argo.rollout(cluster, namespace)["status"]
        expect(now["phase"] == "Healthy" and now["stableRS"] != stable, "it came back before the canary was all there is:", said)
        expect("CanaryPauseStep" in said or "step 1 of 3" in said, "it did not tell of the steps:", said)
        aborted(cluster, namespace, now["stableRS"])
        cluster.kubectl("delete", "pod", f"{RELEASE}-test", "--namespace", namespace, "--ignore-not-found", "--force", "--grace-period", "0")
        chart.uninstall(cluster, namespace, argo.configurations(cluster, namespace))


def aborted(cluster, namespace, stable):
    """A canary that is aborted, as an analysis does it, fails the deployment, and the version before is asked for again."""

    def abort():
        argo.wait_phase(cluster, namespace, "Paused")
        argo.patch_status(cluster, namespace, abort=True)

    thread = threading.Thread(target=abort)
    thread.start()
    said = deploy(cluster, namespace, THIRD, CANARY, refused=True)
    thread.join()
    expect("rolled back to revision 2" in said, "an aborted canary was not rolled back:", said)
    expect(runs(cluster, namespace, "rollouts") == f"{IMAGE}@{SECOND}", f"{runs(cluster, namespace, 'rollouts')} is asked for")
    expect(argo.wait_phase(cluster, namespace, "Healthy")["status"]["stableRS"] == stable, "stable is another")
