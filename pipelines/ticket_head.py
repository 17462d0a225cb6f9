"""Trains the head of `ticket-topic` and writes its head.json, metrics.json and the table in its README.

The head is a logistic regression over what the MiniLM encoder makes of a ticket: the mean hidden states of
two layers. How strongly it is regularised is chosen by cross-validation within data/train.csv; data/test.csv
is only measured. The encoder is the FP64 NumPy computation in scripts/models, so no ONNX graph is involved.

Run it by scripts/models/train.sh, which makes the environment; then scripts/models/verify.sh --write.
"""

import argparse
import csv
import json
import os
import re
import sys
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # threads add up in another order

import numpy as np
from sklearn import metrics
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts" / "models"))

import minilm_reference
import ticket_reference

from fraud.files import write

SEED = 42
NAME = "ticket-topic"
FOLDER = ROOT / "models" / NAME
LABELS = ["billing", "refund", "login", "bug", "outage", "shipping", "cancellation", "feature-request"]
# The last layer says what a text is about, the fourth more of the words it uses: see the README.
LAYERS = [4, 6]
STRENGTHS = [1.0, 3.0, 10.0, 30.0, 100.0, 300.0]
FOLDS = 10


def read(name):
    """Returns (texts, numbers of labels) of a CSV file."""
    with open(FOLDER / "data" / name, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    texts, labels = [row["text"] for row in rows], np.array([LABELS.index(row["label"]) for row in rows])
    if len({plain(text) for text in texts}) != len(texts):
        sys.exit(f"ticket-head: {name} has a text twice")
    return texts, labels


def plain(text):
    """Letters and digits only: texts that differ in nothing else count as one."""
    return "".join(re.findall(r"\w", text.lower()))


def embed(reference, texts):
    rows = []
    for number, text in enumerate(texts, 1):
        rows.append(ticket_reference.features(reference, reference.ids(text), LAYERS))
        if number % 100 == 0 or number == len(texts):
            print(f"ticket-head:   {number} of {len(texts)} texts", flush=True)
    return np.stack(rows)


def regression(strength):
    return LogisticRegression(C=strength, max_iter=2000)


def choose(rows, labels):
    """Returns (the best strength, its log loss, its accuracy), cross-validated within the training set."""
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
    tried = []
    for strength in STRENGTHS:
        scores = cross_val_predict(regression(strength), rows, labels, cv=folds, method="predict_proba")
        tried.append((metrics.log_loss(labels, scores), strength, float(np.mean(scores.argmax(axis=1) == labels))))
        print(f"ticket-head:   C = {strength:5}: log loss {tried[-1][0]:.4f}, accuracy {tried[-1][2]:.4f}", flush=True)
    loss, strength, accuracy = min(tried)
    return strength, float(loss), accuracy


def fit(rows, labels, strength):
    """Returns the head, in FP32 numbers."""
    model = regression(strength).fit(rows, labels)
    return {"labels": LABELS, "layers": LAYERS, "weight": model.coef_.astype(np.float32),
            "bias": model.intercept_.astype(np.float32)}


def calibration_error(scores, labels, bins=10):
    """Expected calibration error: confidence against accuracy, in bins of equal width."""
    confidence, right = scores.max(axis=1), scores.argmax(axis=1) == labels
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [abs(confidence[place == b].mean() - right[place == b].mean()) * np.mean(place == b)
            for b in range(bins) if np.any(place == b)]
    return float(sum(gaps))


def measure(head, rows, labels):
    scores = ticket_reference.softmax(rows @ head["weight"].T.astype(np.float64) + head["bias"])
    guess = scores.argmax(axis=1)
    precision, recall, _, _ = metrics.precision_recall_fscore_support(labels, guess, zero_division=0)
    return {
        "rows": len(labels),
        "accuracy": round(float(metrics.accuracy_score(labels, guess)), 4),
        "accuracy_of_guessing": round(1 / len(LABELS), 4),
        "macro_f1": round(float(metrics.f1_score(labels, guess, average="macro")), 4),
        "right_label_in_the_first_two": round(float(metrics.top_k_accuracy_score(labels, scores, k=2)), 4),
        "log_loss": round(float(metrics.log_loss(labels, scores)), 4),
        "mean_confidence": round(float(scores.max(axis=1).mean()), 4),
        "expected_calibration_error": round(calibration_error(scores, labels), 4),
        "precision": {name: round(float(x), 4) for name, x in zip(LABELS, precision)},
        "recall": {name: round(float(x), 4) for name, x in zip(LABELS, recall)},
        "confusion": {name: [int(x) for x in row]
                      for name, row in zip(LABELS, metrics.confusion_matrix(labels, guess))},
    }


def head_text(head):
    def numbers(row):
        return "[" + ", ".join(str(x) for x in row) + "]"

    rows = ",\n".join(numbers(row) for row in head["weight"])
    return (f'{{"labels": {json.dumps(LABELS)},\n"layers": {LAYERS},\n"bias": {numbers(head["bias"])},\n'
            f'"weight": [\n{rows}\n]}}\n')


def metrics_text(measured):
    """JSON with one line for a row of the confusion matrix."""
    text = json.dumps(measured, indent=2)
    return re.sub(r"\[[\d,\s]+\]", lambda m: "[" + ", ".join(re.findall(r"\d+", m[0])) + "]", text) + "\n"


def readme_with(measured, text):
    rows = [f"| {name.replace('_', ' ')} | {value} |" for name, value in measured["test"].items()
            if not isinstance(value, dict)]
    rows += [f"| {name.replace('_', ' ')} | {value} |" for name, value in measured["training"].items()]
    test = measured["test"]
    table = ["", "| truth \\ answer | " + " | ".join(LABELS) + " | recall | precision |",
             "|---" * (len(LABELS) + 3) + "|"]
    for name, counts in test["confusion"].items():
        shown = " | ".join(str(x) if x else "" for x in counts)
        table.append(f"| {name} | {shown} | {test['recall'][name]} | {test['precision'][name]} |")
    block = "\n".join(["<!-- metrics: written by pipelines/ticket_head.py -->", "| held-out tickets | |", "|---|---|",
                       *rows, *table, "<!-- /metrics -->"])
    return re.sub(r"<!-- metrics:.*?<!-- /metrics -->", lambda _: block, text, flags=re.S)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write to (default: models/ticket-topic)")
    parser.add_argument("--no-test", action="store_true",
                        help="cross-validate only: leave the test set alone, write nothing")
    args = parser.parse_args()
    reference = minilm_reference.Reference()
    texts, labels = read("train.csv")
    print(f"ticket-head: {len(texts)} training texts, layers {LAYERS}")
    rows = embed(reference, texts)
    strength, loss, accuracy = choose(rows, labels)
    print(f"ticket-head: C = {strength}")
    if args.no_test:
        return
    head = fit(rows, labels, strength)
    test_texts, test_labels = read("test.csv")
    shared = {plain(text) for text in texts} & {plain(text) for text in test_texts}
    if shared:
        sys.exit(f"ticket-head: in both sets: {sorted(shared)}")
    print(f"ticket-head: {len(test_texts)} held-out texts")
    measured = {
        "test": measure(head, embed(reference, test_texts), test_labels),
        "training": {"training_rows": len(texts), "cross_validated_accuracy": round(accuracy, 4),
                     "cross_validated_log_loss": round(loss, 4), "chosen_C": strength},
    }
    for name, value in measured["test"].items():
        print(f"ticket-head:   {name:30} {value}")
    write(args.out / "head.json", head_text(head))
    write(args.out / "metrics.json", metrics_text(measured))
    readme = args.out / "README.md"
    if readme.exists():
        write(readme, readme_with(measured, readme.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
