"""The budgets: every line of the table, its limit, and what this run says about it."""

import statistics
from dataclasses import dataclass, field

from .load import MANY
from .models import BERT, EMBEDDER, FRAUD
from .rounds import BERT_MANY, ONE
from .samples import shown

LEAST, MOST = "≥", "≤"
OURS, TRACED, NULL, OPENVINO = "ours", "ours traced", "null", "ours openvino bf16"
FASTAPI, FASTAPI_TRACED = "FastAPI", "FastAPI traced and metered"
TRITON, TEI = "Triton, ONNX backend", "text-embeddings-inference"
NO_BINARY = "not measured: no binary given"
OFF, ON = "off", "on"
BOTH_OFF, BOTH_ON = "off / off", "on / on"


@dataclass
class Line:
    """A budget: what is measured, its limit, the rounds' values, and of both sides whether spans are made."""

    what: str
    sign: str
    limit: float
    values: list
    tracing: str = BOTH_OFF
    unit: str = ""
    digits: int = 2
    absent: str = "not measured"
    beside: list = field(default_factory=list)

    def verdict(self):
        """Met or missed, and by how much; the interval's better end decides."""
        if not self.values:
            return self.absent
        best = max(self.values) if self.sign == LEAST else min(self.values)
        middle = statistics.median(self.values)
        if not self.reached(best):
            return f"**missed** by {self.short_of(best)}"
        return "met" if self.reached(middle) else f"met within the spread; the median misses by {self.short_of(middle)}"

    def reached(self, value):
        """Whether a value is within the limit."""
        return value >= self.limit if self.sign == LEAST else value <= self.limit

    def short_of(self, value):
        """How far a value is from the limit."""
        if self.unit:
            return f"{abs(value - self.limit):,.1f} {self.unit}"
        return f"{abs(value / self.limit - 1):.1%}" if self.limit else f"{value:.2%}"

    def cells(self):
        """Its row of the table."""
        unit = f" {self.unit}" if self.unit else ""
        limit = f"{self.sign} {self.limit:g}{unit}"
        return [
            self.what,
            limit,
            shown(self.values, self.digits) + unit if self.values else "",
            self.tracing,
            self.verdict(),
        ]


def lines(bench):
    """Every line, in the order of the design."""
    groups = (saturated, tabular, openvino, alone, overloaded, traced, silent, lives)
    return [line for group in groups for line in group(bench)]


def saturated(bench):
    """Text models at saturation over the bare loop, Triton and text-embeddings-inference."""
    s = bench.samples
    at = lambda who, model, many=MANY: (who, model, many, "rows")  # noqa: E731
    yield Line(
        "BERT-base, 128 tokens, saturated: rows/s over the bare loop at its best batch",
        LEAST,
        0.97,
        s.ratio(at(OURS, BERT, BERT_MANY), at("bare", BERT, BERT_MANY)),
    )
    name = "MiniLM, 32 tokens, 64 connections: rows/s over"
    yield Line(
        f"{name} the bare loop at its best batch", LEAST, 0.97, s.ratio(at(OURS, EMBEDDER), at("bare", EMBEDDER))
    )
    yield Line(f"{name} Triton", LEAST, 1.04, s.ratio(at(OURS, EMBEDDER), at(TRITON, EMBEDDER)), absent=NO_BINARY)
    yield Line(
        f"{name} text-embeddings-inference",
        LEAST,
        1.12,
        s.ratio(at(OURS, EMBEDDER), at(TEI, EMBEDDER)),
        absent=NO_BINARY,
    )


def tabular(bench):
    """fraud-detector at 64 connections."""
    s = bench.samples
    at = lambda who, what: (who, FRAUD, MANY, what)  # noqa: E731
    name = "fraud-detector, 64 connections:"
    yield Line(
        f"{name} server CPU a request over the server with no model",
        MOST,
        1.4,
        s.ratio(at(OURS, "cpu"), at(NULL, "cpu")),
    )
    yield Line(
        f"{name} requests/s over Triton", LEAST, 2, s.ratio(at(OURS, "rows"), at(TRITON, "rows")), absent=NO_BINARY
    )
    yield Line(f"{name} requests/s over FastAPI", LEAST, 5, s.ratio(at(OURS, "rows"), at(FASTAPI, "rows")), digits=1)
    yield Line(
        f"{name} requests/s over FastAPI, both traced and metered",
        LEAST,
        15,
        s.ratio(at(TRACED, "rows"), at(FASTAPI_TRACED, "rows")),
        BOTH_ON,
        digits=1,
    )
    for peer in bench.picked:
        if peer.name not in (FASTAPI, FASTAPI_TRACED, TRITON) and FRAUD in peer.models:
            yield Line(
                f"{name} requests/s over {peer.name}",
                LEAST,
                1,
                s.ratio(at(OURS, "rows"), at(peer.name, "rows")),
                digits=1,
            )


def openvino(bench):
    """The `openvino` provider in bf16."""
    s = bench.samples
    absent = (
        "not measured: this CPU has no bf16" if bench.options.openvino else "not measured: the library could not be had"
    )
    for model, many, label in ((EMBEDDER, MANY, "MiniLM"), (BERT, BERT_MANY, "BERT-base")):
        yield Line(
            f"{label} by `openvino` in bf16: rows/s over the `cpu` provider's bare loop",
            LEAST,
            1.9,
            s.ratio((OPENVINO, model, many, "rows"), ("bare", model, many, "rows")),
            absent=absent,
        )
    for peer in (TRITON, TEI):
        yield Line(
            f"MiniLM by `openvino` in bf16: rows/s over {peer}",
            LEAST,
            1.9,
            s.ratio((OPENVINO, EMBEDDER, MANY, "rows"), (peer, EMBEDDER, MANY, "rows")),
            absent=NO_BINARY,
        )
    lowest = [min(bench.cosines[EMBEDDER])] if EMBEDDER in bench.cosines else []
    yield Line(
        "MiniLM by `openvino` in bf16: lowest cosine of the golden samples",
        LEAST,
        0.9999,
        lowest,
        digits=6,
        absent=absent,
    )


def alone(bench):
    """One connection."""
    s = bench.samples
    at = lambda who, model=FRAUD: (who, model, ONE, "p50")  # noqa: E731
    name = "one connection, fraud-detector: p50 over"
    yield Line(f"{name} the server with no model", MOST, 1.3, s.ratio(at(OURS), at(NULL)))
    yield Line(f"{name} Triton", MOST, 0.75, s.ratio(at(OURS), at(TRITON)), absent=NO_BINARY)
    yield Line(f"{name} FastAPI", MOST, 0.45, s.ratio(at(OURS), at(FASTAPI)))
    for model, label in ((EMBEDDER, "MiniLM"), (BERT, "BERT-base")):
        yield Line(
            f"one connection, {label}: p50 over a bare run",
            MOST,
            1.03,
            s.ratio(at(OURS, model), at("bare", model)),
            digits=3,
        )


def overloaded(bench):
    """Three and ten times the capacity, the short form."""
    s = bench.samples
    absent = "not measured: this release's `bench` has no open loop"
    for factor in (3, 10):
        get = lambda what: s.get("overload", EMBEDDER, factor, what)  # noqa: B023, E731
        name = f"MiniLM at {factor} x capacity, deadline 1 s:"
        yield Line(f"{name} goodput over the peak", LEAST, 0.95, get("of peak"), OFF, digits=3, absent=absent)
        yield Line(f"{name} refusals, p99", MOST, 10, get("refusal p99"), OFF, "ms", absent=absent)
        late = s.ratio(("overload", EMBEDDER, factor, "late"), ("overload", EMBEDDER, factor, "sent"))
        yield Line(f"{name} answers after their deadline, of all sent", MOST, 0, late, OFF, digits=4, absent=absent)
        yield Line(
            f"{name} memory, second half over first", MOST, 1.05, get("memory growth"), OFF, digits=3, absent=absent
        )


def traced(bench):
    """A live collector."""
    s = bench.samples
    cpu = s.difference((TRACED, FRAUD, MANY, "cpu"), (OURS, FRAUD, MANY, "cpu"))
    each = [spent / count for spent, count in zip(cpu, exported_each(s), strict=True)] if cpu else []
    yield Line(
        "live collector, every request sampled: MiniLM, rows/s over untraced",
        LEAST,
        0.97,
        s.ratio((TRACED, EMBEDDER, MANY, "rows"), (OURS, EMBEDDER, MANY, "rows")),
        "on / off",
        digits=3,
    )
    yield Line("the same: fraud-detector, server CPU for each exported span", MOST, 3, each, "on / off", "µs")
    yield Line(
        "live collector, nothing sampled: fraud-detector, server CPU a request more",
        MOST,
        1,
        s.difference(("ours not sampled", FRAUD, MANY, "cpu"), (OURS, FRAUD, MANY, "cpu")),
        "not sampled / off",
        "µs",
    )


def exported_each(samples):
    """Spans that were exported for each request, round by round."""
    exported, dropped = (samples.get(TRACED, FRAUD, "spans", what) for what in ("exported", "dropped"))
    per_request = samples.get(TRACED, FRAUD, "spans", "per request")
    return [max(each * e / max(e + d, 1), 1e-9) for each, e, d in zip(per_request, exported, dropped, strict=True)]


def silent(bench):
    """A collector that never answers."""
    s = bench.samples
    hole = "ours black hole"
    name = "black-holed collector, every request sampled, fraud-detector:"
    yield Line(
        f"{name} requests/s over untraced",
        LEAST,
        1,
        s.ratio((hole, FRAUD, MANY, "rows"), (OURS, FRAUD, MANY, "rows")),
        "on / off",
    )
    yield Line(
        f"{name} requests/s over a live collector's",
        LEAST,
        1,
        s.ratio((hole, FRAUD, MANY, "rows"), (TRACED, FRAUD, MANY, "rows")),
        "on / on",
    )
    yield Line(
        f"{name} p50 at one connection over untraced",
        MOST,
        1,
        s.ratio((hole, FRAUD, ONE, "p50"), (OURS, FRAUD, ONE, "p50")),
        "on / off",
    )
    late = s.difference(("exit", "black hole", 0, "ms"), ("exit", "untraced", 0, "ms"))
    yield Line(
        f"{name} SIGINT to exit, later than untraced (the flush may take 2 s)", MOST, 2050, late, "on / off", "ms", 0
    )


def lives(bench):
    """Start and memory."""
    for model in (FRAUD, EMBEDDER):
        get = lambda what: bench.samples.get("life", model, 0, what)  # noqa: B023, E731
        yield Line(
            f"{model}: start to ready beyond loading, warm-up and golden runs", MOST, 150, get("beyond"), OFF, "ms", 0
        )
        yield Line(f"{model}: idle memory beyond the runtime's own", MOST, 40, get("memory beyond"), OFF, "MB", 0)


ELSEWHERE = (
    [
        "ONNX operator cases through every protocol, bit for bit",
        "100 %",
        "",
        "",
        "`make conformance`: [conformance.md](conformance.md)",
    ],
    [
        "layers of the CPU image without models, and the image",
        "≤ 75 MB, ≤ 120 MB",
        "",
        "",
        "`make image`: [image.md](image.md)",
    ],
    ["load at 3 x and 10 x for 60 s, and the way back", "see below", "", "", "`make bench ARGS=--overload`"],
)
