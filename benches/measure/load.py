"""The load: our own `bench` as the client of everything that is measured, and the bare loop that it runs in process."""

import json
import subprocess
import sys

from .processes import environment, tell

# Connections that are enough to saturate what is measured.
MANY = 64


def bench(binary, *arguments):
    """The command of one call of `bench` that reports as JSON."""
    return [str(part) for part in (binary, "bench", *arguments, "--format", "json")]


def call(binary, *arguments, variables=None):
    """One call of `bench`; its report."""
    command = bench(binary, *arguments)
    done = subprocess.run(command, env=environment(variables), capture_output=True, check=False)
    if not done.stdout:
        sys.exit(f"failed: {' '.join(command)}\n{done.stderr.decode(errors='replace')}")
    return json.loads(done.stdout)


def begin(binary, *arguments):
    """Load in the background, to be ended with `end`."""
    return subprocess.Popen(bench(binary, *arguments), env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def end(running):
    """Ends what `begin` began."""
    running.kill()
    running.wait()


def seconds(value):
    """A duration as `bench` reads it."""
    return f"{max(value * 1e3, 1):.0f}ms"


def figures(name, run):
    """What is kept of a closed loop; ends everything when no request went well."""
    if run["errors"]:
        tell(f"{name}: errors: {run['errors']}")
    if not run["ok"]:
        sys.exit(f"{name}: no request went well: {run['errors']}")
    latency = run["latency_ms"]
    return {
        "rows": run["rows_per_second"],
        "p50": latency["p50"],
        "p99": latency["p99"],
        "client": run["own_cpu_us_per_request"],
        "requests": run["requests"],
        "failed": run["requests"] - run["ok"],
    }


def closed(binary, child, target, connections, duration):
    """A closed loop on a route, after a short one that is not measured; its figures, with the server's CPU a request.

    Warm-up is a call of its own, so that the CPU time between two readings belongs to the requests that are counted.
    """
    url, body = target
    common = (url, "--input", body, "--connections", connections, "--warmup", "0ms")
    call(binary, *common, "--duration", seconds(max(duration * 0.2, 0.1)))
    before = child.cpu()
    run = call(binary, *common, "--duration", seconds(duration))["runs"][0]
    spent = child.cpu() - before
    return figures(child.name, run) | {"cpu": spent / run["requests"] * 1e6}


def beside_bare(binary, child, target, connections, duration, bare):
    """The bare loop of a model at one batch size, then a closed loop on its route: the figures of both.

    The bare loop's rows/s are of the mean run time, so that a session which ends a little before another costs nothing.
    """
    (url, body), (model, batch) = target, bare
    report = call(
        binary, url, "--input", body, "--connections", connections, "--duration", seconds(duration),
        "--warmup", seconds(max(duration * 0.2, 0.1)), "--model", model, "--batch", batch,
    )  # fmt: skip
    run = report["runs"][0]
    return bare_figures(model, report["bare"][0]), figures(child.name, run) | {"cpu": run["server_cpu_us_per_request"]}


def bare_figures(model, one):
    """What is kept of a bare loop."""
    if one["errors"]:
        sys.exit(f"{model}: the bare loop fails: {one['errors']}")
    latency = one["latency_ms"]
    rows = one["sessions"] * one["batch"] * 1e3 / latency["mean"]
    return {"rows": rows, "p50": latency["p50"], "p99": latency["p99"], "cpu": one["cpu_us_per_row"]}


def best_batch(binary, model, body, batches, runs):
    """The batch size at which the bare loop does most rows, by a few runs of each; and what each does."""
    report = call(
        binary, model, "--input", body, "--connections", 1, "--batch", ",".join(map(str, batches)),
        "--requests", runs, "--duration", "120s", "--warmup", "500ms",
    )  # fmt: skip
    found = {one["batch"]: bare_figures(model, one)["rows"] for one in report["bare"]}
    return max(found, key=found.get), found


def open_loop(binary, target, rate, duration, deadline="1s", connections=1024):
    """Requests at a rate of their own, whatever becomes of them; the report of that run."""
    url, body = target
    report = call(
        binary, url, "--input", body, "--rate", f"{rate:.1f}", "--deadline", deadline, "--connections", connections,
        "--duration", seconds(duration), "--warmup", "0ms",
    )  # fmt: skip
    return next(run for run in report["runs"] if run.get("kind") == "open")


def has_open_loop(binary):
    """Whether this release's `bench` knows `--rate`."""
    told = subprocess.run([binary, "bench", "--help"], env=environment(), stdout=subprocess.PIPE, check=True)
    return b"--rate" in told.stdout
