"""scikit-learn's estimators, exported by skl2onnx to single files."""

import numpy as np
import skl2onnx
import sklearn
from skl2onnx.common.data_types import (
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

import tabular_data as data
from fixture import Fixture, file_writer
from tabular_cases import classifier_cases, tensor_cases

EXPORTER = f"skl2onnx {skl2onnx.__version__}"
LIBRARY = f"scikit-learn {sklearn.__version__}"
PROBABILITIES = f"predict_proba of {LIBRARY}"
WINE_TYPES = [
    ("alcohol", FloatTensorType([None, 1])),
    ("flavanoids", FloatTensorType([None, 1])),
    ("magnesium", Int64TensorType([None, 1])),
    ("colour", StringTensorType([None, 1])),
]

COLUMNS_EXPORT = (
    'to_onnx(model, initial_types=[("alcohol", FloatTensorType([None, 1])), '
    '("colour", StringTensorType([None, 1])), ...])'
)


def single(name, what, export, exported, cases, **more):
    """A fixture that is one file of skl2onnx; `more` overrides what most have in common."""
    common = {"task": "tabular-classification", "python": PROBABILITIES}
    if more.get("task") == "tensors":
        common["notes"] = ["task tensors"]
    return Fixture(
        name=name,
        exporter=EXPORTER,
        layout="single file",
        what=what,
        export=export,
        path=f"{name}.onnx",
        cases=cases,
        write=file_writer(f"{name}.onnx", exported.SerializeToString()),
        **common | more,
    )


def classifier(name, what, export, model, rows, exported):
    """A classifier whose graph has one [N,F] input."""
    cases = classifier_cases(data.unnamed(rows.shape[1]), rows, model.classes_, model.predict_proba(rows))
    return single(name, what, export, exported, cases, notes=[data.unnamed_note(rows)])


def forest(dtype=np.float32):
    """A small forest and rows to ask it about."""
    features, labels = data.iris(dtype)
    model = RandomForestClassifier(10, max_depth=4, random_state=0).fit(features, labels)
    return model, features[:1], features[data.spread(labels)]


def forest_zipmap():
    """skl2onnx as it is out of the box."""
    model, sample, rows = forest()
    return classifier(
        "sklearn-forest-zipmap",
        "RandomForestClassifier, ZipMap on (the default)",
        "to_onnx(model, X[:1])",
        model,
        rows,
        skl2onnx.to_onnx(model, sample),
    )


def forest_tensor():
    """Probabilities as one tensor."""
    model, sample, rows = forest()
    exported = skl2onnx.to_onnx(model, sample, options={"zipmap": False})
    return classifier(
        "sklearn-forest",
        "RandomForestClassifier, ZipMap off",
        'to_onnx(model, X[:1], options={"zipmap": False})',
        model,
        rows,
        exported,
    )


def forest_double():
    """NumPy's own type: whoever does not cast gets an FP64 input."""
    model, sample, rows = forest(np.float64)
    return classifier(
        "sklearn-forest-double",
        "RandomForestClassifier, X of float64",
        "to_onnx(model, X[:1])",
        model,
        rows,
        skl2onnx.to_onnx(model, sample),
    )


def forest_columns():
    """An output a class: no tensor of scores, so they are served as they are."""
    model, sample, rows = forest()
    exported = skl2onnx.to_onnx(model, sample, options={"zipmap": "columns"})
    outputs = {"output_label": model.predict(rows)}
    outputs |= {f"i{label}": column for label, column in zip(model.classes_, model.predict_proba(rows).T, strict=True)}
    return single(
        "sklearn-forest-columns",
        "RandomForestClassifier, an output a class",
        'to_onnx(model, X[:1], options={"zipmap": "columns"})',
        exported,
        tensor_cases({"X": rows}, outputs),
        task="tensors",
        python=f"predict and {PROBABILITIES}",
    )


def tree_integers():
    """Whole numbers: the input is INT64."""
    features, labels = data.iris()
    features = (features * 10).round().astype(np.int64)
    model = DecisionTreeClassifier(max_depth=3, random_state=0).fit(features, labels)
    return classifier(
        "sklearn-tree-integers",
        "DecisionTreeClassifier, X of int64",
        "to_onnx(model, X[:1])",
        model,
        features[data.spread(labels)],
        skl2onnx.to_onnx(model, features[:1]),
    )


def logistic():
    """A classifier with classes that are text, and rows to ask it about."""
    features, labels = data.iris_named()
    return LogisticRegression(max_iter=1000).fit(features, labels), features[:1], features[data.spread(labels)]


def logistic_names():
    """Labels that are text."""
    model, sample, rows = logistic()
    return classifier(
        "sklearn-logistic-names",
        "LogisticRegression, classes named by text",
        "to_onnx(model, X[:1])",
        model,
        rows,
        skl2onnx.to_onnx(model, sample),
    )


def svc():
    """Probabilities by Platt's method."""
    features, labels = data.iris_named()
    model = make_pipeline(StandardScaler(), SVC(probability=True, random_state=0)).fit(features, labels)
    return classifier(
        "sklearn-svc",
        "StandardScaler, SVC(probability=True)",
        "to_onnx(model, X[:1])",
        model,
        features[data.spread(labels)],
        skl2onnx.to_onnx(model, features[:1]),
    )


def calibrated_svc():
    """What scikit-learn 1.9 recommends in place of `probability=True`."""
    features, labels = data.iris_named()
    model = CalibratedClassifierCV(SVC(), ensemble=False).fit(features, labels)
    return classifier(
        "sklearn-svc-calibrated",
        "CalibratedClassifierCV(SVC())",
        "to_onnx(model, X[:1])",
        model,
        features[data.spread(labels)],
        skl2onnx.to_onnx(model, features[:1]),
    )


def hist_gradient():
    """Trained with gaps; without a manifest every feature must come (native-hist-gradient has one)."""
    features, labels = data.wine_gaps()
    model = HistGradientBoostingClassifier(max_iter=6, max_leaf_nodes=6, random_state=0).fit(features, labels)
    return classifier(
        "sklearn-hist-gradient",
        "HistGradientBoostingClassifier",
        "to_onnx(model, X[:1])",
        model,
        data.complete(features, labels),
        skl2onnx.to_onnx(model, features[:1]),
    )


def mlp():
    """A neural network behind a scaler."""
    features, labels = data.wine()
    model = make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=500, random_state=0)).fit(features, labels)
    return classifier(
        "sklearn-mlp",
        "StandardScaler, MLPClassifier",
        "to_onnx(model, X[:1])",
        model,
        features[data.spread(labels)],
        skl2onnx.to_onnx(model, features[:1]),
    )


def wine_pipeline():
    """Columns of three types behind a ColumnTransformer, and rows to ask about, the last with an unknown colour."""
    frame, labels = data.wine_columns()
    columns = ColumnTransformer(
        [
            ("measures", StandardScaler(), ["alcohol", "flavanoids"]),
            ("counts", StandardScaler(), ["magnesium"]),
            ("names", OneHotEncoder(handle_unknown="ignore"), ["colour"]),
        ]
    )
    model = make_pipeline(columns, LogisticRegression()).fit(frame, labels)
    rows = frame.iloc[data.spread(labels)].copy()
    rows.iloc[-1, rows.columns.get_loc("colour")] = "green"
    return model, rows


def columns_pipeline():
    """One input a column, strings among them."""
    model, rows = wine_pipeline()
    cases = classifier_cases(list(rows), data.cells(rows), model.classes_, model.predict_proba(rows))
    return single(
        "sklearn-columns",
        "ColumnTransformer(StandardScaler, OneHotEncoder), LogisticRegression",
        COLUMNS_EXPORT,
        skl2onnx.to_onnx(model, initial_types=WINE_TYPES),
        cases,
    )


def frame_pipeline():
    """A table in place of types: the columns' names become identifiers. In FP64 the graph that comes out is invalid."""
    frame, labels = data.iris_frame("float32")
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(frame, labels)
    exported = skl2onnx.to_onnx(model, frame[:1])
    rows = frame.iloc[data.spread(labels)]
    names = [entry.name for entry in exported.graph.input]
    cases = classifier_cases(names, data.cells(rows), model.classes_, model.predict_proba(rows))
    return single(
        "sklearn-frame",
        "StandardScaler, LogisticRegression, trained on a DataFrame",
        "to_onnx(model, df[:1])  # df of float32",
        exported,
        cases,
    )


def forest_regressor():
    """A number a row: without a manifest nothing says that it is more than a tensor."""
    features, target = data.diabetes()
    model = RandomForestRegressor(8, max_depth=4, random_state=0).fit(features, target)
    rows = features[data.spread(target)]
    cases = tensor_cases({"X": rows}, {"variable": model.predict(rows)[:, None]})
    return single(
        "sklearn-forest-regressor",
        "RandomForestRegressor",
        "to_onnx(model, X[:1])",
        skl2onnx.to_onnx(model, features[:1]),
        cases,
        task="tensors",
        python=f"predict of {LIBRARY}",
    )


def pca():
    """Neither a label nor a score."""
    features, _ = data.iris()
    model = PCA(2).fit(features)
    rows = features[[0, 60, 120]]
    return single(
        "sklearn-pca",
        "PCA(2)",
        "to_onnx(model, X[:1])",
        skl2onnx.to_onnx(model, features[:1]),
        tensor_cases({"X": rows}, {"variable": model.transform(rows)}),
        task="tensors",
        python=f"transform of {LIBRARY}",
    )


FIXTURES = [
    forest_zipmap,
    forest_tensor,
    forest_double,
    forest_columns,
    tree_integers,
    logistic_names,
    svc,
    calibrated_svc,
    hist_gradient,
    mlp,
    columns_pipeline,
    frame_pipeline,
    forest_regressor,
    pca,
]
