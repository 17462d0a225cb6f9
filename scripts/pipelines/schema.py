"""pipelines/argo against schemas, by kubeconform as scripts/chart/conform.py asks it, and the values that deploy.py writes against
the chart."""

import json
import subprocess
import sys
from pathlib import Path

import yaml

import workflow

sys.path[:0] = [str(workflow.ROOT / "scripts/chart"), str(workflow.PIPELINES)]

import conform  # noqa: E402  (of scripts/chart)
import manifests  # noqa: E402
from fraud import gitops  # noqa: E402

# What must be refused, so that a schema that takes anything is noticed: file, what is done, a word of the refusal.
WRONG = [
    ("workflow-template.yaml", lambda it: it["spec"].update(entrypont="x"), "entrypont"),
    ("workflow-template.yaml", lambda it: it["spec"]["templates"][1]["container"]["resources"]["requests"].update(memory=[]), "memory"),
    ("workflow.yaml", lambda it: it["spec"].update(activeDeadlineSeconds="soon"), "activeDeadlineSeconds"),
    ("cron-workflow.yaml", lambda it: it["spec"].update(schedules="0 3 * * 1"), "schedules"),
    ("network-policy.yaml", lambda it: it["spec"].update(egress={}), "egress"),
]
IMAGE = "ghcr.io/myorg/model-deployer@sha256:" + "0123456789abcdef" * 4


def _asked(version, it):
    """What kubeconform says of one object; nothing where it is right."""
    [said] = conform.kubeconform(version, given=json.dumps(it))
    return "" if said["status"] == "statusValid" else said["msg"] or said["status"]


def forms(found):
    """Each object has the form of its kind, and spoilt ones have not."""
    for version in manifests.KUBERNETES:
        every = "\n---\n".join(json.dumps(it) for file in found.values() for it in file)
        for it in conform.kubeconform(version, given=every):
            if it["status"] != "statusValid":
                yield f"Kubernetes {version}: {it['kind']} {it['name']}: {it['msg'] or it['status']}"
    for file, spoil, word in WRONG:
        it = yaml.safe_load((workflow.ARGO / file).read_text())
        spoil(it)
        if word not in _asked(manifests.KUBERNETES[-1], it):
            yield f"kubeconform takes {file}, which was spoilt on purpose ({word})"


def values():
    """The chart takes what deploy.py writes, and fetches by it with options that the script has."""
    text = gitops.values("fraud-detector", "3", "0" * 63 + "e", IMAGE, "http://mlflow-server.ml-pipelines:5000")
    workload = next(it for it in manifests.parse(manifests.render(yaml.safe_load(text))) if it["kind"] in manifests.WORKLOADS)
    [fetch] = workload["spec"]["template"]["spec"]["initContainers"]
    script = Path(fetch["command"][-1]).name
    if fetch["image"] != IMAGE or fetch["command"][0] != "python":
        yield f"the chart fetches models by {fetch['image']} {fetch['command']}"
    asked = subprocess.run(
        [sys.executable, workflow.PIPELINES / script, *fetch["args"], "--retries", "0", "--tracking-uri", "none"],
        text=True, capture_output=True, check=False,
    )  # fmt: skip
    if asked.returncode != 1 or "MLFLOW_TRACKING_URI is none" not in asked.stderr:
        yield f"{script} does not take the arguments that deploy.py writes: {asked.stderr.strip()}"


def problems(found):
    """Every problem."""
    yield from forms(found)
    yield from values()
