"""The rules of pipelines/argo, each a generator of sentences on what breaks it. spoil.py proves that each can."""

import contextlib
import importlib
import io
import re
import sys
from functools import cache

import yaml

import workflow

# The DAG and the resources of the guide that this pipeline implements.
DAG = {
    "data-prep": ("prepare-data", "data-prep", "prepare_data.py", []),
    "train": ("train-model", "ml-trainer", "train.py", ["data-prep"]),
    "evaluate": ("evaluate-model", "ml-evaluator", "evaluate.py", ["train"]),
    "deploy": ("deploy-model", "model-deployer", "deploy.py", ["evaluate"]),
}
REQUESTS = {"prepare-data": {"memory": "4Gi", "cpu": "2"}, "train-model": {"memory": "16Gi", "cpu": "8", "nvidia.com/gpu": "1"}}
GPU = "nvidia.com/gpu"
RULES = {}
sys.path.insert(0, str(workflow.PIPELINES))


def rule(function):
    """Registers a rule."""
    RULES[function.__name__] = function
    return function


def broken(found):
    """Every breach of the objects, as (rule, sentence)."""
    for name, each in RULES.items():
        for sentence in each(found):
            yield name, sentence


def template(found):
    """The template of a set of objects."""
    return workflow.template_of(found)


@cache
def options(script):
    """Option to its default ('' where it names none) of a script, and which are required, as --help tells."""
    said, own = io.StringIO(), sys.argv
    sys.argv = [script, "--help"]
    try:
        with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
            importlib.import_module(script.removesuffix(".py")).arguments()
    finally:
        sys.argv = own
    head, (_, _, body) = said.getvalue().split("\n\n")[0], said.getvalue().partition("options:")
    body = body.partition("examples:")[0]
    found = {}
    for part in re.split(r"\n  (?=--|-h)", body):
        if name := re.match(r"(?:-h, )?(--[a-z0-9-]+)", part):
            default = re.search(r"\(default:\s+([^)]*)\)", part)
            found[name[1]] = default[1] if default else ""
    # Outside of brackets stands what must be given.
    bare = re.sub(r"\([^()]*\)", "", re.sub(r"\[[^\[\]]*\]", "", head))
    return found, set(re.findall(r"(--[a-z0-9-]+)", bare))


@rule
def dag(found):
    """Four tasks in the guide's order."""
    came = {it["name"]: (it["template"], it.get("dependencies", [])) for it in workflow.tasks(template(found))}
    for name, (step, _, _, after) in DAG.items():
        if came.get(name) != (step, after):
            yield f"the task {name} is {came.get(name)}, expected the template {step} after {after}"
    for name in came.keys() - DAG.keys():
        yield f"the task {name} is none of {', '.join(DAG)}"


@rule
def commands(found):
    """Each step runs its script with options that it takes, and with all that it asks for."""
    for step, _, script, _ in DAG.values():
        container = workflow.steps(template(found))[step]["container"]
        if container["command"] != ["python", script] or not (workflow.PIPELINES / script).is_file():
            yield f"{step} runs {container['command']}, expected python {script}, which must be there"
            continue
        known, required = options(script)
        given = [argument.partition("=") for argument in container["args"]]
        for option, mark, _ in given:
            if option not in known or not mark:
                yield f"{step} gives {script} {option}, which it does not take (as --option=value)"
        for option in required - {option for option, _, _ in given}:
            yield f"{step} does not give {script} {option}"


@rule
def images(found):
    """Each image has a target in the Dockerfile that holds the script, and a tag that is the version of all that is built here."""
    version = re.search(r'^version = "(.+)"$', (workflow.ROOT / "Cargo.toml").read_text(), re.M)[1]
    stages = re.split(r"(?m)^FROM .* AS ", (workflow.PIPELINES / "Dockerfile").read_text())
    targets = {stage.split()[0]: stage for stage in stages[1:]}
    for step, image, script, _ in DAG.values():
        came = workflow.steps(template(found))[step]["container"]["image"]
        if came != f"ghcr.io/myorg/{image}:{version}" and not re.fullmatch(rf"ghcr\.io/myorg/{image}@sha256:[0-9a-f]{{64}}", came):
            yield f"{step} runs {came}, expected ghcr.io/myorg/{image}:{version} or one by digest"
        if not re.search(rf"(?m)^COPY .*\b{re.escape(script)}\b", targets.get(image, "")):
            yield f"pipelines/Dockerfile has no target {image} with {script}"


@rule
def parameters(found):
    """Every parameter that is used is declared, and the other way round; the defaults are those of the scripts."""
    spec = template(found)["spec"]
    declared = {it["name"]: it for it in spec["arguments"]["parameters"]}
    used = set(workflow.PARAMETER.findall(yaml.safe_dump(spec["templates"], width=10**6)))
    for name in used - declared.keys():
        yield f"the parameter {name} is used and not declared"
    for name in declared.keys() - used:
        yield f"the parameter {name} is declared and not used"
    for step, _, script, _ in DAG.values():
        for argument in workflow.steps(template(found))[step]["container"]["args"]:
            option, _, value = argument.partition("=")
            name = workflow.PARAMETER.fullmatch(value)
            default = options(script)[0].get(option, "")
            own = declared.get(name[1], {}).get("value", "") if name else ""
            if name and default and re.fullmatch(r"[\w.-]+", default) and own != default:
                yield f"the parameter {name[1]} is {own!r}, and {script} {option} is {default!r} by itself"


@rule
def runs(found):
    """What makes runs refers to the template, and gives parameters that it has."""
    own = template(found)
    declared = {it["name"] for it in own["spec"]["arguments"]["parameters"]}
    for file, spec in (("workflow.yaml", lambda it: it["spec"]), ("cron-workflow.yaml", lambda it: it["spec"]["workflowSpec"])):
        it = found[file][0]
        if spec(it).get("workflowTemplateRef") != {"name": own["metadata"]["name"]} or spec(it).get("entrypoint") != own["spec"]["entrypoint"]:
            yield f"{file} does not run {own['spec']['entrypoint']} of the template {own['metadata']['name']}"
        if it["metadata"]["namespace"] != own["metadata"]["namespace"]:
            yield f"{file} is of the namespace {it['metadata']['namespace']}, and the template of {own['metadata']['namespace']}"
        for name in {it["name"] for it in spec(it).get("arguments", {}).get("parameters", [])} - declared:
            yield f"{file} gives the parameter {name}, which the template does not have"


def before(tasks, name):
    """All tasks that end before one begins."""
    direct = tasks[name].get("dependencies", [])
    return set(direct).union(*(before(tasks, it) for it in direct))


@rule
def artifacts(found):
    """What a step takes comes from one that ended before, under its own name; what it reads and writes are its artifacts."""
    own, steps = {it["name"]: it for it in workflow.tasks(template(found))}, workflow.steps(template(found))
    for name, task in own.items():
        step = steps[task["template"]]
        wanted = {it["name"]: it["path"] for it in step.get("inputs", {}).get("artifacts", [])}
        made = {it["name"]: it["path"] for it in step.get("outputs", {}).get("artifacts", [])}
        given = {it["name"]: it["from"] for it in task.get("arguments", {}).get("artifacts", [])}
        if wanted.keys() != given.keys():
            yield f"the task {name} is given {sorted(given)}, and {step['name']} takes {sorted(wanted)}"
        for artifact, source in given.items():
            origin = re.fullmatch(r"\{\{tasks\.([a-z-]+)\.outputs\.artifacts\.([a-z-]+)\}\}", source)
            outputs = steps[own[origin[1]]["template"]]["outputs"]["artifacts"] if origin and origin[1] in own else []
            if not origin or origin[2] != artifact or artifact not in [it["name"] for it in outputs]:
                yield f"the task {name} takes {artifact} from {source}, which hands over nothing of that name"
            elif origin[1] not in before(own, name):
                yield f"the task {name} takes {artifact} from {origin[1]}, which need not have ended"
        read = {it.partition("=")[2] for it in step["container"]["args"]}
        for path in {it for it in read if it.startswith(("/in/", "/out/"))} ^ {*wanted.values(), *made.values()}:
            yield f"{step['name']}: {path} is an artifact or an argument, and not both"
        for path in made.values():
            if not any(path.startswith(f"{it['mountPath']}/") and not it.get("readOnly") for it in step["container"]["volumeMounts"]):
                yield f"{step['name']} writes {path}, where nothing can be written"


@rule
def resources(found):
    """The guide's requests; memory is bounded, and a GPU, which is never shared, has equal limits."""
    values = workflow.parameters(template(found))
    for name, step in workflow.steps(template(found)).items():
        asked, limits = step["container"]["resources"]["requests"], step["container"]["resources"]["limits"]
        for resource, amount in REQUESTS.get(name, {}).items():
            if asked.get(resource) != amount:
                yield f"{name} asks for {resource} {asked.get(resource)}, expected {amount}"
        if limits.get("memory") != asked.get("memory"):
            yield f"{name} has a limit of memory of {limits.get('memory')} and asks for {asked.get('memory')}"
        if asked.get(GPU) != limits.get(GPU):
            yield f"{name} asks for {asked.get(GPU)} GPUs with a limit of {limits.get(GPU)}"
    train = workflow.steps(template(found))["train-model"]
    [main] = yaml.safe_load(workflow.filled(train["podSpecPatch"], values))["containers"]
    for kind in ("requests", "limits"):
        for resource, amount in main["resources"][kind].items():
            if train["container"]["resources"][kind].get(resource) != amount:
                yield f"train-model: the patch makes {kind} of {resource} {amount} by default, and the container has another"
    if "{{workflow.parameters.gpus}}" not in train["podSpecPatch"]:
        yield "train-model does not take its GPUs from the parameter gpus"
    if {"key": GPU, "operator": "Exists", "effect": "NoSchedule"} not in train.get("tolerations", []) or not train.get("nodeSelector"):
        yield "train-model does not tolerate the nodes of GPUs, or chooses none"


@rule
def closed(found):
    """Every pod keeps the restricted standard, writes to no root file system and has no token; secrets are files."""
    spec = template(found)["spec"]
    pod = spec.get("securityContext", {})
    if not pod.get("runAsNonRoot") or not pod.get("runAsUser") or pod.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "the pods may run as root, or without a seccomp profile"
    if spec.get("automountServiceAccountToken") is not False or spec.get("executor", {}).get("serviceAccountName") == spec["serviceAccountName"]:
        yield "the steps have the token of an account"
    volumes = {it["name"] for it in spec["volumes"]}
    for name, step in workflow.steps(template(found)).items():
        own = step["container"].get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False or own.get("capabilities") != {"drop": ["ALL"]} or not own.get("readOnlyRootFilesystem"):
            yield f"{name} may gain privileges, or write to its root file system"
        if any("valueFrom" in it for it in step["container"].get("env", [])):
            yield f"{name} has a variable out of a Secret or ConfigMap: secrets are files"
        for mount in step["container"]["volumeMounts"]:
            if mount["name"] not in volumes:
                yield f"{name} mounts the volume {mount['name']}, which is not there"


@rule
def ends(found):
    """Nothing runs for ever, stays for ever, or twice at once; only what is transient is tried again."""
    spec = template(found)["spec"]
    wanted = ("activeDeadlineSeconds", "ttlStrategy", "podGC", "synchronization")
    for key in wanted:
        if not spec.get(key):
            yield f"the template has no {key}"
    for name, step in workflow.steps(template(found)).items():
        if not 0 < step.get("activeDeadlineSeconds", 0) <= spec.get("activeDeadlineSeconds", 0):
            yield f"{name} has no deadline, or one beyond that of the workflow"
    retry = spec.get("templateDefaults", {}).get("retryStrategy", {})
    if retry.get("retryPolicy") != "OnTransientError" or not retry.get("limit") or not retry.get("backoff"):
        yield "steps are tried again on other than transient errors, or without an end: a gate that refuses must stay refused"
    cron = found["cron-workflow.yaml"][0]["spec"]
    if cron.get("concurrencyPolicy") != "Forbid":
        yield "the CronWorkflow starts a run beside one that goes on"


@rule
def rights(found):
    """The executor may report results and nothing else; accounts, Secret and names agree."""
    by_kind = {}
    for it in [it for file in found.values() for it in file]:
        by_kind.setdefault(it["kind"], []).append(it)
    spec, [role] = template(found)["spec"], by_kind["Role"]
    if role["rules"] != [{"apiGroups": ["argoproj.io"], "resources": ["workflowtaskresults"], "verbs": ["create", "patch"]}]:
        yield f"the executor's rights are {role['rules']}, expected to create and patch workflowtaskresults alone"
    executor = spec["executor"]["serviceAccountName"]
    accounts = {it["metadata"]["name"] for it in by_kind["ServiceAccount"]}
    for account in {executor, spec["serviceAccountName"]} - accounts:
        yield f"there is no ServiceAccount {account}"
    if [it["name"] for it in by_kind["RoleBinding"][0]["subjects"]] != [executor]:
        yield "the Role is bound to another account than the executor's"
    if [it["metadata"]["name"] for it in by_kind["Secret"]] != [f"{executor}.service-account-token"]:
        yield f"there is no Secret {executor}.service-account-token, which Argo looks for"
    if any("data" in it or "stringData" in it for it in by_kind["Secret"]):
        yield "a Secret holds something: secrets are not kept here"


@rule
def gathered(found):
    """kustomization.yaml names every file but the one that makes a run."""
    listed = yaml.safe_load((workflow.ARGO / "kustomization.yaml").read_text())["resources"]
    for name in set(listed) ^ (found.keys() - {"workflow.yaml"}):
        yield f"{name} is in kustomization.yaml or in the folder, and not in both"


@rule
def configured(found):
    """What the parameters take out of ConfigMaps is there, marked so that Argo may read it."""
    maps = {it["metadata"]["name"]: it for file in found.values() for it in file if it["kind"] == "ConfigMap"}
    for it in template(found)["spec"]["arguments"]["parameters"]:
        if wanted := it.get("valueFrom", {}).get("configMapKeyRef"):
            there = maps.get(wanted["name"], {})
            if wanted["key"] not in there.get("data", {}):
                yield f"the parameter {it['name']} comes from {wanted['key']} of the ConfigMap {wanted['name']}, which has no such key"
            elif there["metadata"].get("labels", {}).get("workflows.argoproj.io/configmap-type") != "Parameter":
                yield f"the ConfigMap {wanted['name']} has no label configmap-type: Argo does not read it"
