"""The data that the models learn: scikit-learn's own, and names for what nothing names."""

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine

COLOURS = ["pale", "medium", "deep"]


def unnamed(width):
    """The features of a [N,F] input that nothing names."""
    return [f"f{index}" for index in range(width)]


def unnamed_note(rows):
    """What `check` says where features are named by their place."""
    width = len(rows[0])
    return f"{width} features, f0 to f{width - 1}"


def iris(dtype=np.float32):
    """Four measures of a flower, its species as 0, 1, 2."""
    features, species = load_iris(return_X_y=True)
    return features.astype(dtype), species


def iris_named():
    """The same with the species by name."""
    features, species = iris()
    return features, load_iris().target_names[species]


def iris_frame(dtype):
    """The same as a table with the data's own column names."""
    data = load_iris(as_frame=True)
    return data.data.astype(dtype), data.target


def wine():
    """Thirteen measures of a wine, its grower as 0, 1, 2."""
    features, grower = load_wine(return_X_y=True)
    return features.astype(np.float32), grower


def wine_columns():
    """Columns of several types: two measures, a whole number, a colour by name."""
    data = load_wine(as_frame=True).data
    frame = pd.DataFrame(
        {
            "alcohol": data["alcohol"].astype("float32"),
            "flavanoids": data["flavanoids"].astype("float32"),
            "magnesium": data["magnesium"].astype("int64"),
            "colour": [COLOURS[code] for code in colour_codes(data)],
        }
    )
    return frame, load_wine().target


def wine_gaps():
    """Numbers only, the colour as its code, and every seventh row without one of its measures."""
    data = load_wine(as_frame=True).data
    table = np.stack([data["alcohol"], data["flavanoids"], data["magnesium"], colour_codes(data)], axis=1).astype(
        np.float32
    )
    for column in (0, 1, 2):
        table[column::7, column] = np.nan
    return table, load_wine().target


def colour_codes(data):
    """0, 1 or 2 for a wine's intensity of colour."""
    return np.digitize(data["color_intensity"], [3.5, 6.0])


def tumours():
    """Ten measures of a tumour, 1 for a benign one."""
    features, benign = load_breast_cancer(return_X_y=True)
    return features[:, :10].astype(np.float32), benign


def diabetes():
    """Ten measures of a patient, the progress of the disease a year later."""
    features, progress = load_diabetes(return_X_y=True)
    return features.astype(np.float32), progress


def diabetes_frame():
    """The same measures as a table."""
    return pd.DataFrame(diabetes()[0], columns=load_diabetes().feature_names)


def spread(labels, count=4):
    """Indices of `count` rows, spread over the classes (or over the data, where there are more classes than rows)."""
    classes, first = np.unique(labels, return_index=True)
    if len(classes) > count:
        return np.linspace(3, len(labels) - 1, count).astype(int)
    extra = np.linspace(7, len(labels) - 5, count).astype(int)
    return np.array([*first, *extra][:count])


def complete(features, labels):
    """Rows to ask about that lack nothing."""
    whole = np.isfinite(features).all(axis=1)
    return features[whole][spread(labels[whole])]


def with_gaps(features, labels):
    """Rows to ask about: whole ones first, then two that lack something."""
    return np.concatenate([complete(features, labels)[:2], features[~np.isfinite(features).all(axis=1)][[1, -1]]])


def cells(frame):
    """The rows of a table, each cell of its column's own precision."""
    columns = [frame[name].to_numpy() for name in frame]
    return [list(row) for row in zip(*columns, strict=True)]
