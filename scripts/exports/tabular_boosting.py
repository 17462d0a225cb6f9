"""Gradient boosting: XGBoost and LightGBM exported by onnxmltools or as a step of skl2onnx, CatBoost by itself."""

import tempfile
from pathlib import Path

import catboost
import lightgbm
import onnxmltools
import skl2onnx
import xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import tabular_data as data
from fixture import Fixture, file_writer
from tabular_cases import classifier_cases, tensor_cases

ONNXMLTOOLS = f"onnxmltools {onnxmltools.__version__}"
CATBOOST = f"CatBoost {catboost.__version__}"


def single(name, exporter, what, export, exported, cases, **more):
    """A fixture that is one file; `more` has `python`, and what differs from the rest."""
    common = {"task": "tabular-classification"}
    if more.get("task") == "tensors":
        common["notes"] = ["task tensors"]
    return Fixture(
        name=name,
        exporter=exporter,
        layout="single file",
        what=what,
        export=export,
        path=f"{name}.onnx",
        cases=cases,
        write=file_writer(f"{name}.onnx", exported),
        **common | more,
    )


def classifier(name, exporter, what, export, model, rows, exported):
    """A classifier whose graph has one [N,F] input."""
    library = {"x": f"XGBoost {xgboost.__version__}", "l": f"LightGBM {lightgbm.__version__}", "c": CATBOOST}[name[0]]
    cases = classifier_cases(data.unnamed(rows.shape[1]), rows, model.classes_, model.predict_proba(rows))
    notes = [data.unnamed_note(rows)]
    return single(name, exporter, what, export, exported, cases, notes=notes, python=f"predict_proba of {library}")


def types(features):
    """How onnxmltools is told of one [N,F] input."""
    return [("input", FloatTensorType([None, features.shape[1]]))]


def train_xgboost(features, labels):
    """A few small trees."""
    return xgboost.XGBClassifier(n_estimators=5, max_depth=3, n_jobs=1, random_state=0).fit(features, labels)


def train_lightgbm(features, labels):
    """A few small trees."""
    settings = {"num_leaves": 6, "n_jobs": 1, "deterministic": True, "random_state": 0, "verbose": -1}
    return lightgbm.LGBMClassifier(n_estimators=5, **settings).fit(features, labels)


def train_catboost(features, labels):
    """A few small trees."""
    settings = {"depth": 3, "thread_count": 1, "random_seed": 0, "verbose": False, "allow_writing_files": False}
    return catboost.CatBoostClassifier(iterations=6, **settings).fit(features, labels)


def by_onnxmltools(convert, model, features):
    """The bytes that onnxmltools makes."""
    return convert(model, initial_types=types(features)).SerializeToString()


def by_catboost(model):
    """The bytes that CatBoost writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        model.save_model(str(path), format="onnx")
        return path.read_bytes()


XGBOOST_EXPORT = 'onnxmltools.convert_xgboost(model, initial_types=[("input", FloatTensorType([None, {}]))])'
LIGHTGBM_EXPORT = 'onnxmltools.convert_lightgbm(model, initial_types=[("input", FloatTensorType([None, {}]))])'
CATBOOST_EXPORT = 'model.save_model("model.onnx", format="onnx")'


def xgboost_binary():
    """Two classes."""
    features, labels = data.tumours()
    model = train_xgboost(features, labels)
    return classifier(
        "xgboost-binary",
        ONNXMLTOOLS,
        "XGBClassifier, two classes",
        XGBOOST_EXPORT.format(10),
        model,
        features[data.spread(labels)],
        by_onnxmltools(onnxmltools.convert_xgboost, model, features),
    )


def xgboost_multi():
    """Three classes."""
    features, labels = data.iris()
    model = train_xgboost(features, labels)
    return classifier(
        "xgboost-multi",
        ONNXMLTOOLS,
        "XGBClassifier, three classes",
        XGBOOST_EXPORT.format(4),
        model,
        features[data.spread(labels)],
        by_onnxmltools(onnxmltools.convert_xgboost, model, features),
    )


def xgboost_pipeline():
    """A step of a scikit-learn pipeline, by the converter that onnxmltools lends to skl2onnx; ZipMap as by default."""
    features, labels = data.iris()
    skl2onnx.update_registered_converter(
        xgboost.XGBClassifier,
        "XGBoostXGBClassifier",
        calculate_linear_classifier_output_shapes,
        convert_xgboost,
        options={"nocl": [True, False], "zipmap": [True, False, "columns"]},
    )
    settings = {"n_estimators": 5, "max_depth": 3, "n_jobs": 1, "random_state": 0}
    model = make_pipeline(StandardScaler(), xgboost.XGBClassifier(**settings)).fit(features, labels)
    exported = skl2onnx.to_onnx(model, features[:1], target_opset={"": 17, "ai.onnx.ml": 3}).SerializeToString()
    return classifier(
        "xgboost-pipeline",
        f"skl2onnx {skl2onnx.__version__} with {ONNXMLTOOLS}",
        "StandardScaler, XGBClassifier, ZipMap on (the default)",
        "update_registered_converter(XGBClassifier, ...); "
        'to_onnx(model, X[:1], target_opset={"": 17, "ai.onnx.ml": 3})',
        model,
        features[data.spread(labels)],
        exported,
    )


def xgboost_regressor():
    """A number a row."""
    features, target = data.diabetes()
    model = xgboost.XGBRegressor(n_estimators=6, max_depth=3, n_jobs=1, random_state=0).fit(features, target)
    rows = features[data.spread(target)]
    return single(
        "xgboost-regressor",
        ONNXMLTOOLS,
        "XGBRegressor",
        XGBOOST_EXPORT.format(10),
        by_onnxmltools(onnxmltools.convert_xgboost, model, features),
        tensor_cases({"input": rows}, {"variable": model.predict(rows)[:, None]}),
        task="tensors",
        python=f"predict of XGBoost {xgboost.__version__}",
    )


def lightgbm_binary():
    """Two classes; ZipMap is the default. The label's shape is written as [1], so it runs row by row."""
    features, labels = data.tumours()
    model = train_lightgbm(features, labels)
    return classifier(
        "lightgbm-binary",
        ONNXMLTOOLS,
        "LGBMClassifier, two classes, ZipMap on (the default)",
        LIGHTGBM_EXPORT.format(10),
        model,
        features[data.spread(labels)],
        by_onnxmltools(onnxmltools.convert_lightgbm, model, features),
    )


def lightgbm_multi():
    """Three classes."""
    features, labels = data.iris()
    model = train_lightgbm(features, labels)
    return classifier(
        "lightgbm-multi",
        ONNXMLTOOLS,
        "LGBMClassifier, three classes, ZipMap on (the default)",
        LIGHTGBM_EXPORT.format(4),
        model,
        features[data.spread(labels)],
        by_onnxmltools(onnxmltools.convert_lightgbm, model, features),
    )


def catboost_binary():
    """Two classes; ZipMap always."""
    features, labels = data.tumours()
    model = train_catboost(features, labels)
    return classifier(
        "catboost-binary",
        CATBOOST,
        "CatBoostClassifier, two classes, ZipMap (always)",
        CATBOOST_EXPORT,
        model,
        features[data.spread(labels)],
        by_catboost(model),
    )


def catboost_multi():
    """Classes that are text."""
    features, labels = data.iris_named()
    model = train_catboost(features, labels)
    return classifier(
        "catboost-names",
        CATBOOST,
        "CatBoostClassifier, classes named by text, ZipMap (always)",
        CATBOOST_EXPORT,
        model,
        features[data.spread(labels)],
        by_catboost(model),
    )


FIXTURES = [
    xgboost_binary,
    xgboost_multi,
    xgboost_pipeline,
    xgboost_regressor,
    lightgbm_binary,
    lightgbm_multi,
    catboost_binary,
    catboost_multi,
]
