"""usage: mutate.py BINARY

Shows that server.py can fail: in a copy of scripts/runbooks one line is made wrong at a time, which the part of server.py that is about
it must see. Called by check.sh.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNBOOKS = Path("scripts/runbooks")
TRIES = Path("scripts/operations/server.py")
# The part of server.py, the file, what stands there and what in its place.
MUTATIONS = (
    ("models", "__main__.py", "if not options.apply:", "if False:"),
    ("models", "models.py", "if ready == {options.model}:", "if False:"),
    ("models", "models.py", "if options.model not in ready:", "if False:"),
    ("models", "admin.py", "raise Failed(f\"{method} {path} at", "return str(f\"{method} {path} at"),
    ("telemetry", "models.py", "admin.ask(\"PATCH\", \"/telemetry\", values)", "pass"),
    ("telemetry", "models.py", "signal.signal(number, signal.default_int_handler)", "pass"),
    ("telemetry", "models.py", "now[\"sampling_ratio\"] is None", "False"),
    ("diagnostics", "diagnostics.py", "return BEARER.sub(rf\"\\1 {HIDDEN}\", SECRET_TEXT.sub(rf\"\\g<1>{HIDDEN}\", text))", "return text"),
    ("diagnostics", "diagnostics.py", "entry.get(\"level\") in (\"ERROR\", \"WARN\")", "True"),
    ("diagnostics", "diagnostics.py", "if folder.exists() and any(folder.iterdir()):", "if False:"),
    ("certificate", "models.py", "if days < SOON_DAYS:", "if False:"),
    ("certificate", "models.py", "if options.file and served != on_disk(options.file):", "if False:"),
)  # fmt: skip


def seen(binary, folder, number, mutation):
    """Whether server.py fails with a mutation."""
    part, name, right, wrong = mutation
    copy = folder / str(number) / "runbooks"
    shutil.copytree(RUNBOOKS, copy)
    text = (copy / name).read_text()
    if right not in text:
        sys.exit(f"error: {name} has no '{right}', so that nothing could be made wrong")
    (copy / name).write_text(text.replace(right, wrong))
    done = subprocess.run([sys.executable, TRIES, binary, part], env=os.environ | {"RUNBOOKS": str(copy / "run.sh")}, capture_output=True, text=True)
    if done.returncode == 1 and f"error: {part}: " in done.stderr:
        return True
    print(f"error: server.py {part} did not see '{wrong}' in place of '{right}' in {name}: {done.stdout}{done.stderr}", file=sys.stderr)
    return False


def main(binary):
    """All mutations."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        results = [seen(binary, Path(folder), number, it) for number, it in enumerate(MUTATIONS)]
    print(f"runbooks: {sum(results)} of {len(results)} made wrong on purpose were seen, in {time.monotonic() - begun:.0f} s")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
