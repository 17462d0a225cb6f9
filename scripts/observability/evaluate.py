"""usage: evaluate.py BINARY --models FOLDER --prometheus PROGRAM --grpcurl PROGRAM

Evaluates every expression of rules, dashboards, runbooks and docs/slo.md by a real Prometheus that scrapes the real
server under a bit of traffic: each must have a value, each series that it selects must be there, and each label that it
groups by or that a legend or an alert's text names must be on the result. Called by evaluate.sh.

An alert's expression is a filter, so what it compares is asked for without the comparisons (expression.py). Nothing is a
day old here: offsets are taken off, and windows of days are evaluated over what there is. What a machine without a
cluster and without a GPU does not expose comes from the fixed pages of standins/.
"""

import argparse
import http.server
import itertools
import json
import math
import re
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

import expression
import rules
import traffic
from stack import RULES, Inference, Prometheus, QueryError, end_by_signals, post, quiet

DASHBOARDS = Path("deploy/observability/dashboards")
PAGES = [*sorted(Path("docs/runbooks").glob("*.md")), Path("docs/slo.md"), Path("docs/observability.md")]
STANDINS = Path(__file__).parent / "standins"
# What cannot be had here, and why: everything else must be there.
ABSENT = {}
# What may be 0/0 here, and why. A selected series that is not there is a mistake all the same.
NOT_A_NUMBER = {"process_cpu_quota_periods_total": "no period passes where no CPU quota is set"}
TRAFFIC_SECONDS = 14
# Grafana's own variables.
GIVEN = {"__rate_interval": "1m", "__interval": "30s", "__range": "1h"}
# Behind a matcher's value: an alternative that is one whole way to match.
PLAIN = re.compile(r"^[^()\[\]]*$")


class Checker:
    """Asks a Prometheus what an expression is made of."""

    def __init__(self, prometheus):
        self.prometheus, self.asked, self.excused, self.indefinite = prometheus, {}, set(), set()

    def ask(self, text):
        """The series of an instant query, each text once."""
        if text not in self.asked:
            self.asked[text] = self.prometheus.query(text)
        return self.asked[text]

    def absent(self, tree):
        """Whether something is selected that cannot be had here."""
        found = {it.text for it in tree.walk() if it.kind == "selector"}
        excused = {it for it in found if it in ABSENT or it.partition("{")[0] in ABSENT}
        self.excused |= {it if it in ABSENT else it.partition("{")[0] for it in excused}
        return bool(excused)

    def may_be_nan(self, tree):
        """Whether something in it may be 0/0 here."""
        found = {it.text.partition("{")[0] for it in tree.walk() if it.kind == "selector"} & set(NOT_A_NUMBER)
        self.indefinite |= found
        return bool(found)

    def problems(self, text, named=()):
        """What is wrong with an expression whose result is to have the labels `named`."""
        tree = expression.parse(text)
        if self.absent(tree):
            return
        try:
            missing = [it for it in map(str, expression.selectors(tree)) if not self.ask(it)]
            yield from (f"no series matches {it}" for it in missing)
            yield from self.unmatched(tree)
            if missing:
                return
            sides = expression.sides(tree)
            for side in sides:
                values = [value for _, value in self.ask(str(side))]
                if not values:
                    yield f"no value of {side}"
                elif all(map(math.isnan, values)) and not self.may_be_nan(side):
                    yield f"only NaN of {side}"
            for inner, labels in expression.promised(tree):
                yield from self.lacking(str(inner), labels)
            yield from self.lacking(str(sides[0]), named)
        except QueryError as error:
            yield str(error)

    def lacking(self, text, labels):
        """Labels that no result of an expression has."""
        found = {name for metric, _ in self.ask(text) for name in metric}
        for label in labels:
            if label not in found:
                yield f"no result has the label {label}: {text}"

    def unmatched(self, tree):
        """Of matchers by a list of alternatives, also of what they leave out: those that no series has."""
        for it in expression.selectors(tree):
            name, _, matchers = it.text.partition("{")
            for label, sign, value in re.findall(r'(\w+)(=~|!~)"((?:[^"\\]|\\.)*)"', matchers):
                alternatives = value.split("|")
                if len(alternatives) == 1 or not PLAIN.match(re.sub(r"\([^()]*\)", "", value)):
                    continue
                # A group's alternatives are no alternatives of the whole.
                if "(" in value:
                    alternatives = re.split(r"\|(?![^()]*\))", value)
                for alternative in alternatives:
                    selector = f'{name}{{job="ml-inference-api", {label}=~"{alternative}"}}'
                    if not self.ask(selector):
                        yield f"no series matches the alternative {alternative} of {label}{sign}: {it.text}"


def of_rules():
    """Where it stands, expression, and labels that the alert's texts name beside its own."""
    for file in sorted(RULES.glob("*.yml")):
        for rule in rules.read(file):
            texts = " ".join(rule["annotations"].values())
            named = set(re.findall(r"\$labels\.(\w+)", texts)) - set(rule["labels"])
            yield f"{file.name}: {rule.get('alert') or rule['record']}", rule["expr"], sorted(named)


def of_pages():
    """The queries of runbooks and documentation."""
    for file in PAGES:
        for block in re.findall(r"```promql\n(.*?)```", file.read_text() if file.exists() else "", re.S):
            for query in block.strip().split("\n\n"):
                yield str(file), query, ()


def panels_of(dashboard):
    """Every panel, those in collapsed rows too."""
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def of_dashboard(dashboard):
    """Title, expression and labels of the legend of each target and annotation."""
    for panel in panels_of(dashboard):
        for target in panel.get("targets", []):
            named = re.findall(r"{{(\w+)}}", target.get("legendFormat", ""))
            yield f"{dashboard['title']}: {panel['title']}", target["expr"], named
    for it in dashboard["annotations"]["list"]:
        named = re.findall(r"{{(\w+)}}", f"{it.get('titleFormat')} {it.get('textFormat')}")
        yield f"{dashboard['title']}: annotation {it['name']}", it["expr"], named


class Variables:
    """A dashboard's variables, with the values that Prometheus has for them."""

    def __init__(self, dashboard, checker):
        self.dashboard, self.checker, self.values, self.failures = dashboard, checker, {}, []
        for it in dashboard["templating"]["list"]:
            if it["type"] == "query":
                self.values[it["name"]] = self.of(it)

    def of(self, variable):
        """The values of a label_values(), with All for the variables before it."""
        text = variable["query"]["query"]
        selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", text).groups()
        selector = self.filled(selector, dict.fromkeys(self.values, ".*"))
        found = self.checker.prometheus.api(f"label/{label}/values", **{"match[]": selector})
        if not found:
            self.failures.append(f"{self.dashboard['title']}: variable {variable['name']}: no value of {text}")
        return found

    @staticmethod
    def filled(text, values):
        """An expression with values in the places of variables."""
        for name, value in sorted((GIVEN | values).items(), key=lambda it: -len(it[0])):
            text = re.sub(rf"\${name}\b|\${{{name}(?::\w+)?}}", lambda _: value, text)
        return text

    def problems(self, text, named):
        """What is wrong with an expression: with All, and, where that is right, with the values one by one."""
        everything = self.filled(text, dict.fromkeys(self.values, ".*"))
        if "$" in everything:
            return [f"an unknown variable in {everything}"]
        found = list(self.checker.problems(everything, named))
        used = [name for name in self.values if re.search(rf"\${{?{name}\b", text)]
        if found or not used:
            return found
        for choice in itertools.product(*(self.values[name] for name in used)):
            one = self.filled(text, dict(zip(used, choice)))
            if not list(self.checker.problems(one, named)):
                return []
        return [f"no choice of {', '.join(used)} has a value: {text}"]


def check_all(checker):
    """Counts by kind, and every problem with its place."""
    counts, problems = {}, []

    def count(kind, place, found):
        counts[kind] = counts.get(kind, 0) + 1
        problems.extend(f"{place}: {it}" for it in found)

    for place, text, named in of_rules():
        count("rules", place, checker.problems(text, named))
    for place, text, named in of_pages():
        count("queries of runbooks and pages", place, checker.problems(text, named))
    for file in sorted(DASHBOARDS.glob("*.json")):
        dashboard = json.loads(file.read_text())
        variables = Variables(dashboard, checker)
        counts["variables"] = counts.get("variables", 0) + len(variables.values)
        problems += variables.failures
        for place, text, named in of_dashboard(dashboard):
            count("queries of dashboards", place, variables.problems(text, named))
    return counts, problems


def unhealthy(prometheus):
    """Rules that Prometheus could not evaluate, or has not."""
    groups = prometheus.api("rules")["groups"]
    for group in groups:
        for rule in group["rules"]:
            if rule["health"] != "ok":
                yield f"{group['name']}: {rule['name']}: {rule['health']} {rule.get('lastError', '')}"
    if not groups:
        yield "Prometheus has no rule groups"


def misspelt(checker):
    """Mistakes, each of which must be seen: name, what is asked and whether it was seen."""
    right = 'sum by (service) (rate(http_requests_total{job="ml-inference-api", status=~"200|404"}[1m])) > 5'
    mistakes = {
        "nothing": (right, ["service"]),
        "a metric": (right.replace("http_requests_total", "http_request_total"), []),
        "a label": (right.replace("status", "statuz"), []),
        "a value": (right.replace("job=", "job=~").replace('"ml-', '"mi-'), []),
        "an alternative": (right.replace("404", "4044"), []),
        "a grouping": (right.replace("(service)", "(services)"), []),
        "a legend": (right, ["route"]),
        "a function's argument": (right.replace("rate(", "rate(1 + "), []),
    }
    for name, (text, named) in mistakes.items():
        yield name, bool(list(checker.problems(text, named)))


class Page(http.server.BaseHTTPRequestHandler):
    """The stand-ins: /kubernetes and /gpu."""

    def do_GET(self):  # noqa: N802: the name that the library calls
        file = STANDINS / f"{self.path.strip('/')}.prom"
        self.send_response(200 if file.is_file() else 404)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(file.read_bytes() if file.is_file() else b"")

    def log_message(self, *_):
        """Says nothing."""


def second_server(binary, models, folder):
    """A server with TLS, keys and a model that does not load: what the first one has no series of."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    quiet(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost"]
        + ["-keyout", key, "-out", certificate]
    )
    repository = folder / "models"
    shutil.copytree(models / "fraud-detector", repository / "fraud-detector")
    keys = folder / "keys.toml"
    keys.write_text(f'[[keys]]\nname = "one"\nsha256 = "{"a" * 64}"\nscopes = ["predict"]\n')
    settings = {"TLS__CERT_FILE": certificate, "TLS__KEY_FILE": key, "AUTH__KEYS_FILE": keys}
    variables = {f"ML_INFERENCE_{name}": str(value) for name, value in settings.items()}
    server = Inference(binary, [repository], folder, variables | TRACING, "second-server")
    (repository / "broken" / "1").mkdir(parents=True)
    (repository / "broken" / "1" / "model.onnx").write_bytes(b"no graph")
    keys.write_text(keys.read_text().replace("one", "two"))
    return server


# Spans and log lines go nowhere (the port is closed) and through queues of one: both ways to lose them are taken.
TRACING = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
    "OTEL_LOGS_EXPORTER": "otlp",
    "OTEL_BSP_MAX_QUEUE_SIZE": "1",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "1",
    "OTEL_BLRP_MAX_QUEUE_SIZE": "1",
    "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE": "1",
    "ML_INFERENCE_LOG__ACCESS": "all",
    "MODEL_NAME": "fraud-detector",
}


def started(options, folder):
    """The programs, with traffic behind them: the Prometheus."""
    (folder / "second").mkdir()
    server = Inference(options.binary, [options.models], folder, TRACING)
    second = second_server(options.binary, options.models, folder / "second")
    pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    address = f"127.0.0.1:{pages.server_address[1]}"
    ours = {"job": "ml-inference-api", "service": "ml-inference-api", "instance": "stand-in"}
    standins = [("kubernetes", address, {}), ("gpu", address, ours)]
    prometheus = Prometheus(options.prometheus, folder, [server.admin, second.admin], standins)
    time.sleep(2)  # counters are seen at zero before they grow
    until, sent = time.monotonic() + TRAFFIC_SECONDS, 0
    while time.monotonic() < until:
        sent += traffic.one_round(server)
        post(f"http://{second.admin}/v2/repository/models/broken/load", b"")
        traffic.grpc(server, options.grpcurl)
        traffic.leave(server)
    print(f"{sent:5} requests sent")
    time.sleep(3)  # the last scrape, and the rules that follow from it
    return prometheus


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("binary", type=Path)
    for name in ("models", "prometheus", "grpcurl"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    begun = time.monotonic()
    end_by_signals()
    with tempfile.TemporaryDirectory() as folder:
        prometheus = started(options, Path(folder))
        checker = Checker(prometheus)
        counts, problems = check_all(checker)
        problems += unhealthy(prometheus)
        unused = sorted(set(ABSENT) - checker.excused)
        problems += [f"{it} is excused, and nothing asks for it" for it in unused]
        problems += [f"{it} is excused, and there" for it in ABSENT if it not in unused and checker.ask(it)]
        seen = dict(misspelt(checker))
    problems += [] if not seen.pop("nothing") else ["the check finds fault with an expression that is right"]
    problems += [f"the check does not see {name} that is misspelt" for name, found in seen.items() if not found]
    for kind, number in counts.items():
        print(f"{number:5} {kind}")
    print(f"{len(checker.asked):5} expressions asked of Prometheus")
    print(f"{sum(seen.values()):5} of {len(seen)} mistakes made on purpose were seen: {', '.join(seen)}")
    for name in sorted(checker.excused):
        print(f"      not evaluated: {name}: {ABSENT[name]}")
    for name in sorted(checker.indefinite):
        print(f"      NaN is let pass: {name}: {NOT_A_NUMBER[name]}")
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    print(f"{len(problems)} problems after {time.monotonic() - begun:.0f} s")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
