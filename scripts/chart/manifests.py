"""What the checks of the chart have in common: the values that are tried, what helm makes of them, and how objects of
Kubernetes point at each other. Used by the other scripts of this folder; HELM names the program.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

CHART = Path("helm/ml-inference-api")
RELEASE = "ml-inference-api"
NAMESPACE = "production"
# The newest Kubernetes that the chart is checked against; the oldest is the chart's own kubeVersion.
KUBERNETES = ("1.31.0", "1.36.0")
WORKLOADS = {"Deployment", "Rollout"}


def cases():
    """Name to the file of values: of the defaults (None) and of every ci/NAME-values.yaml."""
    files = sorted((CHART / "ci").glob("*-values.yaml"))
    return {"default": None} | {file.name.removesuffix("-values.yaml"): file for file in files}


def variants():
    """Name to values of what variants.yaml has besides."""
    return yaml.safe_load((Path(__file__).parent / "variants.yaml").read_text())


def run(command, what, given=None):
    """A program's stdout, or the end with what it said."""
    done = subprocess.run(command, text=True, capture_output=True, check=False, input=given)
    if done.returncode:
        sys.exit(f"error: {what}:\n{(done.stderr or done.stdout).strip()}")
    return done.stdout


def helm(*arguments, what, given=None):
    return run([os.environ["HELM"], *arguments], what, given)


def render(values):
    """The text that helm makes of values: of a file, of a mapping, or of the defaults (None). It is told which Kubernetes to think
    of: its own idea depends on how it was built."""
    command = ["template", RELEASE, str(CHART), "--namespace", NAMESPACE, "--kube-version", KUBERNETES[-1]]
    if isinstance(values, dict):
        return helm(*command, "--values", "-", what=f"helm refuses {values}", given=json.dumps(values))
    return helm(*command, *(["--values", str(values)] if values else []), what=f"helm refuses {values or 'the defaults'}")


class Loader(yaml.CSafeLoader):
    """YAML that refuses a key twice in one mapping: the last would win here, and a strict API server refuses it."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        for key, _ in node.value:
            if keys.count(key.value) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key.value} is there twice", key.start_mark)
        return super().construct_mapping(node, deep)


def parse(text):
    """The objects of a text, or the end with what is wrong with it."""
    try:
        return [it for it in yaml.load_all(text, Loader) if it]
    except yaml.YAMLError as error:
        sys.exit(f"error: what the chart renders is no YAML: {error}")


def merged(values):
    """All values of a case: those of a file or a mapping over the defaults, as helm merges them."""

    def over(below, above):
        if isinstance(below, dict) and isinstance(above, dict):
            return below | {key: over(below.get(key), value) for key, value in above.items()}
        return above

    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    given = values if isinstance(values, dict) else yaml.safe_load(values.read_text()) if values else {}
    return over(defaults, given)


def of_kind(objects, *kinds):
    return [it for it in objects if it["kind"] in kinds]


def name(it):
    return f"{it['kind']} {it['metadata']['name']}"


def template(it):
    """The pod template of a workload; of a Pod the Pod itself."""
    return it if it["kind"] == "Pod" else it["spec"]["template"]


def pods(objects):
    """(workload, pod template) of all that makes pods."""
    return [(it, template(it)) for it in of_kind(objects, *WORKLOADS, "Pod")]


def containers(pod):
    return [*pod["spec"].get("initContainers", []), *pod["spec"].get("containers", [])]


def ports(pod):
    """Name to number of the ports that the pod's containers declare."""
    return {it.get("name"): it["containerPort"] for container in containers(pod) for it in container.get("ports", [])}


def selects(selector, labels):
    """Whether a label selector takes these labels. An empty one takes all, none at all nothing."""
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for it in selector.get("matchExpressions") or []:
        key, operator, values = it["key"], it["operator"], it.get("values") or []
        holds = {
            "In": labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }[operator]
        if not holds:
            return False
    return True
