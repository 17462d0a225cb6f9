"""What is served beside the graph: model.toml with the golden samples, and where a model lies in git its vectors and its table.

Golden values come from scikit-learn, never from ONNX Runtime or from the server, so that both can be checked against them.
"""

import json
import re

import numpy as np

from .files import sha256, write, write_json
from .forest import LABEL_OUTPUT, SCORES_OUTPUT, TOLERANCE
from .schema import FEATURES, LABELS, NAME

# Two payments in the order of FEATURES. Each value is exact in FP32.
PAYMENTS = [
    # groceries on a Tuesday evening, near home, card and PIN
    [42.5, 0.875, 18, 1, 0, 0.125, 2400, 0.25, 0, 3.5, 2.25, 312, 0.5, 0, 2, 61.75, 0, 0, 820, 3100, 46, 6000, 0.25,
     0, 0, 1, 1, 0, 0, 0.0625],
    # electronics bought abroad at night, online, on a new device, after declines
    [1249.75, 14.5, 3, 5, 1, 0.8125, 45, 0.875, 1, 4210.5, 3980.25, 11, 2150.5, 6, 14, 3120.5, 3, 1, 95, 400, 67,
     5000, 0.9375, 1, 1, 0, 0, 0, 1, 0.875],
]  # fmt: skip


def predictions(model, rows):
    """scikit-learn's scores as plain numbers."""
    return [[float(x) for x in row] for row in model.predict_proba(np.asarray(rows, dtype=np.float32))]


def golden(model, rows):
    """Rows with the answer that the server must give; a row without a clear label is none."""
    result = []
    for row, scores in zip(rows, predictions(model, rows), strict=True):
        if abs(scores[0] - 0.5) <= TOLERANCE:
            continue
        best = int(np.argmax(scores))
        result.append({
            "input": {name: float(value) for name, value in zip(FEATURES, row, strict=True)},
            "label": LABELS[best],
            "confidence": round(scores[best], 8),
            "scores": {name: round(score, 8) for name, score in zip(LABELS, scores, strict=True)},
        })
    return result


def telling(model, rows):
    """Rows out of a table that show most: the surest of each label, and the four least sure."""
    fraud = model.predict_proba(rows)[:, 1]
    unsure = np.argsort(np.abs(fraud - 0.5), kind="stable")[:4]
    chosen = dict.fromkeys([int(fraud.argmin()), int(fraud.argmax()), *map(int, unsure)])
    return rows[list(chosen)]


def model_toml(name, version, graph_sha256, samples, written_by="pipelines/train.py"):
    """The manifest of one version."""
    lines = [
        f"# Written by {written_by}: change it there. Golden values are scikit-learn's own.",
        "schema = 1",
        f"name = {json.dumps(name)}",
        'description = "Scores a card payment for fraud: a random forest trained on generated transactions"',
        'task = "tabular-classification"',
        f"labels = {json.dumps(LABELS)}",
        f'sha256 = {{ "{version}/model.onnx" = "{graph_sha256}" }}',
        "features = [",
        *(f'  {{ name = "{name}", type = "float32" }},' for name in FEATURES),
        "]",
        "",
        "[outputs]",
        f'scores = "{SCORES_OUTPUT}"',
        f'label = "{LABEL_OUTPUT}"',
    ]
    for sample in samples:
        lines += ["", "[[golden]]", "[golden.input]"]
        lines += [f"{name} = {value!r}" for name, value in sample["input"].items()]
        lines += ["[golden.expected]", f'label = "{sample["label"]}"', f"confidence = {sample['confidence']!r}"]
        lines += ["[golden.expected.scores]"]
        lines += [f"{name} = {score!r}" for name, score in sample["scores"].items()]
    return "\n".join(lines) + "\n"


def vectors(model, test_x):
    """200 held-out rows, half of them those where the forest is least sure, with scikit-learn's scores."""
    unsure = np.argsort(np.abs(model.predict_proba(test_x)[:, 1] - 0.5), kind="stable")[:100]
    rest = np.setdiff1d(np.arange(len(test_x)), unsure)[:100]
    rows = test_x[np.concatenate([rest, unsure])]
    rows = [[_short(x) for x in row] for row in rows]
    scores = [[round(x, 8) for x in row] for row in predictions(model, rows)]
    return f'{{"rows":{_listed(rows)},\n"scores":{_listed(scores)}}}\n'


def _listed(items):
    return "[\n" + ",\n".join(json.dumps(item, separators=(",", ":")) for item in items) + "\n]"


def _short(x):
    """An FP32 value as a whole number where it is one, else as the double equal to it."""
    return int(x) if float(x).is_integer() else float(x)


def readme_with(measured, text):
    """A README whose table of metrics is the one of these figures."""
    rows = [f"| {name.replace('_', ' ')} | {value} |" for name, value in measured.items()]
    block = "\n".join(["<!-- metrics: written by pipelines/train.py -->", "| held-out rows | |", "|---|---|", *rows,
                       "<!-- /metrics -->"])  # fmt: skip
    return re.sub(r"<!-- metrics:.*?<!-- /metrics -->", lambda _: block, text, flags=re.S)


def write_model(folder, model, graph, measured, test_x):
    """Writes everything in models/fraud-detector but its prose."""
    write(folder / "1/model.onnx", graph)
    write(folder / "model.toml", model_toml(NAME, 1, sha256(graph), golden(model, PAYMENTS)))
    write_json(folder / "metrics.json", measured)
    write(folder / "testdata/vectors.json", vectors(model, test_x))
    readme = folder / "README.md"
    if readme.exists():
        write(readme, readme_with(measured, readme.read_text()))
