"""MLflow folders: graphs of skl2onnx logged with the onnx flavor, with and without a signature."""

import logging

import mlflow
import mlflow.onnx
import skl2onnx
import sklearn
from mlflow.models import infer_signature
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import tabular_data as data
from fixture import Fixture
from tabular_cases import classifier_cases, tensor_cases
from tabular_sklearn import WINE_TYPES, wine_pipeline

logging.getLogger("mlflow").setLevel(logging.ERROR)
EXPORTER = f"MLflow {mlflow.__version__} with skl2onnx {skl2onnx.__version__}"
LIBRARY = f"scikit-learn {sklearn.__version__}"


def logged(name, what, export, exported, cases, **more):
    """A fixture that is an MLflow folder; `saved` of `more` goes to `save_model`."""
    saved = more.pop("saved", {})
    common = {"task": "tabular-classification", "python": f"predict_proba of {LIBRARY}"}
    return Fixture(
        name=name,
        exporter=EXPORTER,
        layout="MLflow",
        what=what,
        export=export,
        path="model",
        cases=cases,
        write=lambda folder: mlflow.onnx.save_model(exported, str(folder / "model"), **saved),
        **common | more,
    )


def forest():
    """A forest trained on a table, its graph with one [N,4] input, and rows to ask it about."""
    frame, labels = data.iris_frame("float32")
    model = RandomForestClassifier(8, max_depth=4, random_state=0).fit(frame.values, labels)
    exported = skl2onnx.to_onnx(model, frame.values[:1], options={"zipmap": False})
    return frame, model, exported, frame.values[data.spread(labels)]


def named_columns():
    """Four columns of the signature for one [N,4] input of the graph: they name its features."""
    frame, model, exported, rows = forest()
    signature = infer_signature(frame, model.predict_proba(frame.values))
    cases = classifier_cases(list(frame), rows, model.classes_, model.predict_proba(rows))
    return logged(
        "mlflow-forest",
        "RandomForestClassifier, signature of named columns for one input",
        'mlflow.onnx.save_model(onnx_model, "model", signature=infer_signature(df, model.predict_proba(df)))',
        exported,
        cases,
        notes=["4 features by the signature's columns"],
        saved={"signature": signature},
    )


def without_signature():
    """No signature: all there is is the graph."""
    _, model, exported, rows = forest()
    cases = classifier_cases(data.unnamed(4), rows, model.classes_, model.predict_proba(rows))
    return logged(
        "mlflow-forest-bare",
        "RandomForestClassifier, no signature",
        'mlflow.onnx.save_model(onnx_model, "model")',
        exported,
        cases,
        notes=["MLflow", data.unnamed_note(rows)],
    )


def column_inputs():
    """An input a column, of three types, with an example beside the model and ZipMap on."""
    model, rows = wine_pipeline()
    frame, _ = data.wine_columns()
    exported = skl2onnx.to_onnx(model, initial_types=WINE_TYPES)
    cases = classifier_cases(list(rows), data.cells(rows), model.classes_, model.predict_proba(rows))
    saved = {"signature": infer_signature(frame, model.predict(frame)), "input_example": frame[:2]}
    return logged(
        "mlflow-columns",
        "ColumnTransformer, LogisticRegression: an input a column, ZipMap on",
        'mlflow.onnx.save_model(onnx_model, "model", signature=infer_signature(df, labels), input_example=df[:2])',
        exported,
        cases,
        notes=["4 features by the signature's columns"],
        saved=saved,
    )


def tensor_signature():
    """A signature of a tensor names no features."""
    features, labels = data.wine()
    settings = {"max_iter": 300, "random_state": 0}
    model = make_pipeline(StandardScaler(), MLPClassifier((8,), **settings)).fit(features, labels)
    exported = skl2onnx.to_onnx(model, features[:1], options={"zipmap": False})
    rows = features[data.spread(labels)]
    cases = classifier_cases(data.unnamed(13), rows, model.classes_, model.predict_proba(rows))
    return logged(
        "mlflow-tensor",
        "StandardScaler, MLPClassifier, signature of a tensor",
        'mlflow.onnx.save_model(onnx_model, "model", signature=infer_signature(X, model.predict_proba(X)))',
        exported,
        cases,
        notes=["a signature of tensors", data.unnamed_note(rows)],
        saved={"signature": infer_signature(features, model.predict_proba(features))},
    )


def regressor():
    """Ten named columns, a number a row: a tensor without a manifest."""
    features, target = data.diabetes()
    model = RandomForestRegressor(6, max_depth=4, random_state=0).fit(features, target)
    exported = skl2onnx.to_onnx(model, features[:1])
    rows = features[data.spread(target)]
    frame = data.diabetes_frame()
    return logged(
        "mlflow-regressor",
        "RandomForestRegressor, signature of named columns for one input",
        'mlflow.onnx.save_model(onnx_model, "model", signature=infer_signature(df, model.predict(df)))',
        exported,
        tensor_cases({"X": rows}, {"variable": model.predict(rows)[:, None]}),
        notes=["task tensors", "the column names of the signature"],
        task="tensors",
        python=f"predict of {LIBRARY}",
        saved={"signature": infer_signature(frame, model.predict(features))},
    )


FIXTURES = [named_columns, without_signature, column_inputs, tensor_signature, regressor]
