"""Whether the pods of a render are safe to run: the restricted pod security standard and what we ask besides, images that
are known, probes on their own paths, and a grace period that lets the server end by itself.

Each check takes the objects and the case's values, and yields a sentence for each problem. check.py runs them all.
"""

import re

import manifests
from manifests import containers, name

# Kinds of volumes that the restricted standard lets in; an image volume counts as such since it is there.
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret"}
PROBES = {"startupProbe": "/health/startup", "readinessProbe": "/health/ready", "livenessProbe": "/health/live"}
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
# What the server takes where nothing is said, in seconds.
ENDING = {
    "ML_INFERENCE_DRAIN__DELAY": "5s",
    "ML_INFERENCE_DRAIN__TIMEOUT": "30s",
    "ML_INFERENCE_TELEMETRY__FLUSH_TIMEOUT": "2s",
}
SIZES = {"": 1, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
# The only variable that may come out of a Secret: the OpenTelemetry specification has no file for it.
SECRET_VARIABLES = {"OTEL_EXPORTER_OTLP_HEADERS"}


def seconds(text):
    number, unit = re.fullmatch(r"([0-9.]+)\s*([a-z]+)", text).groups()
    return float(number) * UNITS[unit]


def quantity(value):
    number, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(value)).groups()
    return float(number) * SIZES[unit]


def images(objects, values):
    for it, pod in manifests.pods(objects):
        found = [container["image"] for container in containers(pod)]
        found += [volume["image"]["reference"] for volume in pod["spec"].get("volumes", []) if "image" in volume]
        for image in found:
            tag = image.partition("@")[2] or image.rpartition("/")[2].partition(":")[2]
            if not tag or tag.startswith("latest"):
                yield f"{name(it)}: nobody knows what {image} is tomorrow: it needs a digest or a tag that stays"


def pod_security(objects, values):
    """The restricted standard, as far as a pod template can break it."""
    for it, pod in manifests.pods(objects):
        spec, own = pod["spec"], pod["spec"].get("securityContext", {})
        for key in ("hostNetwork", "hostPID", "hostIPC"):
            if spec.get(key):
                yield f"{name(it)}: {key} is on"
        for volume in spec.get("volumes", []):
            if not set(volume) - {"name"} <= VOLUMES:
                yield f"{name(it)}: the volume {volume['name']} is of a kind that the restricted standard refuses"
        for container in containers(pod):
            yield from (f"{name(it)}: container {container['name']}: {problem}" for problem in breaches(own, container))


def breaches(own, container):
    """What of a container breaks the restricted standard; `own` is the pod's security context."""
    context = own | container.get("securityContext", {})
    if context.get("runAsNonRoot") is not True:
        yield "runAsNonRoot is not true"
    if context.get("runAsUser") == 0:
        yield "runs as root"
    if context.get("privileged"):
        yield "is privileged"
    if context.get("allowPrivilegeEscalation") is not False:
        yield "may escalate privileges"
    if context.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "has no seccomp profile"
    capabilities = context.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", []) or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield "keeps capabilities"
    if any("hostPort" in port for port in container.get("ports", [])):
        yield "takes a port of the node"


def hardening(objects, values):
    """What we ask beyond the standard: a read-only root, no token, bounded temporary files and resources."""
    for it, pod in manifests.pods(objects):
        if pod["spec"].get("automountServiceAccountToken") is not False:
            yield f"{name(it)}: mounts a token that nothing needs"
        for volume in pod["spec"].get("volumes", []):
            if "emptyDir" in volume and "sizeLimit" not in (volume["emptyDir"] or {}):
                yield f"{name(it)}: the emptyDir {volume['name']} may fill the node's disk"
        for container in containers(pod):
            if container.get("securityContext", {}).get("readOnlyRootFilesystem") is not True:
                yield f"{name(it)}: container {container['name']} may write to its root"
            yield from (f"{name(it)}: container {container['name']}: {it2}" for it2 in resource_problems(container))


def resource_problems(container):
    requests, limits = (container.get("resources", {}).get(key, {}) for key in ("requests", "limits"))
    for resource in ("cpu", "memory", "ephemeral-storage"):
        if resource not in requests:
            yield f"requests no {resource}"
    for resource in ("memory", "ephemeral-storage"):
        if resource not in limits:
            yield f"has no limit of {resource}"
    for resource, value in requests.items():
        if resource in limits and quantity(value) > quantity(limits[resource]):
            yield f"requests more {resource} than its limit"
    # A device is never shared by two pods: the API server wants both numbers equal.
    for resource in {it for it in [*requests, *limits] if "/" in it}:
        if requests.get(resource) != limits.get(resource) or quantity(limits[resource]) != int(quantity(limits[resource])):
            yield f"requests and limits of {resource} are not one whole number"


def probes(objects, values):
    """Each probe on its own path of the admin port: liveness must not depend on what readiness depends on."""
    for it, pod in manifests.pods(objects):
        if it["kind"] not in manifests.WORKLOADS:
            continue
        for container in pod["spec"]["containers"]:
            for kind, path in PROBES.items():
                found = container.get(kind, {}).get("httpGet", {})
                if (found.get("path"), found.get("port")) != (path, "admin"):
                    yield f"{name(it)}: the {kind} asks {found.get('path')} of port {found.get('port')}, not {path} of admin"


def ending(objects, values):
    """The process ends by itself: no hook that delays the signal, and a grace period that covers all it may take."""
    for it, pod in manifests.pods(objects):
        if it["kind"] not in manifests.WORKLOADS:
            continue
        for container in containers(pod):
            if container.get("lifecycle", {}).get("preStop"):
                yield f"{name(it)}: a preStop hook delays the drain a second time: drain.delay is the one delay"
        variables = {env["name"]: env.get("value") for env in pod["spec"]["containers"][0]["env"]}
        needed = sum(seconds(variables.get(key) or default) for key, default in ENDING.items())
        if pod["spec"].get("terminationGracePeriodSeconds", 30) <= needed:
            yield f"{name(it)}: the kubelet kills it after {pod['spec'].get('terminationGracePeriodSeconds', 30)} s, and it may take {needed:g} s to end"


def secrets(objects, values):
    """Secrets are files, never variables; and no secret is written into a manifest."""
    for it in manifests.of_kind(objects, "Secret"):
        yield f"{name(it)}: a Secret in a manifest ends in a repository"
    for it, pod in manifests.pods(objects):
        for container in containers(pod):
            for env in container.get("env", []):
                if "secretKeyRef" in env.get("valueFrom", {}) and env["name"] not in SECRET_VARIABLES:
                    yield f"{name(it)}: {env['name']} takes a secret as a variable, which every child process and crash report sees"


CHECKS = {check.__name__: check for check in (images, pod_security, hardening, probes, ending, secrets)}
