"""usage: lint_mutate.py

Proves that actionlint, shellcheck through it, and zizmor see a mistake: each is given a copy of the workflows with one. ACTIONLINT
names the first; the others are beside this Python.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from files import ROOT

TOOLS = pathlib.Path(sys.executable).parent
SHELLCHECK = TOOLS / "shellcheck"

# The tool, what stands in ci-cd.yml, what takes its place, and a word of what it says.
MUTATIONS = [
    ("actionlint", "runs-on: ubuntu-24.04\n", "runs-on: ubuntu-24.4\n", "ubuntu-24.4"),
    ("actionlint", "needs: build\n", "needs: biuld\n", "biuld"),
    ("actionlint", "needs.build.outputs.image", "needs.build.outputs.images", "images"),
    ("shellcheck", '"${targets[@]}"', "${targets[@]}", "SC2068"),
    ("zizmor", "  pull_request:\n", "  pull_request_target:\n", "dangerous-triggers"),
    ("zizmor", 'make "${targets[@]}"', "echo ${{ github.head_ref }}", "template-injection"),
]


def said(tool, folder):
    """What a tool says of the workflows in a folder, and how it ended."""
    if tool == "zizmor":
        command = [TOOLS / "zizmor", "--offline", "--strict-collection", "--no-progress", "--quiet", "--config", ".github/zizmor.yml", ".github"]
    else:
        shellcheck = SHELLCHECK if tool == "shellcheck" else ""
        files = sorted((folder / ".github/workflows").glob("*.yml"))
        command = [os.environ["ACTIONLINT"], "-no-color", f"-shellcheck={shellcheck}", "-pyflakes=", *files]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr, done.returncode


def main():
    missed, told = [], 0
    for tool, old, new, word in MUTATIONS:
        if tool == "shellcheck" and not SHELLCHECK.exists():
            continue
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            shutil.copytree(ROOT / ".github", folder / ".github")
            # actionlint asks where a repository begins.
            (folder / ".git").mkdir()
            path = folder / ".github/workflows/ci-cd.yml"
            text = path.read_text(encoding="utf-8")
            path.write_text(text.replace(old, new, 1), encoding="utf-8")
            output, code = said(tool, folder)
        told += 1
        if text.count(old) == 0 or code == 0 or word not in output:
            missed.append(f"{tool} does not see '{new or old}' (exit {code}): {output}")
    for sentence in missed:
        print(f"error: {sentence}", file=sys.stderr)
    if missed:
        sys.exit(1)
    print(f"each of {told} mistakes made on purpose is seen by actionlint, shellcheck or zizmor")


if __name__ == "__main__":
    main()
