"""How the minutes are spent: a clock, and how long each measurement may take so that all of them fit."""

import time
from dataclasses import dataclass

ROUNDS, MOST_ROUNDS = 5, 9
# Seconds of one measurement: below the first a figure is not honest, beyond the second it gains nothing.
SHORTEST, LONGEST = 0.6, 2.0
REHEARSED = 0.15
# What is not measured around each measurement: its warm-up, the start of the client.
BESIDE = 0.5


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


@dataclass
class Pace:
    """Rounds, and seconds of one measurement."""

    rounds: int
    seconds: float

    def cost(self, measurements):
        """Seconds that so many measurements in each round take."""
        return self.rounds * measurements * (self.seconds + BESIDE)


def pace(seconds, measurements, is_rehearsal):
    """The pace at which so many measurements a round fit; none where they don't, however short."""
    if is_rehearsal:
        return Pace(ROUNDS, REHEARSED)
    each = seconds / (ROUNDS * max(measurements, 1)) - BESIDE
    if each < SHORTEST:
        return None
    rounds = min(MOST_ROUNDS, max(ROUNDS, int(seconds / (measurements * (LONGEST + BESIDE)))))
    return Pace(rounds, min(each, LONGEST))
