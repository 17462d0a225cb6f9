"""Runs OpenTofu's own `validate` and `test` over every folder of deploy/terraform, in copies as scratch.py makes them, and plans each
good set of values of refusals.yaml, which gives every argument to the modules' types. Proves that they refuse: each of spoilt.yaml is
one change that must be named. Called by check.sh.
"""

import json
import re
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml
from hcl import end_of_block
from scratch import FOLDERS, Scratch, run_tofu, squeezed

CASES = yaml.safe_load((Path(__file__).parent / "refusals.yaml").read_text())
SPOILT = yaml.safe_load((Path(__file__).parent / "spoilt.yaml").read_text())


def write_given(folder, cases):
    """A test of its own for the good sets of values: with the mocked providers of the folder's tests, but with no module left out."""
    text = next(folder.glob("tests/*.tftest.hcl")).read_text()
    mocks = [text[it.start() : end_of_block(text, it.end())] for it in re.finditer(r'^mock_provider "\w+" \{', text, re.M)]
    runs = []
    for number, values in enumerate(cases):
        given = "\n".join(f"{name} = {json.dumps(value)}" for name, value in values.items())
        runs.append(f'run "good_{number}" {{\ncommand = plan\nvariables {{\n{given}\n}}\n}}')
    (folder / "given").mkdir()
    (folder / "given/given.tftest.hcl").write_text("\n".join([*mocks, *runs]))


def passed(folder, *arguments):
    """(number of tests that pass, what is wrong)."""
    done = run_tofu(folder, "test", *arguments)
    count = sum(line.startswith("  run ") and line.endswith("... pass") for line in done.stdout.splitlines())
    return count, squeezed(done.stdout + done.stderr)[-1500:] if done.returncode or not count else ""


def refused(scratch, it):
    """The error of a copy that is spoilt in one way, or None where the change is none or nobody minds."""
    file = scratch.folder(it["folder"]) / it["file"]
    text = file.read_text()
    if text.count(it["old"]) != 1:
        return f"{it['folder']}/{it['file']} has {text.count(it['old'])} times {it['old']!r}, not once: change spoilt.yaml"
    file.write_text(text.replace(it["old"], it["new"]))
    said = scratch.tofu(scratch.folder(it["folder"]), *it.get("by", "validate").split())
    file.write_text(text)
    if not said:
        return f"nobody minds that in {it['folder']}/{it['file']} {it['old']!r} is {it['new']!r}"
    if it["word"] not in said:
        return f"{it['folder']}/{it['file']} with {it['new']!r} is refused, but not for {it['word']!r}: {said[:600]}"
    return None


def of_folder(scratch, name):
    """(number of tests that pass, what is wrong) of a folder."""
    said = scratch.prepare(name) or scratch.tofu(scratch.folder(name), "validate")
    if said:
        return 0, [f"deploy/terraform/{name} is not valid: {said}"]
    write_given(scratch.folder(name), CASES[name]["good"])
    done = [passed(scratch.folder(name), *arguments) for arguments in ((), ("-test-directory=given",))]
    tests = sum(count for count, _ in done)
    problems = [f"deploy/terraform/{name}: a test fails: {wrong}" for _, wrong in done if wrong]
    if not problems:
        problems += [wrong for it in SPOILT if it["folder"] == name and (wrong := refused(scratch, it))]
    return tests, problems


def main():
    problems, tests = [], 0
    with tempfile.TemporaryDirectory() as work, ThreadPoolExecutor(len(FOLDERS)) as pool:
        scratch = Scratch(work)
        for count, wrong in pool.map(lambda name: of_folder(scratch, name), FOLDERS):
            tests += count
            problems += wrong
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if problems:
        return 1
    print(f"OpenTofu validates {len(FOLDERS)} folders on the schemas of their providers and the interfaces of their modules, passes "
          f"{tests} tests and plans and refuses {len(SPOILT)} mistakes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
