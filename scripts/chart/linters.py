"""Runs kube-score and checkov over every render of the chart and over deploy/kserve. What they find must be an exception of
exceptions.yaml with its reason, and an exception that nothing needs any more is an error too. Called by check.sh; HELM, KUBE_SCORE
and CHECKOV name the programs.
"""

import json
import os
import subprocess
import sys
import tempfile
from fnmatch import fnmatch
from pathlib import Path

import manifests
import yaml

EXCEPTIONS = Path(__file__).parent / "exceptions.yaml"
# The case of what was broken on purpose, and the checks that must find it.
SPOILT = "spoilt"
FOUND = {
    "container-security-context-privileged", "container-security-context-readonlyrootfilesystem", "container-resources",
    "CKV_K8S_16", "CKV_K8S_22", "CKV_K8S_13",
}  # fmt: skip
# kube-score's grades from 1 to 10: below this it has something to say.
GOOD = 10


def as_linters_know(it):
    """A Rollout, a ScaledObject or a ServingRuntime as the object that the linters know."""
    if it["kind"] == "Rollout":
        spec = {key: value for key, value in it["spec"].items() if key in ("replicas", "selector", "template")}
        return it | {"apiVersion": "apps/v1", "kind": "Deployment", "spec": spec}
    if it["kind"] == "ScaledObject":
        spec = {"minReplicas": it["spec"]["minReplicaCount"], "maxReplicas": it["spec"]["maxReplicaCount"]}
        spec["scaleTargetRef"] = it["spec"]["scaleTargetRef"]
        return it | {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "spec": spec}
    if it["kind"] == "ServingRuntime":
        spec = {key: it["spec"][key] for key in ("containers", "volumes", "nodeSelector", "tolerations") if key in it["spec"]}
        return it | {"apiVersion": "v1", "kind": "Pod", "spec": spec | {"automountServiceAccountToken": False}}
    return it


def written(folder):
    """Writes what is judged into a folder, a file for each case."""
    for case, file in manifests.cases().items():
        objects = [as_linters_know(it) for it in manifests.parse(manifests.render(file))]
        # The target of a scaler is renamed with it.
        for it in manifests.of_kind(objects, "HorizontalPodAutoscaler"):
            it["spec"]["scaleTargetRef"] |= {"apiVersion": "apps/v1", "kind": "Deployment"}
        (folder / f"{case}.yaml").write_text(yaml.safe_dump_all(objects))
    runtimes = [it for file in sorted(Path("deploy/kserve").glob("*.yaml")) for it in manifests.parse(file.read_text())]
    runtimes = [as_linters_know(it) for it in runtimes if it["kind"] == "ServingRuntime"]
    (folder / "kserve.yaml").write_text(yaml.safe_dump_all(runtimes))
    (folder / f"{SPOILT}.yaml").write_text(yaml.safe_dump_all([spoilt()]))


def spoilt():
    """Proof that the linters can complain: the server as root, without a limit of memory, and privileged."""
    it = manifests.of_kind(manifests.parse(manifests.render(None)), "Deployment")[0]
    container = it["spec"]["template"]["spec"]["containers"][0]
    container["securityContext"] |= {"privileged": True, "runAsUser": 0, "readOnlyRootFilesystem": False}
    del container["resources"]["limits"]
    return it


def answer(command, what):
    """What a linter writes as JSON: it ends with non-zero where it finds something, so that says nothing."""
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    try:
        return json.loads(done.stdout)
    except ValueError:
        sys.exit(f"error: {what} has no answer:\n{done.stderr.strip()[-2000:]}")


def kube_score(folder):
    """(case, check, object, what it says) of all that kube-score finds."""
    minor = manifests.KUBERNETES[-1].rsplit(".", 1)[0]
    for file in sorted(folder.glob("*.yaml")):
        command = [os.environ["KUBE_SCORE"], "score", "--output-format", "json", "--kubernetes-version", f"v{minor}", str(file)]
        for it in answer(command, "kube-score"):
            target = f"{it['type_meta']['kind']}/{it['object_meta']['name']}"
            for check in it["checks"]:
                if not check["skipped"] and check["grade"] < GOOD:
                    said = "; ".join(comment["summary"] for comment in check["comments"] or [])
                    yield file.stem, check["check"]["id"], target, said


def checkov(folder):
    """(case, check, object, what it says) of all that checkov finds. It asks nothing of the network."""
    command = [
        os.environ["CHECKOV"], "--framework", "kubernetes", "--directory", str(folder), "--output", "json", "--quiet",
        "--compact", "--skip-download",
    ]  # fmt: skip
    found = answer(command, "checkov")
    if found["summary"]["parsing_errors"] or not found["summary"]["passed"]:
        sys.exit(f"error: checkov read nothing, or not all: {found['summary']}")
    for it in found["results"]["failed_checks"]:
        kind, _, name = it["resource"].split(".", 2)
        yield Path(it["file_path"]).stem, it["check_id"], f"{kind}/{name}", it["check_name"]


def main():
    exceptions = yaml.safe_load(EXCEPTIONS.read_text())
    used, seen, problems, total = set(), set(), [], 0
    with tempfile.TemporaryDirectory() as folder:
        written(Path(folder))
        for tool, run in (("kube-score", kube_score), ("checkov", checkov)):
            for case, check, target, said in run(Path(folder)):
                if case == SPOILT:
                    seen.add(check)
                    continue
                total += 1
                holding = [
                    (tool, number) for number, it in enumerate(exceptions[tool])
                    if it["check"] == check and any(fnmatch(target, pattern) for pattern in it["objects"])
                ]  # fmt: skip
                used |= set(holding)
                if not holding:
                    problems.append(f"{case}: {tool} says of {target}: {said} ({check})")
    problems += [f"{check} does not complain of what was broken on purpose" for check in sorted(FOUND - seen)]
    for tool, some in exceptions.items():
        for number, it in enumerate(some):
            if (tool, number) not in used:
                problems.append(f"exceptions.yaml: {tool} finds no {it['check']} in {it['objects']} any more: take it out")
            if len(it.get("reason", "")) < 20:
                problems.append(f"exceptions.yaml: {tool} {it['check']} has no reason")
    for problem in sorted(set(problems)):
        print(f"error: {problem}", file=sys.stderr)
    count = sum(len(some) for some in exceptions.values())
    print(f"kube-score and checkov find nothing but {count} exceptions ({total} findings), each with its reason")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
