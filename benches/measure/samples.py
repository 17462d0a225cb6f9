"""What the rounds gave: a list of values for each figure, and ratios formed within each round."""

import statistics


class Samples:
    """Values by (who, model, connections, what), one a round."""

    def __init__(self):
        self.values = {}

    def keep(self, key, figures):
        """Adds one round's figures under a key."""
        for what, value in figures.items():
            self.values.setdefault((*key, what), []).append(value)

    def has(self, *key):
        """Whether anything is under a key."""
        return any(known[: len(key)] == key for known in self.values)

    def get(self, *key):
        """The values under a key; none when it was not measured."""
        return self.values.get(key, [])

    def ratio(self, above, below):
        """The ratio of two figures, round by round; none when one of them was not measured."""
        a, b = self.get(*above), self.get(*below)
        return [x / y for x, y in zip(a, b, strict=True)] if a and b else []

    def difference(self, above, below):
        """One figure less another, round by round."""
        a, b = self.get(*above), self.get(*below)
        return [x - y for x, y in zip(a, b, strict=True)] if a and b else []

    def spreads(self):
        """All of it, for a program."""
        return {"/".join(map(str, key)): spread(values) for key, values in self.values.items()}


def spread(values):
    """Median, lowest, highest."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "values": values}


def shown(values, digits):
    """Median (lowest to highest) as text."""
    low, middle, high = min(values), statistics.median(values), max(values)
    if len(values) == 1:
        return f"{middle:,.{digits}f}"
    return f"{middle:,.{digits}f} ({low:,.{digits}f}–{high:,.{digits}f})"
