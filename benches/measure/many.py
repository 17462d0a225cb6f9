"""Many models at once: `make bench ARGS=--many-models` serves 200 copies of fraud-detector beside one.

CPU a request and the time of a scrape with all of them loaded, over the same with one. Requests go to one of the
copies, and in turns to all of them, since what differs from model to model is what many models could cost.
"""

import contextlib
import http.client
import re
import sys
import time

from . import load
from .load import MANY
from .models import FRAUD, link
from .page import table
from .processes import Server, tell
from .samples import Samples, shown

COUNT = 200
SCRAPES = 20
# The forms of a scrape, by the header that asks for them.
FORMS = {"text": "text/plain;version=0.0.4", "openmetrics": "application/openmetrics-text;version=1.0.0"}


def copies(models, count):
    """A root with `count` copies of the model, each under a name of its own."""
    source, root = models.paths[FRAUD], models.folder / "many"
    text = (source / "model.toml").read_text()
    for number in range(count):
        folder = root / f"fraud-{number:03}"
        (folder / "1").mkdir(parents=True)
        link(source / "1/model.onnx", folder / "1/model.onnx")
        own = re.sub(r'^name = ".*"$', f'name = "{folder.name}"', text, flags=re.MULTILINE)
        (folder / "model.toml").write_text(own)
    return root


def scrapes(server, accept):
    """Milliseconds and bytes of a scrape: the median of a few."""
    took = []
    for _ in range(SCRAPES):
        begun = time.perf_counter()
        text = server.scrape(accept)
        took.append((time.perf_counter() - begun) * 1e3)
    return {"ms": sorted(took)[SCRAPES // 2], "KB": len(text) / 1e3}


def in_turns(server, names, body, requests):
    """Server CPU a request of one connection that asks the models in turn."""
    address = server.url.removeprefix("http://")
    connection = http.client.HTTPConnection(address, timeout=60)
    before = server.cpu()
    for number in range(requests):
        path = f"/predict/{names[number % len(names)]}"
        connection.request("POST", path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        if answer.read() and answer.status != 200:
            sys.exit(f"{server.name}: {path} answers {answer.status}")
    connection.close()
    return (server.cpu() - before) / requests * 1e6


def run(binary, options, models, folder):
    """The rounds; facts and the table."""
    tell(f"many models: {COUNT} copies of {FRAUD}")
    root, samples = copies(models, COUNT), Samples()
    single = root / "fraud-000"
    with contextlib.ExitStack() as stack:
        one = Server(binary, [single], folder, name="one model")
        stack.callback(one.stop)
        all_of_them = Server(binary, [root], folder, name="many models")
        stack.callback(all_of_them.stop)
        samples.keep(("start",), {"one": one.ready_after * 1e3, "many": all_of_them.ready_after * 1e3})
        requests = max(int(options.duration * 4000), COUNT)
        body = models.bodies[FRAUD].read_bytes()
        every = [path.name for path in sorted(root.iterdir())]
        for number in range(1, options.rounds + 1):
            tell(f"round {number} of {options.rounds}")
            for who, server, names in (("one", one, every[:1]), ("many", all_of_them, every)):
                target = (f"{server.url}/predict/fraud-000", models.bodies[FRAUD])
                samples.keep((who,), load.closed(binary, server, target, MANY, options.duration))
                for form, accept in FORMS.items():
                    samples.keep((who, form), scrapes(server, accept))
                samples.keep((who, "in turns"), {"cpu": in_turns(server, names, body, requests)})
                samples.keep((who, "memory"), {"MB": server.resident() / 1e6})
    return samples.spreads(), markdown(samples)


def markdown(samples):
    """Side by side, with ratios."""
    lines = (
        ("server CPU µs a request, one model asked", ("cpu",), 1),
        ("server CPU µs a request, all models in turns, 1 connection", ("in turns", "cpu"), 1),
        ("requests/s, one model asked", ("rows",), 0),
        ("scrape as OpenMetrics, as Prometheus asks for it, ms (budget: under 20)", ("openmetrics", "ms"), 2),
        ("the same in the text format, ms", ("text", "ms"), 2),
        ("scrape as OpenMetrics, KB", ("openmetrics", "KB"), 0),
        ("resident memory, MB", ("memory", "MB"), 0),
    )
    rows = [
        [name, shown(samples.get("one", *what), digits), shown(samples.get("many", *what), digits),
         shown(samples.ratio(("many", *what), ("one", *what)), 2)]
        for name, what, digits in lines
    ]  # fmt: skip
    one, many = samples.get("start", "one"), samples.get("start", "many")
    rows.append(["start to ready, ms", shown(one, 0), shown(many, 0), f"{many[0] / one[0]:.2f}"])
    return table(["", "one model", f"{COUNT} models", "ratio"], rows)
