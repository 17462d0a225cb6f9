"""Holds what a script makes now against the fixture in git; exporters write no two files alike, answers must be."""

import json
import sys

from fixture import FOLDER


def apart(one, other, tolerance):
    """Whether two answers differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        return set(one) != set(other) or any(apart(one[key], other[key], tolerance) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) != len(other) or any(apart(a, b, tolerance) for a, b in zip(one, other, strict=True))
    if isinstance(one, float) and isinstance(other, int | float):
        return not abs(one - other) <= tolerance * max(1.0, abs(one))
    return one != other


def listing(folder):
    """Every file's path; Git knows no empty folders."""
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def recheck(fixture, folder):
    """Ends the run when a fixture's cases or files are not those in git."""
    fixture.save(folder)
    before, now = FOLDER / fixture.name, folder / fixture.name
    if not (before / "cases.json").is_file():
        sys.exit(f"error: {fixture.name}: is not in git")
    cases = [json.loads((place / "cases.json").read_text(encoding="utf-8")) for place in (before, now)]
    if apart(*cases, fixture.tolerance):
        sys.exit(f"error: {fixture.name}: cases.json differs from what is made now")
    files = [listing(place) for place in (before, now)]
    if files[0] != files[1]:
        sys.exit(f"error: {fixture.name}: made now are {files[1]}")
