"""gRPC beside JSON: `make bench ARGS=--grpc` asks the same tensors both ways, 64 at once, in every round.

JSON goes over 64 connections of HTTP/1.1, by our own `bench`, to the protocol's own route and to /predict;
gRPC over 64 streams of one connection, by benches/grpc_load.rs. The budget is that of the server's CPU a request, which no client's cost is part of.
"""

import contextlib
import json
import subprocess
import sys
import urllib.request

from . import load
from .load import MANY
from .models import EMBEDDER, FRAUD
from .page import table
from .processes import Server, environment, tell
from .samples import Samples, shown

TOKENS = 32
# What each model's duration is multiplied with: the encoder answers some hundred requests a second.
LONGER = {FRAUD: 1, EMBEDDER: 3}
FACTS = {"FP32": 0.25, "INT64": 1}


def request(server, model):
    """The model's inputs, of one row and 32 tokens, as an inference request."""
    with urllib.request.urlopen(f"{server.url}/v2/models/{model}", timeout=60) as answer:
        declared = json.load(answer)["inputs"]
    inputs = []
    for tensor in declared:
        shape = [1] + [TOKENS if size < 0 else size for size in tensor["shape"][1:]]
        count = 1
        for size in shape:
            count *= size
        value = FACTS[tensor["datatype"]]
        inputs.append({"name": tensor["name"], "datatype": tensor["datatype"], "shape": shape, "data": [value] * count})
    return {"inputs": inputs}


def calls(program, server, model, body, duration):
    """A closed loop of calls after a short one that is not measured: the server's CPU a call, and calls a second."""

    def run(seconds):
        command = [program, server.grpc, model, body, MANY, f"{max(seconds * 1e3, 1):.0f}"]
        done = subprocess.run(list(map(str, command)), env=environment(), stdout=subprocess.PIPE, check=True)
        found = json.loads(done.stdout)
        if found["failed"] or not found["calls"]:
            sys.exit(f"{model} by gRPC: {found['failed']} of {found['calls']} calls failed")
        return found["calls"]

    run(max(duration * 0.2, 0.1))
    before = server.cpu()
    count = run(duration)
    return {"cpu": (server.cpu() - before) / count * 1e6, "rows": count / duration}


def run(binary, options, models, folder):
    """The rounds; facts and the table."""
    samples = Samples()
    with contextlib.ExitStack() as stack:
        server = Server(binary, [models.paths[FRAUD], models.paths[EMBEDDER]], folder)
        stack.callback(server.stop)
        bodies = {model: models.body(f"{model}-infer.json", request(server, model)) for model in LONGER}
        for number in range(1, options.rounds + 1):
            tell(f"round {number} of {options.rounds}")
            for model, longer in LONGER.items():
                duration = options.duration * longer
                target = (f"{server.url}/v2/models/{model}/infer", bodies[model])
                samples.keep(("JSON", model), load.closed(binary, server, target, MANY, duration))
                plain = (f"{server.url}/predict/{model}", models.bodies[model])
                samples.keep(("plain", model), load.closed(binary, server, plain, MANY, duration))
                samples.keep(("gRPC", model), calls(options.grpc_load, server, model, bodies[model], duration))
    return samples.spreads(), markdown(samples)


def markdown(samples):
    """Side by side, with ratios."""
    rows = []
    for model in LONGER:
        for name, what, digits in (("server CPU µs a request", "cpu", 1), ("requests/s", "rows", 0)):
            values = [shown(samples.get(way, model, what), digits) for way in ("JSON", "plain", "gRPC")]
            ratios = [shown(samples.ratio(("gRPC", model, what), (way, model, what)), 2) for way in ("JSON", "plain")]
            budget = " (budget: at most 1)" if what == "cpu" else ""
            rows.append([f"{model}, {name}{budget}", *values, *ratios])
    return table(["", "JSON to /v2/.../infer", "JSON to /predict", "gRPC", "gRPC over v2", "gRPC over /predict"], rows)
