"""Proves that the checks of checks.py can fail: breaks what deploy/gitops says in one way each and demands that the named check
complains in a sentence with a given word. Every check must have a mutation. Called by check.sh, which names the programs.
"""

import copy
import sys

import checks
import manifests
import tree as trees
from checks import one
from manifests import of_kind

def template(t):
    """The spec of the Applications that the set makes."""
    return one(t.argocd, "ApplicationSet")["spec"]["template"]["spec"]


def elements(t):
    return one(t.argocd, "ApplicationSet")["spec"]["generators"][0]["list"]["elements"]


def project(t):
    return one(t.argocd, "AppProject")["spec"]


def release(t, name="production"):
    return one(t.flux[name], "HelmRelease")["spec"]


def chart(t, name="production"):
    return one(t.flux[name], "OCIRepository")["spec"]


def policy(t):
    return one(t.policy, "ClusterImagePolicy")["spec"]


def server(t, kind, name):
    return one(t.renders[name], kind)["spec"]["template"]["spec"]["containers"][0]


def again(t, name, **values):
    """An environment with other values, rendered anew, with what was told to the tools as it was."""
    t.values[name] = manifests.merged(t.values[name]) | values
    t.renders[name] = trees.render(name, t.values[name])


# A field of each kind misspelt, and the object that must be refused for it. All at once, since one call judges all objects.
MISSPELT = [
    (lambda t: project(t).update(sourceRepo=[]), "argocd: AppProject ml-inference-api"),
    (lambda t: one(t.argocd, "ApplicationSet")["spec"].update(goTemplates=True), "argocd: ApplicationSet ml-inference-api"),
    (lambda t: template(t)["syncPolicy"].update(selfHeal=True), "argocd for production: Application ml-inference-api-production"),
    (lambda t: release(t).update(valueFrom=[]), "flux/production: HelmRelease ml-inference-api"),
    (lambda t: chart(t)["verify"].update(provider="gpg"), "flux/production: OCIRepository ml-inference-api"),
    (lambda t: t.sync[0]["spec"].update(prune="yes"), "flux/sync: Kustomization ml-inference-api-production"),
    (lambda t: one(t.sync, "GitRepository")["spec"]["verify"].update(mode="always"), "flux/sync: GitRepository ml-inference-api"),
    (lambda t: policy(t)["authorities"][0].update(keyles={}), "policy: ClusterImagePolicy ml-inference-api"),
    (lambda t: one(t.namespaces["staging"], "Namespace")["metadata"].update(label={}), "namespaces/staging: Namespace staging"),
    (lambda t: one(t.renders["staging"], "Deployment")["spec"].update(replica=1), "the render of staging: Deployment ml-inference-api"),
]  # fmt: skip

# What is done, the check that must complain, and a word of its sentence.
MUTATIONS = [
    # What the chart makes of the values.
    (lambda t: server(t, "Rollout", "production")["readinessProbe"]["httpGet"].update(port="x"), "renders", "production: pod_ports"),
    (lambda t: server(t, "Deployment", "staging")["securityContext"].update(privileged=True), "renders", "staging: pod_security"),
    (lambda t: one(t.renders["staging"], "ConfigMap")["metadata"].update(namespace="production"), "renders", "staging: names"),
    # Environments.
    (lambda t: elements(t).pop(), "environments", "ApplicationSet has ['staging']"),
    (lambda t: t.flux.pop("staging"), "environments", "deploy/gitops/flux has ['production']"),
    (lambda t: t.sync.pop(0), "environments", "flux/sync has"),
    (lambda t: template(t)["destination"].update(namespace="staging"), "environments", "goes to staging"),
    (lambda t: template(t)["sources"][0]["helm"].update(releaseName="x"), "environments", "Application of staging has another release"),
    (lambda t: release(t).update(targetNamespace="staging"), "environments", "puts something"),
    (lambda t: release(t).update(releaseName="x"), "environments", "HelmRelease of production has another release"),
    # Values.
    (lambda t: template(t)["sources"][0]["helm"]["valueFiles"].reverse(), "values", "Application of staging"),
    (lambda t: release(t)["valuesFrom"].reverse(), "values", "HelmRelease of production takes"),
    (lambda t: release(t)["valuesFrom"][1].update(optional=True), "values", "may do without"),
    (lambda t: one(t.flux["staging"], "ConfigMap")["data"].update({"image.yaml": "image: {}"}), "values", "HelmRelease of staging takes"),
    # What can move.
    (lambda t: t.texts["production"].update({"image.yaml": "image: {tag: 1.0.0}"}), "pinned", "no digest"),
    (lambda t: server(t, "Rollout", "production").update(image="ghcr.io/myorg/ml-inference-api:main"), "pinned", "can move"),
    (lambda t: elements(t)[0].update(version="latest"), "pinned", "'latest'"),
    (lambda t: elements(t)[0].update(version=">=0.1.0"), "pinned", "no version"),
    (lambda t: elements(t)[1].update(digest=""), "pinned", "needs a digest"),
    (lambda t: template(t)["sources"][1].update(targetRevision="HEAD"), "pinned", "HEAD"),
    (lambda t: one(t.sync, "GitRepository")["spec"].pop("ref"), "pinned", "no branch"),
    # The chart.
    (lambda t: elements(t)[1].update(version="0.0.9"), "charts", "Flux {'"),
    (lambda t: t.chart.update(version="0.0.9"), "charts", "Chart.yaml is of 0.0.9"),
    (lambda t: t.chart.update(version="0.2.0"), "charts", "in staging, and Chart.yaml is of 0.2.0"),
    (lambda t: t.chart.update(name="other"), "charts", "charts/other"),
    (lambda t: chart(t).update(url="oci://ghcr.io/someone/charts/ml-inference-api"), "charts", "someone"),
    (lambda t: release(t)["chartRef"].update(name="x"), "charts", "another chart"),
    # What others own: a rule less, a rule too many, and values that change who owns what.
    (lambda t: template(t)["ignoreDifferences"].pop(0), "ignored", "Argo CD, staging: /spec/replicas of Deployment"),
    (lambda t: template(t)["ignoreDifferences"].pop(1), "ignored", "Argo CD, production: /spec/replicas of Rollout"),
    (lambda t: template(t)["ignoreDifferences"].pop(2), "ignored", "/spec/rules/0/backendRefs of HTTPRoute ml-inference-api is written"),
    (lambda t: template(t)["ignoreDifferences"].pop(), "ignored", "rollouts-pod-template-hash of Service ml-inference-api-canary is written"),
    (lambda t: template(t)["ignoreDifferences"][0]["jsonPointers"].append("/spec/template"), "ignored", "drift would stay"),
    (lambda t: template(t)["ignoreDifferences"][2].pop("namespace"), "ignored", "Argo CD, staging: /spec/rules/0/backendRefs"),
    (lambda t: release(t, "staging")["driftDetection"].pop("ignore"), "ignored", "Flux, staging: /spec/replicas of Deployment"),
    (lambda t: release(t)["driftDetection"]["ignore"].pop(), "ignored", "Flux, production: /spec/selector"),
    (lambda t: release(t)["driftDetection"]["ignore"][0].pop("target"), "ignored", "Flux, production: /spec/replicas of ConfigMap"),
    (lambda t: again(t, "staging", autoscaling={"mode": "none"}), "ignored", "Flux, staging: /spec/replicas of Deployment ml-inference-api is ignored"),
    (lambda t: again(t, "staging", autoscaling={"mode": "keda"}, delivery={"mode": "canary"}), "ignored", "Argo CD, staging: /spec/replicas of Rollout"),
    (lambda t: again(t, "production", delivery={"mode": "blueGreen"}), "ignored", "backendRefs of GRPCRoute ml-inference-api-grpc is ignored"),
    # Syncing.
    (lambda t: template(t)["syncPolicy"]["syncOptions"].remove("RespectIgnoreDifferences=true"), "syncing", "write what it ignores"),
    (lambda t: template(t)["syncPolicy"]["automated"].update(selfHeal=False), "syncing", "put drift back"),
    (lambda t: release(t)["driftDetection"].update(mode="warn"), "syncing", "HelmRelease of production does not put drift back"),
    (lambda t: release(t)["upgrade"]["remediation"].update(retries=0), "syncing", "roll a failed upgrade back"),
    (lambda t: release(t)["upgrade"].update(serverSideApply="auto"), "syncing", "server's side"),
    (lambda t: release(t).pop("healthCheckExprs"), "syncing", "when a Rollout is done"),
    (lambda t: t.sync[0]["spec"].update(path="./deploy"), "syncing", "read {"),
    (lambda t: one(t.sync, "GitRepository")["metadata"].update(name="x"), "syncing", "read ('GitRepository'"),
    # The project.
    (lambda t: project(t)["sourceRepos"].append("*"), "project", "sources"),
    (lambda t: project(t)["destinations"].append({"server": "*", "namespace": "*"}), "project", "used are"),
    (lambda t: project(t)["namespaceResourceWhitelist"].append({"group": "", "kind": "Secret"}), "project", "'Secret'"),
    (lambda t: project(t)["namespaceResourceWhitelist"].pop(), "project", "RoleBinding"),
    (lambda t: project(t)["clusterResourceWhitelist"].append({"group": "*", "kind": "*"}), "project", "cluster's own"),
    (lambda t: project(t)["syncWindows"][0].update(applications=["x"]), "project", "window"),
    # Signatures.
    (lambda t: chart(t).pop("verify"), "signatures", "anybody signed"),
    (lambda t: chart(t)["verify"]["matchOIDCIdentity"][0].update(subject=".*"), "signatures", "Flux in production takes a chart"),
    (lambda t: policy(t)["authorities"][0]["keyless"]["identities"][0].update(subjectRegExp=".*"), "signatures", "lets through"),
    (lambda t: policy(t).update(mode="warn"), "signatures", "only warns"),
    (lambda t: policy(t)["images"][0].update(glob="ghcr.io/myorg/other"), "signatures", "no policy is for the image"),
    (lambda t: one(t.sync, "GitRepository")["spec"].pop("verify"), "signatures", "Flux takes commits"),
    (lambda t: project(t).pop("sourceIntegrity"), "signatures", "Argo CD takes commits"),
    (lambda t: project(t)["sourceIntegrity"]["git"]["policies"][0]["gpg"].update(mode="none"), "signatures", "Argo CD takes commits"),
    (lambda t: template(t)["sources"][1].pop("path"), "signatures", "skips the check"),
    (lambda t: one(t.namespaces["production"], "Namespace")["metadata"]["labels"].pop(checks.INCLUDE), "signatures", "not held"),
]  # fmt: skip


def templates():
    """A sentence for each template of an ApplicationSet that is taken though it could not be filled."""
    element = {"environment": "staging"}
    for text in ("{{ .nothing }}", "{{ range .environment }}", "{{ .environment | upper }}"):
        try:
            yield f"{text!r} is filled as {trees.filled(text, element)!r}"
        except ValueError:
            pass


def misspelt(some):
    """A sentence for each object that the schemas take with a field misspelt."""
    for change, _ in MISSPELT:
        change(some)
    said = list(checks.schemas(some))
    for _, name in MISSPELT:
        if not any(sentence.startswith(f"{name}: ") for sentence in said):
            yield f"schemas takes {name} with a field misspelt; it says {said}"


def main():
    whole = trees.Tree()
    found = [*templates(), *misspelt(copy.deepcopy(whole))]
    for change, name, word in MUTATIONS:
        some = copy.deepcopy(whole)
        change(some)
        said = list(checks.CHECKS[name](some))
        if not any(word in sentence for sentence in said):
            found.append(f"{name} does not complain of what was broken, with the word {word!r}; it says {said}")
    untouched = checks.CHECKS.keys() - {name for _, name, _ in MUTATIONS} - {"schemas"}
    found += [f"no mutation proves that the check {name} can fail" for name in sorted(untouched)]
    for sentence in found:
        print(f"error: {sentence}", file=sys.stderr)
    print(f"{len(MUTATIONS) + len(MISSPELT)} things broken on purpose are each seen by their check")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
