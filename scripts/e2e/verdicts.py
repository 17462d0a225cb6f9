"""What the queries of the canary's analysis say of traffic as a table tells it: a test of the expressions alone, by promtool, without
a controller. Series are written in its notation: `0+10x60` begins at 0 and grows by 10 at each of 60 scrapes."""

import json
import random
import re

STEP = 15  # seconds between scrapes
SCRAPES = 60  # fifteen minutes
AT = "15m"
JOB = {"job": "ml-inference-api", "namespace": "production", "pod": "ml-inference-api-x"}
CANARY, STABLE = "canary", "stable"
# What a controller makes of a query's answer, by the two conditions: it holds, it holds not, or neither can be said.
SUCCESS, FAILURE, NOTHING, NOT_A_NUMBER = "success", "failure", "nothing", "not a number"
LIMIT = re.compile(r"^len\(result\) > 0 && result\[0\] (<=|>) ([0-9.e-]+)$")
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, "+Inf")


def queries(template):
    """Of an AnalysisTemplate: each metric's name, its query for the hashes `canary` and `stable`, and its limit."""
    found = {}
    for metric in template["spec"]["metrics"]:
        query = metric["provider"]["prometheus"]["query"]
        for side in (CANARY, STABLE):
            query = query.replace("{{args.%s}}" % side, side)
        at_most, more = LIMIT.match(metric["successCondition"]), LIMIT.match(metric["failureCondition"])
        if "{{" in query or not at_most or not more or (at_most[1], more[1]) != ("<=", ">") or at_most[2] != more[2]:
            raise ValueError(f"the analysis {metric['name']} has another form than is tried here: {metric}")
        found[metric["name"]] = (query, at_most[2])
    return found


def series(name, labels, values):
    """A series; `values` is what it grows by at each scrape, or promtool's own text."""
    text = values if isinstance(values, str) else f"0+{values:g}x{SCRAPES}"
    pairs = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return {"series": f"{name}{{{pairs}}}", "values": text}


def pods(side, changes=None):
    """The labels that a monitor gives the series of a side."""
    labels = JOB | ({"rollouts_pod_template_hash": side} if side else {}) | (changes or {})
    return {key: value for key, value in labels.items() if value is not None}


def requests(side, changes=None, route="/predict/{model}", **statuses):
    """Requests by status, as how many more at each scrape: s200=30, s500=2."""
    labels = pods(side, changes) | {"route": route}
    return [series("http_requests_total", labels | {"status": it[1:]}, growth) for it, growth in statuses.items()]


def durations(side, seconds, growth=30, status="200"):
    """Answers that all took just under so many seconds, and so fell into the bucket that ends there."""
    labels = pods(side) | {"route": "/predict/{model}", "status": status}
    counted = {it: growth if it == "+Inf" or seconds <= it else 0 for it in BOUNDS}
    return [series("http_request_duration_seconds_bucket", labels | {"le": str(it)}, counted[it]) for it in BOUNDS]


def predictions(side, labels, model="fraud-detector", version="1"):
    """Predictions by label, as how many more at each scrape."""
    common = pods(side) | {"model": model, "version": version}
    return [series("inference_predictions_total", common | {"label": it}, growth) for it, growth in labels.items()]


def noisy(side, labels, total, seed):
    """Predictions of so many labels, all equally likely, drawn by chance."""
    drawn = random.Random(seed).choices(range(labels), k=total)
    return predictions(side, {f"l{it}": drawn.count(it) / SCRAPES for it in range(labels)})


def promtool_test(found, cases, rules):
    """The text of a test for `promtool test rules`: each case with what is expected of the metric that it is about."""
    tests = []
    for case in cases:
        query, limit = found[case["metric"]]
        samples = {SUCCESS: (1, 0), FAILURE: (0, 1), NOT_A_NUMBER: (0, 0), NOTHING: (None, None)}[case["verdict"]]
        # promtool names no case in what it prints, so that the answer does.
        name = json.dumps(case["name"])
        asked = [
            {
                "expr": f"label_replace(({query}\n) {comparison} bool {limit}, 'case', {name}, '', '')", "eval_time": AT,
                "exp_samples": [] if value is None else [{"labels": f"{{case={name}}}", "value": value}],
            }
            for comparison, value in zip(("<=", ">"), samples)
        ]  # fmt: skip
        tests.append({"name": case["name"], "interval": f"{STEP}s", "input_series": list(case["series"]), "promql_expr_test": asked})
    return json.dumps({"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": tests})
