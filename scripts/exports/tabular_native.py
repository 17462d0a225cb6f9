"""Exports with a model.toml beside them: names, categories, labels, and defaults for what a request lacks.

Libraries that learn from gaps get them as NaN: `default = nan` makes that of a feature that is absent or null.
"""

import lightgbm
import numpy as np
import onnxmltools
import skl2onnx
import sklearn
import xgboost
from skl2onnx import to_onnx
from sklearn.datasets import load_wine
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import tabular_boosting as boosting
import tabular_data as data
from fixture import Fixture
from tabular_cases import CSV, case, classification, csv, many, named, plain, score
from tabular_sklearn import COLUMNS_EXPORT, WINE_TYPES, wine_pipeline

LIBRARY = f"scikit-learn {sklearn.__version__}"
SKL2ONNX = f"skl2onnx {skl2onnx.__version__}"
GAPS = ["alcohol", "flavanoids", "magnesium", "colour"]
GROWERS = [str(name) for name in load_wine().target_names]
GAPS_MANIFEST = f"""schema = 1
task = "tabular-classification"
labels = {GROWERS}
features = [
  {{ name = "alcohol", type = "float32", default = nan }},
  {{ name = "flavanoids", type = "float32", default = nan }},
  {{ name = "magnesium", type = "float32", default = nan }},
  {{ name = "colour", categories = {data.COLOURS}, default = "medium" }},
]
""".replace("'", '"')
COLUMNS_MANIFEST = f"""schema = 1
task = "tabular-classification"
labels = {GROWERS}
features = [
  {{ name = "alcohol", type = "float32" }},
  {{ name = "flavanoids", type = "float32", default = 2.0 }},
  {{ name = "magnesium", type = "int64", default = 98 }},
  {{ name = "colour", type = "string", categories = {data.COLOURS}, default = "medium" }},
]
""".replace("'", '"')


def described(name, exporter, what, export, exported, manifest, cases, **more):
    """A folder with a manifest and the graph."""

    def write(folder):
        (folder / "model").mkdir()
        (folder / "model" / "model.toml").write_text(manifest, encoding="utf-8")
        (folder / "model" / "model.onnx").write_bytes(exported)

    common = {"task": "tabular-classification"}
    return Fixture(
        name=name,
        exporter=exporter,
        layout="native",
        what=what,
        export=export,
        path="model",
        cases=cases,
        write=write,
        **common | more,
    )


def gap_cases(rows, sent, probabilities):
    """Whole rows and rows with gaps: by names, in order with nulls, as a list, as a table with empty cells."""
    answers = [classification(GROWERS, row) for row in probabilities]
    instances = [named(GAPS, row) for row in sent]
    nulls = dict(zip(GAPS, map(plain, sent[3]), strict=True))
    assert None in nulls.values() and len(instances[2]) < len(GAPS), "the last two rows must lack something"
    return [
        case(instances[2], answers[2]),
        case(nulls, answers[3]),
        case([plain(value) for value in sent[2]], answers[2]),
        case({"instances": instances}, many(answers)),
        case(csv(GAPS, sent), many(answers), CSV),
    ]


def gap_rows():
    """Rows as the library gets them, and as a request has them: with the colour by name."""
    features, labels = data.wine_gaps()
    rows = data.with_gaps(features, labels)
    return rows, [[*row[:3], data.COLOURS[int(row[3])]] for row in rows]


def with_gaps(name, exporter, library, what, export, model, exported):
    """A classifier that learned from gaps."""
    rows, sent = gap_rows()
    means = np.nanmean(data.wine_gaps()[0], axis=0)
    filled = np.where(np.isnan(rows), means.astype(np.float32), rows)
    told = not np.allclose(model.predict_proba(rows), model.predict_proba(filled), atol=1e-3)
    assert told, f"{name}: a gap is as good as the mean"
    cases = gap_cases(rows, sent, model.predict_proba(rows))
    return described(
        name,
        exporter,
        f"{what}, with gaps (`default = nan`) and a category",
        export,
        exported,
        GAPS_MANIFEST,
        cases,
        python=f"predict_proba of {library}",
    )


def hist_gradient():
    """scikit-learn's own boosting."""
    model = HistGradientBoostingClassifier(max_iter=6, max_leaf_nodes=6, random_state=0).fit(*data.wine_gaps())
    exported = to_onnx(model, data.wine_gaps()[0][:1]).SerializeToString()
    return with_gaps(
        "native-hist-gradient",
        SKL2ONNX,
        LIBRARY,
        "HistGradientBoostingClassifier",
        "to_onnx(model, X[:1])",
        model,
        exported,
    )


def imputer():
    """A pipeline that fills gaps itself."""
    model = make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression())
    model.fit(*data.wine_gaps())
    exported = to_onnx(model, data.wine_gaps()[0][:1]).SerializeToString()
    return with_gaps(
        "native-imputer",
        SKL2ONNX,
        LIBRARY,
        "SimpleImputer, StandardScaler, LogisticRegression",
        "to_onnx(model, X[:1])",
        model,
        exported,
    )


def xgboost_gaps():
    """XGBoost's own way with what is missing."""
    model = boosting.train_xgboost(*data.wine_gaps())
    exported = boosting.by_onnxmltools(onnxmltools.convert_xgboost, model, data.wine_gaps()[0])
    return with_gaps(
        "native-xgboost",
        boosting.ONNXMLTOOLS,
        f"XGBoost {xgboost.__version__}",
        "XGBClassifier",
        boosting.XGBOOST_EXPORT.format(4),
        model,
        exported,
    )


def lightgbm_gaps():
    """LightGBM's own way with what is missing."""
    model = boosting.train_lightgbm(*data.wine_gaps())
    exported = boosting.by_onnxmltools(onnxmltools.convert_lightgbm, model, data.wine_gaps()[0])
    return with_gaps(
        "native-lightgbm",
        boosting.ONNXMLTOOLS,
        f"LightGBM {lightgbm.__version__}",
        "LGBMClassifier",
        boosting.LIGHTGBM_EXPORT.format(4),
        model,
        exported,
    )


def catboost_gaps():
    """CatBoost's own way with what is missing."""
    model = boosting.train_catboost(*data.wine_gaps())
    return with_gaps(
        "native-catboost",
        boosting.CATBOOST,
        boosting.CATBOOST,
        "CatBoostClassifier",
        boosting.CATBOOST_EXPORT,
        model,
        boosting.by_catboost(model),
    )


def columns():
    """An input a column, with defaults of three types: what is absent is predicted as if it were sent."""
    model, rows = wine_pipeline()
    rows = rows.iloc[:3].copy()
    rows.loc[rows.index[1], "colour"] = "medium"
    rows.loc[rows.index[2], ["flavanoids", "magnesium"]] = [2.0, 98]
    sent = data.cells(rows)
    sent[1][3], sent[2][1], sent[2][2] = None, None, None
    answers = [classification(GROWERS, row) for row in model.predict_proba(rows)]
    names = list(rows)
    cases = [
        case(named(names, sent[1]), answers[1]),
        case([plain(value) for value in sent[2]], answers[2]),
        case({"instances": [named(names, row) for row in sent]}, many(answers)),
        case(csv(names, sent), many(answers), CSV),
    ]
    exported = to_onnx(model, initial_types=WINE_TYPES).SerializeToString()
    return described(
        "native-columns",
        SKL2ONNX,
        "ColumnTransformer, LogisticRegression, with defaults and a category",
        COLUMNS_EXPORT,
        exported,
        COLUMNS_MANIFEST,
        cases,
        python=f"predict_proba of {LIBRARY}",
    )


def regressor():
    """A number a row, said to be one by the manifest."""
    features, target = data.diabetes()
    names = list(data.diabetes_frame())
    model = RandomForestRegressor(8, max_depth=4, random_state=0).fit(features, target)
    rows = features[data.spread(target)]
    answers = [{"value": score(value)} for value in model.predict(rows)]
    listed = ",\n".join(f'  {{ name = "{name}", type = "float32" }}' for name in names)
    manifest = f'schema = 1\ntask = "tabular-regression"\nfeatures = [\n{listed},\n]\n'
    cases = [
        case(named(names, rows[0]), answers[0]),
        case([plain(value) for value in rows[1]], answers[1]),
        case({"instances": [named(names, row) for row in rows[2:]]}, many(answers[2:])),
        case(csv(names, rows), many(answers), CSV),
    ]
    return described(
        "native-regressor",
        SKL2ONNX,
        "RandomForestRegressor, `tabular-regression` with named features",
        "to_onnx(model, X[:1])",
        to_onnx(model, features[:1]).SerializeToString(),
        manifest,
        cases,
        task="tabular-regression",
        python=f"predict of {LIBRARY}",
    )


FIXTURES = [hist_gradient, imputer, xgboost_gaps, lightgbm_gaps, catboost_gaps, columns, regressor]
