"""usage: trace.py TRACE_ID [--file FILE]

Prints a trace as a tree, out of a file that a Collector's file exporter wrote (traces.jsonl): durations, when each span
began after its trace, and attributes. Then the batch that the request ran in, which is a trace of its own, and
what ran on the same device while it waited.
"""

import argparse
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

# Who asked and by which network, and what stands elsewhere in the tree: of no help in finding out why it was slow.
DULL = (
    "network.", "server.", "client.", "user_agent.", "url.", "rpc.system", "http.request.method", "http.route", "model.digest",
    "inference.batch.trace_id", "inference.request.id", "inference.queue.wait_ms", "ort.provider", "thread.", "code.",
)  # fmt: skip
NAME = 34  # columns of the names


@dataclass
class Span:
    """What is shown of a span; times in milliseconds since the epoch."""

    trace: str
    id: str
    parent: str
    name: str
    begun: float
    ended: float
    failed: bool
    attributes: dict
    links: list
    children: list = field(default_factory=list)


def value_of(value):
    """An attribute's value as OTLP's JSON has it."""
    kind, inside = next(iter(value.items()), ("", ""))
    if kind == "arrayValue":
        return [value_of(it) for it in inside.get("values", [])]
    return int(inside) if kind == "intValue" else inside


def read(file):
    """Every span of a file; a last line that is not whole yet is left."""
    for line in file.read_text().splitlines():
        try:
            batch = json.loads(line)
        except json.JSONDecodeError:
            continue
        for resource in batch.get("resourceSpans", []):
            for scope in resource.get("scopeSpans", []):
                for it in scope["spans"]:
                    yield Span(
                        it["traceId"], it["spanId"], it.get("parentSpanId", ""), it["name"],
                        int(it["startTimeUnixNano"]) / 1e6, int(it["endTimeUnixNano"]) / 1e6,
                        it.get("status", {}).get("code") == 2,
                        {pair["key"]: value_of(pair["value"]) for pair in it.get("attributes", [])},
                        [(link["traceId"], link["spanId"]) for link in it.get("links", [])],
                    )  # fmt: skip


def roots_of(spans):
    """Spans with their children in them; those whose parent is not among them."""
    known = {it.id: it for it in spans}
    roots = []
    for it in sorted(spans, key=lambda it: it.begun):
        parent = known.get(it.parent)
        (parent.children if parent else roots).append(it)
    return roots


def lines_of(span, zero, depth=0):
    """A span and all below it, a line each."""
    shown = {name: value for name, value in span.attributes.items() if not name.startswith(DULL)}
    notes = "  ".join(f"{name}={round(value, 3) if isinstance(value, float) else value}" for name, value in shown.items())
    mark = "  FAILED" if span.failed else ""
    name = "  " * depth + span.name
    yield f"{name:{NAME}} {span.ended - span.begun:9.1f} ms  at {span.begun - zero:8.1f}{mark}  {notes}".rstrip()
    for child in span.children:
        yield from lines_of(child, zero, depth + 1)


def tree(spans):
    """The lines of one trace."""
    zero = min(it.begun for it in spans)
    return [line for root in roots_of(spans) for line in lines_of(root, zero)]


def by_model(batches):
    """A line for each model of some batches: how many, of how many rows, and their time in all."""
    models = {}
    for it in batches:
        of = models.setdefault(it.attributes.get("model.name"), [0, 0, 0.0])
        of[0], of[1] = of[0] + 1, of[1] + it.attributes.get("inference.batch.size", 0)
        of[2] += it.ended - it.begun
    for name, (number, rows, took) in sorted(models.items(), key=lambda it: -it[1][2]):
        yield f"  {name}: {number} batches, {rows} rows, {took:.1f} ms"


def device_of(spans):
    return next((it.attributes["inference.device"] for it in spans if "inference.device" in it.attributes), None)


def waited_behind(spans, all_spans):
    """The batches that ran on the request's device while it was in the queue."""
    queue = [it for it in spans if it.name == "inference.queue"]
    if not queue:
        return []
    begun, ended = min(it.begun for it in queue), max(it.ended for it in queue)
    batches = [it for it in all_spans if it.name == "inference.batch" and it.begun < ended and it.ended > begun]
    return [it for it in batches if it.attributes.get("inference.device") == device_of(spans)]


def show(trace_id, all_spans):
    """The whole answer, as lines."""
    spans = [it for it in all_spans if it.trace == trace_id]
    if not spans:
        return []
    lines = [f"trace {trace_id}", *tree(spans)]
    linked = {trace for it in spans if it.name == "inference.execute" for trace, _ in it.links}
    for batch in sorted(linked):
        inside = [it for it in all_spans if it.trace == batch]
        members = len({link for it in inside for link in it.links})
        if inside:
            company = "alone" if members == 1 else f"with {members - 1} others"
            lines += ["", f"the batch that it ran in, {company}: trace {batch}", *tree(inside)]
    behind = [it for it in waited_behind(spans, all_spans) if it.trace not in linked]
    if behind:
        lines += ["", "what ran on the same device while it waited:", *by_model(behind)]
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("trace_id")
    parser.add_argument("--file", type=Path, default=os.environ.get("TRACES", "traces.jsonl"), help="default: $TRACES, else traces.jsonl")
    options = parser.parse_args()
    lines = show(options.trace_id.lower(), list(read(Path(options.file))))
    if not lines:
        sys.exit(f"error: {options.file} has no span of the trace {options.trace_id}: was it sampled, and has it been exported?")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
