"""usage: check.py

The project's own rules for .github/workflows, which actionlint and zizmor do not know or cannot: a fault is one line, and ends the
lane. mutate.py shows that each rule can fail.
"""

import re
import sys

import files
from files import FOLDER, ROOT, commands, values_of

PINNED = re.compile(r"([\w.-]+/[\w.-]+(?:/[\w./-]+)?)@([0-9a-f]{40})")
VERSION = re.compile(r"\s+# v\d+(?:\.\d+){1,2}")
DIGEST = re.compile(r".+@sha256:[0-9a-f]{64}")
LONGEST_MINUTES = 240
# Events whose workflows run with the repository's rights on what a stranger wrote.
FORBIDDEN = {"pull_request_target", "workflow_run", "issue_comment", "issues", "discussion"}
MAKE = re.compile(r"(?:^|[;&|(]|\bthen|\bdo)\s*make\s+([^\n;&|)]*)", re.MULTILINE)
SCRIPT = re.compile(r"(?<![\w./-])((?:scripts|benches|fuzz|\.ci)/[\w./-]+)")


def pins(workflows):
    """every action is pinned by a commit with its version behind it, the same everywhere; what is ours exists"""
    seen = {}
    for file in workflows.values():
        for used, rest in file.uses():
            if used.startswith("./"):
                place = ROOT / used
                if not (place.is_file() or (place / "action.yml").is_file()):
                    yield file, f"uses {used}, which does not exist"
                continue
            matched = PINNED.fullmatch(used)
            if not matched:
                yield file, f"uses {used}, which is not pinned by the 40 digits of a commit"
            elif not VERSION.fullmatch(rest):
                yield file, f"uses {used} without the version in a comment behind it"
            elif seen.setdefault(matched.group(1), used + rest) != used + rest:
                yield file, f"uses {used}{rest}, and elsewhere {seen[matched.group(1)]}"


def containers(workflows):
    """every container's image is pinned by digest, and its steps name their shell, which is not bash otherwise"""
    for file in workflows.values():
        for name, job in file.jobs.items():
            container = job.get("container")
            images = [container] if container else []
            for it in [*images, *job.get("services", {}).values()]:
                image = it if isinstance(it, str) else it.get("image", "")
                if not DIGEST.fullmatch(image):
                    yield file, f"{name}: the image {image} is not pinned by digest"
        for name, job, step in file.steps():
            if "run" in step and (job.get("container") or name == "action") and step.get("shell") != "bash":
                yield file, f"{name}: '{step['run'].splitlines()[0]}' names no 'shell: bash', which a container does not have by default"


def permissions(workflows):
    """nothing is permitted at the top; each job says what it needs, and none takes all"""
    for file in workflows.values():
        if not file.jobs:
            continue
        if file.data.get("permissions") != {}:
            yield file, "does not say 'permissions: {}' at the top"
        for name, job in file.jobs.items():
            if not isinstance(job.get("permissions"), dict):
                yield file, f"{name}: says no permissions of its own, one by one"


def timeouts(workflows):
    """every job has a limit of time"""
    for file in workflows.values():
        for name, job in file.jobs.items():
            minutes = job.get("timeout-minutes")
            if "uses" not in job and not (isinstance(minutes, int) and 0 < minutes <= LONGEST_MINUTES):
                yield file, f"{name}: has no timeout-minutes, or more than {LONGEST_MINUTES}"


def concurrency(workflows):
    """every workflow that is started by an event has a group; whatever delivers is never cancelled midway"""
    for file in workflows.values():
        if file.jobs and set(file.triggers) != {"workflow_call"} and not file.data.get("concurrency", {}).get("group"):
            yield file, "has no concurrency group"
        for name, job in file.jobs.items():
            mode = job.get("concurrency", {}).get("cancel-in-progress")
            if (job.get("environment") or "DELIVERY" in str(job.get("if"))) and "workflow_dispatch" not in file.triggers and mode is not False:
                yield file, f"{name}: delivers, and has no concurrency of its own with 'cancel-in-progress: false'"


def triggers(workflows):
    """no event runs a stranger's text with the repository's rights"""
    for file in workflows.values():
        for event in sorted(FORBIDDEN & set(file.triggers)):
            yield file, f"is started by {event}, which gives the repository's rights to what a stranger wrote"
        for name, job in file.jobs.items():
            if job.get("secrets") == "inherit":
                yield file, f"{name}: hands on all secrets"


def expressions(workflows):
    """no script has an expression inside: what it holds would be read as script"""
    for file in workflows.values():
        for name, _, step in file.steps():
            if "${{" in step.get("run", ""):
                yield file, f"{name}: '{step['run'].splitlines()[0]}' has an expression in its script: take it by env"


def credentials(workflows):
    """no checkout leaves its token for later steps"""
    for file in workflows.values():
        for name, _, step in file.steps():
            if step.get("uses", "").startswith("actions/checkout@") and (step.get("with") or {}).get("persist-credentials") is not False:
                yield file, f"{name}: the checkout does not say 'persist-credentials: false'"


def known_targets():
    """The Makefile's targets."""
    return set(re.findall(r"^([a-z0-9][a-z0-9-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def make_targets(job, step):
    """The targets that a step makes, in all runs of the matrix."""
    for script in commands(job, step):
        for words in MAKE.findall(script):
            yield from (it for it in words.replace('"', "").split() if "=" not in it and not it.startswith("-"))


def targets(workflows):
    """every `make` names targets that there are"""
    known = known_targets()
    for file in workflows.values():
        for name, job, step in file.steps():
            made = list(make_targets(job, step))
            if "make " in step.get("run", "") and not made:
                yield file, f"{name}: what '{step['run'].splitlines()[-1]}' makes cannot be told"
            for target in made:
                if target not in known:
                    yield file, f"{name}: makes '{target}', which is no target of the Makefile"


def scripts(workflows):
    """every script that a step calls is there, and can be run"""
    for file in workflows.values():
        for name, _, step in file.steps():
            for path in SCRIPT.findall(step.get("run", "")):
                place = ROOT / path
                if not place.is_file():
                    yield file, f"{name}: calls {path}, which does not exist"
                elif place.suffix != ".py" and not place.stat().st_mode & 0o100:
                    yield file, f"{name}: calls {path}, which may not be executed"


def whole_check(workflows):
    """what .ci/run checks, the pull request checks too"""
    steps = set(re.findall(r"^step (\S+)$", (ROOT / ".ci/run").read_text(encoding="utf-8"), re.MULTILINE))
    file = workflows[f"{FOLDER}/ci-cd.yml"]
    job = file.jobs["test"]
    made = {target for step in job["steps"] for target in make_targets(job, step)}
    if missing := steps - made:
        yield file, f"test: does not make {', '.join(sorted(missing))}, which .ci/run does"
    if job.get("if") or not {"push", "pull_request"} <= set(file.triggers):
        yield file, "test: does not run for every push and pull request"
    if len(values_of(job, "lane")) != len(values_of(job, "targets")):
        yield file, "test: a lane has no targets"


def delivery(workflows):
    """exactly one way of delivery runs, after the build, and its own commit starts no new one"""
    file = workflows[f"{FOLDER}/ci-cd.yml"]
    ways = {name: re.sub(r"\s+", " ", str(job.get("if"))) for name, job in file.jobs.items() if "vars.DELIVERY" in str(job.get("if"))}
    # Of two conditions that differ in == and != alone exactly one holds, where either holds at all.
    operators = sorted(re.findall(r"vars\.DELIVERY (\S+) 'push'", " ".join(ways.values())))
    rest = {re.sub(r"vars\.DELIVERY \S+ 'push'", "", it) for it in ways.values()}
    if operators != ["!=", "=="] or len(ways) != 2:
        yield file, f"not exactly one way of delivery runs for each value of DELIVERY: {ways}"
    elif len(rest) != 1:
        yield file, f"the ways of delivery have other conditions beside DELIVERY: {ways}"
    for name in ways:
        if file.jobs[name].get("needs") != "build":
            yield file, f"{name}: delivers without the build"
    if "deploy/gitops/environments/*/image.yaml" not in (file.triggers.get("push") or {}).get("paths-ignore", []):
        yield file, "a push of what the delivery wrote itself starts a new delivery, without end"


RULES = [
    pins, containers, permissions, timeouts, concurrency, triggers, expressions, credentials, targets, scripts, whole_check, delivery,
]  # fmt: skip


def faults(workflows):
    """All that is wrong: the rule and a sentence."""
    return [(rule.__name__, f"{file.path}: {sentence}") for rule in RULES for file, sentence in rule(workflows)]


def main():
    workflows = files.load()
    found = faults(workflows)
    for rule, sentence in found:
        print(f"error: {sentence} ({rule})", file=sys.stderr)
    if found:
        sys.exit(1)
    print(f"{len(workflows)} workflows and actions hold {len(RULES)} rules: " + ", ".join(it.__name__.replace("_", " ") for it in RULES))


if __name__ == "__main__":
    main()
