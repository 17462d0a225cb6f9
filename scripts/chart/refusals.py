"""Checks that every sentence of templates/validate.yaml has a test in tests/refused_test.yaml that sees it refused. Called by check.sh."""

import re
import sys

import manifests

VALIDATE = manifests.CHART / "templates/validate.yaml"
TESTS = manifests.CHART / "tests/refused_test.yaml"


def sentences(text):
    """What each sentence says before its reason or advice begins: the longest part of it between values that are printed."""
    for literal in re.findall(r'append \$wrong (?:\(printf )?"((?:[^"\\]|\\.)*)"', text):
        yield max(re.split(r"%[a-z]", re.split(r"[;:]", literal)[0]), key=len).strip()


def untested(validate, tests):
    plain = tests.replace("\\\\", "")
    # No word goes on where the part ends: one sentence may begin as another does.
    return [it for it in sentences(validate) if not re.search(re.escape(it) + r"(?:(?<!\w)|(?!\w))", plain)]


def main():
    validate, tests = VALIDATE.read_text(), TESTS.read_text()
    found = list(sentences(validate))
    problems = [f"no test sees this refused: {it}" for it in untested(validate, tests)]
    if len(found) != validate.count("append $wrong"):
        problems.append(f"{VALIDATE} has {validate.count('append $wrong')} refusals, and only {len(found)} of them could be read")
    for sentence in ("nobody tests this sentence of ours", "gateway.create needs gateway.class", "secrets.mode is no"):
        if not untested(validate + f'{{{{ $wrong = append $wrong "{sentence}: why" }}}}', tests):
            problems.append(f"a sentence without a test, added on purpose, was not noticed: {sentence}")
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    print(f"{len(found)} refusals have each a test")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
