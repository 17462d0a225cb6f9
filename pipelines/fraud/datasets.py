"""The folder that prepare_data writes and every other step reads: three tables, what is known of them, and a digest over all."""

import numpy as np
from sklearn.model_selection import train_test_split

from . import schema, tables
from .baseline import of_features
from .command import StepError
from .files import read_json, sha256, write_json

PARTS = ("train", "validation", "test")
# Files that the digest covers, in this order.
COVERED = (*(f"{part}.csv" for part in PARTS), "schema.json")
# Each part that is not empty needs so many of each label: with fewer, no figure says anything.
FEWEST = 10


def split(features, labels, test, validation, seed):
    """Part to (features, labels). Validation is cut out of what is held out, so that its share never changes what the model
    is trained on; each cut keeps the share of fraud."""
    held = test + validation
    fit_x, held_x, fit_y, held_y = train_test_split(features, labels, test_size=held, random_state=seed, stratify=labels)
    nothing = (features[:0], labels[:0])
    parts = {"train": (fit_x, fit_y), "validation": nothing, "test": (held_x, held_y)}
    if validation:
        cut = train_test_split(held_x, held_y, test_size=test / held, random_state=seed, stratify=held_y)
        parts |= {"validation": (cut[0], cut[2]), "test": (cut[1], cut[3])}
    return parts


def enough(labels, name):
    """Refuses a table with too few rows of a label."""
    for value, label in enumerate(schema.LABELS):
        count = int((labels == value).sum())
        if count < FEWEST:
            raise StepError(f"{name}: expected at least {FEWEST} rows of '{label}' ({schema.LABEL} = {value}), came {count}")


def digest(folder):
    """One digest over everything that a model is trained and judged on."""
    return sha256("".join(f"{sha256(folder / name)}  {name}\n" for name in COVERED))


def save(folder, parts, about):
    """Writes the folder; data.json comes last, so that a folder with it is complete."""
    (folder / "data.json").unlink(missing_ok=True)
    for name, (features, labels) in parts.items():
        tables.write_csv(folder / f"{name}.csv", features, labels)
    write_json(folder / "schema.json", schema.described())
    write_json(folder / "statistics.json", of_features(parts["train"][0]))
    rows = {name: {"rows": len(labels), "fraud_rows": int(labels.sum())} for name, (_, labels) in parts.items()}
    write_json(folder / "data.json", {"digest": digest(folder), **about, "parts": rows})


class Data:
    """A folder of data that is what prepare_data wrote: the digest is measured again."""

    def __init__(self, folder):
        self.about = read_json(folder / "data.json")
        missing = [name for name in COVERED if not (folder / name).is_file()]
        if missing:
            raise StepError(f"{folder} has no {missing[0]}: run prepare_data.py again")
        came = digest(folder)
        self.digest = self.about["digest"]
        if came != self.digest:
            raise StepError(f"{folder} is not what prepare_data wrote: expected digest {self.digest}, came {came}")
        if read_json(folder / "schema.json") != schema.described():
            raise StepError(f"{folder} was prepared with another schema than this pipeline's: run prepare_data.py again")
        self.folder = folder

    def part(self, name):
        """(features, labels) of a part; those of an empty part are empty."""
        if not self.about["parts"][name]["rows"]:
            return np.empty((0, len(schema.FEATURES)), np.float32), np.empty(0, np.int64)
        return tables.read(self.folder / f"{name}.csv")
