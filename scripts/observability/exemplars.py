"""usage: exemplars.py SELECTOR [--prometheus URL] [--last SECONDS] [--most N]

The slowest exemplars of a histogram's series, with the trace that each leads to: what a dot on a dashboard is.
"""

import argparse
import json
import os
import sys
import time
import urllib.parse
import urllib.request

BESIDE = {"__name__", "job", "instance", "service", "method", "status", "le"}


def ask(url, selector, seconds):
    """Pairs of series labels and exemplar, the slowest first, each trace once."""
    now = time.time()
    query = urllib.parse.urlencode({"query": selector, "start": now - seconds, "end": now + 1})
    with urllib.request.urlopen(f"{url}/api/v1/query_exemplars?{query}", timeout=60) as answer:
        data = json.load(answer)["data"]
    pairs = [(it["seriesLabels"], exemplar) for it in data for exemplar in it["exemplars"]]
    pairs.sort(key=lambda it: -float(it[1]["value"]))
    seen = {}
    for labels, exemplar in pairs:
        seen.setdefault(exemplar["labels"].get("trace_id"), (labels, exemplar))
    return list(seen.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("selector")
    parser.add_argument("--prometheus", default=os.environ.get("PROMETHEUS", "http://localhost:9090"), help="default: $PROMETHEUS, else http://localhost:9090")
    parser.add_argument("--last", type=float, default=3600, help="seconds to look back")
    parser.add_argument("--most", type=int, default=5)
    options = parser.parse_args()
    found = ask(options.prometheus, options.selector, options.last)
    if not found:
        sys.exit("error: there is no exemplar: is the server tracing, and is --enable-feature=exemplar-storage on?")
    for labels, exemplar in found[: options.most]:
        told = " ".join(f"{name}={value}" for name, value in sorted(labels.items()) if name not in BESIDE)
        print(f"{float(exemplar['value']):10.3f} s  {exemplar['labels'].get('trace_id')}  {told}")


if __name__ == "__main__":
    main()
