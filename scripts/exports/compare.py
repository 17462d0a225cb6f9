"""Serves every fixture of tests/fixtures/exports/ with no configuration and compares each answer with Python's.

compare.py BINARY [--write] [NAME...]: a line for each fixture; ends with 1 on any difference. A fixture is a folder
with cases.json (scripts/exports/fixture.py has its form) and the model. With --write the table of docs/models.md is
written. Needs nothing but the standard library.
"""

import argparse
import http.client
import json
import math
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import table
from server import Server, check

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "fixtures" / "exports"
MOST_TOLD = 5


@dataclass
class Verdict:
    """What came of one fixture."""

    name: str
    fixture: dict
    problems: list = field(default_factory=list)
    largest: float = 0.0  # difference, absolute or relative, whichever is smaller
    answers: list = field(default_factory=list)


def fixtures(wanted):
    """{name: cases.json} of all fixtures, or of the wanted ones."""
    found = {
        path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*/cases.json"))
    }
    bare = {path.name for path in FOLDER.iterdir() if path.is_dir() and not path.name.startswith(".")} - set(found)
    if bare or not found:
        sys.exit(f"error: {', '.join(sorted(bare)) or FOLDER} has no cases.json")
    if set(wanted) - set(found):
        sys.exit(f"error: no fixture is named {', '.join(sorted(set(wanted) - set(found)))}")
    return {name: found[name] for name in found if not wanted or name in wanted}


def body_of(case, folder):
    """The bytes of a request."""
    if "body_file" in case:
        return (folder / case["body_file"]).read_bytes()
    body = case["body"]
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def is_number(value):
    """Whether it is a JSON number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def differences(expected, answer, verdict, at=""):
    """Holds the members of `expected` against `answer`."""
    if isinstance(expected, dict) and isinstance(answer, dict):
        for key, value in expected.items():
            if key in answer:
                differences(value, answer[key], verdict, f"{at}/{key}")
            else:
                verdict.problems.append(f"{at}/{key} is missing")
    elif isinstance(expected, list) and isinstance(answer, list) and len(expected) == len(answer):
        for index, (one, other) in enumerate(zip(expected, answer, strict=True)):
            differences(one, other, verdict, f"{at}/{index}")
    elif is_number(expected) and is_number(answer):
        absolute = abs(expected - answer)
        difference = min(absolute, absolute / abs(expected) if expected else math.inf)
        verdict.largest = max(verdict.largest, difference)
        if not difference <= verdict.fixture["tolerance"]:
            verdict.problems.append(f"{at}: {answer} instead of {expected}")
    elif type(expected) is not type(answer) or expected != answer:
        verdict.problems.append(f"{at}: {json.dumps(answer)[:200]} instead of {json.dumps(expected)[:200]}")


def ask(server, verdict):
    """Posts every case of a fixture."""
    for index, case in enumerate(verdict.fixture["cases"]):
        body = body_of(case, FOLDER / verdict.name)
        try:
            status, answer = server.predict(verdict.name, body, case["content_type"])
        except (OSError, http.client.HTTPException, ValueError) as error:
            sys.exit(f"error: {verdict.name}, case {index}: no answer in JSON: {error}")
        verdict.answers.append(answer)
        if status != case.get("status", 200):
            verdict.problems.append(f"case {index}: {status} {answer.get('code')}: {answer.get('detail')}")
        else:
            differences(case["expected"], answer, verdict, f"case {index}")


def described(verdict, entry):
    """Holds what `check` says of a good model against the fixture."""
    task = verdict.fixture["task"]
    if entry["task"] != task:
        verdict.problems.append(f"served as {entry['task']} instead of {task}")
    said = "\n".join([*entry["notes"], entry["batchable_reason"]])
    verdict.problems += [
        f"check does not say {note!r}" for note in verdict.fixture.get("notes", []) if note not in said
    ]


def compare(binary, wanted):
    """The verdicts, and what the bad ones that no name is given for are."""
    verdicts = {name: Verdict(name, fixture) for name, fixture in fixtures(wanted).items()}
    paths = {name: FOLDER / name / verdict.fixture["path"] for name, verdict in verdicts.items()}
    good, bad = check(binary, paths)
    for name, verdict in verdicts.items():
        verdict.problems += bad.pop(name, [])
        if name in good:
            described(verdict, good[name])
        elif not verdict.problems:
            verdict.problems.append("check does not know it")
    others = [f"{name}: {message}" for name, messages in bad.items() for message in messages]
    if good:
        with (
            tempfile.TemporaryDirectory() as folder,
            Server(binary, {name: paths[name] for name in good}, folder) as server,
        ):
            for name in good:
                ask(server, verdicts[name])
    return list(verdicts.values()), others


def told(verdict):
    """The problems of a fixture, the first few of many."""
    lines = [f"{verdict.name}: {problem}" for problem in verdict.problems]
    more = len(lines) - MOST_TOLD
    return lines if more <= 0 else [*lines[:MOST_TOLD], f"{verdict.name}: and {more} more"]


def main():
    """Compare, print, write; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("binary", metavar="BINARY")
    parser.add_argument("names", nargs="*", metavar="NAME", help="ask only these fixtures")
    parser.add_argument("--write", action="store_true", help="write the table of docs/models.md")
    arguments = parser.parse_args()
    if arguments.write and arguments.names:
        parser.error("--write needs all fixtures")
    verdicts, others = compare(arguments.binary, arguments.names)
    print(table.as_text(verdicts))
    for line in [*others, *(line for verdict in verdicts for line in told(verdict))]:
        print(f"DIFFERENT {line}")
    wrong = sum(1 for verdict in verdicts if verdict.problems)
    print(f"{len(verdicts) - wrong} of {len(verdicts)} exports answer as Python does")
    if wrong or others:
        return 1
    if arguments.write:
        table.write(ROOT / "docs" / "models.md", verdicts)
        print("docs/models.md: the table of exports is written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
