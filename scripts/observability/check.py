"""usage: check.py FILE

Checks that alerts, tests, dashboards, runbooks and docs/telemetry.md agree, and writes the queries of the runbooks into
FILE as a rule file, for promtool. Prints every problem and exits with 1 if there is one. Called by check.sh.
"""

import json
import re
import sys
from pathlib import Path

import promql
import rules

DEPLOY = Path("deploy/observability")
RUNBOOKS = Path("docs/runbooks")
PAGES = [
    *sorted(RUNBOOKS.glob("*.md")), Path("docs/slo.md"), Path("docs/incidents.md"), Path("docs/observability.md"),
]  # fmt: skip
STANDINS = Path("scripts/observability/standins")
SEVERITIES = {"page", "ticket", "info"}
# What others expose: Prometheus itself, kube-state-metrics and the kubelet.
OTHERS = {
    "up": "job instance",
    "ALERTS": "alertname alertstate severity service slo model",
    "kube_pod_container_status_restarts_total": "namespace pod container uid",
    "kube_pod_container_status_waiting_reason": "namespace pod container uid reason",
    "kube_pod_container_status_last_terminated_reason": "namespace pod container uid reason",
    "container_memory_working_set_bytes": "namespace pod container id image name",
    "container_memory_usage_bytes": "namespace pod container id image name",
    "container_spec_memory_limit_bytes": "namespace pod container id image name",
}
# Words of the runbooks that only look like metrics.
SETTINGS = {"gpu_mem_limit"}
# Labels that Prometheus, or the server by configuration, puts on every series.
EVERYWHERE = {"job", "instance", "service", "namespace", "pod", "severity", "alertname"}
# What looks like a metric in a runbook's text.
LOOKS_LIKE = re.compile(
    r"(?:http|inference|model|otel_sdk|gpu|process|tls|secret|shutdown|panics|kube|container|slo:|model:)[a-z0-9_:]*_[a-z0-9_:]+"
)


def documented():
    """Name to labels of the table of docs/telemetry.md, with a histogram's three series."""
    text = Path("docs/telemetry.md").read_text()
    table = text.split("<!-- metrics: begin -->")[1].split("<!-- metrics: end -->")[0]
    known = {}
    for name, kind, labels in re.findall(r"^\| `(\w+)` \| (\w+) \|([^|]*)\|", table, re.M):
        own = set(re.findall(r"`(\w+)`", labels))
        if kind == "histogram":
            known[f"{name}_bucket"] = own | {"le"}
            known[f"{name}_sum"] = known[f"{name}_count"] = own
        else:
            known[name] = own
    return known


def problems_of(expression, known, recorded, must_select):
    """What is wrong with the series that an expression selects."""
    for name, labels in promql.selectors(expression):
        if name in recorded:
            continue
        if name not in known:
            yield f"{name} is neither in docs/telemetry.md nor recorded by a rule"
            continue
        unknown = set(labels) - known[name] - EVERYWHERE
        if unknown:
            yield f"{name} has no label {', '.join(sorted(unknown))}"
        if must_select and name not in OTHERS and labels.get("job") != '="ml-inference-api"':
            yield f'{name} is selected without job="ml-inference-api": any service may expose that name'


def anchor(heading):
    return re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-")


def anchors(file):
    return {anchor(heading) for heading in re.findall(r"^#+ (.*)$", file.read_text(), re.M)}


def problems_of_links(file):
    """Links of a page that lead nowhere, sections included."""
    for path, section in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", file.read_text()):
        target = file.parent / path if path else file
        if not target.exists():
            yield f"its link to {path} leads nowhere"
        elif section and section not in anchors(target):
            yield f"its link to {path} names a section that is not there: #{section}"


def problems_of_alert(alert):
    """What an alert lacks."""
    if alert["labels"].get("severity") not in SEVERITIES:
        yield f"its severity is none of {', '.join(sorted(SEVERITIES))}"
    for name in ("summary", "description", "runbook_url"):
        if not alert["annotations"].get(name):
            yield f"it has no {name}"
    if "$value" not in alert["annotations"].get("description", ""):
        yield "its description has no value"
    path, _, section = alert["annotations"].get("runbook_url", "").partition("#")
    if not Path(path).is_file():
        yield f"its runbook {path} is not there"
    elif section not in anchors(Path(path)):
        yield f"its runbook {path} has no section #{section}"
    elif section != alert["alert"].lower():
        yield f"its runbook's section is #{section}, not its name"


def problems_of_rules(all_rules, known, recorded):
    for rule in all_rules:
        name = f"{rule['file']}: {rule.get('alert') or rule['record']}"
        yield from (f"{name}: {it}" for it in problems_of(rule["expr"], known, recorded, True))
        if "alert" in rule:
            yield from (f"{name}: {it}" for it in problems_of_alert(rule))
    # The lists of routes are written out in several places: they have to be the same.
    for metric in ("http_requests_total", "http_request_duration_seconds_bucket"):
        selected = [it for rule in all_rules for it in promql.selectors(rule["expr"])]
        lists = {labels["route"] for name, labels in selected if name == metric and "route" in labels}
        if len(lists) > 1:
            yield f"the rules select {metric} by {len(lists)} different lists of routes: {sorted(lists)}"


def problems_of_tests(alerts):
    """Alerts that no test sees firing, in each of their severities, or silent."""
    tests = "\n".join(file.read_text() for file in sorted((DEPLOY / "tests").glob("*.yml")))
    for name in sorted({alert["alert"] for alert in alerts}):
        severities = {alert["labels"].get("severity") for alert in alerts if alert["alert"] == name}
        fired = re.findall(rf"alertname: {name}\n +eval_time: \S+\n +exp_alerts:\n(?: {{10,}}.*\n)+", tests)
        for severity in sorted(severities, key=str):
            if not any(f"severity: {severity}" in it for it in fired):
                yield f"no test in which {name} fires as {severity}"
        if f"alertname: {name}, eval_time: " not in tests:
            yield f"no test in which {name} is silent"


def queries_of(text):
    found = re.findall(r"```promql\n(.*?)```", text, re.S)
    return [query.strip() for block in found for query in block.split("\n\n")]


def problems_of_page(file, known, recorded):
    """Links, queries and names of a page."""
    text = file.read_text()
    yield from problems_of_links(file)
    for query in queries_of(text):
        yield from problems_of(query, known, recorded, False)
    codes = set(re.findall(r"^\| `(\w+)` \|", Path("docs/errors.md").read_text(), re.M))
    for name in sorted(set(LOOKS_LIKE.findall(" ".join(re.findall(r"`[^`\n]+`", text))))):
        if not (name in known or name in recorded or f"{name}_bucket" in known or name in codes | SETTINGS):
            yield f"{name} is neither a metric nor an error code"


def problems_of_dashboard(file, known, recorded):
    """Names and labels of what a dashboard asks for, and its links to runbooks."""
    text = file.read_text()
    board = json.loads(text)
    asked = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    asked += [it["expr"] for it in board["annotations"]["list"]]
    asked += [re.sub(r"label_values\((.*), \w+\)", r"\1", it["definition"]) for it in board["templating"]["list"] if "definition" in it]
    for query in asked:
        yield from problems_of(query, known, recorded, True)
    for page, section in re.findall(r"\$\{runbooks\}/([\w.-]+)#?([\w-]*)", text):
        if not (RUNBOOKS / page).is_file():
            yield f"its runbook {page} is not there"
        elif section and section not in anchors(RUNBOOKS / page):
            yield f"its runbook {page} has no section #{section}"


def problems_of_standin(file, known):
    """Series of a fixed page that nobody exposes under that name, or with those labels."""
    for name, labels in re.findall(r"^(\w+)\{(.*)\} \S+$", file.read_text(), re.M):
        unknown = set(re.findall(r'(\w+)="', labels)) - known.get(name, set()) - EVERYWHERE
        if name not in known or unknown:
            yield f"{name} is not in docs/telemetry.md, or has no label {', '.join(sorted(unknown))}"


def main(queries_to):
    all_rules = [rule for file in sorted((DEPLOY / "rules").glob("*.yml")) for rule in rules.read(file)]
    alerts = [rule for rule in all_rules if "alert" in rule]
    recorded = {rule["record"] for rule in all_rules if "record" in rule}
    known = documented() | {name: set(labels.split()) for name, labels in OTHERS.items()}

    problems = [*problems_of_rules(all_rules, known, recorded), *problems_of_tests(alerts)]
    for file in PAGES:
        problems += [f"{file}: {it}" for it in problems_of_page(file, known, recorded)]
    for file in sorted((DEPLOY / "dashboards").glob("*.json")):
        problems += [f"{file}: {it}" for it in problems_of_dashboard(file, known, recorded)]
    for file in sorted(STANDINS.glob("*.prom")):
        problems += [f"{file}: {it}" for it in problems_of_standin(file, known)]
    queries = [query for file in PAGES for query in queries_of(file.read_text())]
    Path(queries_to).write_text(rules.of_queries(queries))
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    print(f"{len(alerts)} alerts, {len(recorded)} recorded series, {len(queries)} queries of runbooks")
    return 1 if problems or not alerts else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
