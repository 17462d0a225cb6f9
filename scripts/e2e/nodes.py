"""The fake nodes: six in three zones, and two with GPUs, labelled, tainted and filled as NVIDIA's device plugin and DRA
driver do it. kwok runs nothing on them, but lets pods become ready and go."""

from dataclasses import dataclass
from pathlib import Path

import yaml

ZONES = ("a", "b", "c")
ROOM = {"cpu": "32", "memory": "256Gi", "ephemeral-storage": "500Gi", "pods": "110"}
# Whole GPUs, shares in time and slices, so that each way of asking for one is scheduled.
GPUS = {"nvidia.com/gpu": "8", "nvidia.com/gpu.shared": "8", "nvidia.com/mig-1g.10gb": "14"}
GPU_LABEL = {"nvidia.com/gpu.present": "true"}
GPU_TAINT = {"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}
FAKE = {"kwok.x-k8s.io/node": "fake"}
DRIVER = "gpu.nvidia.com"
# What replaces a pod is not there at once, or nothing could be seen of the time in between.
READY_MILLISECONDS = 1000


def node(name, zone, room=None, labels=None, taints=None):
    """A node that kwok takes care of."""
    all_labels = {
        "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", "kubernetes.io/hostname": name,
        "topology.kubernetes.io/zone": zone,
    }  # fmt: skip
    resources = ROOM | (room or {})
    return {
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": all_labels | (labels or {}), "annotations": FAKE},
        "spec": {"taints": taints or []},
        "status": {"allocatable": resources, "capacity": resources},
    }  # fmt: skip


def nodes():
    """All of them."""
    workers = [node(f"worker-{number + 1}", ZONES[number % len(ZONES)]) for number in range(6)]
    gpus = [node(f"gpu-{number + 1}", ZONES[number], GPUS, GPU_LABEL, [GPU_TAINT]) for number in range(2)]
    return workers + gpus


def devices():
    """What the DRA driver publishes: its class, and eight devices on each node with GPUs."""
    expression = f"device.driver == '{DRIVER}'"
    kind = {"apiVersion": "resource.k8s.io/v1"}
    device_class = kind | {
        "kind": "DeviceClass", "metadata": {"name": DRIVER},
        "spec": {"selectors": [{"cel": {"expression": expression}}]},
    }  # fmt: skip
    slices = [
        kind | {
            "kind": "ResourceSlice", "metadata": {"name": f"{name}-{DRIVER}"},
            "spec": {
                "driver": DRIVER, "nodeName": name,
                "pool": {"name": name, "generation": 1, "resourceSliceCount": 1},
                "devices": [{"name": f"gpu-{number}", "attributes": {"type": {"string": "gpu"}}} for number in range(8)],
            },
        }
        for name in ("gpu-1", "gpu-2")
    ]  # fmt: skip
    return [device_class, *slices]


def stages(published, folder):
    """kwok's stages, in files of a folder, as they are published except that a pod takes its time to become ready."""
    folder.mkdir()
    for path in published:
        stage = yaml.safe_load(path.read_text())
        if stage["metadata"]["name"] == "pod-ready":
            stage["spec"]["delay"] = {"durationMilliseconds": READY_MILLISECONDS}
        (folder / path.name).write_text(yaml.safe_dump(stage))
        yield folder / path.name


@dataclass
class Behind:
    """What a scenario may put behind every pod, since nothing runs in them: a process that listens on these ports of the loopback
    address, and a log in the form of container runtimes."""

    http: int
    admin: int
    log: Path


def behind(path, there):
    """A configuration of kwok that answers `kubectl logs` and `kubectl port-forward` with that."""
    kind = {"apiVersion": "kwok.x-k8s.io/v1alpha1", "metadata": {"name": "behind"}}
    target = lambda port: {"address": "127.0.0.1", "port": port}  # noqa: E731
    forwards = [{"ports": [8080], "target": target(there.http)}, {"ports": [8082], "target": target(there.admin)}]
    log = {"logsFile": str(there.log), "previousLogsFile": str(there.log)}
    path.write_text(yaml.safe_dump_all([
        kind | {"kind": "ClusterPortForward", "spec": {"forwards": forwards}}, kind | {"kind": "ClusterLogs", "spec": {"logs": [log]}},
    ]))  # fmt: skip
    return path
