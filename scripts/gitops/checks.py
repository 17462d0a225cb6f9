"""Runs every check of deploy/gitops, prints each problem and exits with 1 if there is one. Called by check.sh; HELM, KUSTOMIZE and
KUBECONFORM name the programs, SCHEMAS the folder of schemas.
"""

import json
import re
import sys
import tempfile
from fnmatch import fnmatchcase
from pathlib import Path

import check as chart_check
import conform
import manifests
import owned
from manifests import of_kind
from tree import FILES, ROOT, Tree, applications

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
VERSION = re.compile(r"\d+\.\d+\.\d+")
# Whose all this is: whoever takes it over replaces the name in the chart and in deploy/gitops.
OWNER = manifests.merged(None)["image"]["repository"].split("/")[1]
GIT = f"https://github.com/{OWNER}/ml-inference-api"
CHART = f"oci://ghcr.io/{OWNER}/charts"
INCLUDE = "policy.sigstore.dev/include"
ISSUER = "https://token.actions.githubusercontent.com"


def one(objects, kind):
    [it] = of_kind(objects, kind)
    return it


def schemas(tree):
    """Every object has the form that its definition asks for."""
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for number, (where, it) in enumerate(tree.every()):
            file = Path(folder) / f"{number}.json"
            file.write_text(json.dumps(it))
            files[str(file)] = f"{where}: {manifests.name(it)}"
        said = conform.verdicts(manifests.KUBERNETES[-1], list(files))
    for file, name in files.items():
        if verdict := said.get(file, "kubeconform did not read it"):
            yield f"{name}: {verdict}"


def renders(tree):
    """What the chart makes of each environment passes the chart's own checks."""
    before = manifests.NAMESPACE
    for name, objects in tree.renders.items():
        manifests.NAMESPACE = name
        found = list(chart_check.problems(objects, manifests.merged(tree.values[name]), None))
        manifests.NAMESPACE = before
        yield from (f"{name}: {check}: {sentence}" for check, sentence in found)


def environments(tree):
    """Both tools know the same environments, and each has its files, its namespace and a place to go."""
    made = applications(tree.argocd)
    synced = {it["metadata"]["name"].removeprefix("ml-inference-api-") for it in of_kind(tree.sync, "Kustomization")}
    known = {
        "deploy/gitops/environments": set(tree.names), "deploy/gitops/namespaces": set(tree.namespaces),
        "the ApplicationSet": set(made), "deploy/gitops/flux": set(tree.flux), "deploy/gitops/flux/sync": synced,
    }  # fmt: skip
    for where, names in known.items():
        if names != {"staging", "production"}:
            yield f"{where} has {sorted(names)}, not staging and production"
    for name, it in made.items():
        spec = it["spec"]
        if (it["metadata"]["name"], spec["destination"]["namespace"]) != (f"ml-inference-api-{name}", name):
            yield f"the Application of {name} is {it['metadata']['name']} and goes to {spec['destination']['namespace']}"
        if spec["sources"][0]["helm"].get("releaseName") != manifests.RELEASE:
            yield f"the Application of {name} has another release name than {manifests.RELEASE}"
    for name, objects in tree.flux.items():
        release = one(objects, "HelmRelease")
        places = {it["metadata"].get("namespace", it["metadata"]["name"]) for it in objects}
        if places != {name} or {"targetNamespace", "storageNamespace"} & release["spec"].keys():
            yield f"deploy/gitops/flux/{name} puts something into {sorted(places)}"
        if release["spec"].get("releaseName") != manifests.RELEASE:
            yield f"the HelmRelease of {name} has another release name than {manifests.RELEASE}"


def values(tree):
    """Both tools take the same files of values, in the same order, whole."""
    for name, it in applications(tree.argocd).items():
        wanted = [f"$values/{ROOT}/environments/{name}/{file}" for file in FILES]
        if it["spec"]["sources"][0]["helm"].get("valueFiles") != wanted:
            yield f"the Application of {name} takes {it['spec']['sources'][0]['helm'].get('valueFiles')}, not {wanted}"
    for name, objects in tree.flux.items():
        references = one(objects, "HelmRelease")["spec"]["valuesFrom"]
        maps = {it["metadata"]["name"]: it["data"] for it in of_kind(objects, "ConfigMap")}
        taken = [(it["valuesKey"], maps.get(it["name"], {}).get(it["valuesKey"])) for it in references]
        if taken != [(file, tree.texts[name][file]) for file in FILES]:
            yield f"the HelmRelease of {name} takes {[key for key, _ in taken]}, and not the three files as they are"
        if any(it["kind"] != "ConfigMap" or it.get("optional") or "targetPath" in it for it in references):
            yield f"the HelmRelease of {name} may do without a file"


def pinned(tree):
    """Nothing that runs can move: images and the chart of production by digest, versions exact, and no HEAD anywhere."""
    for name, them in tree.texts.items():
        image = manifests.parse(them["image.yaml"])[0].get("image", {})
        if not DIGEST.fullmatch(str(image.get("digest", ""))):
            yield f"{name}: image.yaml has no digest"
        for it, pod in manifests.pods(tree.renders[name]):
            for container in manifests.containers(pod):
                if "@sha256:" not in container["image"]:
                    yield f"{name}: {manifests.name(it)} runs {container['image']}, a tag that can move"
    for name, it in applications(tree.argocd).items():
        chart, git = it["spec"]["sources"]
        revision = str(chart["targetRevision"])
        if not (DIGEST.fullmatch(revision) or VERSION.fullmatch(revision)):
            yield f"the Application of {name} takes the chart {revision!r}, which is no version and no digest"
        if name == "production" and not DIGEST.fullmatch(revision):
            yield "the Application of production takes the chart by a version: Argo CD checks no signature, so it needs a digest"
        if git.get("targetRevision", "HEAD") in ("HEAD", ""):
            yield f"the Application of {name} follows HEAD, which is whatever the repository calls its default branch"
    for it in of_kind(tree.sync, "GitRepository"):
        if not it["spec"].get("ref"):
            yield "the GitRepository names no branch"


def number(version):
    """A version as what can be compared; nothing where it is none."""
    return tuple(map(int, version.split("."))) if VERSION.fullmatch(str(version)) else None


def charts(tree):
    """Both tools take this chart, of the same version: in staging this very one, in production no newer one."""
    mine = tree.chart["version"]
    url = f"{CHART}/{tree.chart['name']}"
    by_argocd = {name: it["metadata"]["annotations"]["chart-version"] for name, it in applications(tree.argocd).items()}
    by_flux = {name: one(them, "OCIRepository")["spec"]["ref"].get("semver") for name, them in tree.flux.items()}
    if by_argocd != by_flux:
        yield f"Argo CD takes the versions {by_argocd} of the chart, Flux {by_flux}"
    for tool, versions in (("Argo CD", by_argocd), ("Flux", by_flux)):
        for name, version in versions.items():
            if not number(version) or number(version) > number(mine) or name == "staging" and version != mine:
                yield f"{tool} takes version {version} of the chart in {name}, and Chart.yaml is of {mine}"
    found = {it["spec"]["sources"][0]["repoURL"] for it in applications(tree.argocd).values()}
    found |= {one(them, "OCIRepository")["spec"]["url"] for them in tree.flux.values()}
    if found != {url}:
        yield f"the chart comes from {sorted(found)}, not from {url}"
    for name, them in tree.flux.items():
        repository, release = one(them, "OCIRepository"), one(them, "HelmRelease")
        if release["spec"]["chartRef"] != {"kind": "OCIRepository", "name": repository["metadata"]["name"]}:
            yield f"the HelmRelease of {name} takes another chart than that of the OCIRepository"


def ignored(tree):
    """Both tools leave alone what an autoscaler or a rollout's controller owns, and nothing else."""
    for name, it in applications(tree.argocd).items():
        yield from owned.differences("Argo CD", name, tree.renders[name], owned.of_argocd(it, tree.renders[name]))
    for name, them in tree.flux.items():
        release = one(them, "HelmRelease")
        yield from owned.differences("Flux", name, tree.renders[name], owned.of_flux(release, tree.renders[name]))


def syncing(tree):
    """What makes the tools put drift back, and keep what they ignore when they do."""
    for name, it in applications(tree.argocd).items():
        policy = it["spec"]["syncPolicy"]
        if not {"ServerSideApply=true", "RespectIgnoreDifferences=true"} <= set(policy["syncOptions"]):
            yield f"the Application of {name} would write what it ignores, or not apply on the server's side"
        if not all(policy.get("automated", {}).get(key) for key in ("enabled", "prune", "selfHeal")) or not policy.get("retry"):
            yield f"the Application of {name} does not put drift back by itself"
    for name, them in tree.flux.items():
        spec = one(them, "HelmRelease")["spec"]
        if spec["driftDetection"].get("mode") != "enabled" or not spec.get("test", {}).get("enable"):
            yield f"the HelmRelease of {name} does not put drift back, or does not test"
        upgrade = spec.get("upgrade", {})
        if not upgrade.get("remediation", {}).get("retries") or upgrade["remediation"].get("strategy") != "rollback":
            yield f"the HelmRelease of {name} does not roll a failed upgrade back"
        applied = [spec.get(action, {}).get("serverSideApply") for action in ("install", "upgrade", "rollback")]
        if applied != [False, "disabled", "disabled"]:
            yield f"the HelmRelease of {name} applies on the server's side: after a canary it conflicts with Argo Rollouts"
        waits = {it["kind"] for it in spec.get("healthCheckExprs", [])}
        if of_kind(tree.renders[name], "Rollout") and "Rollout" not in waits:
            yield f"the HelmRelease of {name} does not know when a Rollout is done"
    paths = {it["metadata"]["name"]: it["spec"]["path"] for it in of_kind(tree.sync, "Kustomization")}
    if paths != {f"ml-inference-api-{name}": f"./{ROOT}/flux/{name}" for name in tree.flux}:
        yield f"the Kustomizations of flux/sync read {paths}"
    [source] = {(it["spec"]["sourceRef"]["kind"], it["spec"]["sourceRef"]["name"]) for it in of_kind(tree.sync, "Kustomization")}
    if source != ("GitRepository", one(tree.sync, "GitRepository")["metadata"]["name"]):
        yield f"the Kustomizations of flux/sync read {source}"


def project(tree):
    """The AppProject allows what the Applications need and nothing more."""
    spec = one(tree.argocd, "AppProject")["spec"]
    made = applications(tree.argocd)
    sources = {source["repoURL"] for it in made.values() for source in it["spec"]["sources"]}
    if set(spec["sourceRepos"]) != sources:
        yield f"the AppProject allows the sources {spec['sourceRepos']}, and used are {sorted(sources)}"
    places = sorted((it["spec"]["destination"]["server"], it["spec"]["destination"]["namespace"]) for it in made.values())
    if sorted((it["server"], it["namespace"]) for it in spec["destinations"]) != places:
        yield f"the AppProject allows {spec['destinations']}, and used are {places}"
    needed = set().union(*(owned.kinds(objects) for objects in tree.renders.values()))
    allowed = {(it["group"], it["kind"]) for it in spec["namespaceResourceWhitelist"]}
    if allowed != needed:
        yield f"the AppProject allows too much: {sorted(allowed - needed)}, and too little: {sorted(needed - allowed)}"
    if spec["clusterResourceWhitelist"] != [{"group": "", "kind": "Namespace", "name": name} for name in made]:
        yield f"of the cluster's own objects the AppProject allows {spec['clusterResourceWhitelist']}"
    for window in spec.get("syncWindows", []):
        if not set(window["applications"]) <= {it["metadata"]["name"] for it in made.values()} or not window.get("manualSync"):
            yield f"the window {window} is for an Application that there is not, or lets nobody sync by hand"


def signatures(tree):
    """Charts, images and commits are each checked by somebody, against the same signer."""
    [policy] = of_kind(tree.policy, "ClusterImagePolicy")
    [identity] = [it for authority in policy["spec"]["authorities"] for it in authority["keyless"]["identities"]]
    signer = (identity["issuer"], identity["subjectRegExp"])
    ours = signer[1].startswith("^" + GIT.replace(".", "\\.") + "/")
    if signer[0] != ISSUER or policy["spec"].get("mode") != "enforce" or not ours:
        yield f"the ClusterImagePolicy lets through what {signer} signed, or only warns"
    for name, them in tree.flux.items():
        verify = one(them, "OCIRepository")["spec"].get("verify", {})
        issued = [(it["issuer"].strip("^$").replace("\\", ""), it["subject"]) for it in verify.get("matchOIDCIdentity", [])]
        if verify.get("provider") != "cosign" or issued != [signer]:
            yield f"Flux in {name} takes a chart that {issued or 'anybody'} signed, and the policy says {signer}"
    if not one(tree.sync, "GitRepository")["spec"].get("verify", {}).get("secretRef"):
        yield "Flux takes commits that nobody signed"
    checked = one(tree.argocd, "AppProject")["spec"].get("sourceIntegrity", {}).get("git", {}).get("policies", [])
    trusting = [it for it in checked if it["gpg"]["mode"] in ("head", "strict") and it["gpg"]["keys"]]
    if not any(GIT == repo["url"] for it in trusting for repo in it["repos"]):
        yield "Argo CD takes commits that nobody signed"
    for name, it in applications(tree.argocd).items():
        if it["spec"]["sources"][1].get("path") != f"{ROOT}/namespaces/{name}":
            yield f"the source of values of {name} has no path: Argo CD then skips the check of the commit's signature"
    globs = [it["glob"] for it in policy["spec"]["images"]]
    for name, objects in tree.renders.items():
        labels = one(tree.namespaces.get(name, []), "Namespace")["metadata"]["labels"]
        if labels.get(INCLUDE) != "true" or labels.get(chart_check.ENFORCE) != "restricted":
            yield f"the namespace {name} is not held to the policy of images, or not to the restricted standard"
        for _, pod in manifests.pods(objects):
            for container in manifests.containers(pod):
                if not any(fnmatchcase(container["image"], glob.replace("**", "*")) for glob in globs):
                    yield f"{name}: no policy is for the image {container['image']}"


CHECKS = {
    check.__name__: check
    for check in (schemas, renders, environments, values, pinned, charts, ignored, syncing, project, signatures)
}  # fmt: skip


def main():
    tree = Tree()
    found = [(name, sentence) for name, check in CHECKS.items() for sentence in check(tree)]
    for name, sentence in found:
        print(f"error: {name}: {sentence}", file=sys.stderr)
    print(f"{len(list(tree.every()))} objects of Argo CD, Flux and {len(tree.names)} environments agree by {len(CHECKS)} checks")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
