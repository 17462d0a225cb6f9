"""The Argo Workflow of pipelines/argo as a program reads it: its steps in order, and the very command lines that they run. The
checks, the tests and the walk take them from here, so that what is tested is what Argo would start."""

import os
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PIPELINES = ROOT / "pipelines"
ARGO = PIPELINES / "argo"
PARAMETER = re.compile(r"\{\{workflow\.parameters\.([a-z0-9-]+)\}\}")


def objects(folder=ARGO):
    """Every object of the folder, by its file's name; kustomization.yaml is kustomize's own."""
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        if path.name != "kustomization.yaml":
            found[path.name] = [it for it in yaml.safe_load_all(path.read_text(encoding="utf-8")) if it]
    return found


def template_of(found):
    """The WorkflowTemplate among them."""
    return found["workflow-template.yaml"][0]


def parameters(template, **given):
    """Parameter to value: the template's own, and over it what is given (with _ for -). What comes out of a ConfigMap is empty."""
    values = {it["name"]: it.get("value", "") for it in template["spec"]["arguments"]["parameters"]}
    unknown = [name for name in given if name.replace("_", "-") not in values]
    if unknown:
        raise KeyError(f"the template has no parameter {unknown[0]}")
    return values | {name.replace("_", "-"): str(value) for name, value in given.items()}


def steps(template):
    """Templates with a container, by name."""
    return {it["name"]: it for it in template["spec"]["templates"] if "container" in it}


def tasks(template):
    """The tasks of the DAG that is the entrypoint."""
    [dag] = [it["dag"] for it in template["spec"]["templates"] if it["name"] == template["spec"]["entrypoint"]]
    return dag["tasks"]


def order(template):
    """Tasks such that each comes after those that it depends on."""
    waiting, result = list(tasks(template)), []
    while waiting:
        done = {it["name"] for it in result}
        ready = [it for it in waiting if set(it.get("dependencies", [])) <= done]
        if not ready:
            raise ValueError(f"the tasks {', '.join(it['name'] for it in waiting)} wait for each other, or for nobody")
        result += ready
        waiting = [it for it in waiting if it not in ready]
    return result


def filled(text, values):
    """A text with every parameter in its place."""
    return PARAMETER.sub(lambda found: values[found[1]], text)


def command(step, values, work, python, places=()):
    """(argv, variables) of a step on this machine: /in and /out are the folder `work`, and `places` are what lies elsewhere here."""
    container = step["container"]
    here = [("/in/", f"{work}/"), ("/out/", f"{work}/"), *places]
    arguments = [filled(argument, values) for argument in container["args"]]
    for there, path in here:
        arguments = [re.sub(rf"(?<==){re.escape(there)}", lambda _, path=path: str(path), it) for it in arguments]
    program, script = container["command"]
    if program != "python":
        raise ValueError(f"{step['name']} runs {program}, expected python")
    variables = {it["name"]: filled(it["value"], values) for it in container.get("env", [])}
    return [str(python), str(PIPELINES / script), *arguments], {**os.environ, **variables}
