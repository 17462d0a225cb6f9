"""Proves that the rules of rules.py can fail: spoils the objects of pipelines/argo in one way each, and demands that the named rule
complains in a sentence with a given word. Every rule must have such a proof. Called by argo.py.
"""

import copy

import workflow
from rules import RULES, broken


def spec(found):
    return workflow.template_of(found)["spec"]


def step(found, name="train-model"):
    return workflow.steps(workflow.template_of(found))[name]


def box(found, name="train-model"):
    return step(found, name)["container"]


def task(found, name):
    return next(it for it in workflow.tasks(workflow.template_of(found)) if it["name"] == name)


def one(found, file, kind):
    return next(it for it in found[file] if it["kind"] == kind)


# What is done, the rule that must complain, and a word of its sentence.
SPOILT = [
    (lambda f: task(f, "deploy").update(dependencies=["train"]), "dag", "deploy"),
    (lambda f: workflow.tasks(workflow.template_of(f)).append({"name": "x", "template": "train-model"}), "dag", "x is none"),
    (lambda f: box(f).update(command=["python", "trian.py"]), "commands", "trian.py"),
    (lambda f: box(f)["args"].append("--trees=100"), "commands", "--trees"),
    (lambda f: box(f)["args"].remove("--data=/in/data"), "commands", "does not give train.py --data"),
    (lambda f: box(f).update(image="ghcr.io/myorg/ml-trainer:latest"), "images", "latest"),
    (lambda f: box(f).update(image="ghcr.io/myorg/trainer:0.1.0"), "images", "trainer"),
    (lambda f: box(f)["args"].append("--model={{workflow.parameters.nam}}"), "parameters", "nam is used"),
    (lambda f: spec(f)["arguments"]["parameters"].append({"name": "x", "value": "1"}), "parameters", "x is declared"),
    (lambda f: spec(f)["arguments"]["parameters"][4].update(value="12"), "parameters", "max-depth"),
    (lambda f: f["workflow.yaml"][0]["spec"].update(workflowTemplateRef={"name": "x"}), "runs", "workflow.yaml does not run"),
    (lambda f: f["cron-workflow.yaml"][0]["metadata"].update(namespace="x"), "runs", "namespace x"),
    (lambda f: f["workflow.yaml"][0]["spec"]["arguments"]["parameters"][0].update(name="gpu"), "runs", "gpu"),
    (lambda f: task(f, "evaluate")["arguments"]["artifacts"].pop(), "artifacts", "evaluate is given"),
    (lambda f: task(f, "train")["arguments"]["artifacts"][0].update({"from": "{{tasks.evaluate.outputs.artifacts.data}}"}), "artifacts", "hands over nothing"),
    (lambda f: task(f, "train").pop("dependencies"), "artifacts", "need not have ended"),
    (lambda f: step(f)["outputs"]["artifacts"][0].update(path="/out/model"), "artifacts", "/out/model"),
    (lambda f: box(f)["volumeMounts"].pop(), "artifacts", "nothing can be written"),
    (lambda f: box(f)["resources"]["requests"].update(cpu="4"), "resources", "cpu 4"),
    (lambda f: box(f)["resources"]["limits"].update(memory="8Gi"), "resources", "limit of memory"),
    (lambda f: box(f)["resources"]["limits"].pop("nvidia.com/gpu"), "resources", "GPUs"),
    (lambda f: step(f).update(podSpecPatch=step(f)["podSpecPatch"].replace("{{workflow.parameters.gpus}}", "2")), "resources", "parameter gpus"),
    (lambda f: step(f).pop("tolerations"), "resources", "tolerate"),
    (lambda f: spec(f)["securityContext"].pop("runAsNonRoot"), "closed", "root"),
    (lambda f: spec(f).pop("automountServiceAccountToken"), "closed", "token"),
    (lambda f: box(f).update(securityContext={}), "closed", "gain privileges"),
    (lambda f: box(f)["env"].append({"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "x", "key": "y"}}}), "closed", "secrets are files"),
    (lambda f: box(f)["volumeMounts"].append({"name": "x", "mountPath": "/x"}), "closed", "volume x"),
    (lambda f: spec(f).pop("synchronization"), "ends", "synchronization"),
    (lambda f: step(f).pop("activeDeadlineSeconds"), "ends", "deadline"),
    (lambda f: spec(f)["templateDefaults"]["retryStrategy"].update(retryPolicy="Always"), "ends", "gate"),
    (lambda f: f["cron-workflow.yaml"][0]["spec"].update(concurrencyPolicy="Allow"), "ends", "beside"),
    (lambda f: one(f, "rbac.yaml", "Role")["rules"][0]["verbs"].append("get"), "rights", "create and patch"),
    (lambda f: spec(f)["executor"].update(serviceAccountName="x"), "rights", "ServiceAccount x"),
    (lambda f: one(f, "rbac.yaml", "Secret").update(data={"token": "eA=="}), "rights", "holds something"),
    (lambda f: f.pop("artifacts.yaml"), "gathered", "artifacts.yaml"),
    (lambda f: f["config.yaml"][0]["data"].clear(), "configured", "no such key"),
    (lambda f: f["config.yaml"][0]["metadata"].pop("labels"), "configured", "configmap-type"),
]  # fmt: skip


def unseen():
    """A sentence for each spoilt set of objects of which its rule says nothing."""
    whole = workflow.objects()
    for at, (spoil, name, word) in enumerate(SPOILT, 1):
        found = copy.deepcopy(whole)
        spoil(found)
        said = [sentence for rule, sentence in broken(found) if rule == name]
        if not any(word in sentence for sentence in said):
            yield f"no {at}: the rule {name} does not complain with the word {word!r}; it says {said}"


def problems():
    """Says what went unseen, and which rules nothing proves."""
    yield from unseen()
    for name in sorted(RULES.keys() - {name for _, name, _ in SPOILT}):
        yield f"nothing proves that the rule {name} can fail"
