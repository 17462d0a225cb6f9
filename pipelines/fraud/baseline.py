"""What the inputs and the answers of a model usually are, for whoever wonders later whether they have changed."""

import numpy as np

from .schema import COLUMNS, LABELS

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
# The bounds of the server's histogram inference_prediction_confidence: a share up to each compares with its buckets.
BOUNDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


def _rounded(value):
    return float(f"{value:.6g}")


def of_features(rows):
    """Feature to its quantiles, mean, deviation and share of missing values (which the server counts as not `given`)."""
    if not len(rows):
        return {}
    result = {}
    for at, column in enumerate(COLUMNS):
        values = rows[:, at].astype(np.float64)
        there = values[np.isfinite(values)]
        result[column.name] = {
            "missing_share": _rounded(1 - len(there) / len(values)),
            "mean": _rounded(there.mean()),
            "std": _rounded(there.std()),
            "minimum": _rounded(there.min()),
            "maximum": _rounded(there.max()),
            "quantiles": {f"{q:g}": _rounded(value) for q, value in zip(QUANTILES, np.quantile(there, QUANTILES), strict=True)},
        }
    return result


def of_predictions(scores):
    """What inference_predictions_total and inference_prediction_confidence show where the inputs are as the test rows."""
    confidence, best = scores.max(axis=1), scores.argmax(axis=1)
    return {
        "rows": len(scores),
        "label_share": {label: _rounded((best == at).mean()) for at, label in enumerate(LABELS)},
        "confidence_mean": _rounded(confidence.mean()),
        "confidence_share_up_to": {f"{bound:g}": _rounded((confidence <= bound).mean()) for bound in BOUNDS},
    }
