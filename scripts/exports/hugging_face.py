"""Writes the fixtures of Hugging Face exports: tests/fixtures/exports/hf-*.

Each is a small model of a real architecture, saved by transformers or sentence-transformers and exported
by their own tools, with what those libraries answer. Run by remake-hf.sh.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import hf_images
import hf_sentences
import hf_texts
from recheck import recheck

BUILDERS = {**hf_texts.BUILDERS, **hf_sentences.BUILDERS, **hf_images.BUILDERS}


def main():
    """Makes the fixtures that are named, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="make only these fixtures")
    parser.add_argument("--check", action="store_true", help="write nothing: answers must be those in git")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(BUILDERS)
    if unknown:
        sys.exit(f"error: no fixture is named {', '.join(sorted(unknown))}; there are {', '.join(BUILDERS)}")
    for name in arguments.names or BUILDERS:
        with tempfile.TemporaryDirectory() as work:
            fixture = BUILDERS[name](Path(work))
            if arguments.check:
                recheck(fixture, Path(work) / "again")
            else:
                fixture.save()
            print(f"{name}: {len(fixture.cases)} cases", flush=True)


if __name__ == "__main__":
    main()
