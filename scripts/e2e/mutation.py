"""Manifests made wrong on purpose, one place at a time."""

import copy

REMOVED = object()


def step(place, key):
    """One step down: into the entry of a list with that name, or by its number, or into a field."""
    if isinstance(place, list):
        return next((it for it in place if it.get("name") == key), None) or place[int(key)]
    return place[key]


def changed(thing, path, value):
    """A copy with another value at a path such as `spec.template.spec.containers.0.image`."""
    result = copy.deepcopy(thing)
    *way, last = path.split(".")
    place = result
    for key in way:
        place = step(place, key)
    if value is REMOVED:
        del place[last]
    elif isinstance(place, list):
        place[int(last)] = value
    else:
        place[last] = value
    return result
