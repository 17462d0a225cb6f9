"""Canaries by Helm 4, which applies on the server's side unless it is told otherwise."""

import json

from .. import argo, chart, tools
from ..api import Watch
from ..chart import RELEASE
from ..failure import expect
from ..scenario import by_name
from .rollouts import CANARY_SERVICE, Nowhere, Weights, route_path, values

CLIENT = "--server-side=false"


def without_analysis(tag, **more):
    """The values of a canary that nobody judges."""
    made = values(Nowhere, tag, **more)
    made["delivery"]["canary"]["analysis"] = {"enabled": False}
    return made


@by_name
def canary_by_helm4(cluster):
    """Helm 4 by itself conflicts with the controller over selectors and weights; with --server-side=false it leaves them alone"""

    def helm4(made, *options, refused=False):
        command = [tools.program("helm4"), "upgrade", "--install", RELEASE, chart.CHART, "--namespace", namespace, "--values", "-"]
        return cluster.run([*command, *options], stdin=json.dumps(made), refused=refused)

    with argo.Controller(cluster), cluster.namespace("canary-helm4") as namespace:
        helm4(without_analysis("1.0.0"))
        stable = argo.wait_phase(cluster, namespace, "Healthy")["status"]["stableRS"]
        seen = Weights()
        with Watch(cluster.api, route_path(namespace, "httproutes"), seen):
            said = helm4(without_analysis("1.1.0"), refused=True).err
            expect('conflict with "argo-rollouts"' in said, "Helm 4 gives another reason:", said)
            helm4(without_analysis("1.1.0"), CLIENT)
            cluster.wait("the canary to get 10 %", lambda: seen.seen == [0, 10])
            touched = without_analysis("1.1.0", service={"annotations": {"touched": "yes"}})
            touched["httpRoute"]["requestTimeout"] = "40s"
            helm4(touched, CLIENT)
            rule = cluster.api.get(route_path(namespace, "httproutes", RELEASE))["spec"]["rules"][0]
            expect(rule["timeouts"] == {"request": "40s"}, "the upgrade did not reach the route:", rule)
            canary = argo.rollout(cluster, namespace)["status"]["currentPodHash"]
            hashes = [argo.service_hash(cluster, namespace, it) for it in (RELEASE, CANARY_SERVICE)]
            expect(hashes == [stable, canary], f"the upgrade made the Services lead to {hashes}, not {[stable, canary]}")
            argo.patch_status(cluster, namespace, abort=True)
            argo.wait_phase(cluster, namespace, "Degraded")
            cluster.wait("the weights to be [0, 10, 0]", lambda: seen.seen == [0, 10, 0])
        chart.uninstall(cluster, namespace, argo.configurations(cluster, namespace))
