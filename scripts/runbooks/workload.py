"""Remedies for pods, their number and their nodes."""

import json

from .kube import is_ready, name
from .plan import Plan, Refused, shown

GPUS = "nvidia.com/"


def restart_pod(kube, options):
    """start one pod anew: drained, by an eviction, which the disruption budget guards"""
    pods = kube.pods()
    pod = next((it for it in pods if name(it) == options.pod), None)
    if pod is None:
        there = ", ".join(map(name, pods)) or "none"
        raise Refused(f"{options.pod} is no pod of {kube.release} in {kube.namespace}; there are: {there}")
    if "deletionTimestamp" in pod["metadata"]:
        raise Refused(f"{options.pod} is ending already: wait until it has gone")
    if not any(it.get("controller") for it in pod["metadata"].get("ownerReferences", [])):
        raise Refused(f"nothing would make {options.pod} anew: it has no controller")
    others, spare = [it for it in pods if is_ready(it) and it is not pod], kube.spare()
    if is_ready(pod) and not others:
        raise Refused(f"{options.pod} is the last ready pod: nobody would answer. Get another one ready first")
    if is_ready(pod) and spare == 0:
        raise Refused("the disruption budget has no pod to spare now: another one is away. Wait for it, or see to that one first")
    plan = Plan(f"restart-pod {options.pod}")
    plan.fact(kube.cluster())
    plan.fact(f"{options.pod} is {'ready' if is_ready(pod) else 'not ready'}, on {pod['spec'].get('nodeName', 'no node yet')}; {len(others)} others are ready")
    plan.fact(f"the disruption budget can spare {'any number, there is none' if spare is None else spare}")
    plan.fact("its drain lets requests end (drain.delay + drain.timeout); the logs go with it: `diagnostics` keeps them")
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": options.pod, "namespace": kube.namespace}}
    path = f"/api/v1/namespaces/{kube.namespace}/pods/{options.pod}/eviction"
    plan.command("kubectl", "create", "--raw", path, "--filename", "-", stdin=json.dumps(body))
    plan.over = [f"kubectl -n {kube.namespace} get pods -l {kube.selector}    # {options.pod} is gone, as many are ready as before"]
    return plan


def room(scaler):
    """Fewest and most replicas of a scaler, and what its fewest are called."""
    spec = scaler["spec"]
    if scaler["kind"] == "ScaledObject":
        return spec.get("minReplicaCount", 0), spec.get("maxReplicaCount", 100), "minReplicaCount"
    return spec.get("minReplicas", 1), spec["maxReplicas"], "minReplicas"


def scale_out(kube, options):
    """more replicas now: raises the autoscaler's fewest, within its most"""
    workload, scaler = kube.workload(), kube.scaler()
    if scaler is None:
        raise Refused("nothing scales this release (autoscaling.mode: none): set replicaCount in its values, and upgrade")
    if owner := kube.owner(scaler):
        raise Refused(f"{owner} keeps {name(scaler)} as Git says, and would set it back: raise autoscaling.minReplicas in deploy/gitops/environments, and commit")
    fewest, most, field = room(scaler)
    now = workload.get("status", {}).get("replicas", 0)
    wanted = options.to or now + options.by
    if wanted > most:
        raise Refused(f"{wanted} replicas are more than the most, {most}: raise autoscaling.maxReplicas in the values first, if nodes and quota allow it")
    if wanted <= now:
        raise Refused(f"there are {now} replicas already, and {wanted} would not be more: this only scales out")
    unready = [name(it) for it in kube.pods() if not is_ready(it) and "deletionTimestamp" not in it["metadata"]]
    if unready:
        raise Refused(f"{', '.join(unready)} {'is' if len(unready) == 1 else 'are'} not ready yet: more pods would wait beside. Look why (kubectl describe pod), or wait")
    plan = Plan(f"scale-out to {wanted}")
    plan.fact(kube.cluster())
    plan.fact(f"{scaler['kind']} {name(scaler)}: {fewest} to {most} replicas; {workload['kind']} {name(workload)} has {now}, all ready")
    kind = "scaledobjects.keda.sh" if scaler["kind"] == "ScaledObject" else "horizontalpodautoscalers.autoscaling"

    def patch(number):
        return kube.words("patch", kind, name(scaler), "--type", "merge", "--patch", json.dumps({"spec": {field: number}}))

    plan.command(*patch(wanted))
    plan.over = [
        f"kubectl -n {kube.namespace} get pods -l {kube.selector}    # {wanted} are ready",
        "and the queue has drained: docs/runbooks/capacity.md",
    ]  # fmt: skip
    plan.back = [shown(patch(fewest)), "or the next helm upgrade, which writes what the values say"]
    return plan


def units(pod):
    """The GPUs, or shares of them, that a pod asks for."""
    found = {}
    for container in pod["spec"]["containers"]:
        for resource, amount in (container.get("resources", {}).get("limits") or {}).items():
            if resource.startswith(GPUS):
                found[resource] = found.get(resource, 0) + int(amount)
    return found


def takes(node, pod):
    """Whether new pods like this one may come to a node: it is ready, open, has the labels, and its taints are tolerated."""
    ready = any(it["type"] == "Ready" and it["status"] == "True" for it in node["status"].get("conditions", []))
    labels, wanted = node["metadata"].get("labels") or {}, pod["spec"].get("nodeSelector") or {}
    tolerated = [(it.get("key"), it.get("operator", "Equal"), it.get("value", "")) for it in pod["spec"].get("tolerations", [])]
    for taint in node["spec"].get("taints") or []:
        key, value = taint["key"], taint.get("value", "")
        if taint["effect"] != "PreferNoSchedule" and not any(
            it[0] in (None, key) and (it[1] == "Exists" or it[2] == value) for it in tolerated
        ):
            return False
    return ready and not node["spec"].get("unschedulable") and all(labels.get(key) == value for key, value in wanted.items())


def free(nodes, resource, everyone):
    """How many of a resource these nodes have left."""
    names = set(map(name, nodes))
    there = sum(int(it["status"]["allocatable"].get(resource, 0)) for it in nodes)
    running = [it for it in everyone if it["spec"].get("nodeName") in names and it["status"].get("phase") not in ("Succeeded", "Failed")]
    return there - sum(units(it).get(resource, 0) for it in running)


def clear_node(kube, options):
    """close a node to new pods, and move the release's pods off it one by one"""
    nodes = kube.get("nodes")
    if not any(name(it) == options.node for it in nodes):
        raise Refused(f"there is no node {options.node}")
    pods = kube.pods()
    here = [it for it in pods if it["spec"].get("nodeName") == options.node]
    if not here:
        raise Refused(f"no pod of {kube.release} is on {options.node}; to close it to new ones: kubectl cordon {options.node}")
    elsewhere = [it for it in nodes if name(it) != options.node and takes(it, here[0])]
    if not elsewhere:
        raise Refused(f"no other node takes these pods (ready, open, labels, taints): they would wait. Add a node first, then clear {options.node}")
    everyone = kube.get("pods", everywhere=True)
    for resource in units(here[0]):
        wanted, left = sum(units(it).get(resource, 0) for it in here), free(elsewhere, resource, everyone)
        if left < wanted:
            raise Refused(f"the other nodes have {left} {resource} left, and these pods need {wanted}: they would wait. Add a node first")
    if any(map(is_ready, here)) and kube.spare() == 0:
        raise Refused("the disruption budget has no pod to spare now: another one is away. Wait for it, or see to that one first")
    plan = Plan(f"clear-node {options.node}")
    plan.fact(kube.cluster())
    plan.fact(f"on it: {', '.join(map(name, here))}; {len(elsewhere)} other nodes take them")
    plan.command("kubectl", "cordon", options.node)
    plan.command(
        "kubectl", "drain", options.node, "--pod-selector", kube.selector, "--delete-emptydir-data", "--ignore-daemonsets",
        "--timeout", f"{options.timeout}s",
    )  # fmt: skip
    plan.over = [f"kubectl -n {kube.namespace} get pods -l {kube.selector} -o wide    # none on {options.node}, all ready"]
    plan.back = [f"kubectl uncordon {options.node}    # once the card, or the node, was seen to"]
    return plan
