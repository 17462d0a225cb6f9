#!/usr/bin/env python3
"""Asks Prometheus what is left of the error budget, for a pipeline to ask before it deploys: docs/slo.md#a-gate.

Exit code: 0 some is left, 1 it is spent (or below --least), 2 it cannot be told: Prometheus does not answer, or has no such series.
"""

import argparse
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request

LEFT, SPENT, UNKNOWN = 0, 1, 2
SECONDS = 20


def parser():
    """The options."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("prometheus", help="its address, such as http://prometheus:9090; PROMETHEUS_TOKEN, if it is set, goes along as bearer")
    options.add_argument("--service", default="ml-inference-api")
    options.add_argument("--model", help="the budgets of this model, for one of its versions, in place of the service's")
    options.add_argument("--least", type=float, default=0.0, help="share that must be left; 0.1 for risky changes (0)")
    options.add_argument("--exception", metavar="REASON", help="a change that makes the service more reliable, a security fix, or what cannot be told: passes, and says why")
    return options


def asked(address, query):
    """The value of an instant query of one series; None where there is none."""
    headers = {"authorization": f"Bearer {os.environ['PROMETHEUS_TOKEN']}"} if os.environ.get("PROMETHEUS_TOKEN") else {}
    url = f"{address.rstrip('/')}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=SECONDS) as answer:
        result = json.load(answer)["data"]["result"]
    values = [float(it["value"][1]) for it in result]
    # NaN is a window without traffic: nothing was spent, and nothing is known.
    values = [it for it in values if it == it]
    return min(values) if values else None


def budgets(options):
    """Name and what is left of it, for both objectives."""
    prefix, labels = "slo:", {"service": options.service}
    if options.model:
        prefix, labels = "slo:model_", labels | {"model": options.model}
    matchers = ", ".join(f"{key}={json.dumps(value)}" for key, value in labels.items())
    for slo in ("availability", "latency"):
        yield slo, asked(options.prometheus, f"{prefix}{slo}_budget_remaining:ratio_30d{{{matchers}}}")


def unknown(options, why):
    """It cannot be told; a person may let it pass."""
    if options.exception:
        print(f"{why}; let pass: {options.exception}")
        return LEFT
    print(f"error: {why}", file=sys.stderr)
    return UNKNOWN


def main():
    """The exit code."""
    options = parser().parse_args()
    try:
        found = dict(budgets(options))
    except (OSError, ValueError, KeyError) as error:
        return unknown(options, f"{options.prometheus} gives no answer: {getattr(error, 'reason', error)}")
    for slo, left in found.items():
        print(f"{slo}: {'no series' if left is None else f'{left:.1%} of the budget of 30 days left'}")
    if found["availability"] is None:
        return unknown(options, "Prometheus has no budget of this name: is the rule slo-budget.yml loaded, and is there traffic?")
    # Below nothing, or below what is asked for: exactly nothing left is not overspent.
    spent = [slo for slo, left in found.items() if left is not None and left < options.least]
    if not spent:
        return LEFT
    if options.exception:
        print(f"{' and '.join(spent)} below {options.least:.0%}; let pass: {options.exception}")
        return LEFT
    print(f"error: {' and '.join(spent)} below {options.least:.0%}: only what makes the service more reliable goes out (docs/slo.md)", file=sys.stderr)
    return SPENT


if __name__ == "__main__":
    sys.exit(main())
