"""The rates of large tensors: `make bench ARGS=--tensors`, by benches/tensors.rs."""

import datetime
import json
import os
import subprocess
from pathlib import Path

from .page import machine, table
from .processes import environment, tell
from .samples import shown

GRAPH = "tests/fixtures/models/passthrough.onnx"
WAYS = ("memory copy", "bare run", "echo", "binary to binary", "binary to JSON", "JSON to binary", "JSON to JSON")


def measure(options, library):
    """Per size and way, what each round gave."""
    tell(f"measuring large tensors in {options.tensor_rounds} rounds")
    server = str(Path(options.release) / "ml-inference-api")
    command = [options.tensor_rates, server, library, GRAPH, str(options.tensor_rounds)]
    load = os.getloadavg()[0]
    done = subprocess.run(command, env=environment(), check=True, stdout=subprocess.PIPE)
    return {"load": load, "rounds": options.tensor_rounds, "found": json.loads(done.stdout)}


def markdown(rates):
    """Rates, server CPU, and the rate against the echo's in the same round."""
    rows = [row(rates["found"], size, way) for size in ("1 MiB", "16 MiB") for way in WAYS]
    return "\n\n".join([
        f"{datetime.date.today().isoformat()}, {machine()}, shared with the client. "
        f"{rates['rounds']} interleaved rounds; load average at the start: {rates['load']:.1f}.",
        table(["", "MB/s of tensor", "over the echo", "server CPU ms a request"], rows),
    ])  # fmt: skip


def row(found, size, way):
    """One size in one way."""
    echo = [one["mb_per_second"] for one in found[f"{size}/echo"]]
    these = found[f"{size}/{way}"]
    rate = [one["mb_per_second"] for one in these]
    cpu = [one["cpu_ms"] for one in these if one["cpu_ms"] is not None]
    ratio = [own / other for own, other in zip(rate, echo, strict=True)]
    return [f"{size}, {way}", shown(rate, 0), shown(ratio, 3 if "JSON" in way else 2), shown(cpu, 2) if cpu else ""]
