"""usage: render.py [--write]

What is made of the chart and kept in the repository: the golden renders of the defaults and of every ci/*-values.yaml
(helm/ml-inference-api/tests/golden), the plain manifests of the defaults (k8s/) and of the values of deploy/argo-rollouts,
and the chart's README. Without --write it says what differs and exits with 1. HELM and HELM_DOCS name the programs.
"""

import difflib
import os
import re
import sys
from pathlib import Path

import manifests

GOLDEN = manifests.CHART / "tests/golden"
K8S = Path("k8s")
ARGO = Path("deploy/argo-rollouts")
README = manifests.CHART / "README.md"
# Objects that are files of the chart as they are: agreement.py holds them to those files, and a golden copy would only
# bury what a reviewer has to see.
COPIES = ("prometheusrule.yaml", "dashboards.yaml")
# The file of k8s/ for each kind, in the order of kustomization.yaml.
FILES = {
    "namespace.yaml": ["Namespace"],
    "rbac.yaml": ["ServiceAccount", "Role", "RoleBinding"],
    "configmap.yaml": ["ConfigMap"],
    "service.yaml": ["Service"],
    "deployment.yaml": ["Deployment"],
    "hpa.yaml": ["HorizontalPodAutoscaler"],
    "pdb.yaml": ["PodDisruptionBudget"],
    "network-policy.yaml": ["NetworkPolicy"],
}
HEAD = "# Rendered from helm/ml-inference-api by `make chart`: change the chart, not this file.\n"
# For deploy/argo-rollouts: what a reader came for first; the rest in the order of the chart.
FIRST = ("Rollout", "AnalysisTemplate", "Service", "HTTPRoute", "GRPCRoute")
ARGO_HEAD = """# Rendered from helm/ml-inference-api with {values} by `make chart`: change the chart or the values, not this file.
# Apply it in place of k8s/, or install the chart with these values: README.md.
"""
NAMESPACE = f"""apiVersion: v1
kind: Namespace
metadata:
  name: {manifests.NAMESPACE}
  labels:
    # Whatever runs here has to pass the restricted pod security standard.
    pod-security.kubernetes.io/enforce: restricted
    pod-security.kubernetes.io/warn: restricted
    pod-security.kubernetes.io/audit: restricted
"""
KUSTOMIZATION = """# Apply it by `kubectl apply --kustomize k8s`, or name it as a base of your own kustomization: there `images` gives the digest
# that runs, and a patch what else differs.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
"""


def documents(text):
    """The documents of a render, each with the template that it comes from."""
    for it in re.split(r"^---$\n?", text, flags=re.M):
        source = re.search(r"^# Source: \S+/templates/(\S+)$", it, re.M)
        if source and re.search(r"^kind: ", it, re.M):
            yield source[1], it.rstrip("\n") + "\n"


def golden(text):
    """A render without the content of COPIES."""
    parts = []
    for source, it in documents(text):
        if source in COPIES:
            it = re.split(r"^(?:data|spec):", it, flags=re.M)[0] + "# ... a file of the chart as it is\n"
        parts.append(it)
    return "---\n" + "---\n".join(parts)


def plain(text):
    """(kind, document) of a render, without what only Helm needs. Hooks are left out: only Helm runs them."""
    for _, it in documents(text):
        if "helm.sh/hook:" in it:
            continue
        it = re.sub(r"^# Source: .*\n", "", it, flags=re.M)
        it = re.sub(r"^ +(?:helm\.sh/(?:chart|resource-policy)|app\.kubernetes\.io/managed-by): .*\n", "", it, flags=re.M)
        yield re.search(r"^kind: (\w+)", it, re.M)[1], it


def k8s(text):
    """File to content of the plain manifests."""
    found = {name: [] for name in FILES}
    found["namespace.yaml"] = [NAMESPACE]
    of_kind = {kind: name for name, kinds in FILES.items() for kind in kinds}
    for kind, it in plain(text):
        if kind not in of_kind:
            sys.exit(f"error: the chart's defaults have a {kind}, and FILES in scripts/chart/render.py no file for it")
        found[of_kind[kind]].append(it)
    files = {name: HEAD + "---\n".join(parts) for name, parts in found.items() if parts}
    files["kustomization.yaml"] = HEAD + KUSTOMIZATION + "".join(f"  - {name}\n" for name in files)
    return files


def argo():
    """File to content of what the values of deploy/argo-rollouts make."""
    files = {}
    for values in sorted(ARGO.glob("*-values.yaml")):
        found = sorted(plain(manifests.render(values)), key=lambda it: FIRST.index(it[0]) if it[0] in FIRST else len(FIRST))
        text = ARGO_HEAD.format(values=values.name) + "---\n".join(it for _, it in found)
        files[ARGO / values.name.replace("-values", "")] = text
    return files


def readme():
    """The chart's README: README.md.gotmpl, and the table of values out of values.yaml."""
    command = [
        os.environ["HELM_DOCS"], "--dry-run", "--log-level", "warning", "--chart-search-root", str(manifests.CHART),
        "--sort-values-order", "file", "--template-files", "README.md.gotmpl",
    ]  # fmt: skip
    text = manifests.run(command, "helm-docs refuses the chart")
    return "\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n"


def generated():
    """File to content of all that is made of the chart."""
    renders = {name: manifests.render(values) for name, values in manifests.cases().items()}
    files = {GOLDEN / f"{name}.yaml": golden(text) for name, text in renders.items()}
    files |= {K8S / name: text for name, text in k8s(renders["default"]).items()}
    return files | argo() | {README: readme()}


def difference(file, text):
    """What differs, in a few lines."""
    before = file.read_text().splitlines() if file.exists() else []
    lines = difflib.unified_diff(before, text.splitlines(), str(file), "what the chart makes of it", lineterm="", n=1)
    lines = list(lines)
    more = [f"... and {len(lines) - 30} lines more"] if len(lines) > 30 else []
    return "\n".join([*lines[:30], *more])


def main(write):
    files = generated()
    there = {it for folder in (GOLDEN, K8S) for it in folder.glob("*")}
    stale = [file for file, text in files.items() if not file.exists() or file.read_text() != text]
    foreign = sorted(there - files.keys())
    if write:
        for file in foreign:
            file.unlink()
        for file in stale:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(files[file])
        print(f"{len(files)} files are made of the chart, {len(stale) + len(foreign)} of them anew")
        return 0
    for file in stale:
        print(difference(file, files[file]), file=sys.stderr)
    for file in foreign:
        print(f"{file} is made by nothing", file=sys.stderr)
    if stale or foreign:
        print("error: what is kept of the chart is not what it renders: run `make chart`, read the difference, commit it", file=sys.stderr)
        return 1
    print(f"{len(files)} renders, manifests and pages are what the chart makes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] == ["--write"]))
