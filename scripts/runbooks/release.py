"""Back to the version before."""

import json

from .kube import image, name
from .plan import Failed, Plan, Refused, run, shown

GOOD = ("deployed", "superseded")


def history(kube):
    """The release's revisions as Helm knows them, the newest last; none where Helm did not install it."""
    try:
        return json.loads(run(["helm", "--namespace", kube.namespace, "history", kube.release, "--output", "json"]))
    except Failed as failure:
        if "release: not found" in str(failure):
            return []
        raise


def roll_back(kube, options):
    """the version before: aborts a canary that is under way, else rolls the Helm release back"""
    workload = kube.workload()
    plan = Plan("roll-back")
    plan.fact(kube.cluster())
    plan.fact(f"{workload['kind']} {name(workload)} asks for {image(workload)}")
    if workload["kind"] == "Rollout" and under_way(workload):
        return abort(kube, plan, workload)
    if owner := kube.owner(workload):
        raise Refused(f"{owner} keeps {name(workload)} as Git says, and would set it back: git revert the commit in deploy/gitops/environments, and push")
    revisions = history(kube)
    if revisions:
        return by_helm(kube, options, plan, revisions)
    if workload["kind"] == "Rollout":
        raise Refused("Helm has not installed this release: apply the manifests of the version before, or kubectl argo rollouts undo")
    return by_kubectl(kube, options, plan, workload)


def under_way(rollout):
    """Whether a canary, or a preview, waits beside what serves, and has not been aborted."""
    status = rollout.get("status", {})
    hashes = status.get("stableRS"), status.get("currentPodHash")
    return bool(all(hashes) and hashes[0] != hashes[1] and not status.get("abort"))


def abort(kube, plan, rollout):
    """The new version gets no more requests. It stays asked for, so this is not the end of it."""
    status = rollout["status"]
    plan.fact(f"revision {status['currentPodHash']} is beside the stable {status['stableRS']}: {status.get('phase')} {status.get('message', '')}".strip())
    plan.command(*kube.words(
        "patch", "rollouts.argoproj.io", name(rollout), "--subresource", "status", "--type", "merge", "--patch", '{"status":{"abort":true}}',
    ))  # fmt: skip
    plan.over = [
        f"kubectl -n {kube.namespace} get rollout {name(rollout)} -o jsonpath='{{.status.phase}} {{.status.abort}}'    # Degraded true: stable serves everything",
        "then take the version out of what is asked for: " + (
            "git revert in deploy/gitops/environments" if kube.owner(rollout) else "roll-back once more, which rolls the Helm release back"
        ),
    ]  # fmt: skip
    plan.back = [f"kubectl argo rollouts -n {kube.namespace} retry rollout {name(rollout)}    # the same version again"]
    return plan


def by_helm(kube, options, plan, revisions):
    """helm rollback to an earlier revision that went well: the one that is named, or the newest that is another than what is there."""
    last = revisions[-1]
    if last["status"].startswith("pending"):
        raise Refused(f"revision {last['revision']} is {last['status']}: another helm is at work. Wait; if it was killed, helm rollback by hand")
    earlier = [it for it in revisions[:-1] if it["status"] in GOOD]
    if options.revision:
        wanted = next((it for it in earlier if it["revision"] == options.revision), None)
    else:
        # After a rollback the one before is what it went back to.
        now = manifest(kube, last["revision"])
        wanted = next((it for it in reversed(earlier) if manifest(kube, it["revision"]) != now), None)
    if wanted is None:
        there = ", ".join(str(it["revision"]) for it in earlier) or "none"
        raise Refused(f"there is no earlier revision {options.revision or ''} that went well; there are: {there}".replace("  ", " "))
    for it in (last, wanted):
        plan.fact(f"revision {it['revision']}: {it['status']}, {it['updated'][:19]}, {it['chart']}, image {image_of(kube, it['revision'])}")
    command = ["helm", "--namespace", kube.namespace, "rollback", kube.release, str(wanted["revision"]), "--wait", "--timeout", options.timeout]
    plan.command(*command)
    plan.over = [
        f"helm -n {kube.namespace} history {kube.release}    # a new revision: Rollback to {wanted['revision']}",
        f"kubectl -n {kube.namespace} get pods -l {kube.selector}    # all ready, with the image above",
    ]  # fmt: skip
    plan.back = [shown([*command[:5], last["revision"], *command[6:]])]
    return plan


def manifest(kube, revision):
    """What a revision asks for."""
    return run(["helm", "--namespace", kube.namespace, "get", "manifest", kube.release, "--revision", str(revision)])


def image_of(kube, revision):
    """The server's image in a revision's manifest."""
    text = manifest(kube, revision)
    found = [line.split("image:", 1)[1].strip().strip("\"'") for line in text.splitlines() if line.strip().startswith(("image:", "- image:"))]
    return found[0] if found else "not known"


def by_kubectl(kube, options, plan, deployment):
    """kubectl rollout undo, where the manifests were applied without Helm."""
    sets = [it for it in kube.get("replicasets", selector=kube.selector) if owns(deployment, it)]
    numbers = sorted(int(it["metadata"]["annotations"]["deployment.kubernetes.io/revision"]) for it in sets)
    wanted = options.revision or (numbers[-2] if len(numbers) > 1 else None)
    if wanted not in numbers[:-1]:
        raise Refused(f"there is no earlier revision {options.revision or ''}; there are: {numbers[:-1] or 'none'}".replace("  ", " "))
    target = next(it for it in sets if it["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == str(wanted))
    plan.fact(f"Helm has not installed it; revision {wanted} has the image {image(target)}")
    plan.command(*kube.words("rollout", "undo", f"deployment/{name(deployment)}", f"--to-revision={wanted}"))
    plan.over = [f"kubectl -n {kube.namespace} rollout status deployment/{name(deployment)}"]
    plan.back = ["apply the manifests of the newer version again"]
    return plan


def owns(owner, thing):
    """Whether an object is the controller of another."""
    return any(it["uid"] == owner["metadata"]["uid"] for it in thing["metadata"].get("ownerReferences", []))
