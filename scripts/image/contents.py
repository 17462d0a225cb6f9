#!/usr/bin/env python3
"""What an image holds, read from docker's archive of it: its configuration, its size by layer, its files.

Prints the size of each layer with what it holds, then every fault found: a configuration that differs from
what is promised, a file that may run as another user, that anyone or the image's run users may write, or that
carries the build machine's settings, and a size over budget. Ends with 1 when there is a fault.
"""

import argparse
import dataclasses
import fnmatch
import json
import posixpath
import stat
import sys
import tarfile

MB = 1_000_000
RUN_GROUPS = {0, 10001}
RUN_USERS = {10001, 12345}
HEALTHCHECK = {"Interval": 30_000_000_000, "Timeout": 10_000_000_000, "StartPeriod": 5_000_000_000, "Retries": 3}
LABELS = ("title", "description", "licenses", "source", "revision", "created")
# What only a build machine has: package clients' settings and stores.
LEFT_BEHIND = ("etc/pip.conf", "root/.cargo", "root/.cache", "usr/local/cargo", "src", "out", "root/.pip", "tmp/")
VARIABLES_LEFT_BEHIND = ("proxy", "pip_", "cargo_", "ssl_cert", "debian_frontend")


@dataclasses.dataclass
class Layer:
    """One layer: what made it, its files' bytes, and its largest folders."""

    created_by: str
    files: dict[str, tarfile.TarInfo]
    removed: set[str]

    @property
    def size(self) -> int:
        """Bytes of the layer's regular files, as they lie unpacked."""
        return sum(info.size for info in self.files.values() if info.isreg())

    def largest(self, count: int = 3) -> str:
        """The largest files' names, for the table."""
        regular = sorted((info for info in self.files.values() if info.isreg()), key=lambda info: -info.size)
        return ", ".join(f"{posixpath.basename(info.name)} {info.size / MB:.1f}" for info in regular[:count])


def read_layer(archive: tarfile.TarFile, name: str, created_by: str) -> Layer:
    """One layer of the archive, with its whiteouts apart."""
    files, removed = {}, set()
    with tarfile.open(fileobj=archive.extractfile(name), mode="r:*") as layer:
        for info in layer:
            path = posixpath.normpath(info.name).lstrip("/")
            folder, base = posixpath.split(path)
            if base.startswith(".wh."):
                removed.add(folder if base == ".wh..wh..opq" else posixpath.join(folder, base[4:]))
            elif path != ".":
                files[path] = info
    return Layer(created_by, files, removed)


def read_image(path: str) -> tuple[dict, list[Layer]]:
    """The image's configuration and its layers, lowest first."""
    with tarfile.open(path) as archive:
        (manifest,) = json.load(archive.extractfile("manifest.json"))
        config = json.load(archive.extractfile(manifest["Config"]))
        history = [entry for entry in config.get("history", []) if not entry.get("empty_layer")]
        makers = [entry.get("created_by", "") for entry in history]
        makers = [""] * (len(manifest["Layers"]) - len(makers)) + makers
        layers = [read_layer(archive, name, maker) for name, maker in zip(manifest["Layers"], makers, strict=True)]
    return config, layers


def merged(layers: list[Layer]) -> dict[str, tarfile.TarInfo]:
    """The files that a process in the image sees."""
    seen: dict[str, tarfile.TarInfo] = {}
    for layer in layers:
        for path in layer.removed:
            seen = {name: info for name, info in seen.items() if name != path and not name.startswith(path + "/")}
        seen |= layer.files
    return seen


def file_faults(files: dict[str, tarfile.TarInfo], base: dict[str, tarfile.TarInfo]) -> list[str]:
    """What is wrong with the files' owners, modes and presence."""
    faults = []
    for path, info in sorted(files.items()):
        own = base.get(path) is not info
        if info.isreg() and info.mode & (stat.S_ISUID | stat.S_ISGID) and own:
            faults.append(f"/{path} is setuid or setgid")
        if not info.isreg() and not info.isdir():
            continue
        if info.mode & stat.S_IWOTH and not info.mode & stat.S_ISVTX:
            faults.append(f"/{path} is writable by anyone")
        if not own:
            continue
        who = f"owner {info.uid}:{info.gid}, mode {stat.S_IMODE(info.mode):o}"
        if info.mode & stat.S_IWGRP and info.gid in RUN_GROUPS or info.uid in RUN_USERS:
            faults.append(f"/{path} ({who}) is writable by a user that runs it")
        if not info.mode & (stat.S_IXOTH if info.isdir() else stat.S_IROTH):
            faults.append(f"/{path} ({who}) cannot be read by an arbitrary user")
        if any(path == name or path.startswith(name.rstrip("/") + "/") for name in LEFT_BEHIND):
            faults.append(f"/{path} was left behind by the build")
    return faults


def loader(files: dict[str, tarfile.TarInfo]) -> str:
    """The dynamic loader of the image."""
    found = sorted(path for path in files if fnmatch.fnmatch(path, "*/ld-linux-*.so.*"))
    if not found:
        sys.exit("error: the image has no dynamic loader")
    return found[0]


def programs(files: dict[str, tarfile.TarInfo]) -> list[str]:
    """The binary and every library beside ONNX Runtime's."""
    names = (path for path, info in files.items() if info.isreg() and path.startswith("usr/local/lib/"))
    return ["usr/local/bin/ml-inference-api", *sorted(name for name in names if ".so" in posixpath.basename(name))]


def setuid_of_base(files: dict[str, tarfile.TarInfo]) -> list[str]:
    """The base's own setuid files: Debian slim has some, distroless none."""
    return sorted(path for path, info in files.items() if info.isreg() and info.mode & (stat.S_ISUID | stat.S_ISGID))


def config_faults(told: dict) -> list[str]:
    """Where the configuration differs from what docs/image.md promises."""
    expected = {
        "User": "10001:10001",
        "Entrypoint": ["/usr/local/bin/ml-inference-api"],
        "Cmd": ["serve", "--config", "/etc/ml-inference-api/config.toml"],
    }
    faults = [f"{key} is {told.get(key)}, not {value}" for key, value in expected.items() if told.get(key) != value]
    if set(told.get("ExposedPorts") or {}) != {"8080/tcp", "8081/tcp", "8082/tcp"}:
        faults.append(f"ExposedPorts is {told.get('ExposedPorts')}")
    check = told.get("Healthcheck") or {}
    test = ["CMD", "/usr/local/bin/ml-inference-api", "health"]
    if check.get("Test") != test or any(check.get(key) != value for key, value in HEALTHCHECK.items()):
        faults.append(f"Healthcheck is {check}")
    variables = dict(entry.split("=", 1) for entry in told.get("Env") or [])
    if variables.get("ORT_DISABLE_TELEMETRY") != "1":
        faults.append("ORT_DISABLE_TELEMETRY is not 1")
    faults += [
        f"variable {name} was left behind by the build"
        for name in variables
        if any(word in name.lower() for word in VARIABLES_LEFT_BEHIND)
    ]
    labels = told.get("Labels") or {}
    faults += [f"label {name} is missing" for name in LABELS if f"org.opencontainers.image.{name}" not in labels]
    return faults


def print_table(layers: list[Layer], base_layers: int) -> tuple[int, int]:
    """The table of sizes; returns the bytes of our own layers and of the whole."""
    print("| layer | MB | largest files (MB) |\n|---|---:|---|")
    for index, layer in enumerate(layers):
        what = "the runtime base" if index < base_layers else summary(layer)
        print(f"| {what} | {layer.size / MB:.1f} | {layer.largest()} |")
    own = sum(layer.size for layer in layers[base_layers:])
    whole = own + sum(layer.size for layer in layers[:base_layers])
    print(f"| **own layers** | **{own / MB:.1f}** | |\n| **whole image** | **{whole / MB:.1f}** | |")
    return own, whole


def summary(layer: Layer) -> str:
    """What a layer of our own is, by the files that only it has."""
    names = set(layer.files)
    if "usr/local/bin/ml-inference-api" in names:
        return "the binary"
    if "usr/local/lib/libonnxruntime.so" in names:
        return "ONNX Runtime and its providers"
    if "usr/local/lib/libcudart.so.13" in names:
        return "NVIDIA's libraries"
    if "etc/ml-inference-api/config.toml" in names:
        return "models and configuration"
    if "etc/passwd" in names:
        return "user and locale"
    return layer.created_by or "other"


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", help="docker's archive of the image")
    parser.add_argument("--own-layers", type=int, default=4, help="how many of the last layers are the Dockerfile's")
    parser.add_argument("--budget-own", type=float, help="MB that our layers without the models may have")
    parser.add_argument("--budget-whole", type=float, help="MB that the whole image may have")
    parser.add_argument("--config-out", help="file to write the image's configuration to")
    parser.add_argument("--libraries-out", help="file to write the loader's, the binary's and our libraries' paths to")
    return parser.parse_args()


def main() -> int:
    """Print the table and the faults."""
    arguments = parse()
    config, layers = read_image(arguments.archive)
    base_layers = len(layers) - arguments.own_layers
    if base_layers < 1:
        sys.exit(f"error: the image has {len(layers)} layers: it was built without layers of its own")
    if arguments.config_out:
        with open(arguments.config_out, "w", encoding="utf-8") as file:
            json.dump(config["config"], file)
    own, whole = print_table(layers, base_layers)
    base, files = merged(layers[:base_layers]), merged(layers)
    if arguments.libraries_out:
        with open(arguments.libraries_out, "w", encoding="utf-8") as file:
            file.writelines(f"/{path}\n" for path in [loader(files), *programs(files)])
    models = sum(
        info.size
        for layer in layers[base_layers:]
        for name, info in layer.files.items()
        if name.startswith("models/") and info.isreg()
    )
    faults = config_faults(config["config"]) + file_faults(files, base)
    if arguments.budget_own and own - models > arguments.budget_own * MB:
        faults.append(f"own layers without models are {(own - models) / MB:.1f} MB, over {arguments.budget_own} MB")
    if arguments.budget_whole and whole > arguments.budget_whole * MB:
        faults.append(f"the whole image is {whole / MB:.1f} MB, over {arguments.budget_whole} MB")
    for path in setuid_of_base(base):
        print(f"note: /{path} of the base is setuid or setgid", file=sys.stderr)
    for fault in faults:
        print(f"FAULT: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
