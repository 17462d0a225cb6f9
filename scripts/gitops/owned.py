"""Which fields of a render others write once it is in the cluster, derived from the render itself, and what Argo CD and Flux are told
to leave alone, in the same form: (group, kind, name of the object, JSON pointer).
"""

import re

from manifests import of_kind
from tree import group

REPLICAS = "/spec/replicas"
SELECTOR = "/spec/selector/rollouts-pod-template-hash"
MARK = "/metadata/labels/rollouts.argoproj.io~1gatewayapi-canary"


def scaled(objects):
    """The number of replicas of what an autoscaler points at."""
    for it in of_kind(objects, "HorizontalPodAutoscaler", "ScaledObject"):
        target = it["spec"]["scaleTargetRef"]
        yield target["apiVersion"].rpartition("/")[0], target["kind"], target["name"], REPLICAS


def weighted(objects, rollout):
    """The backends of a Rollout's routes, and the plugin's mark on them."""
    canary = rollout["spec"]["strategy"].get("canary", {})
    services = {canary.get("stableService"), canary.get("canaryService")} - {None}
    plugins = canary.get("trafficRouting", {}).get("plugins", {})
    for settings in plugins.values():
        names = {"HTTPRoute": settings.get("httpRoute"), "GRPCRoute": settings.get("grpcRoute")}
        for route in of_kind(objects, *names):
            if route["metadata"]["name"] != names[route["kind"]]:
                continue
            which = (group(route), route["kind"], route["metadata"]["name"])
            yield *which, MARK
            for number, rule in enumerate(route["spec"]["rules"]):
                if services & {it["name"] for it in rule.get("backendRefs", [])}:
                    yield *which, f"/spec/rules/{number}/backendRefs"


def owned(objects):
    """All of a render that an autoscaler or the controller of Argo Rollouts writes."""
    found = set(scaled(objects))
    for rollout in of_kind(objects, "Rollout"):
        strategy = rollout["spec"]["strategy"]
        for way in strategy.values():
            services = [way[key] for key in ("stableService", "canaryService", "activeService", "previewService") if key in way]
            found |= {("", "Service", name, SELECTOR) for name in services}
        found |= set(weighted(objects, rollout))
    return found


def of_argocd(application, objects):
    """What an Application's ignoreDifferences takes of a render."""
    namespace = application["spec"]["destination"]["namespace"]
    for rule in application["spec"].get("ignoreDifferences", []):
        for it in objects:
            is_meant = (
                rule.get("group", "") == group(it) and rule["kind"] == it["kind"]
                and rule.get("name", it["metadata"]["name"]) == it["metadata"]["name"]
                and rule.get("namespace", namespace) == namespace
            )  # fmt: skip
            if is_meant:
                yield from ((group(it), it["kind"], it["metadata"]["name"], pointer) for pointer in rule["jsonPointers"])


def of_flux(release, objects):
    """What a HelmRelease's driftDetection takes of a render. Its selectors are regular expressions of the whole."""
    for rule in release["spec"]["driftDetection"].get("ignore", []):
        target = rule.get("target", {})
        for it in objects:
            has = {"group": group(it), "kind": it["kind"], "name": it["metadata"]["name"]}
            if all(re.fullmatch(target[key], has[key]) for key in target):
                yield from ((group(it), it["kind"], it["metadata"]["name"], pointer) for pointer in rule["paths"])


def differences(tool, environment, objects, ignored):
    """A sentence for each field that the tool would fight over, and for each that it leaves alone though nobody owns it."""
    mine, theirs = set(ignored), owned(objects)
    for _, kind, name, pointer in sorted(theirs - mine):
        yield f"{tool}, {environment}: {pointer} of {kind} {name} is written by a controller, and is not ignored"
    for _, kind, name, pointer in sorted(mine - theirs):
        yield f"{tool}, {environment}: {pointer} of {kind} {name} is ignored, and nobody but the chart writes it: drift would stay"


def kinds(objects):
    """(group, kind) of all that a tool would apply: of a render without hooks."""
    return {(group(it), it["kind"]) for it in objects if "helm.sh/hook" not in it["metadata"].get("annotations", {})}
