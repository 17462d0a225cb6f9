"""How every step speaks: its command line, its progress, and its exit code (0 done, 1 refused or failed, 64 wrong usage)."""

import argparse
import re
import sys
from pathlib import Path

WRONG_USAGE = 64


class StepError(Exception):
    """A reason to end a step, as a sentence for whoever reads the log."""


class Parser(argparse.ArgumentParser):
    """argparse, whose wrong usage ends with 64: 2 is what a shell or Python itself says of a missing script."""

    def error(self, message):
        self.print_usage(sys.stderr)
        self.exit(WRONG_USAGE, f"error: {message}\n")


def parser(name, about, examples):
    """The parser of a step. `about` is its module's docstring, whose first paragraph is shown."""
    return Parser(
        prog=name, description=about.split("\n\n")[0].replace("\n", " "), epilog=f"examples:\n{examples.strip(chr(10))}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip


def folder(text):
    """An argument that names a folder which must be there."""
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is no folder")
    return path


def number(low, high, kind=float):
    """An argument that is a number from low to high."""

    def read(text):
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text} is no number") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not from {low} to {high}")
        return value

    return read


def whole(low, high=2**31 - 1):
    """An argument that is a whole number from low to high."""
    return number(low, high, int)


def digest(text):
    """An argument that is a sha256."""
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise argparse.ArgumentTypeError(f"{text} is no sha256: expected 64 hexadecimal digits")
    return text


def model_name(text):
    """An argument that names a model: it becomes a folder, a part of addresses and of commit messages."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", text):
        raise argparse.ArgumentTypeError(f"{text} is no name: expected a letter or digit, then letters, digits, '.', '_' or '-'")
    return text


def told(name):
    """Returns what prints one line of progress."""
    return lambda text: print(f"{name}: {text}", flush=True)


def run(main):
    """Runs a step's main; what it raises as StepError is its last word."""
    try:
        sys.exit(main())
    except StepError as error:
        for line in str(error).splitlines():
            print(f"error: {line}", file=sys.stderr)
        sys.exit(1)
