"""Files that are either whole or not there, and their digests."""

import hashlib
import json
import shutil
from pathlib import Path

from .command import StepError


def write(path, data):
    """Writes a file by rename: whoever looks sees all of it or nothing."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(data if isinstance(data, bytes) else data.encode())
    part.replace(path)


def write_json(path, value):
    """Writes a value as JSON for people and programs."""
    write(path, json.dumps(value, indent=2) + "\n")


def read_json(path):
    """Reads what another step wrote, with a sentence where it did not."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StepError(f"{path} is not there: run the step before this one, or name its folder") from None
    except ValueError as error:
        raise StepError(f"{path} is not JSON: {error}") from None


def sha256(data):
    """The digest of bytes, of a text, or of a file's content."""
    if isinstance(data, Path):
        data = data.read_bytes()
    return hashlib.sha256(data if isinstance(data, bytes) else data.encode()).hexdigest()


def replace_folder(staged, target):
    """Puts a complete folder in the place of another. Two renames: a crash between them leaves no folder, and never half of one."""
    staged, target = Path(staged), Path(target)
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    staged.rename(target)
    shutil.rmtree(old, ignore_errors=True)
