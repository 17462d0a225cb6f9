"""Manifests without Helm: k8s/, and what lies under deploy/ for other controllers."""

from pathlib import Path

from .. import chart
from ..chart import RELEASE, objects
from ..failure import expect
from ..scenario import scenario

K8S = Path("k8s")


@scenario
def plain(cluster):
    """kubectl apply -k k8s/: three replicas, and a second time nothing changes"""
    text = cluster.kubectl("kustomize", K8S).out
    namespaces = {it["metadata"].get("namespace") for it in objects(text)} - {None}
    expect(namespaces == {"production"}, "k8s/ has objects in other namespaces:", namespaces)
    with cluster.namespace("production") as namespace:
        first = cluster.kubectl("apply", "--kustomize", K8S)
        expect(not first.err.strip(), "the API server warned of k8s/:", first.err)
        chart.wait_available(cluster, namespace, 3)
        again = cluster.kubectl("apply", "--kustomize", K8S)
        changed = [line for line in again.out.splitlines() if not line.endswith(" unchanged")]
        # The number of replicas is the autoscaler's: applying again must not touch it.
        expect(not changed, "applied a second time, k8s/ changed something:", *changed)
        expect(cluster.get("deployment", RELEASE, namespace)["spec"]["replicas"] == 3, "the replicas were set back")
        cluster.kubectl("delete", "--kustomize", K8S)


# What is under deploy/ for controllers of others, and the definitions that it needs.
DEPLOYED = {
    "deploy/argo-rollouts": ("argo-rollouts", "gateway-api", "prometheus-operator"),
    "deploy/kserve": ("kserve",),
}


@scenario
def deploy(cluster):
    """deploy/argo-rollouts and deploy/kserve: every manifest is taken by the API server with the controllers' definitions"""
    with cluster.namespace("production"):
        for folder, groups in DEPLOYED.items():
            cluster.install_crds(*groups)
            found = list(sources(Path(folder)))
            expect(found, f"{folder} has no manifests")
            for options in found:
                said = cluster.kubectl("apply", *options, "--dry-run=server", "--validate=strict").err
                expect(not said.strip(), f"the API server warned of {options[1]}:", said)


def sources(folder):
    """How kubectl is given what is in a folder: a kustomization whole, else each file by itself."""
    if (folder / "kustomization.yaml").exists():
        yield "--kustomize", folder
        return
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield from sources(path)
        elif path.suffix in (".yaml", ".yml") and all("kind" in it for it in objects(path.read_text())):
            yield "--filename", path
