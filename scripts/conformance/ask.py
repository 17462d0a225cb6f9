"""Serves every case at once and asks each as JSON, as binary and by gRPC; prints the table, fails on a mismatch.

    ask.py BINARY FOLDER

JSON cannot carry NaN or infinity: such a tensor travels as binary beside the others, in the
protocol's mixed form, and is counted apart; asked for as JSON after all, it must be refused with
`non_finite_output`. By gRPC every case goes raw, and with typed contents where its types have fields.
"""

import pathlib
import subprocess
import sys

import store
from calls import Calls, can_be_typed
from cases import NOT_LOADABLE
from client import Client, Refused, Wrong
from server import Server
from tensors import difference

SHOWN = 20


class Tally:
    """How many cases of one form were asked and passed."""

    def __init__(self):
        self.asked = self.passed = 0

    def count(self, is_good):
        """Notes one case."""
        self.asked += 1
        self.passed += is_good

    def __str__(self):
        share = 100 * self.passed / self.asked if self.asked else 0
        # Never 100 % unless it is.
        return f"{self.passed}/{self.asked}  {int(share * 100) / 100:g} %"


class Asking:
    """Asks cases and keeps what went wrong."""

    def __init__(self, client, calls):
        self.client, self.calls, self.failures = client, calls, []
        self.raw, self.typed = Tally(), Tally()
        self.json, self.mixed, self.refusals, self.binary = Tally(), Tally(), Tally(), Tally()

    def case(self, case, nested):
        """Asks one case in every form."""
        names = [tensor.name for tensor in case.outputs]
        odd_inputs = [tensor.name for tensor in case.inputs if not tensor.is_finite()]
        odd_outputs = [tensor.name for tensor in case.outputs if not tensor.is_finite()]
        form = "nested JSON" if nested else "flat JSON"
        good = self._matches(case, form, binary_inputs=odd_inputs, binary_outputs=odd_outputs, nested=nested)
        (self.mixed if odd_inputs or odd_outputs else self.json).count(good)
        if odd_outputs:
            self.refusals.count(self._is_refused(case, names, odd_inputs))
        everything = {"binary_inputs": [tensor.name for tensor in case.inputs], "binary_outputs": names}
        self.binary.count(self._matches(case, "binary", **everything))
        self.raw.count(self._matches(case, "gRPC raw", self.calls, raw=True))
        if case.inputs and can_be_typed(case.inputs):
            self.typed.count(self._matches(case, "gRPC typed", self.calls, raw=False))

    def _matches(self, case, form, client=None, **options):
        names = [tensor.name for tensor in case.outputs]
        try:
            found = (client or self.client).infer(case.name, case.inputs, names, **options)
        except (Refused, Wrong) as error:
            return self._fail(case, form, str(error))
        for expected, actual in zip(case.outputs, found, strict=True):
            what = difference(expected, actual)
            if what:
                return self._fail(case, form, f"{expected.name}: {what}")
        return True

    def _is_refused(self, case, names, odd_inputs):
        try:
            self.client.infer(case.name, case.inputs, names, binary_inputs=odd_inputs)
        except Refused as refused:
            if (refused.status, refused.code) == (500, "non_finite_output"):
                return True
            return self._fail(case, "JSON of what is not finite", str(refused))
        except Wrong as error:
            return self._fail(case, "JSON of what is not finite", str(error))
        return self._fail(case, "JSON of what is not finite", "answered 200")

    def _fail(self, case, form, what):
        self.failures.append(f"{case.name}, {form}: {what}")
        return False


def mebibytes(count):
    """Bytes for people."""
    return f"{count / (1 << 20):.0f} MiB"


def main(binary, folder):
    """Everything; the exit code."""
    cases = list(store.load(folder))
    package, left_out = store.summary(folder)
    loaded = package - sum(entry["reason"].startswith(NOT_LOADABLE) for entry in left_out)
    print(f"==> serving {len(cases)} models at once", file=sys.stderr)
    with Server(binary, folder / "models", folder) as server:
        ready = server.resident()
        calls = Calls(server.grpc)
        asking = Asking(Client(server.address), calls)
        for index, case in enumerate(cases):
            asking.case(case, nested=index % 2 == 1)
            if sys.stderr.isatty():
                print(f"\r    {index + 1}/{len(cases)} cases", end="", file=sys.stderr)
        after = server.resident()
        calls.close()
    if sys.stderr.isatty():
        print(file=sys.stderr)
    print("==> the same sessions in a bare Python process", file=sys.stderr)
    bare = subprocess.run(
        [sys.executable, pathlib.Path(__file__).with_name("bare.py"), folder], check=True, capture_output=True, text=True
    )
    seconds, grown = bare.stdout.split()
    rows = [
        ("cases in the package", package),
        ("loaded by the runtime", loaded),
        ("servable, served at once", len(cases)),
        ("JSON", asking.json),
        ("JSON with a tensor beside it as binary (NaN, infinity)", asking.mixed),
        ("NaN or infinity as JSON refused with non_finite_output", asking.refusals),
        ("binary", asking.binary),
        ("gRPC, raw contents", asking.raw),
        ("gRPC, typed contents (no FP16 and BF16, which have none)", asking.typed),
        ("time from start to ready", f"{server.start_seconds:.2f} s"),
        ("CPU time from start to ready", f"{server.start_cpu_seconds:.2f} s"),
        ("CPU time of the same sessions in Python, run once", f"{float(seconds):.2f} s"),
        ("resident memory when ready", mebibytes(ready)),
        ("resident memory after every case was asked", mebibytes(after)),
        ("growth of Python by the same sessions", mebibytes(int(grown))),
    ]
    for label, figure in rows:
        print(f"{label:58} {figure}")
    for failure in asking.failures[:SHOWN]:
        print(f"MISMATCH {failure}", file=sys.stderr)
    if len(asking.failures) > SHOWN:
        print(f"... and {len(asking.failures) - SHOWN} more", file=sys.stderr)
    return 1 if asking.failures or not cases else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], pathlib.Path(sys.argv[2])))
