"""Requests and expected answers out of rows and what Python's own library says about them.

Values travel as the shortest decimals that read back as the same number, so that the server gets exactly
what the library was given.
"""

import numpy as np

JSON = "application/json"
CSV = "text/csv"


def plain(value):
    """A cell as JSON: NaN is null, numbers are the shortest decimals of their own precision."""
    if value is None or (isinstance(value, float | np.floating) and np.isnan(value)):
        return None
    if isinstance(value, np.floating):
        return float(np.format_float_positional(value, unique=True))
    return value.item() if isinstance(value, np.generic) else value


def score(value):
    """An expected number: what is beyond nine digits is noise of single precision."""
    return float(f"{float(value):.9g}")


def classification(classes, probabilities):
    """One prediction of a classifier; the highest score first."""
    order = np.argsort(-np.asarray(probabilities, np.float64), kind="stable")
    scores = {str(plain(classes[index])): score(probabilities[index]) for index in order}
    label = next(iter(scores))
    return {"label": label, "confidence": scores[label], "scores": scores}


def named(names, row):
    """An instance by names; what is missing is left out."""
    return {name: plain(value) for name, value in zip(names, row, strict=True) if plain(value) is not None}


def csv(names, rows):
    """The rows as a table; what is missing is an empty cell."""

    def cell(value):
        value = plain(value)
        text = "" if value is None else str(value)
        return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\n') else text

    return "".join(",".join(map(cell, line)) + "\n" for line in [names, *rows])


def case(body, expected, content_type=JSON):
    """One entry of `cases`."""
    return {"content_type": content_type, "body": body, "expected": expected}


def one(prediction):
    """The expected answer to one instance."""
    return prediction


def many(predictions):
    """The expected answer to a list."""
    return {"predictions": list(predictions)}


def classifier_cases(names, rows, classes, probabilities):
    """One instance by names, one in order, the rest as a list, all as a table."""
    answers = [classification(classes, row) for row in probabilities]
    instances = [named(names, row) for row in rows]
    return [
        case(instances[0], one(answers[0])),
        case([plain(value) for value in rows[1]], one(answers[1])),
        case({"instances": instances[2:]}, many(answers[2:])),
        case(csv(names, rows), many(answers), CSV),
    ]


def tensor_cases(inputs, outputs):
    """For `tensors`, from {name: array whose first axis is the batch}: the first row alone, the rest as a list."""

    def row(tensors, index):
        return {name: nested(array[index]) for name, array in tensors.items()}

    def nested(value):
        return [nested(item) for item in value] if isinstance(value, np.ndarray) else plain(value)

    def expected(index):
        return {name: rounded(value) for name, value in row(outputs, index).items()}

    def rounded(value):
        if isinstance(value, list):
            return [rounded(item) for item in value]
        return score(value) if isinstance(value, float) else value

    count = len(next(iter(inputs.values())))
    rest = range(1, count)
    return [
        case(row(inputs, 0), one(expected(0))),
        case({"instances": [row(inputs, index) for index in rest]}, many(expected(index) for index in rest)),
    ]
