"""deploy/gitops on the API server: its objects with the real definitions, and what Argo CD would apply."""

import json
from pathlib import Path

import yaml

from .. import chart
from ..chart import RELEASE, objects
from ..failure import expect
from ..scenario import scenario

ROOT = Path("deploy/gitops")
DEFINITIONS = ("argo-cd", "flux-source", "flux-helm", "flux-kustomize", "sigstore-policy")
CONTROLLERS = ("argocd", "flux-system", "cosign-system")
FILES = ("values.yaml", "image.yaml", "model.yaml")
# What is misspelt or cannot be: each must be refused, or nothing would be shown.
SPOILT = {
    "ApplicationSet": lambda it: it["spec"].update(goTemplates=True),
    "AppProject": lambda it: it["spec"]["sourceIntegrity"]["git"]["policies"][0]["gpg"].pop("keys"),
    "GitRepository": lambda it: it["spec"]["verify"].update(mode="always"),
    "OCIRepository": lambda it: it["spec"].update(url="https://ghcr.io/myorg/charts/ml-inference-api"),
    "HelmRelease": lambda it: it["spec"].update(chart={"spec": {"chart": "x", "sourceRef": {"kind": "GitRepository", "name": "x"}}}),
    "Kustomization": lambda it: it["spec"]["sourceRef"].update(kind="Repository"),
    "ClusterImagePolicy": lambda it: it["spec"]["authorities"][0].update(keyles={}),
}


def built(cluster, folder):
    """What kustomize makes of a folder."""
    return objects(cluster.kubectl("kustomize", ROOT / folder).out)


def everything(cluster):
    """Every object of deploy/gitops that a cluster is given."""
    found = [it for folder in ("argocd", "policy") for file in sorted((ROOT / folder).glob("*.yaml")) for it in objects(file.read_text())]
    for folder in ("flux/sync", "flux/staging", "flux/production"):
        found += built(cluster, folder)
    return found


@scenario
def gitops(cluster):
    """deploy/gitops: Argo CD's, Flux's and the policy's objects are taken with the real definitions, a second time nothing changes"""
    cluster.install_crds(*DEFINITIONS)
    cluster.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": it}} for it in CONTROLLERS])
    with cluster.namespace("staging", labels=None), cluster.namespace("production", labels=None):
        found = everything(cluster)
        expect({it["kind"] for it in found} >= SPOILT.keys(), "deploy/gitops lacks kinds:", sorted({it["kind"] for it in found}))
        try:
            versions = [apply(cluster, found) for _ in range(2)]
            expect(versions[0] == versions[1], "applied a second time, deploy/gitops changed something:", *versions)
            for kind, spoil in SPOILT.items():
                it = next(it for it in json.loads(json.dumps(found)) if it["kind"] == kind)
                spoil(it)
                cluster.apply([it], "--dry-run=server", "--validate=strict", refused=True)
        finally:
            remove(cluster, found)


def apply(cluster, found):
    """Applies all as both tools do, on the server's side, and returns the version of each object."""
    options = ("--server-side", "--validate=strict", "--output=json")
    cluster.apply([it for it in found if it["kind"] == "Namespace"], *options)
    said = cluster.apply(found, *options)
    expect(not said.err.strip(), "the API server warned of deploy/gitops:", said.err)
    return {(it["kind"], it["metadata"]["name"], it["metadata"].get("namespace")): it["metadata"]["generation"]
            for it in json.loads(said.out)["items"] if "generation" in it["metadata"]}  # fmt: skip


def remove(cluster, found):
    """Takes away what lies in namespaces that stay, and in none."""
    for it in found:
        if it["kind"] != "Namespace" and it["metadata"].get("namespace") not in ("staging", "production"):
            where = ["--namespace", it["metadata"]["namespace"]] if "namespace" in it["metadata"] else []
            # By its version: another one of the policy would be asked of the controller's webhook, which is not here.
            group, _, version = it["apiVersion"].partition("/")
            kind = f"{it['kind']}.{version}.{group}"
            cluster.kubectl("delete", kind, it["metadata"]["name"], *where, "--ignore-not-found")


@scenario
def gitops_argocd_apply(cluster):
    """what Argo CD applies in staging, on the server's side: the autoscaler's replicas stay, another drift is put back"""
    cluster.install_crds("gateway-api", "prometheus-operator/*monitors", "prometheus-operator/*prometheusrules")
    with cluster.namespace("staging", labels=None) as namespace:
        # The project's namespace is what the pods must pass.
        cluster.apply(built(cluster, "namespaces/staging"))
        cluster.wait("the ServiceAccount", lambda: cluster.get("serviceaccount", "default", namespace))
        files = [part for name in FILES for part in ("--values", ROOT / "environments" / namespace / name)]
        options = ("--namespace", namespace, "--no-hooks", "--kube-version", "1.36.0", *files)
        made = objects(cluster.helm("template", RELEASE, chart.CHART, *options).out)
        options = ("--server-side", "--force-conflicts", "--field-manager=argocd-controller", "--output=name")
        cluster.apply(made, *options)
        # The autoscaler's least is what it sets, without any metric.
        chart.wait_available(cluster, namespace, 2)
        before = intents(cluster, made)
        cluster.apply(made, *options)
        expect(intents(cluster, made) == before, "applied a second time, something changed")
        cluster.kubectl("scale", "deployment", RELEASE, "--replicas=4", "--namespace", namespace)
        cluster.kubectl("label", "service", RELEASE, "app.kubernetes.io/name=drift", "--overwrite", "--namespace", namespace)
        cluster.apply(made, *options)
        chart.wait_available(cluster, namespace, 4)
        labels = cluster.get("service", RELEASE, namespace)["metadata"]["labels"]
        expect(labels["app.kubernetes.io/name"] == RELEASE, "drift of the Service stayed:", labels)


def intents(cluster, made):
    """Each object as it is asked for, without what controllers write."""
    found = [cluster.get(it["kind"], it["metadata"]["name"], it["metadata"].get("namespace")) for it in made]
    return yaml.safe_dump([{key: value for key, value in it.items() if key not in ("status", "metadata")} for it in found])
