"""Servable cases on disk: cases.json names them, tensors.npz holds their tensors in binary form.

Written whole by cases.py, read by ask.py and bare.py.
"""

import dataclasses
import json

import numpy

from tensors import Tensor

SIDES = ("inputs", "outputs")


@dataclasses.dataclass(frozen=True)
class Case:
    """A servable case: its name, what it is given and what the runtime answers."""

    name: str
    inputs: list[Tensor]
    outputs: list[Tensor]


def save(folder, package, cases, left_out):
    """Writes `cases`, and why the others of a package of `package` are left out."""
    arrays, described = {}, []
    for case in cases:
        entry = {"name": case.name}
        for side in SIDES:
            tensors = getattr(case, side)
            entry[side] = [[tensor.name, tensor.datatype, tensor.shape] for tensor in tensors]
            for number, tensor in enumerate(tensors):
                arrays[f"{case.name}/{side}/{number}"] = numpy.frombuffer(tensor.raw, numpy.uint8)
        described.append(entry)
    numpy.savez(folder / "tensors.npz", **arrays)
    with open(folder / "cases.json", "w", encoding="utf-8") as file:
        json.dump({"package": package, "servable": described, "left_out": left_out}, file, indent=1)


def summary(folder):
    """The cases of the package, and why each of the others is left out."""
    with open(folder / "cases.json", encoding="utf-8") as file:
        found = json.load(file)
    return found["package"], found["left_out"]


def load(folder):
    """Every servable case, by name."""
    with open(folder / "cases.json", encoding="utf-8") as file:
        described = json.load(file)["servable"]
    with numpy.load(folder / "tensors.npz") as arrays:
        for entry in described:
            sides = (
                [
                    Tensor(name, datatype, tuple(shape), arrays[f"{entry['name']}/{side}/{number}"].tobytes())
                    for number, (name, datatype, shape) in enumerate(entry[side])
                ]
                for side in SIDES
            )
            yield Case(entry["name"], *sides)
