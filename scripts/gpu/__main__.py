"""Walks every check on the card, writes the table, and ends with 0 only when all of it passed.

The runner is scripts/gpu/check.sh, which sets up what this needs.
"""

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

from measure import processes
from measure.models import FRAUD
from measure.page import write_page
from measure.processes import Collector

from . import card, correct, figures, libraries, plan, report, robust, where
from .copies import Copies, execution, largest
from .figures import BARE, COPIED, ONE
from .lane import ABSENT, FAIL, SKIPPED, Lane
from .runtime import Runtime
from .samples import BERT, HALF, RESNET, Models

PAGE = Path("docs/performance-gpu.md")
# Seconds after the last minute until whatever still runs is given up.
GRACE = 20
PROFILED = (BERT + HALF, RESNET + HALF)
PROFILE_SECONDS = 8


def parsed():
    """The options; those that check.sh gives are not shown."""
    parser = argparse.ArgumentParser(prog="make gpu-check", description=__doc__.splitlines()[0])
    parser.add_argument("--rehearse", action="store_true", help="walk it on the CPU, which takes the card's place")
    parser.add_argument("--minutes", type=float, default=8.0, help="how long it may take (8)")
    for name in ("binary", "library", "folder", "models", "out", "command"):
        parser.add_argument(f"--{name}", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--otelcol", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


def has_tensorrt(lane):
    """Whether TensorRT is there; a check that says no where it is not."""
    what = "TensorRT"
    if lane.needs_card(what):
        return False
    if libraries.tensorrt(lane.options.folder):
        return True
    lane.find(what, ABSENT, "its libraries are not there: scripts/tools/tensorrt.sh")
    return False


def walk(lane, stack):
    """Every step; the figures and where the time goes."""
    told = lane.guarded("what the CPU answers", correct.reference, lane)
    if told is None:
        return None, {}
    correct.loaded(lane, told, lane.provider)
    is_there = has_tensorrt(lane)
    made, places = measured(lane, stack, told, is_there)
    if is_there:
        correct.loaded(lane, told, "tensorrt")
    return made, places


def measured(lane, stack, told, is_there):
    """What needs the server that is measured, and then what goes wrong."""
    lane.tell("starting the server that is measured")
    copies = [lane.copies.make(name, execution(lane.provider), batching=largest(name)) for name in lane.models.names]
    copies += [lane.copies.make(FRAUD, execution(lane.provider))]
    server = lane.guarded("the server that is measured", lane.serve, stack, copies, "measured")
    if server is None:
        robust.all_of(lane, told, server)
        return None, {}
    correct.served(lane, told, server, lane.provider)
    engine = lane.guarded("the engine cache", robust.engine_cache, lane, stack) if is_there else None
    if engine:
        correct.one_served(lane, told, engine, BERT + HALF, f"{BERT + HALF} on tensorrt: served answers beside the CPU's")
    collector = lane.guarded("the Collector", collecting, lane, stack) if lane.options.otelcol else None
    with figures.running(lane, server, collector, engine) as made:
        places = spent(lane, made)
    robust.all_of(lane, told, server)
    return made, places


def collecting(lane, stack):
    """A Collector that ends with the stack."""
    collector = Collector(lane.options.otelcol, lane.folder)
    stack.callback(collector.stop)
    return collector


def spent(lane, made):
    """Where the time goes, for the models that are worth it."""
    places = {}
    for name in PROFILED:
        for batch in sorted({1, made.bare[name].best[0]}) if name in made.measured else ():
            what = f"where the time of {name} goes at batch {batch}"
            if not lane.affords(what, PROFILE_SECONDS):
                continue
            profile = lane.guarded(what, where.profiled, lane, name, batch)
            nsys = lane.guarded(f"{what}, by nsys", where.traced, lane, name, batch)
            if profile:
                places[(name, batch)] = (profile, nsys, copies(made, name) if batch == 1 else "")
    return places


def copies(made, name):
    """What handing inputs over and taking outputs back adds to a run, in milliseconds."""
    added = made.samples.difference((COPIED, name, ONE, "p50"), (BARE, name, ONE, "p50"))
    return report.shown(added, 3) if added else ""


def failures(lane, made):
    """What failed, by name, and what there was no time for; a rehearsal judges no budget."""
    found = [finding.what for finding in lane.findings if finding.state == FAIL]
    found += [f"{finding.what} (not measured)" for finding in lane.findings if finding.state == SKIPPED]
    if made and not lane.is_rehearsal:
        found += figures.missed(made)
    return found


def keep(lane, made, text):
    """Writes what was found beside the build, and into the page when it is no rehearsal."""
    out = Path(lane.options.out)
    out.mkdir(parents=True, exist_ok=True)
    name = "rehearsal" if lane.is_rehearsal else "gpu-check"
    facts = {
        "findings": [vars(finding) for finding in lane.findings],
        "figures": made.samples.spreads() if made else {},
        "best": {name: bare.best for name, bare in made.bare.items()} if made else {},
    }
    (out / f"{name}.json").write_text(json.dumps(facts, indent=2))
    (out / f"{name}.md").write_text(text + "\n")
    if not lane.is_rehearsal:
        write_page("gpu", text, PAGE)
    print(text, flush=True)


def out_of_time(*_):
    """Gives up what still runs; the step that it is in fails, and what comes after it finds no time."""
    raise TimeoutError("the time was up")


def main():
    """Walks it."""
    options = parsed()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    processes.PATIENCE = options.minutes * 60
    try:
        found = None if options.rehearse else card.find()
    except card.NoCard as reason:
        sys.exit("error: " + card.HELP.format(reason=reason))
    versions = libraries.versions(options.folder, Runtime(options.library).version)
    # Beside the models where that can be: their copies are links then.
    beside = Path(options.models).parent
    place = beside if os.access(beside, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix=".gpu-check-", dir=place) as folder, contextlib.ExitStack() as stack:
        scratch = Path(folder)
        signal.signal(signal.SIGALRM, out_of_time)
        signal.alarm(int(options.minutes * 60 + GRACE))
        models = Models(options.models, scratch)
        lane = Lane(options, models, Copies(models, scratch), scratch, plan.Clock(options.minutes), found)
        made, places = walk(lane, stack)
        signal.alarm(0)
        text = report.markdown(lane, made, places, versions, options.command)
    keep(lane, made, text)
    failed = failures(lane, made)
    if failed:
        sys.exit("error: gpu-check found:\n" + "\n".join(f"  {what}" for what in failed))
    print("gpu-check: " + ("the rehearsal went through" if lane.is_rehearsal else "everything passed"), file=sys.stderr)


if __name__ == "__main__":
    main()
