"""usage: check.py

Holds deploy/compose.yaml to what docker would find out late: the loader of the Compose specification takes it (COMPOSE names
the program), images have versions, ports are on loopback, mounted files exist, and every address in it and in the mounted
configurations is a service of it that listens there. problems() is what mutate.py proves able to fail.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

FILE = Path("deploy/compose.yaml")
VERSIONS = Path("scripts/tools/versions.env")
REQUIREMENTS = Path("scripts/exports/requirements.txt")
# What images listen on where no configuration of ours says so.
BUILT_IN = {"server": {8080, 8081}, "prometheus": {9090}, "grafana": {3000}}
OWN = {"localhost", "127.0.0.1", "0.0.0.0"}
ADDRESS = re.compile(r"(?<![\w.-])([a-z][a-z0-9.-]*|\d+\.\d+\.\d+\.\d+):(\d{2,5})(?![\w.])")


def load(root):
    """The model that the loader makes of the file, as docker compose runs it: from the file's own folder. A sentence where
    it refuses."""
    folder = (root / FILE).parent
    command = [os.environ["COMPOSE"], "-format", "json", FILE.name]
    variables = {name: value for name, value in os.environ.items() if name != "IMAGE"}
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    return (json.loads(done.stdout), []) if done.returncode == 0 else (None, [f"the loader refuses it: {done.stderr.strip()}"])


def images(services):
    """Each image has a version, and the Collector's and MLflow's are those that they are tried with here."""
    collector = re.search(r"^OTELCOL_VERSION=(\S+)", VERSIONS.read_text(), re.M)[1]
    mlflow = re.search(r"^mlflow-skinny==(\S+)", REQUIREMENTS.read_text(), re.M)[1]
    tried = {"collector": collector, "mlflow": f"v{mlflow}"}
    for name, service in services.items():
        tag = service["image"].rpartition(":")[2]
        if "build" not in service and not re.fullmatch(r"v?\d+\.\d+\.\d+", tag):
            yield f"{name}: the image {service['image']} has no version"
        if name in tried and tag != tried[name]:
            yield f"{name}: the image is {tag}, but what is tried here is {tried[name]}"


def ports(services):
    """Published ports are on the loopback address, each once."""
    seen = {}
    for name, service in services.items():
        for port in service.get("ports", []):
            if port.get("host_ip") != "127.0.0.1":
                yield f"{name}: port {port['target']} is published beyond loopback"
            if other := seen.get(port.get("published")):
                yield f"{name}: port {port['published']} is {other}'s"
            seen[port.get("published")] = name


def mounts(services, volumes):
    """What is mounted exists, and files of the repository are mounted to be read only; docker would make an empty folder."""
    for name, service in services.items():
        for mount in service.get("volumes", []):
            if mount["type"] == "volume" and mount["source"] not in volumes:
                yield f"{name}: the volume {mount['source']} is not declared"
            if mount["type"] == "bind" and not Path(mount["source"]).exists():
                yield f"{name}: there is no {mount['source']}"
            if mount["type"] == "bind" and not mount.get("read_only"):
                yield f"{name}: {mount['source']} is not read only"


def order(services):
    """What a service waits for is one."""
    for name, service in services.items():
        yield from (f"{name} waits for {it}, which is none" for it in service.get("depends_on", {}) if it not in services)


def texts(service):
    """Each text in which a service names others, with where it stands: its settings, its command, its mounted files."""
    yield "command", " ".join(service.get("command") or [])
    yield "environment", " ".join(str(it) for it in (service.get("environment") or {}).values())
    for mount in service.get("volumes", []):
        path = Path(mount.get("source", ""))
        if mount["type"] == "bind" and path.is_file():
            yield path.name, "\n".join(line.partition(" #")[0] for line in path.read_text().splitlines() if not line.startswith("#"))


def listens(services):
    """The ports on which each service listens: addresses without a name of their own, and ports in commands and files."""
    found = {}
    for name, service in services.items():
        ours = found[name] = set(BUILT_IN.get(name, ()))
        for _, text in texts(service):
            ours |= {int(port) for host, port in ADDRESS.findall(text) if host == "0.0.0.0"}
            ours |= {int(port) for port in re.findall(r"(?:http_listen_port: |--port=)(\d+)", text)}
    return found


def addresses(services):
    """Every address leads to a service, on a port on which it listens; what is published is such a port too."""
    known = listens(services)
    for name, service in services.items():
        for place, text in texts(service):
            for host, port in ADDRESS.findall(text):
                if host not in OWN and host not in known:
                    yield f"{name}: {place} names {host}:{port}, and there is no such service"
                elif host not in OWN and int(port) not in known[host]:
                    yield f"{name}: {place} names {host}:{port}, but {host} listens on {sorted(known[host])}"
        for port in service.get("ports", []):
            if port["target"] not in known[name]:
                yield f"{name}: publishes {port['target']}, but listens on {sorted(known[name])}"


def configurations(services):
    """Every mounted YAML file can be read."""
    for name, service in services.items():
        for mount in service.get("volumes", []):
            path = Path(mount.get("source", ""))
            if path.suffix in (".yaml", ".yml") and path.is_file():
                try:
                    yaml.safe_load(path.read_text())
                except yaml.YAMLError as error:
                    yield f"{name}: {path.name} is no YAML: {error}"


def problems(root):
    """Everything that is wrong with the file under a folder."""
    model, refused = load(root)
    if refused:
        return refused
    services = model["services"]
    return [
        *images(services), *ports(services), *mounts(services, model.get("volumes", {})), *order(services),
        *configurations(services), *addresses(services),
    ]  # fmt: skip


def main():
    found = problems(Path.cwd())
    if found:
        sys.exit("\n".join([*found, f"error: {FILE} is not right (the reasons are above)"]))
    model, _ = load(Path.cwd())
    print(f"the Compose specification's loader takes {FILE}: {len(model['services'])} services that find each other")


if __name__ == "__main__":
    main()
