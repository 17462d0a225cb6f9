"""deploy/gitops/flux by Flux's own controllers: who may sign the chart, drift, failed releases, and canaries that nobody disturbs."""

import yaml

from .. import argo, chart, flux
from ..chart import RELEASE
from ..failure import expect
from ..scenario import by_name
from .rollouts import CANARY_SERVICE, route_path, weights

OTHER = {"image": {"digest": f"sha256:{'1' * 64}"}}
LATER = {"image": {"digest": f"sha256:{'2' * 64}"}}


def image(workload):
    """What the workload's server runs, by digest."""
    return workload["spec"]["template"]["spec"]["containers"][0]["image"].partition("@")[2]


def drift(cluster, namespace):
    """What somebody does by hand who should not: a label gone, a budget deleted, a policy opened."""
    cluster.kubectl("label", "service", RELEASE, "app.kubernetes.io/name-", "--namespace", namespace)
    cluster.kubectl("delete", "poddisruptionbudget", RELEASE, "--namespace", namespace)
    patch = '[{"op": "add", "path": "/spec/egress/-", "value": {}}]'
    cluster.kubectl("patch", "networkpolicy", RELEASE, "--type=json", "--patch", patch, "--namespace", namespace)


def mended(cluster, namespace, rules):
    """Whether all of that is as the chart has it."""
    service, policy = (cluster.get(kind, RELEASE, namespace) for kind in ("service", "networkpolicy"))
    labelled = service["metadata"]["labels"].get("app.kubernetes.io/name") == RELEASE
    return labelled and len(policy["spec"]["egress"]) == rules and cluster.get("poddisruptionbudget", RELEASE, namespace)


def scale(cluster, kind, namespace, replicas):
    """What an autoscaler does."""
    cluster.kubectl("scale", kind, RELEASE, f"--replicas={replicas}", "--namespace", namespace)


@by_name
def gitops_flux(cluster):
    """Flux: an unsigned chart and a wrongly signed one are refused; drift is mended, replicas stay; a failed release is rolled back"""
    cluster.install_crds("gateway-api", "prometheus-operator/*monitors", "prometheus-operator/*prometheusrules")
    with flux.Registry(cluster) as registry, flux.Controllers(cluster), cluster.namespace("staging", labels=None) as namespace:
        signer, stranger = flux.Signer(cluster, "ours"), flux.Signer(cluster, "stranger")
        pushed = registry.push(chart.CHART)
        release = flux.Release(cluster, namespace, registry, signer.public)
        release.apply()
        for sign in (lambda: None, lambda: stranger.sign(pushed)):
            sign()
            release.reconcile("ocirepositories", flux.SOURCE)
            said = release.refused()
            expect("no matching signatures" in said, "the chart was refused for another reason:", said)
            expect(not cluster.list("deployments", namespace), "a chart that was refused was installed")
        signer.sign(pushed)
        release.ready()
        chart.wait_available(cluster, namespace, 2)
        expect(release.history()[0] == ("deployed", "Succeeded"), "the release or its test:", release.history())
        check_drift(cluster, release)
        check_rollback(cluster, release)
        uninstalled(cluster, namespace)


def check_drift(cluster, release):
    """The autoscaler's replicas stay, all else is put back, without a new revision of the release."""
    namespace, before = release.environment, len(release.history())
    rules = len(cluster.get("networkpolicy", RELEASE, namespace)["spec"]["egress"])
    scale(cluster, "deployment", namespace, 4)
    chart.wait_available(cluster, namespace, 4)
    drift(cluster, namespace)
    cluster.wait("the drift to be mended", lambda: mended(cluster, namespace, rules), 60)
    for _ in range(2):
        release.reconcile()
    release.ready()
    chart.wait_available(cluster, namespace, 4)
    expect(len(release.history()) == before, "drift made a new revision:", release.history())


def check_rollback(cluster, release):
    """An image whose test fails: what served before is put back; the next one that is good comes."""
    namespace = release.environment
    before = image(chart.deployment(cluster, namespace))
    release.write("image.yaml", yaml.safe_dump(OTHER))

    def rolled_back():
        flux.end_test(cluster, namespace, "Failed")
        found = release.condition("Remediated")
        return found and found[0] == "True" and found

    cluster.wait("the release to be rolled back", rolled_back, 180)
    expect(image(chart.deployment(cluster, namespace)) == before, "after the rollback runs", image(chart.deployment(cluster, namespace)))
    expect(release.condition("Ready")[0] == "False", "Flux calls a release ready that was rolled back")
    release.write("image.yaml", yaml.safe_dump(LATER))
    release.ready()
    expect(image(chart.deployment(cluster, namespace)) == LATER["image"]["digest"], "the good image did not come")


def uninstalled(cluster, namespace):
    """Takes the release away, while its controllers can still do it."""
    cluster.kubectl("delete", "helmrelease,ocirepository", "--all", "--namespace", namespace)
    kinds = "deployments,rollouts.argoproj.io" if "argo-rollouts" in cluster.installed else "deployments"
    cluster.wait("the release to go", lambda: not cluster.list(kinds, namespace))


@by_name
def gitops_flux_canary(cluster):
    """Flux beside Argo Rollouts: in the middle of a canary drift is mended; weights, selectors and replicas stay, by the rules alone"""
    cluster.install_crds(*chart.GROUPS)
    steps = [{"setWeight": 10}, {"pause": {}}, {"setWeight": 100}]
    canary = {"steps": steps, "analysis": {"enabled": False}, "scaleDownDelaySeconds": 5}
    values = {"delivery": {"minReadySeconds": 1, "canary": canary}}
    with argo.Controller(cluster), flux.Registry(cluster) as registry, flux.Controllers(cluster):
        with cluster.namespace("production", labels=None) as namespace:
            signer = flux.Signer(cluster, "ours")
            signer.sign(registry.push(chart.CHART))
            release = flux.Release(cluster, namespace, registry, signer.public, **values)
            release.apply()
            release.ready()
            stable = argo.wait_phase(cluster, namespace, "Healthy")["status"]["stableRS"]
            release.write("image.yaml", yaml.safe_dump(OTHER))
            release.ready()
            check_canary(cluster, release, stable)
            # To its end, and the next one: nothing conflicts.
            argo.patch_status(cluster, namespace, pauseConditions=None, promoteFull=True)
            argo.wait_phase(cluster, namespace, "Healthy")
            release.write("image.yaml", yaml.safe_dump(LATER))
            release.ready()
            expect(image(argo.rollout(cluster, namespace)) == LATER["image"]["digest"], "the next image did not come")
            uninstalled(cluster, namespace)


def owned(cluster, namespace):
    """What the controllers own: weights of both routes, where the Services lead, the number of replicas."""
    names = {"httproutes": RELEASE, "grpcroutes": f"{RELEASE}-grpc"}
    routes = {kind: cluster.api.get(route_path(namespace, kind, name)) for kind, name in names.items()}
    hashes = {name: argo.service_hash(cluster, namespace, name) for name in (RELEASE, CANARY_SERVICE)}
    return {kind: weights(it) for kind, it in routes.items()}, hashes, argo.rollout(cluster, namespace)["spec"]["replicas"]


def check_canary(cluster, release, stable):
    """A canary waits at 10 %; drift is mended around it."""
    namespace = release.environment
    now = argo.wait_phase(cluster, namespace, "Paused")
    scale(cluster, "rollouts.argoproj.io", namespace, 5)
    wanted = {RELEASE: 90, CANARY_SERVICE: 10}
    hashes = {RELEASE: stable, CANARY_SERVICE: now["status"]["currentPodHash"]}
    expected = ({"httproutes": wanted, "grpcroutes": wanted}, hashes, 5)
    cluster.wait("the canary's weights, selectors and replicas", lambda: owned(cluster, namespace) == expected)
    rules = len(cluster.get("networkpolicy", RELEASE, namespace)["spec"]["egress"])
    drift(cluster, namespace)
    cluster.wait("the drift to be mended", lambda: mended(cluster, namespace, rules), 60)
    for _ in range(3):
        release.reconcile()
        expect(owned(cluster, namespace) == expected, "Flux changed what the controllers own:", owned(cluster, namespace))
    # Proof that the rules are what keeps Flux away: without them it takes the canary's requests, or the hash of a Service.
    release.ignores = False
    release.apply()
    cluster.wait("Flux to disturb the canary without the rules", lambda: owned(cluster, namespace) != expected, 60)
    release.ignores = True
    release.apply()
    release.ready()
