"""How good a model is on rows that it was not trained on, fraud as the positive class."""

from sklearn import metrics


def measure(scores, labels):
    """The figures of a model's scores [N,2], rounded as they are published; a tie goes to the first label, as the server has it."""
    fraud, guess = scores[:, 1], scores.argmax(axis=1)
    return {
        "rows": len(labels),
        "fraud_rows": int(labels.sum()),
        "accuracy": round(float(metrics.accuracy_score(labels, guess)), 4),
        "accuracy_of_always_legitimate": round(float(1 - labels.mean()), 4),
        "precision": round(float(metrics.precision_score(labels, guess, zero_division=0)), 4),
        "recall": round(float(metrics.recall_score(labels, guess)), 4),
        "f1": round(float(metrics.f1_score(labels, guess)), 4),
        "roc_auc": round(float(metrics.roc_auc_score(labels, fraud)), 4),
        "average_precision": round(float(metrics.average_precision_score(labels, fraud)), 4),
    }


def named(measured, prefix=""):
    """The same by the names under which MLflow gets them."""
    renamed = {"f1": "f1_score"}
    return {f"{prefix}{renamed.get(name, name)}": float(value) for name, value in measured.items()}
