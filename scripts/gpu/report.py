"""The section of docs/performance-gpu.md."""

import datetime
import re

from measure.page import machine, table
from measure.samples import shown

from . import figures, peaks
from .figures import BARE, BARE_TRT, COPIED, MANY, ON, ONE, SERVED, TRT
from .lane import ABSENT, CARD, FAIL, PASS, SKIPPED
from .samples import BERT, HALF

REHEARSAL = (
    "**This is a rehearsal.** No card was used: the CPU stood in for it, with small stand-ins of the models and rounds "
    "too short to mean anything. No figure here says anything about a card."
)
WHO = {SERVED: "served", BARE: "bare loop", COPIED: "bare loop with copies", TRT: "served, TensorRT",
       BARE_TRT: "bare loop, TensorRT", ON: "served, traced"}  # fmt: skip


def heading(lane, versions, command):
    """When, where, with what."""
    where = lane.card.sentence() if lane.card else "no card"
    parts = ", ".join(f"{name} {version}" for name, version in versions.items())
    text = f"{datetime.date.today().isoformat()}, by `{command}`: {where}. {machine()}. {parts}."
    return f"{REHEARSAL}\n\n{text}" if lane.is_rehearsal else text


def checks(lane):
    """The checks, those that failed first."""
    order = {FAIL: 0, PASS: 1, SKIPPED: 2, ABSENT: 3, CARD: 4}
    found = sorted(lane.findings, key=lambda finding: order[finding.state])
    return table(["check", "result", "what came"], [[cell(f.what), f.state, cell(f.detail)] for f in found])


def cell(text):
    """Text that a table can hold, without this machine's name."""
    return re.sub(r"hostname=\S+", "hostname=...", text).replace("|", "/").replace("<", "&lt;")


def budgets(lane, made):
    """The budgets; a rehearsal judges none."""
    rows = [line.cells()[:-1] + ["none: a rehearsal" if lane.is_rehearsal else line.verdict()] for line in figures.lines(made)]
    return table(["what", "budget", "measured: median (lowest–highest)", "tracing, ours / theirs", "verdict"], rows)


def rates(made):
    """Everything that the ratios are made of."""
    get = made.samples
    rows = []
    keys = dict.fromkeys(key[:3] for key in get.values if key[3] == "rows")
    for who, name, many in sorted(keys, key=lambda key: (key[1], key[2], key[0])):
        rate, half = shown(get.get(who, name, many, "rows"), 0), shown(get.get(who, name, many, "p50"), 3)
        rows.append([f"{name}, {WHO[who]}", at(made, who, name, many), rate, half])
    return table(["", "at", "rows/s", "p50 ms"], rows)


def at(made, who, name, many):
    """The load of a row."""
    if who in (BARE, BARE_TRT, COPIED):
        bare = made.trt[1] if who == BARE_TRT else made.bare[name]
        batch, threads = bare.best if many == MANY else (1, 1)
        return f"batch {batch}, {threads} session{'s' if threads > 1 else ''}"
    connections = made.at_once(name) if many == MANY else 1
    return f"{connections} in flight"


def ratios(made):
    """Served over bare for every model, and TensorRT over CUDA."""
    get, rows = made.samples, []
    over = lambda above, below, what: get.ratio((*above, what), (*below, what))  # noqa: E731
    for name in made.measured:
        many = over((SERVED, name, MANY), (BARE, name, MANY), "rows")
        one = over((SERVED, name, ONE), (BARE, name, ONE), "p50")
        copied = over((SERVED, name, ONE), (COPIED, name, ONE), "p50")
        rows.append([name, *(shown(values, 3) if values else "" for values in (many, one, copied))])
    head = ["served over the bare loop", "saturated: rows/s", "alone: p50", "alone: p50, over the bare loop with copies"]
    text = table(head, rows)
    name = BERT + HALF
    served = over((TRT, name, MANY), (SERVED, name, MANY), "rows")
    bare = over((BARE_TRT, name, MANY), (BARE, name, MANY), "rows")
    engine = [[f"{name}, {who}", shown(values, 3)] for who, values in (("served", served), ("bare loop", bare)) if values]
    return text + ("\n\n" + table(["TensorRT over CUDA, saturated", "rows/s"], engine) if engine else "")


def spent(places):
    """Where the time goes."""
    rows = []
    for (name, batch), (profile, nsys, copies) in places.items():
        total, copied, queued, rest = profile
        by_nsys = [f"{part:.3f}" for part in nsys] if nsys else ["", "", ""]
        rows.append([f"{name}, batch {batch}", *(f"{part:.3f}" for part in (total, copied, queued, rest)), copies, *by_nsys])
    head = ["ms a run", "run", "`Memcpy` nodes", "other nodes", "the rest: waiting for the card, gaps", "copies in and out",
            "nsys: kernels", "nsys: copies", "nsys: the rest"]  # fmt: skip
    return table(head, rows)


def roofline(lane, made):
    """What the card's peak leaves."""
    peak = peaks.of(lane.card.name) if lane.card else None
    rows = []
    for name in made.measured:
        facts, (batch, _) = lane.models.facts[name], made.bare[name].best
        size = facts["row_bytes"] + facts["weight_bytes"] / batch
        roof = None if peak is None else (peak.fp16 if facts["precision"] == "fp16" else peak.fp32)
        for who in (BARE, SERVED):
            values = made.samples.get(who, name, MANY, "rows")
            compute = [value * facts["flops"] / 1e12 for value in values]
            moved = [value * size / 1e9 for value in values]
            rows.append([f"{name}, {WHO[who]}", f"{facts['flops'] / 1e9:.2f}", f"{size / 1e6:.1f}", shown(compute, 2),
                         share(compute, roof), shown(moved, 0), share(moved, peak.memory if peak else None)])  # fmt: skip
    head = ["saturated", "GFLOP a row", "MB a row, unfused", "TFLOP/s", "of the peak", "GB/s, unfused", "of the peak"]
    return table(head, rows)


def share(values, most):
    """Percent of a peak."""
    return shown([100 * value / most for value in values], 1) + " %" if most else "peak not known"


def absent(lane, made):
    """What was not measured."""
    left_out = [finding for finding in lane.findings if finding.state in (SKIPPED, ABSENT, CARD)]
    names = [f"{finding.what} ({finding.detail or finding.state})" for finding in left_out]
    names += [f"{what} ({why})" for what, why in made.absent] if made else []
    names += [line.what for line in figures.lines(made) if not line.values] if made else ["every figure (there were no rounds)"]
    return "Not measured: " + ("; ".join(names) + "." if names else "nothing.")


def markdown(lane, made, places, versions, command):
    """All of it."""
    parts = [heading(lane, versions, command), checks(lane)]
    if made and made.pace:
        parts += [
            f"{made.pace.rounds} interleaved rounds of {made.pace.seconds:.2f} s for each saturated measurement, half of that "
            "for one request at a time. Medians with the lowest and the highest; ratios are formed within each round.",
            budgets(lane, made),
            ratios(made),
            rates(made),
        ]
        parts += [spent(places)] if places else []
        parts += [roofline(lane, made)]
    return "\n\n".join([*parts, absent(lane, made)])
