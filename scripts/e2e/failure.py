"""What ends a scenario, or the lane: one sentence on what was expected, with what was seen below it."""


class Failure(Exception):
    """Something is not as it has to be."""


def expect(condition, sentence, *seen):
    """Fails with the sentence, and what was seen, unless the condition holds."""
    if not condition:
        raise Failure("\n".join([sentence, *(str(text) for text in seen)]))
