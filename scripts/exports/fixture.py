"""One export under tests/fixtures/exports/: the file or folder that the exporter wrote, and cases.json beside it.

Used by the scripts that make fixtures. A folder is made beside its place and renamed, so that an interrupted
run leaves the old fixture or the new one.
"""

import json
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "exports"
LINE = 110


@dataclass
class Fixture:
    """What cases.json says; `write` puts the model into the folder that it is given."""

    name: str
    exporter: str  # "skl2onnx 1.20.0"
    layout: str  # "single file", "MLflow", "native", ...
    what: str  # "RandomForestClassifier, ZipMap on (the default)"
    export: str  # the Python that a user writes
    path: str  # of the model, inside the fixture: what `--models` is given
    task: str  # what the server recognises
    python: str  # who says what is expected: "predict_proba of scikit-learn 1.9.1"
    cases: list
    write: callable
    tolerance: float = 1e-5
    notes: list = field(default_factory=list)

    def save(self, folder=FOLDER):
        """Write the fixture to `folder`/name."""
        folder.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=".making.", dir=folder))
        try:
            os.chmod(part, 0o755)
            self.write(part)
            members = {key: value for key, value in vars(self).items() if key not in ("name", "write", "cases")}
            text = pretty(members | {"cases": self.cases}) + "\n"
            (part / "cases.json").write_text(text, encoding="utf-8")
            shutil.rmtree(folder / self.name, ignore_errors=True)
            part.rename(folder / self.name)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def pretty(value, indent=0, used=0):
    """JSON for people: what fits into a line stays in one; `used` is the room that the key before it takes."""
    flat = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if not isinstance(value, dict | list) or not value or indent + used + len(flat) <= LINE:
        return flat
    inner = " " * (indent + 2)
    if isinstance(value, dict):
        keys = {key: json.dumps(key, ensure_ascii=False) + ": " for key in value}
        parts = [keys[key] + pretty(item, indent + 2, len(keys[key])) for key, item in value.items()]
    else:
        parts = [pretty(item, indent + 2) for item in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return opening + "\n" + ",\n".join(inner + part for part in parts) + "\n" + " " * indent + closing


def file_writer(name, data):
    """A `write` that puts one file."""
    return lambda folder: (folder / name).write_bytes(data)
