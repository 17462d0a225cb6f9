"""How the minutes are spent: a clock, and how long each measurement may take so that all of them fit."""

import time
from dataclasses import dataclass

ROUNDS, MOST_ROUNDS = 5, 9
# Seconds of one measurement: below the first a figure is not honest, beyond the second it gains nothing.
SHORTEST, LONGEST = 0.6, 2.0
REHEARSED = 0.15


class Clock:
    """The time that is left."""

    def __init__(self, minutes):
        self.end = time.monotonic() + minutes * 60

    def left(self):
        """Seconds."""
        return self.end - time.monotonic()

    def affords(self, seconds):
        """Whether there is so much time."""
        return self.left() >= seconds


@dataclass(frozen=True)
class Load:
    """What one round takes: measurements with their warm-ups, in lengths of one, and seconds around them."""

    lengths: float
    pauses: float

    def __add__(self, other):
        return Load(self.lengths + other.lengths, self.pauses + other.pauses)

    def times(self, count):
        """The same so often."""
        return Load(self.lengths * count, self.pauses * count)


@dataclass(frozen=True)
class Pace:
    """Rounds, and seconds of one measurement."""

    rounds: int
    seconds: float


def pace(seconds, load, is_rehearsal):
    """The pace at which rounds of so much fit; none where they don't, however short."""
    if is_rehearsal:
        return Pace(ROUNDS, REHEARSED)
    longest = load.lengths * LONGEST + load.pauses
    rounds = min(MOST_ROUNDS, max(ROUNDS, int(seconds / longest)))
    each = (seconds / rounds - load.pauses) / load.lengths
    return Pace(rounds, min(each, LONGEST)) if each >= SHORTEST else None
