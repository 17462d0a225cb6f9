"""The rounds of `make bench`: what is compared is measured in every one of them, side by side."""

import contextlib
import json
import os
import subprocess
import time
import urllib.request
from pathlib import Path

from . import load, overload, peers
from .load import MANY
from .models import BERT, EMBEDDER, FRAUD, SINGLE, cosine
from .processes import BlackHole, Child, Collector, Null, Server, environment, tell
from .samples import Samples

# Requests in flight at once beside MANY: one alone; and BERT-base has enough with fewer.
ONE, BERT_MANY = 1, 32
BF16 = 'providers = ["openvino"]\nprecision = "bf16"'


class Bench:
    """Everything that runs during the rounds, and what they gave."""

    def __init__(self, options, models, folder):
        self.options, self.models, self.folder = options, models, folder
        self.binary = str(Path(options.release).resolve() / "ml-inference-api")
        self.samples = Samples()
        self.hole = BlackHole()
        self.open_loop = load.has_open_loop(self.binary)
        self.picked = peers.chosen()
        self.times = {FRAUD: options.duration, EMBEDDER: options.duration * 2, BERT: options.duration * 4}
        self.loads, self.cosines, self.sweeps, self.best = [], {}, {}, {}

    def prepare(self, stack):
        """Starts every server; `stack` ends them."""
        paths = self.models.paths
        self.single = {name: self.models.copy(name, "", SINGLE) for name in (EMBEDDER, BERT)}
        self.null = self.begin(stack, Null(self.options.null_server, self.models.features, self.folder))
        self.collector = self.begin(stack, Collector(self.options.otelcol, self.folder))
        self.plain = self.ours(stack, [paths[name] for name in (FRAUD, EMBEDDER, BERT)], {}, "ours")
        both = [paths[FRAUD], paths[EMBEDDER]]
        self.traced = self.ours(stack, both, exported(self.collector.url, "always_on"), "ours traced")
        self.unsampled = self.ours(stack, both[:1], exported(self.collector.url, "always_off"), "ours not sampled")
        self.holed = self.ours(stack, both[:1], exported(self.hole.url, "always_on"), "ours black hole")
        self.openvino = self.start_openvino(stack)
        told = {
            name: self.answer_of(self.plain, name, self.models.bodies[name].read_bytes()) for name in (FRAUD, EMBEDDER)
        }
        self.expected = {FRAUD: told[FRAUD]["confidence"], EMBEDDER: told[EMBEDDER]["embedding"]}
        self.others = [self.start_peer(stack, peer, name) for peer in self.picked for name in peer.models]
        for name, batches, runs in ((EMBEDDER, (1, 2, 4, 8, 16, 32), 24), (BERT, (1, 2, 4, 8), 6)):
            tell(f"finding the best batch of the bare loop of {name}")
            found = load.best_batch(self.binary, paths[name], self.models.bodies[name], batches, runs)
            self.best[name], self.sweeps[name] = found
        self.idle()
        for running in self.others:
            running.hold()

    def idle(self):
        """What each server takes while nothing is asked of it: why peers are held while others are measured."""
        before = {child: child.cpu() for child in Child.running}
        time.sleep(1.0)
        for child, cpu in before.items():
            self.samples.keep(("idle", child.name, 0), {"CPU, % of a core": (child.cpu() - cpu) * 100})

    def begin(self, stack, child):
        """Has a process ended when the stack is."""
        stack.callback(child.stop)
        return child

    def ours(self, stack, models, variables, name):
        """A server of this release."""
        return self.begin(stack, Server(self.binary, models, self.folder, variables, name))

    def start_openvino(self, stack):
        """A server on OpenVINO's provider in bf16, where its library is given and the CPU has AMX or AVX-512 bf16."""
        library = self.options.openvino
        if not library or not has_bf16():
            return None
        copies = [self.models.copy(name, "-bf16", BF16) for name in (EMBEDDER, BERT)]
        server = self.ours(stack, copies, {"ORT_DYLIB_PATH": f"{library}/libonnxruntime.so"}, "ours openvino bf16")
        for golden in self.models.manifest(EMBEDDER)["golden"]:
            body = json.dumps({"text": golden["input"]}).encode()
            vector = self.answer_of(server, EMBEDDER, body, "-bf16")["embedding"]
            self.cosines.setdefault(EMBEDDER, []).append(cosine(vector, golden["expected"]["embedding"]))
        return server

    def start_peer(self, stack, peer, model):
        """A peer with one model; the one that is traced exports to the same collector as ours."""
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.url} if peer is peers.TRACED else {}
        return self.begin(stack, peers.Running(peer, self.models, (model, self.expected[model]), variables))

    def answer_of(self, server, model, body, suffix=""):
        """What a server of ours says."""
        url = self.target(server, model, suffix)[0]
        request = urllib.request.Request(url, body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def target(self, server, model, suffix=""):
        """Route and body of a model on a server of ours."""
        return f"{server.url}/predict/{model}{suffix}", self.models.bodies[model]

    def closed(self, key, child, target, duration):
        """One closed loop, kept under its key."""
        who, model, connections = key
        self.samples.keep(key, load.closed(self.binary, child, target, connections, duration))

    def round(self):
        """One round of everything."""
        self.loads.append(os.getloadavg()[0])
        self.tabular()
        self.telemetry()
        self.texts(EMBEDDER, MANY)
        self.texts(BERT, BERT_MANY)
        self.accelerated()
        for running in self.others:
            self.peer(running)
        if self.open_loop:
            overload.short(self)
        self.lives()
        self.exits()

    def tabular(self):
        """fraud-detector and the server with no model."""
        for connections in (MANY, ONE):
            null = (f"{self.null.url}/predict/{FRAUD}", self.models.bodies[FRAUD])
            self.closed(("null", FRAUD, connections), self.null, null, self.times[FRAUD])
            self.closed(("ours", FRAUD, connections), self.plain, self.target(self.plain, FRAUD), self.times[FRAUD])

    def telemetry(self):
        """The same with spans: exported to a live collector, not sampled, into a black hole."""
        time_each = self.times[FRAUD]
        before = spans(self.traced)
        requests = requests_of(self.traced)
        self.closed(("ours traced", FRAUD, MANY), self.traced, self.target(self.traced, FRAUD), time_each)
        after = spans(self.traced)
        made = {name: after[name] - before[name] for name in after}
        answered = max(requests_of(self.traced) - requests, 1)
        made["per request"] = (made["exported"] + made["dropped"]) / answered
        self.samples.keep(("ours traced", FRAUD, "spans"), made)
        self.closed(("ours not sampled", FRAUD, MANY), self.unsampled, self.target(self.unsampled, FRAUD), time_each)
        for connections in (MANY, ONE):
            self.closed(("ours black hole", FRAUD, connections), self.holed, self.target(self.holed, FRAUD), time_each)
        target = self.target(self.traced, EMBEDDER)
        self.closed(("ours traced", EMBEDDER, MANY), self.traced, target, self.times[EMBEDDER])

    def texts(self, model, many):
        """A text model beside its bare loop: saturated, and one request alone beside one session alone."""
        target = self.target(self.plain, model)
        for connections, bare in ((many, (self.models.paths[model], self.best[model])), (ONE, (self.single[model], 1))):
            duration = self.times[model] if connections == many else self.times[model] / 2
            below, above = load.beside_bare(self.binary, self.plain, target, connections, duration, bare)
            self.samples.keep(("bare", model, connections), below)
            self.samples.keep(("ours", model, connections), above)

    def accelerated(self):
        """The text models on OpenVINO in bf16."""
        for model, many in ((EMBEDDER, MANY), (BERT, BERT_MANY)) if self.openvino else ():
            target = self.target(self.openvino, model, "-bf16")
            self.closed(
                ("ours openvino bf16", model, many), self.openvino, target, self.times[model] / (1 + (model == BERT))
            )

    def peer(self, running):
        """A peer, saturated and, for the table model, at one connection; it is held while others are measured."""
        running.go()
        for connections in (MANY, ONE) if running.model == FRAUD else (MANY,):
            key = (running.peer.name, running.model, connections)
            self.closed(key, running, running.target, self.times[running.model])
        running.hold()

    def lives(self):
        """Start to ready, and idle memory beside the runtime's own, of a server of its own."""
        for model in (FRAUD, EMBEDDER):
            with contextlib.ExitStack() as stack:
                server = self.ours(stack, [self.models.paths[model]], {}, f"life {model}")
                ready = server.ready_after
                spent = server.metric("model_load_seconds") + server.metric("model_warmup_seconds")
                time.sleep(1.0)
                memory = server.resident()
            runtime = self.runtime_memory(model)
            self.samples.keep(("life", model, 0), {
                "ready": ready * 1e3, "beyond": (ready - spent) * 1e3, "memory": memory / 1e6,
                "runtime": runtime / 1e6, "memory beyond": (memory - runtime) / 1e6,
            })  # fmt: skip

    def runtime_memory(self, model):
        """Resident memory of a process with the runtime and the same sessions."""
        command = [self.options.bare_runtime, self.library(), self.models.paths[model] / "1/model.onnx"]
        done = subprocess.run(command, env=environment(), check=True, stdout=subprocess.PIPE)
        return json.loads(done.stdout)["resident"]

    def library(self):
        """The ONNX Runtime library that the server loads."""
        return os.environ.get("ORT_DYLIB_PATH") or str(Path(self.binary).parent / "libonnxruntime.so")

    def exits(self):
        """How long a server takes to end after load, by what becomes of its spans."""
        for kind, variables in (("untraced", {}), ("black hole", exported(self.hole.url, "always_on"))):
            server = Server(self.binary, [self.models.paths[FRAUD]], self.folder, variables, f"exit {kind}")
            try:
                load.call(self.binary, self.target(server, FRAUD)[0], "--input", self.models.bodies[FRAUD],
                          "--connections", 8, "--duration", "300ms", "--warmup", "0ms")  # fmt: skip
            finally:
                self.samples.keep(("exit", kind, 0), {"ms": server.stop() * 1e3})


def exported(url, sampler):
    """The environment of a traced server."""
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_TRACES_SAMPLER": sampler}


def spans(server):
    """Spans handed to the exporter and spans dropped before it, so far, once the queue is empty or a second passed."""
    for _ in range(20):
        if server.metric("otel_sdk_processor_span_queue_size") == 0:
            break
        time.sleep(0.05)
    name = "otel_sdk_processor_span_processed_total"
    dropped = server.metric(name, "queue_full")
    return {"exported": server.metric(name) - dropped, "dropped": dropped}


def requests_of(server):
    """Predictions that went well so far."""
    return server.metric("inference_requests_total", 'outcome="ok"')


def has_bf16():
    """Whether this CPU multiplies in bfloat16."""
    text = Path("/proc/cpuinfo").read_text()
    return " amx_bf16" in text or " avx512_bf16" in text


def measure(options, models, folder):
    """All rounds; the bench with what they gave."""
    bench = Bench(options, models, folder)
    if not bench.open_loop:
        tell("this release's `bench` has no --rate: overload is not measured")
    with contextlib.ExitStack() as stack:
        bench.prepare(stack)
        for number in range(1, options.rounds + 1):
            tell(f"round {number} of {options.rounds}")
            bench.round()
        tell("ending the servers")
    return bench
