"""The rounds: served beside the bare loop, saturated and alone, with TensorRT and with tracing, side by side in each."""

import contextlib

from measure import load
from measure.budgets import LEAST, MOST, Line
from measure.rounds import exported
from measure.samples import Samples

from . import plan, trt, yardstick
from .copies import execution, largest
from .lane import SKIPPED
from .samples import BERT, HALF, MINILM, RESNET

# In the order in which they are measured, and kept where time is short.
ORDER = (BERT, BERT + HALF, MINILM + HALF, RESNET + HALF, MINILM, RESNET)
TRACED = MINILM + HALF
# Requests in flight for each row of the best batch: one batch runs while the next one forms.
AHEAD, MOST_AT_ONCE, LEAST_AT_ONCE = 2, 512, 16
# Of a round: a model takes five measurements, three of them half as long, and the served ones have warm-ups.
MODEL, TRACING, ENGINE = plan.Load(3.8, 0.6), plan.Load(1.2, 0.3), plan.Load(2.2, 0.3)
# Seconds kept for what follows the rounds.
RESERVE = 110
SERVED, BARE, COPIED, TRT, BARE_TRT, ON = "ours", "bare", "bare with copies", "ours tensorrt", "bare tensorrt", "ours traced"
MANY, ONE = "many", "one"
SEARCH = "the bare loops and their best batches"


class Figures:
    """What the rounds measure, and what they gave."""

    def __init__(self, lane):
        self.lane, self.samples = lane, Samples()
        self.bare, self.measured, self.absent, self.pace = {}, [], [], None
        self.trt = None

    def prepare(self, stack, server, collector, engine):
        """Starts what is compared with the server. `engine` is the model's server on TensorRT, where there is one."""
        lane = self.lane
        names = [name for name in ORDER if name in lane.models.names]
        while len(names) > 1 and not lane.is_rehearsal and not self.pace_of(len(names), len(names)):
            self.absent.append((f"the rounds of {names[-1]}", "no time for as many rounds as a figure takes"))
            names.pop()
        self.bare = lane.guarded(SEARCH, yardstick.started, lane, stack, names) or {}
        self.server, self.traced = server, None
        if collector and TRACED in self.bare:
            copy = lane.copies.make(TRACED, execution(lane.provider), batching=largest(TRACED))
            variables = exported(collector.url, "always_on")
            self.traced = lane.guarded("the server that is traced", lane.serve, stack, [copy], "traced", variables)
        if engine:
            self.trt = (engine, lane.guarded("the bare loop on TensorRT", self.bare_trt, stack))
        self.measured = list(self.bare)
        while self.measured and not (pace := self.pace_of(len(self.measured), 0)):
            self.absent.append((f"the rounds of {self.measured[-1]}", "no time for as many rounds as a figure takes"))
            self.measured.pop()
        self.pace = pace if self.measured else None

    def pace_of(self, models, to_sweep):
        """The pace for so many models, after as many sweeps."""
        left = self.lane.clock.left() - RESERVE - to_sweep * yardstick.SWEEP_SECONDS
        return plan.pace(left, MODEL.times(models) + TRACING + ENGINE, self.lane.is_rehearsal)

    def bare_trt(self, stack):
        """The bare loop of BERT-base on TensorRT."""
        name = BERT + HALF
        bare = yardstick.Bare(self.lane, name, "tensorrt", trt.bare_options(self.lane, name))
        stack.callback(bare.stop)
        bare.ready().sweep(self.lane)
        return bare

    def run(self):
        """All rounds."""
        if not self.pace:
            self.lane.find("the rounds", SKIPPED, "there was no time for them, or nothing to compare with")
            return
        for number in range(1, self.pace.rounds + 1):
            self.lane.tell(f"round {number} of {self.pace.rounds}, {self.pace.seconds:.2f} s for each measurement")
            for name in self.measured:
                self.round(name)
            if self.traced:
                self.closed((ON, TRACED, MANY), self.traced, TRACED, self.at_once(TRACED))
            if self.trt:
                self.engine()

    def round(self, name):
        """A model, served beside its bare loop."""
        bare, seconds = self.bare[name], self.pace.seconds
        self.samples.keep((BARE, name, MANY), bare.saturated(seconds))
        self.closed((SERVED, name, MANY), self.server, name, self.at_once(name))
        self.samples.keep((BARE, name, ONE), bare.alone(seconds / 2))
        self.closed((SERVED, name, ONE), self.server, name, 1, seconds / 2)
        self.samples.keep((COPIED, name, ONE), bare.alone(seconds / 2, copies=True))

    def engine(self):
        """BERT-base on TensorRT."""
        server, bare = self.trt
        name = BERT + HALF
        if bare:
            self.samples.keep((BARE_TRT, name, MANY), bare.saturated(self.pace.seconds))
        self.closed((TRT, name, MANY), server, name, self.at_once(name))

    def at_once(self, name):
        """Requests in flight that saturate a model."""
        batch, threads = self.bare[name].best
        return min(max(batch * threads * AHEAD, LEAST_AT_ONCE), MOST_AT_ONCE)

    def closed(self, key, server, name, connections, seconds=None):
        """A closed loop, kept under its key."""
        target = (f"{server.url}/predict/{name}", self.lane.models.body(name))
        found = load.closed(self.lane.binary, server, target, connections, seconds or self.pace.seconds)
        self.samples.keep(key, found)


def lines(figures):
    """The budgets."""
    get = figures.samples
    over = lambda above, below, what: get.ratio((*above, what), (*below, what))  # noqa: E731
    for name in (BERT, BERT + HALF):
        yield Line(
            f"{name}, saturated: rows/s over the bare loop with IoBinding at its best batch",
            LEAST, 0.97, over((SERVED, name, MANY), (BARE, name, MANY), "rows"), digits=3,
        )  # fmt: skip
    for name in (BERT, BERT + HALF):
        yield Line(
            f"{name}, one request at a time: p50 over a bare run at batch 1",
            MOST, 1.05, over((SERVED, name, ONE), (BARE, name, ONE), "p50"), digits=3,
        )  # fmt: skip
    yield Line(
        f"{TRACED}, saturated, every request traced to a live collector: rows/s over untraced",
        LEAST, 0.97, over((ON, TRACED, MANY), (SERVED, TRACED, MANY), "rows"), "on / off", digits=3,
    )  # fmt: skip


def missed(figures):
    """The budgets that were not met, and those that nothing is known of."""
    found = [line.what for line in lines(figures) if line.values and line.verdict().startswith("**missed**")]
    return found + [f"{line.what} (not measured)" for line in lines(figures) if not line.values]


@contextlib.contextmanager
def running(lane, server, collector, engine):
    """The rounds, made and measured; what they compare with runs until the end of the block."""
    with contextlib.ExitStack() as stack:
        figures = Figures(lane)
        figures.prepare(stack, server, collector, engine)
        lane.guarded("the rounds", figures.run)
        yield figures
