"""Measures this release on this machine, side by side with what it is compared with, and prints the table of budgets.

Everything that is compared is measured in every round, one after the other, so that a drift of the machine's speed
meets all of it; figures are medians over the rounds with the lowest and the highest, ratios are formed within each
round. Without one of --overload, --many-models, --grpc, --tracing and --tensors it is the whole table, at most ten minutes on two cores.
PEERS=all (or folders of benches/peers/ with commas) adds the other servers, TRITON=PROGRAM and TEI=PROGRAM the native
ones.
"""

import argparse
import os
import re
import signal
import sys
import tempfile
import time
from pathlib import Path

from . import calls, many, overload, report, rounds, tensors, tracing
from .load import has_open_loop
from .models import BERT, EMBEDDER, FRAUD, Models
from .page import keep
from .processes import tell

MINUTE = 60.0


def duration(text):
    """A duration as `bench` takes it, in seconds."""
    found = re.fullmatch(r"([\d.]+)(ms|s|m)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text} is no duration such as 300ms or 2s")
    return float(found[1]) * {"ms": 1e-3, "s": 1.0, "m": MINUTE}[found[2]]


def parsed():
    """The options; those that benches/run.sh gives are not shown."""
    parser = argparse.ArgumentParser(
        prog="benches/run.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--duration", type=duration, default=1.2, help="of each measurement of fraud-detector (1.2s)")
    parser.add_argument("--write", action="store_true", help="put the figures into docs/performance.md")
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--overload", action="store_true", help="3 and 10 times the capacity, alone")
    modes.add_argument("--many-models", action="store_true", help="200 models at once, alone")
    modes.add_argument("--grpc", action="store_true", help="gRPC beside JSON, alone")
    modes.add_argument("--tracing", action="store_true", help="what spans cost, by share and collector, alone")
    modes.add_argument("--tensors", action="store_true", help="the rates of large tensors, alone")
    parser.add_argument("--minute", type=duration, default=MINUTE, help="length of each overload (60s)")
    parser.add_argument(
        "--overload-model", choices=(EMBEDDER, BERT), action="append", help="of --overload; both without it"
    )
    parser.add_argument("--tensor-rounds", type=int, default=5, help="of large tensors")
    for name in ("release", "out", "null-server", "bare-runtime", "tensor-rates", "grpc-load"):
        parser.add_argument(f"--{name}", required=True, help=argparse.SUPPRESS)
    for name in ("otelcol", "openvino"):
        parser.add_argument(f"--{name}", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


def whole(options, folder):
    """The table of budgets."""
    bench = rounds.measure(options, Models(folder, (FRAUD, EMBEDDER, BERT)), folder)
    keep(options, "budgets", report.facts(bench), report.markdown(bench))


def overloaded(options, folder):
    """The long overload."""
    models = options.overload_model or [EMBEDDER, BERT]
    bench = rounds.Bench(options, Models(folder, models), folder)
    if not has_open_loop(bench.binary):
        sys.exit("error: this release's `bench` has no --rate, which an overload needs")
    keep(options, "overload", *overload.run(bench, options.minute, models))


def many_models(options, folder):
    """200 models."""
    binary = str(Path(options.release).resolve() / "ml-inference-api")
    keep(options, "many-models", *many.run(binary, options, Models(folder), folder))


def unary_calls(options, folder):
    """gRPC beside JSON."""
    binary = str(Path(options.release).resolve() / "ml-inference-api")
    keep(options, "grpc", *calls.run(binary, options, Models(folder), folder))


def traced(options, folder):
    """What tracing costs."""
    binary = str(Path(options.release).resolve() / "ml-inference-api")
    keep(options, "tracing", *tracing.run(binary, options, Models(folder, (FRAUD, EMBEDDER)), folder))


def large_tensors(options, _folder):
    """Large tensors."""
    library = os.environ.get("ORT_DYLIB_PATH") or str(Path(options.release) / "libonnxruntime.so")
    rates = tensors.measure(options, library)
    keep(options, "tensors", rates, tensors.markdown(rates))


def main():
    """Measures what the options ask for."""
    options, begun = parsed(), time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    mode = next(
        (mode for asked, mode in ((options.overload, overloaded), (options.many_models, many_models),
                                  (options.grpc, unary_calls), (options.tracing, traced),
                                  (options.tensors, large_tensors)) if asked),
        whole,
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="ml-inference-bench-") as folder:
        mode(options, folder)
    tell(f"done in {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
