"""usage: set_image.py ENVIRONMENT [--digest DIGEST [--repository NAME] | --from OTHER] [--root FOLDER]

Writes the image that an environment is to run into its image.yaml (deploy/gitops/environments/ENVIRONMENT), by digest: given, or
that of another environment, which is a promotion. Comments at the file's head stay. Without either it prints what is there. The
last line of what it prints is NAME@DIGEST.
"""

import argparse
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2] / "deploy/gitops/environments"
REPOSITORY = "ghcr.io/myorg/ml-inference-api"
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# What stands in a file to which nothing was delivered yet.
NOTHING = f"sha256:{'0' * 64}"
NAME = re.compile(r"[a-z0-9.-]+(?::[0-9]+)?(?:/[a-z0-9._-]+)+")
FORM = re.compile(r"image:\n(?:  (?:repository|digest): \S+\n)*|image: \{[^{}\n]*\}\n|")
HEAD = "# Written by scripts/delivery/set_image.py: which image runs here, by digest. Not by hand.\n"


def parted(text):
    """The comments at the head, and the rest. Anything else than an image would be lost, and is refused."""
    head = re.match(r"(?:#[^\n]*\n|---\n|\n)*", text).group()
    body = "".join(re.sub(r"\s+#.*", "", line) + "\n" for line in text[len(head) :].splitlines() if line.strip() and not line.strip().startswith("#"))
    if not FORM.fullmatch(body):
        raise ValueError("it has more than an image's repository and digest; take the rest to values.yaml")
    return head, body


def value(body, key):
    """The value of a key of the image; None where it has none."""
    found = re.search(rf"\b{key}:\s*[\"']?([^\s\"',}}]+)", body)
    return found and found.group(1)


def read(path):
    """The head, the repository and the digest of a file, which may be missing."""
    head, body = parted(path.read_text(encoding="utf-8") if path.exists() else "")
    return head or HEAD, value(body, "repository") or REPOSITORY, value(body, "digest")


def written(head, repository, digest):
    """The whole file."""
    return f"{head}image:\n  repository: {repository}\n  digest: {digest}\n"


def wanted(options):
    """The repository and the digest to set; of either None where it stays."""
    if not options.source:
        return options.repository, options.digest
    path = options.root / options.source / "image.yaml"
    _, repository, digest = read(path)
    if digest in (None, NOTHING):
        sys.exit(f"error: {path} names no digest, so there is nothing to promote")
    return repository, digest


def main():
    """Writes where there is something to change, and tells."""
    parser = argparse.ArgumentParser(usage=__doc__.split("\n", 1)[0].removeprefix("usage: "))
    parser.add_argument("environment")
    parser.add_argument("--digest")
    parser.add_argument("--repository")
    parser.add_argument("--from", dest="source")
    parser.add_argument("--root", type=pathlib.Path, default=ROOT)
    options = parser.parse_args()
    if bool(options.source) and bool(options.digest or options.repository):
        parser.error("--from takes the image of another environment as it is")
    path = options.root / options.environment / "image.yaml"
    if not path.parent.is_dir():
        sys.exit(f"error: there is no environment '{options.environment}': {path.parent} is no folder")
    try:
        repository, digest = wanted(options)
        head, old_repository, old_digest = read(path)
    except ValueError as error:
        sys.exit(f"error: {path}: {error}")
    repository, digest = repository or old_repository, digest or old_digest
    if not DIGEST.fullmatch(digest or "") or digest == NOTHING:
        sys.exit(f"error: '{digest or ''}' is no image's digest: expected sha256: and 64 hexadecimal digits, not all of them 0")
    if not NAME.fullmatch(repository):
        sys.exit(f"error: '{repository}' is no name of an image without tag and digest")
    if (repository, digest) != (old_repository, old_digest):
        path.write_text(written(head, repository, digest), encoding="utf-8")
        print(f"{options.environment}: {old_digest or 'nothing'} -> {digest}", file=sys.stderr)
    print(f"{repository}@{digest}")


if __name__ == "__main__":
    main()
