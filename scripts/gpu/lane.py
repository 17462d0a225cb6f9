"""What every step of the check shares: the programs, the provider in question, the time, and what was found."""

import json
import re
import sys
import traceback
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from measure.processes import Server, environment

PASS, FAIL, CARD, SKIPPED, ABSENT = "PASS", "**FAIL**", "needs a card", "not measured", "not there"
ANSWER_TIMEOUT = 120
# Of a detail, in the table.
LONGEST = 400


@dataclass
class Finding:
    """A line of the table of checks."""

    what: str
    state: str
    detail: str = ""


@dataclass
class Lane:
    """The run."""

    options: object
    models: object
    copies: object
    folder: Path
    clock: object
    card: object
    findings: list = field(default_factory=list)

    @property
    def is_rehearsal(self):
        """Whether the CPU stands in for the card."""
        return self.card is None

    @property
    def provider(self):
        """The provider in question."""
        return "cpu" if self.is_rehearsal else "cuda"

    @property
    def binary(self):
        """The server's program."""
        return self.options.binary

    def tell(self, text):
        """One line of progress, with the time that is left."""
        print(f"gpu-check: {text} ({max(self.clock.left(), 0):.0f} s left)", file=sys.stderr, flush=True)

    def find(self, what, state, detail=""):
        """Keeps a finding, and says it."""
        finding = Finding(what, state, " ".join(str(detail).split())[:LONGEST])
        self.findings.append(finding)
        self.tell(f"{state.strip('*')}: {what}{': ' + finding.detail[:300] if finding.detail else ''}")

    def verdict(self, what, is_good, detail=""):
        """A finding that is good or not."""
        self.find(what, PASS if is_good else FAIL, detail)

    def needs_card(self, what):
        """Says that a rehearsal leaves this out; whether it is one."""
        if self.is_rehearsal:
            self.find(what, CARD)
        return self.is_rehearsal

    def affords(self, what, seconds):
        """Whether there is time for it; says so where there is not."""
        if self.is_rehearsal or self.clock.affords(seconds):
            return True
        self.find(what, SKIPPED, f"{max(self.clock.left(), 0):.0f} s were left, and it takes about {seconds:.0f}")
        return False

    def guarded(self, what, step, *arguments):
        """Runs a step; one that breaks is a failed check, and the rest goes on. What it gives, else none."""
        try:
            return step(*arguments)
        except SystemExit as end:
            self.find(what, FAIL, sentence(str(end.code)))
        except Exception as error:  # noqa: BLE001
            traceback.print_exc()
            self.find(what, FAIL, f"{type(error).__name__}: {error}")
        return None

    def serve(self, stack, copies, name, variables=None):
        """A server of the copies that ends with the stack."""
        server = Server(self.binary, copies, self.folder, variables, name)
        stack.callback(server.stop)
        return server


def sentence(text):
    """The line of a program's output that says what was wrong."""
    lines = [line for line in text.splitlines() if line.strip()] or ["nothing"]
    telling = [line for line in lines if re.search("can't|error|memory|device|BAD", line, re.IGNORECASE)]
    last = (telling or lines)[-1]
    try:
        return str(json.loads(last).get("message", last))
    except (ValueError, AttributeError):
        return last[-LONGEST:]


def ask(server, name, sample):
    """Status and answer of a prediction."""
    body = json.dumps(sample).encode()
    request = urllib.request.Request(f"{server.url}/predict/{name}", body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")


def answers(server, name, samples):
    """The answers to samples, all of which must be answered."""
    found = []
    for sample in samples:
        status, answer = ask(server, name, sample)
        if status != 200:
            raise RuntimeError(f"{name} answers {status}: {answer.get('detail', answer)}")
        found.append(answer)
    return found


def variables(**more):
    """The environment of a program of ours."""
    return environment(more)
