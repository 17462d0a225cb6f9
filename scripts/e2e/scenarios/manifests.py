"""Manifests without Helm: k8s/, and what lies under deploy/ for other controllers."""

from pathlib import Path

from .. import chart
from ..chart import objects
from ..cluster import RESTRICTED
from ..failure import expect
from ..scenario import scenario

K8S = Path("k8s")


@scenario
def plain(cluster):
    """kubectl apply -k k8s/: its namespace is restricted, three replicas come, and a second time nothing changes"""
    made = objects(cluster.kubectl("kustomize", K8S).out)
    with cluster.namespace("production", labels=None) as namespace:
        first = cluster.kubectl("apply", "--kustomize", K8S)
        expect(not first.err.strip(), "the API server warned of k8s/:", first.err)
        labels = cluster.get("namespace", namespace)["metadata"]["labels"]
        expect(RESTRICTED.items() <= labels.items(), "the namespace does not demand the restricted standard:", labels)
        # The number of replicas is the autoscaler's: applying again must not touch it either.
        chart.wait_available(cluster, namespace, 3)
        before = [intent(cluster, it) for it in made]
        cluster.kubectl("apply", "--kustomize", K8S)
        changed = [f"{it['kind']}/{it['metadata']['name']}" for it, then in zip(made, before) if intent(cluster, it) != then]
        expect(not changed, "applied a second time, k8s/ changed something:", *changed)


def intent(cluster, thing):
    """An object as the API server has it, without what controllers write. (What kubectl says of it is no help: of a
    PodDisruptionBudget it always says 'configured'.)"""
    found = cluster.get(thing["kind"], thing["metadata"]["name"], thing["metadata"].get("namespace"))
    expect(found, f"there is no {thing['kind']}/{thing['metadata']['name']}")
    del found["metadata"]["resourceVersion"]
    return {key: value for key, value in found.items() if key != "status"}


# What is under deploy/ for controllers of others, and the definitions that it needs.
DEPLOYED = {"deploy/argo-rollouts": chart.GROUPS, "deploy/kserve": ("kserve/*servingruntimes", "kserve/*inferenceservices")}


@scenario
def deploy(cluster):
    """deploy/argo-rollouts and deploy/kserve: every manifest is taken by the API server with the controllers' definitions"""
    with cluster.namespace("production"):
        # Where Argo's controller and its configuration are; scenarios with the controller make it too.
        cluster.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "argo-rollouts"}}])
        for folder, groups in DEPLOYED.items():
            cluster.install_crds(*groups)
            found = sources(Path(folder))
            expect(found, f"{folder} has no manifests")
            make_namespaces(cluster, found)
            for path in found:
                said = cluster.kubectl("apply", "--filename", path, "--dry-run=server", "--validate=strict").err
                expect(not said.strip(), f"the API server warned of {path}:", said)


def sources(folder):
    """The files of a folder that are manifests, and not values for a chart."""
    found = sorted(it for it in folder.rglob("*.yaml") if not it.name.endswith("values.yaml"))
    for path in found:
        kinds = [it.get("kind") for it in objects(path.read_text())]
        expect(kinds and all(kinds), f"{path} has something that is no manifest; a file of values ends in values.yaml")
    return found


def make_namespaces(cluster, paths):
    """The namespaces of other controllers, which stay: those belong to the cluster, and not to a scenario."""
    wanted = {it["metadata"].get("namespace") for path in paths for it in objects(path.read_text())} - {None, "production"}
    for name in sorted(wanted):
        cluster.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}])
