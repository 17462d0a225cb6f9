"""Whether answers are right: the CPU's are the golden samples of every other provider, loaded and served."""

import contextlib
import json
import subprocess

from measure.models import FRAUD

from . import trt
from .copies import FEW, execution
from .lane import answers, sentence, variables
from .samples import COSINES, HALF, TOLERANCES, distance

# The CPU answers one row at a time, and runs no large batch before that.
CPU_ROWS = 2
CHECK_TIMEOUT = 600
CUDA_SECONDS, TRT_SECONDS = 10, 30


def reference(lane):
    """What the CPU answers in FP32, by model; those in FP16 are held against it too."""
    names = [name for name in lane.models.names if not name.endswith(HALF)] + [FRAUD]
    lane.tell("asking the CPU for what every other provider must answer")
    with contextlib.ExitStack() as stack:
        copies = [lane.copies.make(name, execution("cpu"), batching=CPU_ROWS) for name in names]
        server = lane.serve(stack, copies, "reference")
        found = {name: answers(server, name, lane.models.samples(name)) for name in names}
    return found | {name + HALF: found[name] for name in names if name + HALF in lane.models.names}


def golden(lane, name, told):
    """Golden samples of a model as its manifest has them."""
    tolerance = TOLERANCES[lane.models.precision(name)]
    for sample, answer in zip(lane.models.samples(name), told[name], strict=True):
        members = ("embedding",) if "embedding" in answer else ("label", "confidence")
        yield sample, {member: answer[member] for member in members}, tolerance


def loaded(lane, told, provider):
    """`ml-inference-api check` of every model on a provider, with golden samples."""
    names = [*lane.models.names, FRAUD]
    for name in names:
        what = f"{name} on {provider}: `check` with the CPU's answers as golden samples"
        seconds = TRT_SECONDS if provider == "tensorrt" else CUDA_SECONDS
        if lane.affords(what, seconds):
            lane.guarded(what, one_loaded, lane, told, provider, name, what)


def one_loaded(lane, told, provider, name, what):
    """One of them."""
    lines = trt.execution_of(lane, name, FEW) if provider == "tensorrt" else execution(provider)
    copy = lane.copies.make(name, lines, golden=golden(lane, name, told))
    done = subprocess.run(
        [lane.binary, "check", str(copy), "--format", "json"], env=variables(), capture_output=True, text=True,
        timeout=CHECK_TIMEOUT, check=False,
    )  # fmt: skip
    if not done.stdout.strip():
        lane.verdict(what, False, sentence(done.stderr))
        return
    said = json.loads(done.stdout)
    if done.returncode or not said["models"]:
        lane.verdict(what, False, "; ".join(problem["message"] for problem in said["problems"]))
        return
    model = said["models"][0]
    detail = f"{model['golden']} right within {TOLERANCES[lane.models.precision(name)]:g} on {model['device']}, "
    detail += f"loaded in {model['load_seconds']:.1f} s, warm after {model['warmup_seconds']:.1f} s more"
    lane.verdict(what, model["provider"] == provider, detail)


def served(lane, told, server, provider):
    """What a server answers, beside the CPU's answers."""
    for name in [*lane.models.names, FRAUD]:
        what = f"{name} on {provider}: served answers beside the CPU's"
        lane.guarded(what, one_served, lane, told, server, name, what)


def one_served(lane, told, server, name, what):
    """One model of them."""
    precision = lane.models.precision(name)
    found = answers(server, name, lane.models.samples(name))
    apart = [distance(mine, theirs) for mine, theirs in zip(found, told[name], strict=True)]
    furthest, lowest = max(one[0] for one in apart), min(one[1] for one in apart)
    is_good = furthest <= TOLERANCES[precision] and lowest >= COSINES[precision]
    lane.verdict(what, is_good, f"furthest {furthest:.1e}, lowest cosine {lowest:.7f}")
