"""The walk of README.md in an empty clone; walk.sh says what it does and starts it."""

import argparse
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import document

ROOT = Path.cwd()
# What the page's commands listen on: the server's three, the Collector's.
PORTS = (8080, 8081, 8082, 4317)
READY, LOGGED = "http://localhost:8080/health/ready", '"message":"ready"'
# A first build takes long on few cores.
PATIENCE, END_PATIENCE, SPAN_PATIENCE = 5400, 60, 20
SHOWN = 2000
# One span of the trace that an answer names, as the Collector prints them.
SPANS = ("POST /predict/{model}", "model-inference")


class Wrong(Exception):
    """Something is not as the page says."""


def options():
    """The command line."""
    parser = argparse.ArgumentParser(prog="make readme", usage="make readme ARGS='[--with-tests] [--with-pipeline] [--target FOLDER] [--page FILE]'")
    parser.add_argument("--with-tests", action="store_true")
    parser.add_argument("--with-pipeline", action="store_true")
    parser.add_argument("--target", type=Path)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--python", required=True, help=argparse.SUPPRESS)
    return parser.parse_args()


def tell(text):
    """One line of the walk's own."""
    print(f"--- {text}", flush=True)


def is_free(port):
    """Whether nothing listens there."""
    with contextlib.suppress(OSError), socket.create_connection(("localhost", port), 1):
        return False
    return True


class Program:
    """A command that stays: the server or the Collector, in a session of its own, with its log."""

    def __init__(self, command, folder, log):
        self.command, self.log = command, log
        with log.open("wb") as file:
            self.child = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", command], cwd=folder, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
            )

    def text(self):
        """What it has said."""
        return self.log.read_text(errors="replace")

    def wait(self, what, ready, seconds):
        """Until something holds, while it runs."""
        end = time.monotonic() + seconds
        while not ready():
            if self.child.poll() is not None:
                raise Wrong(f"'{self.command}' ended by itself with {self.child.returncode}; the end of what it said:\n{self.text()[-3000:]}")
            if time.monotonic() > end:
                raise Wrong(f"'{self.command}': {what} not within {seconds} s; the end of what it said:\n{self.text()[-3000:]}")
            time.sleep(0.2)

    def stop(self):
        """Ctrl-C, as a terminal sends it: to all that the command has started."""
        if self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGINT)
            try:
                self.child.wait(END_PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(self.child.pid, signal.SIGKILL)
                self.child.wait()
                raise Wrong(f"'{self.command}' does not end within {END_PATIENCE} s of Ctrl-C") from None


def answers():
    """Whether the server says that it is ready."""
    with contextlib.suppress(OSError), urllib.request.urlopen(READY, timeout=5) as answer:
        return answer.status == 200
    return False


class Walk:
    """The clone, what runs beside it, and what was done."""

    def __init__(self, given, folder):
        self.given, self.folder, self.clone = given, folder, folder / "ml-inference-api"
        self.staying, self.ran, self.left = {}, 0, []

    def prepare(self):
        """The clone, at the last commit."""
        taken = [port for port in PORTS if not is_free(port)]
        if taken:
            raise Wrong(f"the page's commands listen on fixed ports, and something has {' and '.join(map(str, taken))}: end it, then run this again")
        subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", ROOT, self.clone], check=True)
        commit = subprocess.run(["git", "log", "-1", "--format=%h %s"], cwd=self.clone, capture_output=True, text=True, check=True).stdout.strip()
        tell(f"an empty clone at {commit}")
        if self.given.target:
            self.given.target.mkdir(parents=True, exist_ok=True)
            (self.clone / "target").symlink_to(self.given.target.resolve())
        # The page's curl is silent, so that answers stand alone; here it says why it failed.
        (self.folder / ".curlrc").write_text("show-error\n")
        os.environ["CURL_HOME"] = str(self.folder)

    def run(self, page):
        """Every block, in order."""
        rows = document.lanes()
        for block in document.blocks(page):
            for line in block.text.splitlines():
                print(f"$ {line}" if block.language == "sh" else f"> {line}", flush=True)
            try:
                self.block(block, rows)
            except Wrong as wrong:
                raise Wrong(f"README.md, line {block.line}: {wrong}") from None

    def block(self, block, rows):
        """One block: asked, run, started, or left to another lane."""
        if block.language == "python":
            return self.finish(block, [self.given.python, "-c", block.text])
        if document.is_request(block):
            return self.finish(block, ["bash", "-euo", "pipefail", "-c", block.text])
        commands = document.commands(block)
        if unknown := [it for it in commands if it not in rows]:
            raise Wrong(f"scripts/readme/lanes.json does not say who runs '{unknown[0]}'")
        chosen = [rows[it] for it in commands]
        elsewhere = [row for row in chosen if row["lane"] != "walk"]
        if elsewhere and len(elsewhere) != len(chosen):
            raise Wrong("some commands of this block are run here and others elsewhere: make two blocks of it")
        if elsewhere:
            return self.leave([f"{command}: {row['why']}" for command, row in zip(commands, chosen)])
        wanted = {row["option"] for row in chosen if "option" in row}
        if missing := [it for it in wanted if not getattr(self.given, it.replace("-", "_"))]:
            return self.leave([f"{block.text}: only with --{missing[0]}"])
        if kind := chosen[-1].get("stays"):
            return self.start(kind, block)
        return self.finish(block, ["bash", "-euo", "pipefail", "-c", block.text])

    def leave(self, reasons):
        """Not run here, and why."""
        self.left += reasons
        for reason in reasons:
            tell(f"not run here: {reason}")

    def start(self, kind, block):
        """A command that stays, in place of the one that had its ports."""
        if kind in self.staying:
            tell(f"Ctrl-C ends '{self.staying[kind].command}'")
            self.staying.pop(kind).stop()
        begun = time.monotonic()
        self.staying[kind] = program = Program(block.text, self.clone, self.folder / f"{kind}.log")
        # The log too: something else may have taken the port meanwhile, and answer.
        what, ready = ("it is ready", lambda: LOGGED in program.text() and answers()) if kind == "server" else ("it listens", lambda: not is_free(PORTS[-1]))
        program.wait(what, ready, PATIENCE)
        tell(f"{what} after {time.monotonic() - begun:.0f} s")
        self.ran += 1

    def finish(self, block, command):
        """A command that ends: well, and with the answer that is shown."""
        done = subprocess.run(command, cwd=self.clone, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        print(done.stdout[:SHOWN] + (" ...\n" if len(done.stdout) > SHOWN else "" if done.stdout.endswith("\n") or not done.stdout else "\n"), end="", flush=True)
        if done.returncode != 0:
            raise Wrong(f"it ends with {done.returncode}; it says:\n{done.stderr[-3000:]}")
        if difference := document.differs(block, done.stdout):
            raise Wrong(f"the answer is not what the page shows: {difference}")
        if block.answer is not None and not document.differs(document.spoilt(block), done.stdout):
            raise Wrong("the answer also fits when a digit of what the page shows is another: show more of it")
        self.ran += 1
        if "traceresponse: " in done.stdout and "collector" in self.staying:
            self.see_trace(done.stdout.partition("traceresponse: ")[2].split("-")[1])

    def see_trace(self, trace):
        """The Collector prints the trace that an answer names, with the spans that the page tells of."""
        program = self.staying["collector"]

        def printed():
            spans = [part.partition("\nSpan #")[0] for part in program.text().split("Trace ID       : ") if part.startswith(trace)]
            return all(any(f"Name           : {name}\n" in span for span in spans) for name in SPANS)

        begun = time.monotonic()
        program.wait(f"the spans {' and '.join(SPANS)} of the trace {trace}", printed, SPAN_PATIENCE)
        tell(f"the Collector has its spans {' and '.join(SPANS)} after {time.monotonic() - begun:.1f} s")

    def end(self):
        """Ends what stays; the Collector last, so that the server's last spans find it."""
        for kind in sorted(self.staying, reverse=True):
            self.staying.pop(kind).stop()


def main():
    given, folder = options(), Path(tempfile.mkdtemp(prefix="ml-inference-api-readme-"))
    walk, begun = Walk(given, folder), time.monotonic()
    try:
        walk.prepare()
        walk.run((given.page or walk.clone / "README.md").read_text())
        walk.end()
        if walk.ran == 0:
            raise Wrong("the page has no command that is run here")
    except Wrong as wrong:
        sys.exit(f"error: {wrong}")
    finally:
        for program in walk.staying.values():
            with contextlib.suppress(Wrong):
                program.stop()
        shutil.rmtree(folder, ignore_errors=True)
    tell(f"{walk.ran} blocks of README.md were run, and answer as the page shows, in {time.monotonic() - begun:.0f} s; {len(walk.left)} commands are left to others:")
    for reason in walk.left:
        print(f"    {reason}")


if __name__ == "__main__":
    main()
