"""Load at three and ten times what the server can do: an open loop on sentence-embedder with a deadline of a second,
the same with one session, so that refusals and the client have a core of their own, and bert-base, whose load costs
next to nothing, with a deadline of four.

`short` is a part of every round of `make bench`; `run` is `make bench ARGS=--overload`, a minute at each rate. Goodput
is what is answered within the deadline, over what the same server did at its capacity: in turns with it, since the
speed of a shared machine moves.
"""

import contextlib
import os
import statistics
import threading
import time

from . import load
from .load import MANY
from .models import BERT, EMBEDDER, FRAUD, SINGLE
from .page import table
from .processes import Null, Server, tell

FACTORS = (3, 10)
# Seconds. A row of bert-base takes a quarter of one: with the other's deadline it would run rows one by one, which costs it a
# tenth of its rate.
DEADLINES = {EMBEDDER: 1.0, BERT: 4.0}
SETTLE = 5.0
TURNS = 5


class Memory:
    """Resident memory of a process, looked at ten times a second while something else is done."""

    def __init__(self, child):
        self.child, self.seen, self.ended = child, [child.resident()], threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def watch(self):
        """Looks until the end."""
        while not self.ended.wait(0.1):
            self.seen.append(self.child.resident())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    def growth(self):
        """The most of its second half over the most of its first: what still grows under steady load."""
        half = len(self.seen) // 2
        return max(self.seen[half:]) / max(self.seen[: max(half, 1)])


def cores():
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def one(bench, server, target, rate, duration, deadline=DEADLINES[EMBEDDER]):
    """One open loop; what is kept of it."""
    before = server.cpu()
    with Memory(server) as memory:
        run = load.open_loop(bench.binary, target, rate, duration, load.seconds(deadline))
    spent = server.cpu() - before
    refusals = run.get("refusal_latency_ms") or {}
    return {
        "goodput": run["goodput_per_second"],
        "sent": run["sent"],
        "unsent": run.get("unsent", 0),
        "client": (run.get("own_cpu_us_per_request") or 0.0) * run["sent"] / duration / 1e6 / cores() * 100,
        "refused": sum(run["refused"].values()),
        "refusal p99": refusals.get("p99") or 0.0,
        "late": run["late"],
        "p99": run["latency_ms"]["p99"],
        "memory growth": memory.growth(),
        "memory": max(memory.seen) / 1e6,
        "cpu": spent / max(run["sent"], 1) * 1e6,
    }


def short(bench):
    """Overload within a round, after the capacity that the same round found."""
    target = bench.target(bench.plain, EMBEDDER)
    capacity = bench.samples.get("ours", EMBEDDER, MANY, "rows")[-1]
    duration = bench.times[EMBEDDER]
    at_capacity = one(bench, bench.plain, target, capacity, duration)
    peak = max(capacity, at_capacity["goodput"])
    bench.samples.keep(("overload", EMBEDDER, 1), at_capacity | {"of peak": at_capacity["goodput"] / peak})
    for factor in FACTORS:
        found = one(bench, bench.plain, target, capacity * factor, duration)
        bench.samples.keep(("overload", EMBEDDER, factor), found | {"of peak": found["goodput"] / peak})


def recovery(bench, target, usual):
    """Seconds after an overload until a probe of light load is answered as before it: p99 within twice the usual one.

    A probe is as long as the deadline. Its load is half of what the server can do, and nothing of it may be refused or
    late. It is given up after a while.
    """
    begun = time.perf_counter()
    rate, limit, deadline = usual["rate"], usual["p99"] * 2, usual["deadline"]
    while (since := time.perf_counter() - begun) < 4 * SETTLE:
        run = load.open_loop(bench.binary, target, rate, deadline, load.seconds(deadline))
        if not sum(run["refused"].values()) and not run["late"] and run["latency_ms"]["p99"] <= limit:
            return since
    return since


def bare_requests(bench, target, rate, duration):
    """What a request to the server with no model costs at this rate while the model's own server keeps the cores busy.

    Microseconds of CPU of that server and of the client: what any server would take of the cores for requests that it does
    nothing for.
    """
    with contextlib.ExitStack() as stack:
        null = Null(bench.options.null_server, bench.models.features, bench.folder)
        stack.callback(null.stop)
        url, body = target
        busy = load.begin(bench.binary, url, "--input", body, "--connections", MANY, "--duration", "600s")
        stack.callback(load.end, busy)
        time.sleep(1.0)
        other = (f"{null.url}/predict/{FRAUD}", bench.models.bodies[FRAUD])
        before = null.cpu()
        run = load.open_loop(bench.binary, other, rate, duration)
        return (null.cpu() - before) / run["sent"] * 1e6, run["own_cpu_us_per_request"]


def served(bench, models):
    """What is overloaded: a name, the model's folder, the model, and the cores that its runs can keep busy."""
    for model in models:
        yield model, bench.models.paths[model], model, cores()
        if model == EMBEDDER:
            yield f"{model}, one session", bench.models.copy(model, "", SINGLE), model, 1


def run(bench, minute, models=(EMBEDDER,)):
    """The whole: capacity, then each factor for `minute` seconds on a fresh server; the facts and their table."""
    facts, rows = {}, []
    for name, path, model, busy in served(bench, models):
        for factor in FACTORS:
            server = Server(bench.binary, [path], bench.folder, name=f"overload {model} {factor}")
            try:
                facts[f"{name} {factor}"] = found = whole(bench, (server, name, model, busy), factor, minute)
            finally:
                server.stop()
            rows.append(row(f"{name}, {factor} x", found))
    head = [
        "load", "sent/s", "goodput/s", "of the peak, in turns", "with no model it were at most", "refused",
        "refusals p99 ms", "late", "admitted p99 ms", "unsent", "server CPU µs a request sent",
        "client's share of the cores, %", "memory MB, second half over first", "normal again after s", "verdict",
    ]  # fmt: skip
    return facts, table(head, rows)


def in_turns(bench, server, target, rates, length):
    """Goodput under overload over the mean of the capacity before and after, for each of some turns."""
    rate, deadline = rates

    def capacity():
        return load.closed(bench.binary, server, target, MANY, length)["rows"]

    ratios, before = [], capacity()
    for _ in range(TURNS):
        run = load.open_loop(bench.binary, target, rate, length, load.seconds(deadline))
        after = capacity()
        ratios.append(run["goodput_per_second"] * 2 / (before + after))
        before = after
    return ratios


def whole(bench, served, factor, minute):
    """One factor on one server of one model: capacity and usual latency, the overload, the way back, then turns."""
    server, name, model, busy = served
    target, deadline = bench.target(server, model), DEADLINES[model]
    short = max(minute / 10, min(minute / 4, deadline * 2))
    tell(f"overload: finding the capacity of {name} before {factor} x")
    capacity = load.closed(bench.binary, server, target, MANY, minute / 6)["rows"]
    usual = {"rate": capacity / 2, "deadline": deadline}
    light = load.open_loop(bench.binary, target, usual["rate"], short, load.seconds(deadline))
    usual["p99"] = light["latency_ms"]["p99"]
    tell(f"overload: {factor} x {capacity:.0f} requests/s for {minute:.0f} s")
    found = one(bench, server, target, capacity * factor, minute, deadline)
    found["seconds"], found["usual p99"] = minute, usual["p99"]
    found["normal after"] = recovery(bench, target, usual)
    found["turns"] = in_turns(bench, server, target, (capacity * factor, deadline), short)
    found["of peak"] = statistics.median(found["turns"])
    found["no model, server"], found["no model, client"] = bare_requests(bench, target, capacity * factor, minute / 6)
    taken = (found["no model, server"] + found["no model, client"]) * capacity * factor / 1e6
    found["no model, of peak"] = min(1.0, (cores() - taken) / busy)
    found["verdict"] = verdict(found)
    return found


def verdict(found):
    """What of the budget is missed, in words."""
    missed = []
    if found["of peak"] < 0.95:
        missed.append("goodput")
    if found["refusal p99"] > 10:
        missed.append("refusals")
    if found["late"]:
        missed.append("deadlines")
    if found["memory growth"] > 1.05:
        missed.append("memory")
    if found["normal after"] > SETTLE:
        missed.append("recovery")
    return f"missed: {', '.join(missed)}" if missed else "met"


def row(name, found):
    """A line of the table."""
    memory = f"{found['memory']:.0f}, {found['memory growth']:.3f}"
    return [
        name, f"{found['sent'] / found['seconds']:,.0f}", f"{found['goodput']:,.1f}",
        f"{found['of peak']:.3f} ({min(found['turns']):.2f}–{max(found['turns']):.2f})",
        f"{found['no model, of peak']:.3f}", f"{found['refused']:,}", f"{found['refusal p99']:.2f}", found["late"],
        f"{found['p99']:.0f}", found["unsent"], f"{found['cpu']:.0f}", f"{found['client']:.1f}", memory,
        f"{found['normal after']:.1f}", found["verdict"],
    ]  # fmt: skip
