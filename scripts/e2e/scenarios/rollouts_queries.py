"""The queries of the canary's analysis, asked of traffic that is hard to judge."""

import itertools
import json

from .. import chart, tools
from ..failure import expect
from ..scenario import scenario
from ..verdicts import (
    CANARY, FAILURE, NOT_A_NUMBER, NOTHING, STABLE, SUCCESS,
    durations, noisy, predictions, promtool_test, queries, requests,
)  # fmt: skip

VALUES = {
    "delivery": {"mode": "canary", "canary": {"trafficRouting": "none"}},
    "metrics": {"monitor": {"enabled": True}},
}
FRAUD = {"legitimate": 27, "fraud": 3}
SHIFTED = {"legitimate": 18, "fraud": 12}

# The share of 5xx. Of a canary's 30 requests a scrape, 240 fall into the window of two minutes.
ERRORS = (
    ("no requests fail", SUCCESS, requests(CANARY, s200=30, s500=0), requests(STABLE, s200=300, s500=0)),
    ("one in a hundred more fails than of stable", SUCCESS, requests(CANARY, s200=1990, s500=10), requests(STABLE, s200=300)),
    ("one in twenty fails", FAILURE, requests(CANARY, s200=28.5, s503=1.5), requests(STABLE, s200=300)),
    ("one in twenty fails, of stable too", SUCCESS, requests(CANARY, s200=28.5, s500=1.5), requests(STABLE, s200=285, s500=15)),
    ("stable fails, the canary does not", SUCCESS, requests(CANARY, s200=30), requests(STABLE, s500=300)),
    ("every request fails", FAILURE, requests(CANARY, s500=30), requests(STABLE, s200=300)),
    ("stable has no traffic", SUCCESS, requests(CANARY, s200=30), requests(STABLE, s200=0, s500=0)),
    ("stable has no series", SUCCESS, requests(CANARY, s200=30)),
    ("stable has no traffic, the canary fails", FAILURE, requests(CANARY, s200=20, s500=10), requests(STABLE, s200=0)),
    ("nothing at all", NOTHING),
    ("the canary has no traffic", NOTHING, requests(CANARY, s200=0, s500=0), requests(STABLE, s200=300)),
    ("the canary has no series", NOTHING, requests(STABLE, s200=300)),
    ("too few requests, all of them fail", NOTHING, requests(CANARY, s500=6), requests(STABLE, s200=300)),
    ("just enough requests", SUCCESS, requests(CANARY, s200=6.3), requests(STABLE, s200=300)),
    ("only probes and scrapes", NOTHING, *(requests(CANARY, route=it, s200=30) for it in
        ("/health/ready", "/health", "/metrics", "/v2/health/live", "/ping", "/grpc.health.v1.Health/Check"))),
    ("probes do not thin out failures", FAILURE,
        requests(CANARY, s200=28.5, s500=1.5), requests(CANARY, route="/health/live", s200=3000)),
    ("client errors are the clients'", SUCCESS, requests(CANARY, s200=20, s400=10), requests(STABLE, s200=300)),
    ("by gRPC, too", FAILURE, requests(CANARY, route="/inference.GRPCInferenceService/ModelInfer", s200=20, s500=10)),
    ("series without the hash are of neither", NOTHING, requests(None, s200=300)),
    ("another namespace's pods of the same hash", NOTHING, requests(CANARY, {"namespace": "other"}, s200=30)),
    ("another job's", NOTHING, requests(CANARY, {"job": "pods"}, s200=30)),
    ("two pods of the canary, one of them fails", FAILURE,
        requests(CANARY, {"pod": "a"}, s200=30), requests(CANARY, {"pod": "b"}, s500=30), requests(STABLE, s200=300)),
    ("a pod of the canary started anew", SUCCESS,
        requests(CANARY, s200="0+30x55 0+30x5"), requests(STABLE, s200=300)),
)  # fmt: skip

# p99, as a multiple of stable's, of which 50 ms always do.
ENOUGH = {"s200": 30}
LATENCY = (
    ("as fast as stable", SUCCESS, requests(CANARY, **ENOUGH), durations(CANARY, 0.25), durations(STABLE, 0.25)),
    ("three times stable's", FAILURE, requests(CANARY, **ENOUGH), durations(CANARY, 0.75), durations(STABLE, 0.25)),
    ("three times stable's, and still fast", SUCCESS, requests(CANARY, **ENOUGH), durations(CANARY, 0.025), durations(STABLE, 0.005)),
    ("stable has no traffic, the canary is fast", SUCCESS, requests(CANARY, **ENOUGH), durations(CANARY, 0.05)),
    ("stable has no traffic, the canary is slow", FAILURE, requests(CANARY, **ENOUGH), durations(CANARY, 0.25)),
    ("stable's series stand still", SUCCESS, requests(CANARY, **ENOUGH), durations(CANARY, 0.05), durations(STABLE, 0.25, growth=0)),
    ("over the last bound", FAILURE, requests(CANARY, **ENOUGH), durations(CANARY, 60), durations(STABLE, 0.25)),
    ("no traffic", NOTHING, requests(CANARY, s200=0), durations(CANARY, 0.25, growth=0), durations(STABLE, 0.25)),
    ("too few requests", NOTHING, requests(CANARY, s200=3), durations(CANARY, 5, growth=3), durations(STABLE, 0.25)),
    ("none of the canary's requests succeeds", NOTHING,
        requests(CANARY, s500=30), durations(CANARY, 5, status="500"), durations(STABLE, 0.25)),
    ("none of them succeeds any more", NOT_A_NUMBER,
        requests(CANARY, s500=30), durations(CANARY, 5, growth=0), durations(STABLE, 0.25)),
    ("failures do not make it look fast", FAILURE, requests(CANARY, **ENOUGH), durations(CANARY, 0.75),
        durations(CANARY, 0.001, growth=3000, status="503"), durations(STABLE, 0.25)),
    ("series without the hash are of neither", NOTHING, requests(None, **ENOUGH), durations(None, 0.25)),
)  # fmt: skip

# Predictions: the distributions of the labels. A canary's 30 a scrape are 1,200 in the window of ten minutes.
EVENLY = {f"l{number}": 0.3 for number in range(100)}
PREDICTIONS = (
    ("the same distribution", SUCCESS, predictions(CANARY, FRAUD), predictions(STABLE, {"legitimate": 270, "fraud": 30})),
    ("a distribution that has shifted", FAILURE, predictions(CANARY, SHIFTED), predictions(STABLE, FRAUD)),
    ("one label for everything", FAILURE,
        predictions(CANARY, {"legitimate": 30}), predictions(STABLE, {"legitimate": 15, "fraud": 15})),
    ("a label that stable does not know", FAILURE, predictions(CANARY, {"legitimate": 15, "new": 15}), predictions(STABLE, FRAUD)),
    ("not one label in common", FAILURE, predictions(CANARY, {"1": 30}), predictions(STABLE, FRAUD)),
    ("a rare label that has gone", SUCCESS,
        predictions(CANARY, {"legitimate": 30}), predictions(STABLE, {"legitimate": 297, "fraud": 3})),
    ("another version of the model, the same distribution", SUCCESS,
        predictions(CANARY, FRAUD, version="2"), predictions(STABLE, FRAUD)),
    ("another version of the model, shifted", FAILURE, predictions(CANARY, SHIFTED, version="2"), predictions(STABLE, FRAUD)),
    ("one of two models has shifted", FAILURE, predictions(CANARY, FRAUD), predictions(STABLE, FRAUD),
        predictions(CANARY, {"a": 27, "b": 3}, "topics"), predictions(STABLE, {"a": 3, "b": 27}, "topics")),
    ("one of two models has too few predictions", SUCCESS, predictions(CANARY, FRAUD), predictions(STABLE, FRAUD),
        predictions(CANARY, {"a": 1}, "topics"), predictions(STABLE, {"b": 300}, "topics")),
    ("too few predictions, all shifted", NOTHING, predictions(CANARY, {"fraud": 9}), predictions(STABLE, FRAUD)),
    ("the canary predicts nothing, by series at rest", NOTHING,
        predictions(CANARY, {"legitimate": 0, "fraud": 0}), predictions(STABLE, FRAUD)),
    ("stable has predicted too little to compare with", NOTHING, predictions(CANARY, FRAUD), predictions(STABLE, {"fraud": 2})),
    ("stable has no series", NOTHING, predictions(CANARY, FRAUD)),
    ("a hundred labels, each as often as in stable", SUCCESS, predictions(CANARY, EVENLY), predictions(STABLE, EVENLY)),
    ("a model without labels, such as embeddings", SUCCESS, requests(STABLE, s200=300)),
    ("series without the hash are of neither: no labels, and requests", SUCCESS, predictions(None, FRAUD)),
    *((f"a hundred labels, noise of sampling, draw {draw}", SUCCESS, noisy(CANARY, 100, 900, draw), noisy(STABLE, 100, 9000, 1000 + draw))
        for draw in range(10)),
    *((f"two labels, noise of sampling, draw {draw}", SUCCESS, noisy(CANARY, 2, 900, draw), noisy(STABLE, 2, 900, 1000 + draw))
        for draw in range(10)),
)  # fmt: skip
# Without requests nothing is said of predictions either: a canary that nobody asks has shown nothing.
UNASKED = (("a model without labels, and no traffic", NOTHING, predictions(STABLE, FRAUD)),)


def cases():
    """All of them, each with the metric that it is about."""
    asked = [(*row, requests(CANARY, s200=30)) for row in PREDICTIONS]
    for metric, rows in (("error-ratio", ERRORS), ("p99", LATENCY), ("predictions", (*asked, *UNASKED))):
        for name, verdict, *parts in rows:
            yield {"metric": metric, "name": f"{metric}: {name}", "verdict": verdict, "series": itertools.chain(*parts)}


@scenario
def canary_queries(cluster):
    """the queries of the canary's analysis, each on a table of traffic: none, little, NaN, one side only, noise"""
    manifest = chart.render(cluster, "production", VALUES)
    templates = (it for it in manifest if it["kind"] == "AnalysisTemplate")
    found = queries(next(it for it in templates if it["metadata"]["name"].endswith("-canary")))
    rules, test = cluster.folder / "canary.rules.json", cluster.folder / "canary.test.json"
    recorded = [{"record": f"canary:{name.replace('-', '_')}", "expr": query} for name, (query, _) in found.items()]
    rules.write_text(json.dumps({"groups": [{"name": "canary", "rules": recorded}]}))
    table = list(cases())
    test.write_text(promtool_test(found, table, rules))
    cluster.run([tools.program("promtool"), "check", "rules", rules])
    cluster.run([tools.program("promtool"), "test", "rules", test])
    verdicts = {it["verdict"] for it in table}
    expect(verdicts == {SUCCESS, FAILURE, NOTHING, NOT_A_NUMBER}, "the table lacks a verdict:", verdicts)
