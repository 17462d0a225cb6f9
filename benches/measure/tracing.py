"""What tracing costs: `make bench ARGS=--tracing` serves fraud-detector untraced and with a share of 0, 1 and 100 %
of its requests sampled, towards a collector that is there, one that is not, and one that takes bytes and never answers.
"""

import contextlib

from . import load
from .load import MANY
from .models import EMBEDDER, FRAUD
from .page import table
from .processes import BlackHole, Collector, Server, free_port, tell
from .rounds import ONE, requests_of, spans
from .samples import Samples, shown

SHARES = (0, 0.01, 1)
# How many places the round's beginning moves on: no divisor of the number of servers.
STEP = 4
UNTRACED = "untraced"
KEPT = "live, failed and slow kept"


def variables(url, share):
    """The environment of a server that samples a share."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": str(share),
    }


def run(binary, options, models, folder):
    """The rounds; facts and the table."""
    samples, servers = Samples(), {}
    with contextlib.ExitStack() as stack:
        collector = Collector(options.otelcol, folder)
        stack.callback(collector.stop)
        places = {"live": collector.url, "dead": f"http://127.0.0.1:{free_port()}", "black hole": BlackHole().url}
        kinds = [(UNTRACED, 0, {})] + [
            (place, share, variables(url, share)) for place, url in places.items() for share in SHARES
        ]
        tail = {"ML_INFERENCE_TELEMETRY__KEEP_FAILED": "true", "ML_INFERENCE_TELEMETRY__KEEP_SLOWER_THAN": "500ms"}
        kinds.append((KEPT, 0, variables(collector.url, 0) | tail))
        for place, share, environment in kinds:
            name = f"{place} {share * 100:g} %"
            server = Server(binary, [models.paths[FRAUD]], folder, environment, name)
            stack.callback(server.stop)
            servers[place, share] = server
        texts = {
            kind: Server(binary, [models.paths[EMBEDDER]], folder, environment, f"texts {kind}")
            for kind, environment in ((UNTRACED, {}), ("live", variables(collector.url, 1)))
        }
        for server in texts.values():
            stack.callback(server.stop)
        for number in range(1, options.rounds + 1):
            tell(f"round {number} of {options.rounds}")
            one_round(binary, options, models, (samples, servers, texts), number)
    return samples.spreads(), markdown(samples)


def one_round(binary, options, models, those, number):
    """Everything once, one after the other; each round begins elsewhere, so that no place in it is anybody's own."""
    samples, servers, texts = those
    order = list(servers.items())
    begin = number * STEP % len(order)
    for (place, share), server in order[begin:] + order[:begin]:
        target = (f"{server.url}/predict/{FRAUD}", models.bodies[FRAUD])
        before, asked = spans(server), requests_of(server)
        for connections in (MANY, ONE):
            found = load.closed(binary, server, target, connections, options.duration)
            samples.keep((place, share, connections), found)
        after = spans(server)
        made = {name: after[name] - before[name] for name in after}
        made["per request"] = sum(made.values()) / max(requests_of(server) - asked, 1)
        samples.keep((place, share, "spans"), made)
    for kind, server in texts.items():
        target = (f"{server.url}/predict/{EMBEDDER}", models.bodies[EMBEDDER])
        samples.keep(("texts", kind, MANY), load.closed(binary, server, target, MANY, options.duration * 2))


def more(samples, place, share):
    """CPU beyond the untraced server's, µs a request and, where every one is sampled and exported, a span."""
    beyond = samples.difference((place, share, MANY, "cpu"), (UNTRACED, 0, MANY, "cpu"))
    spans_each = samples.get(place, share, "spans", "per request")
    each = [cost / count for cost, count in zip(beyond, spans_each, strict=True) if count > 1]
    return beyond, each if place == "live" else []


def markdown(samples):
    """A line for each collector and share."""
    rows = []
    for place in ("live", KEPT, "dead", "black hole"):
        for share in SHARES if place != KEPT else (0,):
            key = (place, share)
            beyond, each = more(samples, place, share)
            rows.append([
                f"{place}, {share * 100:g} % sampled",
                shown(samples.ratio((*key, MANY, "rows"), (UNTRACED, 0, MANY, "rows")), 3),
                shown(samples.ratio((*key, ONE, "p50"), (UNTRACED, 0, ONE, "p50")), 3),
                shown(samples.ratio((*key, MANY, "p99"), (UNTRACED, 0, MANY, "p99")), 2),
                shown(samples.get(*key, MANY, "cpu"), 1),
                shown(beyond, 1),
                shown(each, 2) if each else "",
                shown(samples.get(*key, "spans", "exported"), 0),
                shown(samples.get(*key, "spans", "dropped"), 0),
            ])  # fmt: skip
    head = ["collector", "requests/s over untraced, 64 connections", "p50 over untraced, 1 connection",
            "p99 over untraced, 64", "CPU µs a request, 64", "µs more than untraced", "µs a span", "spans exported",
            "dropped"]  # fmt: skip
    texts = samples.ratio(("texts", "live", MANY, "rows"), ("texts", UNTRACED, MANY, "rows"))
    untraced = shown(samples.get(UNTRACED, 0, MANY, "cpu"), 1)
    return (
        table(head, rows)
        + f"\n\nUntraced: {untraced} µs of server CPU a request. sentence-embedder, 64 connections, every request sampled,"
        f" live collector: {shown(texts, 3)} of the rows/s untraced."
    )
