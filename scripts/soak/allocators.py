"""Server CPU a request and resident memory by memory allocator, fraud-detector, 64 connections.

glibc's malloc, the same with two arenas, and each allocator given by --preload serve side by side, a server of the
release binary each; every round asks each of them once, in an order of its own, so that a drift of the machine's
speed meets all. An allocator that is preloaded serves the runtime as well as our own code.
"""

import argparse
import json
import random
import statistics
import subprocess
import tempfile
from pathlib import Path

from soak import MIB, Server


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def asked(binary: Path, server: Server, requests: int) -> float:
    """CPU of the server for one of so many requests, in microseconds."""
    host, port = server.address
    target = f"http://{host}:{port}/predict/fraud-detector"
    command = [binary, "bench", target, "--connections", "64", "--warmup", "0s", "--format", "json"]
    command += ["--duration", "60s", "--requests", str(requests)]
    before = cpu_seconds(server.process.pid)
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    answered = json.loads(done.stdout)["runs"][0]["ok"]
    return (cpu_seconds(server.process.pid) - before) * 1e6 / answered


def variants(preloads: list[str]) -> dict[str, dict[str, str]]:
    """What the environment of each allocator's server adds."""
    found = {"glibc": {}, "glibc, MALLOC_ARENA_MAX=2": {"MALLOC_ARENA_MAX": "2"}}
    for preload in preloads:
        name, path = preload.split("=", 1)
        found[name] = {"LD_PRELOAD": str(Path(path).resolve(strict=True))}
    return found


def measure(options: argparse.Namespace, servers: dict[str, Server]) -> None:
    """Asks in rounds and prints the table."""
    found = {name: [] for name in servers}
    order = random.Random(1)
    for _ in range(options.rounds):
        for name in order.sample(list(servers), len(servers)):
            found[name].append(asked(options.binary, servers[name], options.requests))
    print("| allocator | server CPU µs a request | anonymous memory, MiB |\n|---|---|---|")
    for name, values in found.items():
        middle, least, most = statistics.median(values), min(values), max(values)
        memory = servers[name].resident() / MIB
        print(f"| {name} | {middle:.1f} ({least:.1f} to {most:.1f}) | {memory:.1f} |")


def main() -> None:
    """Starts the servers, measures, stops them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary", type=Path, help="the release binary")
    parser.add_argument("--preload", action="append", default=[], metavar="NAME=LIBRARY")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=50_000, help="of one allocator in a round")
    options = parser.parse_args()
    servers = {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            for index, (name, variables) in enumerate(variants(options.preload).items()):
                own = Path(folder) / str(index)
                own.mkdir()
                servers[name] = Server(options.binary, ["models/fraud-detector"], own, variables)
            measure(options, servers)
        finally:
            for server in servers.values():
                server.stop()


if __name__ == "__main__":
    main()
