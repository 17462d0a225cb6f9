"""Pins what a peer needs: `lock.py UV NAME...` writes NAME/requirements.txt out of NAME/requirements.in.

UV is the path of the program of that name. Hashes are those of the Linux wheels (x86_64 and aarch64) for CPython 3.11
to 3.14, since `pip install --no-deps --only-binary :all:` takes nothing else; versions are resolved for 3.11.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
FITS = re.compile(r"-(py3|py2\.py3|py311|cp3\d+)-(none|abi3|cp31[1-4])-(any|\S*manylinux\S*_(x86_64|aarch64))\.whl$")
COMMAND = ["pip", "compile", "--quiet", "--only-binary", ":all:", "--python-version", "3.11"]
COMMAND += ["--python-platform", "x86_64-manylinux_2_35", "--format", "pylock.toml"]


def fits(name):
    """Whether a wheel can be installed on the platforms that are pinned."""
    found = FITS.search(name)
    return bool(found) and (found[2] != "abi3" or int(found[1][3:]) <= 11)


def lock(uv, name):
    """One peer's requirements, with the hashes of the wheels that fit."""
    lines = [
        f"# Written by ../lock.py out of requirements.in; installed with --no-deps, so this is all that {name} needs."
    ]
    done = subprocess.run([uv, *COMMAND, HERE / name / "requirements.in"], check=True, capture_output=True, text=True)
    for package in tomllib.loads(done.stdout)["packages"]:
        files = [(wheel.get("name") or wheel["url"].rpartition("/")[2], wheel) for wheel in package["wheels"]]
        hashes = [wheel["hashes"]["sha256"] for file, wheel in files if fits(file)]
        if not hashes:
            sys.exit(f"{name}: {package['name']} {package['version']} has no wheel that fits: {[f for f, _ in files]}")
        lines.append(
            " \\\n    ".join([f"{package['name']}=={package['version']}", *(f"--hash=sha256:{h}" for h in hashes)])
        )
    (HERE / name / "requirements.txt").write_text("\n".join(lines) + "\n")


def main():
    """Locks every peer that is named."""
    uv, *names = sys.argv[1:]
    for name in names:
        lock(uv, name)


if __name__ == "__main__":
    main()
