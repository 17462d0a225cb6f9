"""What goes wrong on a card, and how the server takes it: each a line that passes or fails."""

import contextlib
import json
import re
import subprocess
import threading

from measure import load

from . import trt
from .copies import execution, largest
from .correct import one_served
from .lane import SKIPPED, answers, ask, sentence, variables
from .samples import BERT, HALF, MINILM, distance

SECONDS = 8
ABSENT_DEVICE = 99
TIGHT, ROOM = 16 << 20, 96 << 20
BURST = 256
SAME = 1e-4
GAUGES = ("gpu_memory_used_bytes", "gpu_utilization_ratio", "gpu_info")
START_TIMEOUT = 300
# What a sentence for people has none of: the runtime's own sources, and the machine's name.
RAW = re.compile("hostname=|ERRTYPE|/onnxruntime_src|be had: *$")
# A MiniLM loads quickly on any card.
SUBJECT = MINILM


def refused(lane, copy, **more):
    """Starts a server that must not start: its exit code and what it says."""
    listeners = [part for name in ("http", "grpc", "admin") for part in (f"--{name}", "127.0.0.1:0")]
    command = [lane.binary, "serve", *listeners, "--models", str(copy)]
    try:
        done = subprocess.run(
            command, env=variables(**more), capture_output=True, text=True, timeout=START_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return None, "it started, or took too long"
    return done.returncode, done.stdout + done.stderr


def without_card(lane):
    """Variables under which there is no card; in a rehearsal there is none anyway."""
    return {} if lane.is_rehearsal else {"CUDA_VISIBLE_DEVICES": "-1"}


def strict(lane):
    """A provider that can't be had, without fallback."""
    copy = lane.copies.make(SUBJECT, execution("cuda"))
    code, text = refused(lane, copy, **without_card(lane))
    is_good = code == 1 and "provider cuda can't be had" in text and not RAW.search(sentence(text))
    lane.verdict("no device, no `allow_fallback`: exit 1, with a clear sentence", is_good, f"exit {code}: {sentence(text)}")


def fallback(lane):
    """The same with fallback: served on the CPU, and said."""
    what = "no device, `allow_fallback`: served on the CPU, which is said"
    lines = ['providers = ["cuda", "cpu"]', "allow_fallback = true"]
    copy = lane.copies.make(SUBJECT, lines)
    more = without_card(lane)
    done = subprocess.run(
        [lane.binary, "check", str(copy), "--format", "json"], env=variables(**more), capture_output=True, text=True,
        timeout=START_TIMEOUT, check=False,
    )  # fmt: skip
    models = json.loads(done.stdout)["models"] if done.stdout.strip() else []
    notes = [note for model in models for note in model["notes"] if "provider cuda can't be had" in note]
    with contextlib.ExitStack() as stack:
        server = lane.serve(stack, [copy], "fallback", more)
        status, _ = ask(server, SUBJECT, lane.models.samples(SUBJECT)[0])
    is_good = status == 200 and bool(notes) and models[0]["provider"] == "cpu"
    lane.verdict(what, is_good, f"answered {status}; {notes[0] if notes else 'no note'}")


def instances(lane, told):
    """Two sessions of one model."""
    copy = lane.copies.make(SUBJECT, execution(lane.provider, "instances = 2"), batching=32)
    with contextlib.ExitStack() as stack:
        server = lane.serve(stack, [copy], "two instances")
        target = (f"{server.url}/predict/{SUBJECT}", lane.models.body(SUBJECT))
        seconds = 0.3 if lane.is_rehearsal else 1.0
        load.closed(lane.binary, server, target, 64, seconds)
        one_served(lane, told, server, SUBJECT, "two instances: answers after load")


def metrics(lane, server):
    """The card's own metrics."""
    what = "the card's metrics are in /metrics: " + ", ".join(f"`{name}`" for name in GAUGES)
    if lane.needs_card(what):
        return
    text = server.scrape()
    absent = [name for name in GAUGES if not re.search(rf"^{name}[{{ ]", text, re.MULTILINE)]
    shown = "; ".join(line for line in text.splitlines() if line.startswith("gpu_info"))
    lane.verdict(what, not absent, f"absent: {', '.join(absent)}" if absent else shown)


def device(lane):
    """A device that is not there."""
    what = "a device index that is not there: exit 1, naming how many there are"
    if lane.needs_card(what):
        return
    copy = lane.copies.make(SUBJECT, execution("cuda", device_id=ABSENT_DEVICE))
    code, text = refused(lane, copy)
    is_good = code == 1 and counts(sentence(text), lane.card.count) and not RAW.search(sentence(text))
    lane.verdict(what, is_good, f"exit {code}: {sentence(text)}")


def counts(text, count):
    """Whether a sentence says how many devices there are; versions and indices are no counts."""
    text = re.sub(rf"\d+(\.\d+)+|cuda:\d+|\b{ABSENT_DEVICE}\b", "", text)
    word = r"\b(devices?|cards?|GPUs?)\b"
    return bool(re.search(rf"\b{count}\b[^.;]*{word}|{word}[^.;]*\b{count}\b", text, re.IGNORECASE))


def small_memory(lane):
    """Less memory than the weights take."""
    what = "`gpu_mem_limit` below the weights: the load fails with a clear sentence about memory"
    if lane.needs_card(what):
        return
    code, text = refused(lane, lane.copies.make(BERT, execution("cuda", gpu_mem_limit=TIGHT)))
    is_good = code == 1 and "memory" in sentence(text).lower() and not RAW.search(sentence(text))
    lane.verdict(what, is_good, f"exit {code}: {sentence(text)}")


def crowded(lane):
    """Room for the weights and little else: a large batch may fail, the next request must not."""
    what = "`gpu_mem_limit` too small for large batches: a load that says so, or 503 at worst and the next request answered"
    if lane.needs_card(what):
        return
    limit = lane.models.facts[BERT]["weight_bytes"] * 3 // 2 + ROOM
    lines = execution("cuda", gpu_mem_limit=limit, arena_extend_strategy="kSameAsRequested")
    copy = lane.copies.make(BERT, lines, batching=largest(BERT))
    with contextlib.ExitStack() as stack:
        try:
            server = lane.serve(stack, [copy], "little memory")
        except SystemExit as end:
            lane.verdict(what, "memory" in sentence(str(end.code)).lower(), sentence(str(end.code)))
            return
        seen = burst(server, lane.models.samples(BERT)[0])
        status, answer = ask(server, BERT, lane.models.samples(BERT)[1])
    is_good = status == 200 and set(seen) <= {200, 503}
    lane.verdict(what, is_good, f"of {BURST} at once: {seen}; then {status} {answer.get('detail', '')}")


def burst(server, sample):
    """Many requests at once: how often each status came."""
    seen = {}
    lock = threading.Lock()

    def one():
        status, _ = ask(server, BERT, sample)
        with lock:
            seen[status] = seen.get(status, 0) + 1

    threads = [threading.Thread(target=one) for _ in range(BURST)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen


def graphs(lane, server):
    """CUDA graphs: the same answers as without."""
    what = "CUDA graphs: the same answers as without, twice over"
    if lane.needs_card(what):
        return
    samples = lane.models.samples(SUBJECT)
    plain = answers(server, SUBJECT, samples)
    copy = lane.copies.make(SUBJECT, execution("cuda", enable_cuda_graph=1))
    with contextlib.ExitStack() as stack:
        other = lane.serve(stack, [copy], "CUDA graphs")
        # The first run of a shape is captured, the second is replayed.
        found = [answers(other, SUBJECT, samples) for _ in range(3)]
    apart = max(distance(mine, theirs)[0] for again in found for mine, theirs in zip(again, plain, strict=True))
    lane.verdict(what, apart <= SAME, f"furthest {apart:.1e}")


def engine_cache(lane, stack):
    """TensorRT's engines are built once: a second start takes less than half as long. The second server, which goes on."""
    name = BERT + HALF
    what = f"{name} on TensorRT: a second start, with the engine in its folder, takes less than half of the first"
    if lane.needs_card(what) or not lane.affords(what, 200):
        return None
    copy = lane.copies.make(name, trt.execution_of(lane, name), batching=largest(name))
    with contextlib.ExitStack() as first_stack:
        first = lane.serve(first_stack, [copy], "TensorRT, first start").ready_after
    server = lane.serve(stack, [copy], "TensorRT")
    lane.verdict(what, server.ready_after < first / 2, f"{first:.1f} s, then {server.ready_after:.1f} s")
    return server


def all_of(lane, told, server):
    """Every one of them but the engine cache, whose server the rounds need."""
    steps = ((strict, ()), (fallback, ()), (instances, (told,)), (metrics, (server,)), (device, ()), (small_memory, ()),
             (crowded, ()), (graphs, (server,)))  # fmt: skip
    for step, more in steps:
        what = " ".join(step.__doc__.split())
        if more == (None,):
            lane.find(what, SKIPPED, "the server that is measured did not start")
        elif lane.affords(what, SECONDS):
            lane.guarded(what, step, lane, *more)
