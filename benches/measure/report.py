"""The tables of `make bench`."""

import datetime

from . import budgets
from .models import BERT, EMBEDDER, FRAUD
from .page import machine, table
from .samples import shown

TRACING = {
    "ours traced": "on, live collector", "ours not sampled": "on, not sampled", "ours black hole": "on, black hole",
    "FastAPI traced and metered": "on, live collector",
}  # fmt: skip
# Percent of a core: what takes more while nothing is asked of it is told.
BUSY = 5
HEAD = ["", "connections", "tracing", "rows/s", "p50 ms", "p99 ms", "server CPU µs a row", "client CPU µs a row"]


def rate_rows(bench):
    """Everything that has a rate, model by model."""
    samples = bench.samples
    keys = list(dict.fromkeys(key[:3] for key in samples.values if key[3] == "rows"))
    for model in (FRAUD, EMBEDDER, BERT):
        for who, _, connections in sorted((key for key in keys if key[1] == model), key=lambda key: -key[2]):
            yield rate_row(samples, bench, (who, model, connections))


def rate_row(samples, bench, key):
    """One of them."""
    who, model, connections = key
    get = lambda what, digits: shown(samples.get(*key, what), digits)  # noqa: E731
    client = get("client", 1) if samples.get(*key, "client") else ""
    label, at = f"{model}, {who}", connections
    if who == "null":
        label = "server with no model"
    if who == "bare":
        batch = bench.best[model] if connections > 1 else 1
        label, at = (
            f"{model}, bare loop, batch {batch}",
            "all sessions" if connections > 1 else "1 session",
        )
    digits = 0 if model == FRAUD else 1
    return [
        label,
        at,
        TRACING.get(who, "off"),
        get("rows", digits),
        get("p50", 3),
        get("p99", 3),
        get("cpu", 1),
        client,
    ]


def cells(samples, key, columns):
    """Some figures under a key, each with its digits."""
    return [shown(samples.get(*key, what), digits) for what, digits in columns]


def overload_table(samples):
    """The short overload."""
    head = ["sentence-embedder at", "goodput/s", "of the peak", "refused", "refusals p99 ms", "late", "admitted p99 ms"]
    head += ["server CPU µs a request sent", "memory, second half over first"]
    columns = (("goodput", 1), ("of peak", 3), ("refused", 0), ("refusal p99", 2), ("late", 0), ("p99", 0), ("cpu", 0))
    columns += (("memory growth", 3),)
    factors = [key[2] for key in samples.values if key[0] == "overload" and key[3] == "goodput"]
    return table(head, [[f"{at} x", *cells(samples, ("overload", EMBEDDER, at), columns)] for at in factors])


def life_table(samples):
    """Start and memory."""
    head = [
        "served",
        "start to ready, ms",
        "beyond loading, ms",
        "idle memory, MB",
        "the runtime's own, MB",
        "beyond it, MB",
    ]
    columns = (("ready", 0), ("beyond", 0), ("memory", 0), ("runtime", 0), ("memory beyond", 0))
    return table(head, [[model, *cells(samples, ("life", model, 0), columns)] for model in (FRAUD, EMBEDDER)])


def other_rows(samples):
    """Spans, exits, and servers that are busy when idle."""
    spans = ("ours traced", FRAUD, "spans")
    for what, digits in (("per request", 2), ("exported", 0), ("dropped", 0)):
        yield [f"spans of fraud-detector with the live collector: {what}", shown(samples.get(*spans, what), digits)]
    for kind in ("untraced", "black hole"):
        yield [f"SIGINT to exit after load, {kind}, ms", shown(samples.get("exit", kind, 0, "ms"), 0)]
    for key, values in samples.values.items():
        if key[0] == "idle" and max(values) >= BUSY:
            yield [f"{key[1]}, asked nothing: CPU, % of a core", shown(values, 0)]


def markdown(bench):
    """The page's section."""
    options = bench.options
    head = ["what", "budget", "measured: median (lowest–highest)", "tracing, ours / theirs", "verdict"]
    rows = [line.cells() for line in budgets.lines(bench)] + list(map(list, budgets.ELSEWHERE))
    loads = ", ".join(f"{load:.1f}" for load in bench.loads)
    failed = sum(sum(values) for key, values in bench.samples.values.items() if key[3] == "failed")
    return "\n\n".join([
        f"{datetime.date.today().isoformat()}, {machine()}, shared with the load generator. {options.rounds} "
        f"interleaved rounds, {options.duration:g} s for each measurement of fraud-detector, twice for MiniLM, four "
        f"times for BERT-base. Load average at the start of each round: {loads}. Requests of the closed loops that did "
        f"not go well: {failed:.0f}.",
        table(head, rows),
        "Everything that the ratios are made of:",
        table(HEAD, list(rate_rows(bench))),
        *([overload_table(bench.samples)] if bench.open_loop else []),
        life_table(bench.samples),
        table(["besides", "median (lowest–highest)"], list(other_rows(bench.samples))),
    ])  # fmt: skip


def facts(bench):
    """All of it for a program."""
    return {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "rounds": bench.options.rounds,
        "duration": bench.options.duration,
        "loads": bench.loads,
        "best_batch": bench.best,
        "bare_sweep": bench.sweeps,
        "cosines": bench.cosines,
        "budgets": [
            {"what": line.what, "sign": line.sign, "limit": line.limit, "unit": line.unit, "values": line.values,
             "tracing": line.tracing, "verdict": line.verdict()}
            for line in budgets.lines(bench)
        ],
        "figures": bench.samples.spreads(),
    }  # fmt: skip
