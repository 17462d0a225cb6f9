"""usage: calculator.py

Checks capacity.py: the examples of docs/capacity.md are its real output, its arithmetic holds for random inputs, and what cannot be
is refused. Called by check.sh.
"""

import contextlib
import io
import random
import re
import shlex
import sys
from math import ceil
from pathlib import Path

import capacity

PAGE = Path("docs/capacity.md")
EXAMPLE = re.compile(r"```sh\nscripts/operations/capacity\.py ([^\n]*)\n```\n\n```\n(.*?)\n```", re.S)
RANDOM_CASES = 2000
REFUSED = (
    "--rate 0 --per-replica 1", "--rate 1 --per-replica 0", "--rate 1 --per-replica 1 --utilisation 1", "--per-replica 1", "--rate x --per-replica 1",
    "--rate 1 --per-replica 1 --zones 0", "--rate 1 --per-replica 1 --price -1", "--rate 1 --per-replica 1 --cores 9",
)  # fmt: skip


def printed(arguments):
    """What the calculator prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        capacity.main(shlex.split(arguments))
    return out.getvalue().rstrip()


def problems_of_page(text):
    """Examples that the page shows otherwise than they are."""
    found = EXAMPLE.findall(text)
    if len(found) < 3:
        yield f"{PAGE} has {len(found)} examples"
    for arguments, shown in found:
        if printed(arguments) != shown:
            yield f"{PAGE}: 'capacity.py {arguments}' prints other than is shown:\n{printed(arguments)}"


def problems_of_arithmetic():
    """Random loads, whose number of replicas must satisfy each rule, and be the smallest that does."""
    chance = random.Random(42)
    for _ in range(RANDOM_CASES):
        rate, each, zones, spare = chance.uniform(1, 9999), chance.uniform(1, 999), chance.randint(1, 5), chance.randint(0, 3)
        options = capacity.parsed(shlex.split(f"--rate {rate} --per-replica {each} --zones {zones} --spare {spare} --fewest 1"))
        count = list(capacity.replicas(options))[-1][3]
        for number, wanted in ((count, True), (count - 1, False)):
            holds = (number - spare) * each * 0.7 >= rate
            holds = holds and (zones == 1 or (number - ceil(number / zones)) * each >= rate)
            if holds != wanted:
                yield f"{number} replicas: {'too few' if wanted else 'would do'} for {options}"


def problems_of_refusals():
    """What cannot be and is taken."""
    for arguments in REFUSED:
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                printed(arguments)
            yield f"'{arguments}' was taken"
        except SystemExit as ending:
            if not ending.code:
                yield f"'{arguments}' ended as if all were well"
    if "min(70, 50)" not in printed("--rate 100 --per-replica 100 --within-p99 50"):
        yield "--within-p99 is of no effect"


def main():
    """All problems; a page with another digit must be one."""
    text = PAGE.read_text()
    problems = [*problems_of_page(text), *problems_of_arithmetic(), *problems_of_refusals()]
    spoilt = text.replace("cost of a million", "cost of a millions", 1)
    if not list(problems_of_page(spoilt)):
        problems.append("an example that is not the output was not seen")
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    print(f"capacity: {len(EXAMPLE.findall(text))} examples are its output, {RANDOM_CASES} random loads, {len(REFUSED)} refusals")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
