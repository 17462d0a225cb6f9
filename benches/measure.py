"""Measures the release on this machine, in interleaved rounds, beside its yardsticks.

Called by `benches/run.sh`. Everything that is compared is measured in every round, one after the
other, so that a drift of the machine's speed meets all of it; figures are medians over the rounds
with the lowest and the highest. Writes `results.json` and the tables of `docs/performance.md`.
`--tensors` measures the rates of large tensors alone, which takes less than a minute.
"""

import argparse
import datetime
import json
import os
import platform
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import urllib.request
from pathlib import Path

FRAUD, EMBEDDER = "fraud-detector", "sentence-embedder"
# 30 words of one token each: 32 tokens with the two that the tokenizer adds.
SENTENCE = (
    "the bank called about a card payment that was made in a city far from home at night "
    "and asked me to say if it was mine or not today"
)
CONNECTIONS = (1, 64)
GRAPH = "tests/fixtures/models/passthrough.onnx"
FIGURES, TENSORS = "figures", "tensors"
PATIENCE = 60.0


class Server:
    """A server process of ours, ready; ended with SIGINT, which skips the drain delay."""

    def __init__(self, binary, models, folder, variables=None):
        self.ready_file = Path(tempfile.mktemp(suffix=".json", dir=folder))
        command = [binary, "serve", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
        command += ["--ready-file", str(self.ready_file)]
        for model in models:
            command += ["--models", model]
        self.log = open(Path(folder) / f"{self.ready_file.stem}.log", "wb")
        begun = time.perf_counter()
        self.process = subprocess.Popen(
            command, env=environment(variables), stdout=self.log, stderr=self.log
        )
        while not self.ready_file.exists():
            if self.process.poll() is not None or time.perf_counter() - begun > PATIENCE:
                self.process.kill()
                sys.exit(f"the server did not become ready; its log is {self.log.name}")
            time.sleep(0.0005)
        self.ready_after = time.perf_counter() - begun
        self.url = "http://" + json.loads(self.ready_file.read_text())["http"]

    def metric(self, name):
        with urllib.request.urlopen(self.url + "/metrics", timeout=PATIENCE) as answer:
            text = answer.read().decode()
        found = re.findall(rf"^{name}(?:\{{[^\n]*\}})? (\S+)$", text, re.MULTILINE)
        return sum(map(float, found))

    def resident(self):
        """Resident memory, once what was freed after the start has settled."""
        time.sleep(1.0)
        return resident_bytes(self.process.pid)

    def stop(self):
        """Ends it; how long that took, in seconds."""
        begun = time.perf_counter()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=PATIENCE)
        self.log.close()
        return time.perf_counter() - begun


class BlackHole:
    """A collector that takes connections and bytes and never answers."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            stream, _ = self.listener.accept()
            threading.Thread(target=self.swallow, args=(stream,), daemon=True).start()

    @staticmethod
    def swallow(stream):
        try:
            while stream.recv(1 << 16):
                pass
        except OSError:
            pass


def environment(variables=None):
    """Ours without anything that would configure the server, with what is given."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "ML_INFERENCE_")) and name not in ("MODEL_NAME", "RUST_LOG")
    }
    return kept | (variables or {})


def resident_bytes(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024


class Bench:
    """The measurements of one round, and what they gave so far: a list of values for each key."""

    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.binary = str(Path(options.release) / "ml-inference-api")
        self.samples = {}
        self.inputs = self.write_inputs()
        self.best = {}

    def write_inputs(self):
        manifest = tomllib.loads(Path(f"models/{FRAUD}/model.toml").read_text())
        self.features = [feature["name"] for feature in manifest["features"]]
        bodies = {FRAUD: manifest["golden"][0]["input"], EMBEDDER: {"text": SENTENCE}}
        for model, body in bodies.items():
            (Path(self.folder) / f"{model}.body").write_text(json.dumps(body))
        return {model: str(Path(self.folder) / f"{model}.body") for model in bodies}

    def keep(self, key, value):
        self.samples.setdefault(key, []).append(value)

    def call(self, *arguments, warmup="500ms"):
        """One call of our own `bench`; its report."""
        command = [self.binary, "bench", *map(str, arguments), "--format", "json", "--warmup", warmup]
        done = subprocess.run(command, env=environment(), stdout=subprocess.PIPE, check=False)
        if not done.stdout:
            sys.exit(f"failed: {' '.join(command)}")
        report = json.loads(done.stdout)
        for run in report["runs"] + report["bare"]:
            if run["errors"]:
                sys.exit(f"{report['target']}: errors: {run['errors']}")
        return report

    def find_best_batch(self, model):
        """The batch size at which the bare loop does most rows, by one sweep over all."""
        report = self.call(
            f"models/{model}", "--input", self.inputs[model], "--duration", "6s", "--connections", 1
        )
        self.best[model] = max(report["bare"], key=lambda bare: bare["rows_per_second"])["batch"]
        self.sweep = getattr(self, "sweep", {}) | {model: report["bare"]}

    def in_process(self, model):
        """The bare loop at batch 1 and at its best, and the service without sockets."""
        batches = sorted({1, self.best[model]})
        report = self.call(
            f"models/{model}", "--input", self.inputs[model], "--connections", "1,64",
            "--batch", ",".join(map(str, batches)), "--duration", self.duration(model),
        )  # fmt: skip
        for bare in report["bare"]:
            self.keep_bare(model, "best", bare) if bare["batch"] == self.best[model] else None
            self.keep_bare(model, "1", bare) if bare["batch"] == 1 else None
        for run in report["runs"]:
            self.keep_run(model, "service", run)

    def keep_bare(self, model, batch, bare):
        key = (model, "bare", batch)
        self.keep((*key, "rows"), bare["rows_per_second"])
        self.keep((*key, "cpu"), bare["cpu_us_per_row"])
        self.keep((*key, "p50"), bare["latency_ms"]["p50"])
        self.keep((*key, "p99"), bare["latency_ms"]["p99"])

    def served(self, model, url, kind="served"):
        """Over HTTP, at every number of connections."""
        for connections in CONNECTIONS:
            report = self.call(
                f"{url}/predict/{model}", "--input", self.inputs[model],
                "--connections", connections, "--duration", self.duration(model),
            )  # fmt: skip
            self.keep_run(model, kind, report["runs"][0])

    def keep_run(self, model, kind, run):
        key = (model, kind, run["connections"])
        self.keep((*key, "rows"), run["rows_per_second"])
        for name in ("p50", "p99", "p99.9"):
            self.keep((*key, name), run["latency_ms"][name])
        cpu = run["server_cpu_us_per_request"]
        self.keep((*key, "cpu"), run["own_cpu_us_per_request"] if cpu is None else cpu)
        self.keep((*key, "client"), run["own_cpu_us_per_request"])

    def null_served(self, address, pid):
        """The server without a model; it has no metrics, so its CPU time is read from the kernel."""
        for connections in CONNECTIONS:
            before = cpu_seconds(pid)
            report = self.call(
                f"http://{address}/predict/{FRAUD}", "--input", self.inputs[FRAUD],
                "--connections", connections, "--duration", self.duration(FRAUD), warmup="1ms",
            )  # fmt: skip
            run = report["runs"][0]
            run["server_cpu_us_per_request"] = (cpu_seconds(pid) - before) / run["requests"] * 1e6
            self.keep_run("null", "served", run)

    def label(self, model, batch):
        return batch if batch == "1" else f"{self.best[model]} (its best)"

    def duration(self, model):
        return self.options.duration if model == FRAUD else self.options.embedder_duration

    def life(self, models, name):
        """Start to ready, idle memory, and exit, of a server of its own."""
        server = Server(self.binary, [f"models/{model}" for model in models], self.folder)
        self.keep((name, "ready"), server.ready_after * 1e3)
        spent = server.metric("model_load_seconds") + server.metric("model_warmup_seconds")
        self.keep((name, "load"), spent * 1e3)
        if len(models) == 1:
            self.keep((name, "beyond"), (server.ready_after - spent) * 1e3)
        memory = server.resident()
        graphs = [f"models/{model}/1/model.onnx" for model in models]
        command = [self.options.bare_runtime, runtime_library(self.options), *graphs]
        bare = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        runtime = json.loads(bare.stdout)["resident"]
        self.keep((name, "memory"), memory / 1e6)
        self.keep((name, "runtime memory"), runtime / 1e6)
        self.keep((name, "memory beyond"), (memory - runtime) / 1e6)
        server.stop()

    def exit_delays(self, hole):
        """How long a server takes to end after traced load, by what becomes of its spans."""
        for kind, variables in (("untraced", {}), ("black hole", traced(hole))):
            server = Server(self.binary, [f"models/{FRAUD}"], self.folder, variables)
            self.call(
                f"{server.url}/predict/{FRAUD}", "--input", self.inputs[FRAUD],
                "--connections", 8, "--duration", "500ms",
            )  # fmt: skip
            self.keep(("exit", kind), server.stop() * 1e3)


def traced(hole):
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": hole.url, "OTEL_TRACES_SAMPLER": "always_on"}


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def runtime_library(options):
    return os.environ.get("ORT_DYLIB_PATH") or str(Path(options.release) / "libonnxruntime.so")


def tensors(options):
    """Rates of large tensors: per size and way, what each round gave."""
    print(f"measuring large tensors in {options.tensor_rounds} rounds", file=sys.stderr)
    server = str(Path(options.release) / "ml-inference-api")
    command = [options.tensor_rates, server, runtime_library(options), GRAPH, str(options.tensor_rounds)]
    load = os.getloadavg()[0]
    done = subprocess.run(command, env=environment(), check=True, stdout=subprocess.PIPE)
    return {"load": load, "rounds": options.tensor_rounds, "found": json.loads(done.stdout)}


def measure(options, folder):
    bench = Bench(options, folder)
    hole = BlackHole()
    load_before = os.getloadavg()
    print("finding the best batch of the bare loops", file=sys.stderr)
    for model in (FRAUD, EMBEDDER):
        bench.find_best_batch(model)
    models = [f"models/{FRAUD}", f"models/{EMBEDDER}"]
    null = subprocess.Popen(
        [options.null_server, ",".join(bench.features)], stdout=subprocess.PIPE, text=True
    )
    address = null.stdout.readline().strip()
    server = Server(bench.binary, models, folder)
    into_hole = Server(bench.binary, models, folder, traced(hole))
    loads = []
    try:
        for number in range(1, options.rounds + 1):
            loads.append(os.getloadavg()[0])
            print(f"round {number} of {options.rounds}", file=sys.stderr)
            bench.null_served(address, null.pid)
            bench.served(FRAUD, server.url)
            bench.served(FRAUD, into_hole.url, "black hole")
            bench.in_process(FRAUD)
            bench.served(EMBEDDER, server.url)
            bench.in_process(EMBEDDER)
            for name, these in ((FRAUD, [FRAUD]), (EMBEDDER, [EMBEDDER]), ("both", [FRAUD, EMBEDDER])):
                bench.life(these, name)
            bench.exit_delays(hole)
    finally:
        for running in (server, into_hole):
            running.stop()
        null.terminate()
        null.wait()
    return bench, {"load_before": load_before[0], "loads": loads}


def spread(values):
    """Median, lowest, highest."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "values": values}


def compared(bench, above, below):
    """The ratio of two figures, round by round."""
    pairs = zip(bench.samples[above], bench.samples[below], strict=True)
    return spread([a / b for a, b in pairs])


def ratios(bench):
    found = {}
    for model in (FRAUD, EMBEDDER):
        for kind in ("served", "service"):
            name = f"{model}: {kind} rows/s at 64 over the bare loop's at its best batch"
            found[name] = compared(bench, (model, kind, 64, "rows"), (model, "bare", "best", "rows"))
        for batch in ("1", "best"):
            name = f"{model}: server CPU a request at 64 over the bare loop's a row, batch {bench.label(model, batch)}"
            found[name] = compared(bench, (model, "served", 64, "cpu"), (model, "bare", batch, "cpu"))
    for connections in CONNECTIONS:
        ours, null = (FRAUD, "served", connections), ("null", "served", connections)
        for what, name in (("cpu", "server CPU a request"), ("p50", "p50"), ("rows", "requests/s")):
            key = f"{FRAUD}: {name} at {connections} over the server with no model"
            found[key] = compared(bench, (*ours, what), (*null, what))
    for what in ("rows", "p99", "cpu"):
        key = f"{FRAUD}: {what} at 64 traced into a black hole over untraced"
        found[key] = compared(bench, (FRAUD, "black hole", 64, what), (FRAUD, "served", 64, what))
    return found


def shown(values, digits):
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:,.{digits}f} ({low:,.{digits}f}–{high:,.{digits}f})"


def table(head, rows):
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def throughput_table(bench):
    rows = []

    def row(label, key, digits):
        values = bench.samples
        cells = [shown(values[(*key, name)], d) for name, d in (("rows", digits), ("p50", 3), ("p99", 3), ("cpu", 1))]
        rows.append([label, *cells])

    row("server with no model, 1 connection", ("null", "served", 1), 0)
    row("server with no model, 64 connections", ("null", "served", 64), 0)
    for model, digits in ((FRAUD, 0), (EMBEDDER, 1)):
        row(f"{model}: bare loop, batch 1", (model, "bare", "1"), digits)
        if bench.best[model] != 1:
            row(f"{model}: bare loop, batch {bench.best[model]} (its best)", (model, "bare", "best"), digits)
        row(f"{model}: service in process, 64 at once", (model, "service", 64), digits)
        for connections in CONNECTIONS:
            plural = "" if connections == 1 else "s"
            row(f"{model}: over HTTP, {connections} connection{plural}", (model, "served", connections), digits)
    row(f"{FRAUD}: the same, traced into a black hole", (FRAUD, "black hole", 64), 0)
    return table(["", "rows/s", "p50 ms", "p99 ms", "CPU µs a row"], rows)


def life_table(bench):
    rows = []
    for name in (FRAUD, EMBEDDER, "both"):
        get = lambda what, digits: shown(bench.samples[(name, what)], digits)  # noqa: E731
        beyond = get("beyond", 0) if (name, "beyond") in bench.samples else ""
        rows.append([name, get("ready", 0), beyond, get("memory", 0), get("runtime memory", 0), get("memory beyond", 0)])
    head = ["served", "start to ready, ms", "beyond loading and verifying, ms", "idle memory, MB",
            "the runtime's own, MB", "beyond it, MB"]  # fmt: skip
    return table(head, rows)


def machine():
    text = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", text)
    memory = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1]) // (1 << 20)
    cores = len(os.sched_getaffinity(0))
    name = model[1] if model else platform.machine()
    return f"{cores} cores of {name}, {memory} GiB, Linux {platform.release().split('-')[0]}"


def markdown(bench, facts):
    loads = facts["loads"]
    ratio_rows = [[name, shown(value["values"], 2)] for name, value in facts["ratios"].items()]
    exits = [[kind, shown(bench.samples[("exit", kind)], 0)] for kind in ("untraced", "black hole")]
    return "\n\n".join([
        f"{facts['date']}, {facts['machine']}, shared with the load generator. "
        f"{facts['rounds']} interleaved rounds; load average at the start of each: "
        + ", ".join(f"{load:.1f}" for load in loads) + ".",
        throughput_table(bench),
        table(["ratio, round by round", "median (lowest–highest)"], ratio_rows),
        life_table(bench),
        table(["spans", "SIGINT to exit, ms"], exits),
    ])  # fmt: skip


def tensor_table(rates):
    """Rates, server CPU, and the rate against the echo's in the same round."""
    found, rows = rates["found"], []
    names = ("memory copy", "bare run", "echo", "binary to binary", "binary to JSON", "JSON to binary", "JSON to JSON")
    for size in ("1 MiB", "16 MiB"):
        echo = [one["mb_per_second"] for one in found[f"{size}/echo"]]
        for name in names:
            these = found[f"{size}/{name}"]
            rate = [one["mb_per_second"] for one in these]
            cpu = [one["cpu_ms"] for one in these if one["cpu_ms"] is not None]
            ratio = [own / other for own, other in zip(rate, echo, strict=True)]
            cells = [shown(rate, 0), shown(ratio, 3 if "JSON" in name else 2), shown(cpu, 2) if cpu else ""]
            rows.append([f"{size}, {name}", *cells])
    return "\n\n".join([
        f"{datetime.date.today().isoformat()}, {machine()}, shared with the client. "
        f"{rates['rounds']} interleaved rounds; load average at the start: {rates['load']:.1f}.",
        table(["", "MB/s of tensor", "over the echo", "server CPU ms a request"], rows),
    ])  # fmt: skip


def write_page(name, text):
    """Puts `text` between the marks called `name`."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    page = Path("docs/performance.md")
    before, _, rest = page.read_text().partition(begin)
    after = rest.partition(end)[2]
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")


def keep(options, file, name, facts, text):
    """Writes results beside the build and, where that is asked for, into the page; prints them."""
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{file}.json").write_text(json.dumps(facts, indent=2))
    (out / f"{file}.md").write_text(text + "\n")
    if options.write:
        write_page(name, text)
    print(text)


def main():
    parser = argparse.ArgumentParser(prog="benches/run.sh", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--duration", default="3s", help="of each measurement of fraud-detector")
    parser.add_argument("--embedder-duration", default="5s", help="of each of sentence-embedder")
    parser.add_argument("--tensors", action="store_true", help="measure the rates of large tensors alone")
    parser.add_argument("--tensor-rounds", type=int, default=5, help="of large tensors")
    parser.add_argument("--write", action="store_true", help="put the figures into docs/performance.md")
    parser.add_argument("--release", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--out", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--null-server", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--bare-runtime", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--tensor-rates", required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    rates = tensors(options)
    keep(options, "tensors", TENSORS, rates, tensor_table(rates))
    if options.tensors:
        return
    with tempfile.TemporaryDirectory() as folder:
        bench, facts = measure(options, folder)
    facts |= {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "rounds": options.rounds,
        "ratios": ratios(bench),
        "figures": {"/".join(map(str, key)): spread(values) for key, values in bench.samples.items()},
        "bare_sweep": bench.sweep,
    }
    keep(options, "results", FIGURES, facts, markdown(bench, facts))


if __name__ == "__main__":
    main()
