"""usage: documents.py

Checks what docs/ says of operations: every alert's runbook names a command that there is, or says why there is none; every command of
scripts/runbooks and scripts/operations that a page shows is taken by its program; every test that docs/self-healing.md names is there;
the table of levels in docs/slo.md is computed; docs/from-the-brief.md has a row for every block of the brief. Each check is shown to
see a page that was spoilt. Called by scripts/observability/check.sh, which needs no server for it.
"""

import argparse
import contextlib
import io
import re
import shlex
import sys
from pathlib import Path

ROOT = Path("scripts")
sys.path += [str(ROOT), str(ROOT / "observability"), str(ROOT / "operations")]

import budget  # noqa: E402
import rules  # noqa: E402
import runbooks.__main__ as runbook  # noqa: E402

RULES = Path("deploy/observability/rules")
COMMAND = re.compile(r"scripts/runbooks/run\.sh ([^`\n#|<]+)")
GATE = re.compile(r"scripts/operations/budget\.py ([^`\n#|]+)")
NONE = "**No automation:** "
# In a line of a page a number, a place, or a name of the reader's.
STANDS_FOR = {"N": "5", "NAME": "restart-pod POD", "HOST:PORT": "localhost:8443"}
BRIEF = (
    "`ci-cd.yml`", "Argo `Rollout`", "GitOps", "`main.tf`", "`deployment.yaml`", "`hpa.yaml`", "`values.yaml`", "`prometheus-rules.yaml`",
    "`instrumentation.py`", "SLO table", "error budget", "toil", "`train.py`", "`ml-pipeline.yaml`", "`Dockerfile`", "`rbac.yaml`",
    "`vault_client.py`", "`network-policy.yaml`", "incident process", "post-mortem",
)  # fmt: skip
MINUTES = 30 * 24 * 60
LEVEL = re.compile(r"^\| \**([\d.]+) %\** \| \**([^|*(]+?)\** *(?:\([^)]*\))? \|", re.M)
LONG = {"d": 1440, "h": 60, "min": 1, "s": 1 / 60}


def pages():
    """Every page of docs/ with its text."""
    return {str(it): it.read_text() for it in sorted(Path("docs").rglob("*.md"))}


def section(text, anchor):
    """A section of a page, up to the next of its rank."""
    parts = re.split(r"^## (.*)$", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2])).get(anchor, "")


def names():
    """The names of all remedies."""
    actions = next(it for it in runbook.parser()._actions if isinstance(it, argparse._SubParsersAction))
    return set(actions.choices)


def problems_of_alerts(texts):
    """Alerts whose runbook has neither a command nor the reason why not; remedies that no alert leads to."""
    alerts = {rule["alert"]: rule["annotations"]["runbook_url"] for file in sorted(RULES.glob("*.yml")) for rule in rules.read(file) if "alert" in rule}
    used = set()
    for alert, url in sorted(alerts.items()):
        page = url.partition("#")[0]
        own = section(texts[page], alert)
        found = {it.split()[0] for it in COMMAND.findall(own)}
        used |= found
        if not found and not re.search(re.escape(NONE) + r"\w.{10,}", own):
            yield f"{page}: {alert} names no command of scripts/runbooks/run.sh, and does not say why ('{NONE}reason')"
    for name in sorted(names() - used):
        yield f"no alert's runbook names the remedy {name}"
    if len(alerts) < 20:
        yield f"only {len(alerts)} alerts were found"


def taken(parse, arguments):
    """What a program says against arguments; None where it takes them."""
    words = " ".join(STANDS_FOR.get(it, it) for it in arguments.split())
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            parse(shlex.split(words))
    except SystemExit as ending:
        return None if ending.code == 0 else said.getvalue().strip().splitlines()[-1]
    return None


def problems_of_commands(texts):
    """Commands that their programs do not take."""
    count = 0
    for page, text in texts.items():
        for pattern, parse in ((COMMAND, runbook.parser().parse_args), (GATE, budget.parser().parse_args)):
            for arguments in pattern.findall(text):
                count += 1
                if said := taken(parse, arguments.strip()):
                    yield f"{page}: '{arguments.strip()}' is not taken: {said}"
    if count < 20:
        yield f"only {count} commands were found in docs/"


def known_tests():
    """The names of the functions of Rust's sources and tests, and of e2e's scenarios."""
    found = set()
    for file in [*Path("src").rglob("*.rs"), *Path("tests").rglob("*.rs")]:
        found |= set(re.findall(r"^\s*(?:async )?fn (\w+)\(", file.read_text(), re.M))
    for file in Path("scripts/e2e/scenarios").glob("*.py"):
        found |= set(re.findall(r"^@(?:scenario|by_name)\ndef (\w+)\(", file.read_text(), re.M))
    return found


def problems_of_healing(texts):
    """Tests that docs/self-healing.md names and that are not there."""
    page = "docs/self-healing.md"
    rows = re.findall(r"^\|.*\| ([^|]*) \|$", section(texts[page], "Self-healing"), re.M)
    cells = [set(re.findall(r"`([\w-]+)`", it)) for it in rows if it != "test"]
    if len(cells) < 15:
        yield f"{page} has only {len(cells)} faults"
    known = known_tests()
    for cell in cells:
        if not cell:
            yield f"{page}: a fault has no test"
        yield from (f"{page}: there is no test {it}" for it in sorted(cell) if it.replace("-", "_") not in known)


def problems_of_levels(texts):
    """Rows of the table of levels that are not what the share of 30 days is, to the last unit that is shown."""
    page = "docs/slo.md"
    rows = LEVEL.findall(section(texts[page], "Error budget"))
    if len(rows) < 5:
        yield f"{page} has only {len(rows)} levels"
    for level, shown in rows:
        parts = re.findall(r"([\d.]+) (d|h|min|s)\b", shown)
        minutes = sum(float(number) * LONG[unit] for number, unit in parts)
        exact = (100 - float(level)) / 100 * MINUTES
        if not parts or abs(minutes - exact) > LONG[parts[-1][1]] / 2:
            yield f"{page}: {level} % of 30 days leave {exact:.4g} min, and the table says {shown}"


def problems_of_brief(texts):
    """Blocks of the brief that have no row."""
    page = "docs/from-the-brief.md"
    rows = re.findall(r"^\| ([^|]+) \|", texts[page], re.M)
    yield from (f"{page} has no row for {it}" for it in BRIEF if not any(row.startswith(it) for row in rows))
    yield from (f"{page}: '{it}' is said to be missing" for it in re.findall(r"not there yet", texts[page]))


CHECKS = (problems_of_alerts, problems_of_commands, problems_of_healing, problems_of_levels, problems_of_brief)
# For each check a page, a text of it, and what stands there when it is spoilt.
SPOILT = (
    (problems_of_alerts, "docs/runbooks/stuck.md", "scripts/runbooks/run.sh", "scripts/run.sh"),
    (problems_of_alerts, "docs/runbooks/gpu.md", NONE, "No: "),
    (problems_of_commands, "docs/runbooks/capacity.md", "run.sh scale-out", "run.sh scale-in"),
    (problems_of_commands, "docs/slo.md", "--least 0.1", "--most 0.1"),
    (problems_of_healing, "docs/self-healing.md", "`lost_spans_are_counted`", "`lost_spans_are_found`"),
    (problems_of_healing, "docs/self-healing.md", "`keda_queries`, `scale_by_requests`", "none"),
    (problems_of_levels, "docs/slo.md", "7 h 12 min", "7 h 18 min"),
    (problems_of_levels, "docs/slo.md", "| 26 s |", "| 27 s |"),
    (problems_of_brief, "docs/from-the-brief.md", "| `vault_client.py` |", "| |"),
)


def main():
    """All problems."""
    texts = pages()
    problems = [it for check in CHECKS for it in check(texts)]
    for check, page, right, wrong in SPOILT:
        if right not in texts[page]:
            problems.append(f"{page} has no '{right}', so that nothing could be spoilt")
        elif not set(check(texts | {page: texts[page].replace(right, wrong)})) - set(problems):
            problems.append(f"{check.__name__} does not see {page} with '{wrong}' in place of '{right}'")
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    print(f"operations: {len(names())} remedies, {len(SPOILT)} spoilt pages seen; alerts, commands, tests, levels and the brief's blocks agree" if not problems else f"{len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
