"""What deploy/gitops says, read once: the values of each environment and what the chart makes of them, Argo CD's objects with the
Applications that its set would make, and Flux's as kustomize builds them. HELM and KUSTOMIZE name the programs.
"""

import os
import re
from pathlib import Path

import manifests
import yaml

ROOT = Path("deploy/gitops")
FILES = ("values.yaml", "image.yaml", "model.yaml")
# Of Go templates only what the ApplicationSet uses; anything else is refused, so that nothing is judged unseen.
FIELD = re.compile(r"\{\{ \.(\w+)(?: \| default \.(\w+))? \}\}")


def folders(path):
    """The names of the folders in one of deploy/gitops."""
    return sorted(it.name for it in (ROOT / path).iterdir() if it.is_dir())


def objects(folder):
    """Every object of the files of a folder."""
    return [it for file in sorted((ROOT / folder).glob("*.yaml")) for it in manifests.parse(file.read_text())]


def build(folder):
    """What kustomize makes of a folder, as Flux's kustomize-controller does."""
    command = [os.environ["KUSTOMIZE"], "build", str(ROOT / folder)]
    return manifests.parse(manifests.run(command, f"kustomize refuses {ROOT / folder}"))


def merged(files):
    """The values of a list of texts, a later one over an earlier one, as helm merges them."""

    def over(below, above):
        if isinstance(below, dict) and isinstance(above, dict):
            return below | {key: over(below.get(key), value) for key, value in above.items()}
        return above

    made = {}
    for text in files:
        made = over(made, yaml.safe_load(text) or {})
    return made


def render(environment, values):
    """What the chart makes of an environment's values, in its namespace."""
    return manifests.parse(manifests.helm(
        "template", manifests.RELEASE, str(manifests.CHART), "--namespace", environment, "--kube-version", manifests.KUBERNETES[-1],
        "--values", "-", what=f"the chart refuses the values of {environment}", given=yaml.safe_dump(values),
    ))  # fmt: skip


def filled(part, element):
    """A part of the ApplicationSet's template with an element of its list, or a ValueError that says what is missing."""
    if isinstance(part, dict):
        return {key: filled(value, element) for key, value in part.items()}
    if isinstance(part, list):
        return [filled(value, element) for value in part]
    if not isinstance(part, str):
        return part

    def value(found):
        for name in found.groups():
            if name and name not in element:
                raise ValueError(f"the template takes .{name}, which the element {element} has not")
        return str(element[found[1]] or element.get(found[2], ""))

    made = FIELD.sub(value, part)
    if "{{" in made:
        raise ValueError(f"the template has {part!r}, which scripts/gitops/tree.py does not know")
    return made


def applications(argocd):
    """Environment to the Application that the set makes for it."""
    [found] = manifests.of_kind(argocd, "ApplicationSet")
    elements = [it for generator in found["spec"]["generators"] for it in generator["list"]["elements"]]
    return {it["environment"]: filled(found["spec"]["template"], it) for it in elements}


class Tree:
    """All of it. The checks read it and the mutations change a copy."""

    def __init__(self):
        self.names = folders("environments")
        self.texts = {name: {file: (ROOT / "environments" / name / file).read_text() for file in FILES} for name in self.names}
        self.values = {name: merged(self.texts[name].values()) for name in self.names}
        self.renders = {name: render(name, self.values[name]) for name in self.names}
        self.argocd, self.policy = objects("argocd"), objects("policy")
        self.flux = {name: build(f"flux/{name}") for name in folders("flux") if name not in ("base", "sync")}
        self.sync = build("flux/sync")
        self.namespaces = {name: build(f"namespaces/{name}") for name in folders("namespaces")}
        self.chart = yaml.safe_load((manifests.CHART / "Chart.yaml").read_text())

    def every(self):
        """(where it is, object) of all that a cluster would be given."""
        groups = {"argocd": self.argocd, "policy": self.policy, "flux/sync": self.sync}
        groups |= {f"flux/{name}": them for name, them in self.flux.items()}
        groups |= {f"namespaces/{name}": them for name, them in self.namespaces.items()}
        for where, them in groups.items():
            yield from ((where, it) for it in them)
        for name, it in applications(self.argocd).items():
            yield f"argocd for {name}", it | {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application"}
        for name, them in self.renders.items():
            yield from ((f"the render of {name}", it) for it in them)


def group(it):
    """The API group of an object, empty for Kubernetes's own first one."""
    return it["apiVersion"].rpartition("/")[0]
