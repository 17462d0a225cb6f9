"""Whether the runtimes and the example of deploy/kserve fit each other, KServe and the chart. KServe makes the pods, so the checks of
safety.py are asked of what a runtime would give them.

The check takes the objects and yields a sentence for each problem. check.py runs it over the files, mutate.py over broken ones.
"""

from pathlib import Path

import manifests
import safety
import yaml
from manifests import name, of_kind

FOLDER = Path("deploy/kserve")
# What the storage initializer fills, by KServe's convention.
MOUNT = "/mnt/models"
# KServe gives each pod a token of its ServiceAccount or none, and its own way to the probes.
SAFETY = ("images", "pod_security", "hardening", "ending", "secrets")


def objects():
    return [it for file in sorted(FOLDER.glob("*.yaml")) for it in manifests.parse(file.read_text())]


def as_deployment(runtime):
    """What KServe makes of a runtime, as far as the checks look."""
    spec = {key: runtime["spec"].get(key, []) for key in ("containers", "volumes")}
    pod = {"metadata": {"labels": {}, "annotations": {}}, "spec": spec | {"automountServiceAccountToken": False}}
    return {"kind": "Deployment", "metadata": runtime["metadata"], "spec": {"template": pod}}


def runtime_problems(runtime):
    for check in SAFETY:
        for sentence in safety.CHECKS[check]([as_deployment(runtime)], {}):
            yield sentence.replace("Deployment", "ServingRuntime", 1)
    container = runtime["spec"]["containers"][0]
    if container["name"] != "kserve-container":
        yield f"{name(runtime)}: KServe fills in the container kserve-container, and this one is {container['name']}"
    if f"{{{{.Name}}}}={MOUNT}" not in container["args"]:
        yield f"{name(runtime)}: does not serve {MOUNT} under the InferenceService's name"
    ports = {str(port["containerPort"]) for port in container["ports"]}
    asked = {str(container.get(probe, {}).get("httpGet", {}).get("port")) for probe in safety.PROBES}
    asked.add(runtime["spec"]["annotations"].get("prometheus.kserve.io/port"))
    if asked != ports:
        yield f"{name(runtime)}: probes and scrapes ask {sorted(map(str, asked))}, and the container has {sorted(ports)}"
    for probe, path in safety.PROBES.items():
        if container.get(probe, {}).get("httpGet", {}).get("path") != path:
            yield f"{name(runtime)}: the {probe} does not ask {path}"
    version = yaml.safe_load((manifests.CHART / "Chart.yaml").read_text())["appVersion"]
    if container["image"].rpartition(":")[2].removesuffix("-cuda") != version:
        yield f"{name(runtime)}: the image {container['image']} is not of version {version}"


def problems(some):
    """What is wrong with runtimes and InferenceServices."""
    runtimes = {it["metadata"]["name"]: it for it in of_kind(some, "ServingRuntime")}
    for runtime in runtimes.values():
        yield from runtime_problems(runtime)
    chosen = [it for it in runtimes.values() if any(each.get("autoSelect") for each in it["spec"]["supportedModelFormats"])]
    if len(chosen) != 1:
        yield f"{len(chosen)} runtimes are chosen by themselves, not one"
    for service in of_kind(some, "InferenceService"):
        model = service["spec"]["predictor"]["model"]
        runtime = runtimes.get(model["runtime"], {"spec": {"supportedModelFormats": [], "protocolVersions": []}})["spec"]
        if model["modelFormat"]["name"] not in [it["name"] for it in runtime["supportedModelFormats"]]:
            yield f"{name(service)}: the runtime {model['runtime']} does not serve {model['modelFormat']['name']}"
        if model["protocolVersion"] not in runtime["protocolVersions"]:
            yield f"{name(service)}: the runtime {model['runtime']} does not speak {model['protocolVersion']}"
