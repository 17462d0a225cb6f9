"""usage: version.py check|notes TAG [--root FOLDER]

check: the tag is `v` and the version of Cargo.toml, of the chart and of the image that the chart names, and CHANGELOG.md has a
section of it; prints the version. notes: prints that section, which becomes the release's notes.
"""

import argparse
import pathlib
import re
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
TAG = re.compile(r"v(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)")


def versions(root):
    """Where a version stands, and what it is there."""
    yield "Cargo.toml", tomllib.loads((root / "Cargo.toml").read_text(encoding="utf-8"))["package"]["version"]
    chart = (root / "helm/ml-inference-api/Chart.yaml").read_text(encoding="utf-8")
    for key in ("version", "appVersion"):
        found = re.search(rf'^{key}: "?([^"\s]+)"?$', chart, re.MULTILINE)
        yield f"Chart.yaml's {key}", found.group(1) if found else "missing"


def section(root, version):
    """What CHANGELOG.md says of a version; empty where nothing."""
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    found = re.search(rf"^## \[{re.escape(version)}\][^\n]*\n(.*?)(?=^## |^\[[^\]]+\]: |\Z)", text, re.MULTILINE | re.DOTALL)
    return found.group(1).strip() if found else ""


def faults(root, tag):
    """Why it may not be released, in sentences."""
    matched = TAG.fullmatch(tag)
    if not matched:
        return [f"the tag '{tag}' is no version: expected v1.2.3 or v1.2.3-rc.1"]
    version = matched.group(1)
    said = [f"{where} is {there}, not {version}" for where, there in versions(root) if there != version]
    if not section(root, version):
        said.append(f"CHANGELOG.md has no section '## [{version}]', or nothing in it")
    return said


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n", 1)[0].removeprefix("usage: "))
    parser.add_argument("what", choices=["check", "notes"])
    parser.add_argument("tag")
    parser.add_argument("--root", type=pathlib.Path, default=ROOT)
    options = parser.parse_args()
    if said := faults(options.root, options.tag):
        sys.exit("\n".join(f"error: {it}" for it in said))
    version = options.tag.removeprefix("v")
    print(version if options.what == "check" else section(options.root, version))


if __name__ == "__main__":
    main()
