"""Exports whose signature misleads: a label and scores of what is no classifier, a declared shape that the outputs do
not have. What counts is what Python says."""

import catboost
import skl2onnx
from sklearn.ensemble import IsolationForest

import tabular_boosting as boosting
import tabular_data as data
from tabular_cases import tensor_cases
from tabular_sklearn import LIBRARY, single


def isolation_forest():
    """A label of 1 or -1 and one column of scores, below zero for an outlier."""
    features, _ = data.iris()
    model = IsolationForest(n_estimators=4, max_samples=16, random_state=0).fit(features)
    rows = features[[model.decision_function(features).argmax(), 41, 131]]
    outputs = {"label": model.predict(rows)[:, None], "scores": model.decision_function(rows)[:, None]}
    return single(
        "sklearn-isolation-forest",
        "IsolationForest: inlier or outlier",
        'to_onnx(model, X[:1], target_opset={"": 17, "ai.onnx.ml": 3})',
        skl2onnx.to_onnx(model, features[:1], target_opset={"": 17, "ai.onnx.ml": 3}),
        tensor_cases({"X": rows}, outputs),
        task="tensors",
        python=f"predict and decision_function of {LIBRARY}",
    )


def catboost_regressor():
    """The output is declared as [N] and comes as [N,1]."""
    features, target = data.diabetes()
    settings = {"depth": 3, "thread_count": 1, "random_seed": 0, "verbose": False, "allow_writing_files": False}
    model = catboost.CatBoostRegressor(iterations=6, **settings).fit(features, target)
    rows = features[data.spread(target)]
    return boosting.single(
        "catboost-regressor",
        boosting.CATBOOST,
        "CatBoostRegressor",
        boosting.CATBOOST_EXPORT,
        boosting.by_catboost(model),
        tensor_cases({"features": rows}, {"predictions": model.predict(rows)[:, None]}),
        task="tensors",
        python=f"predict of {boosting.CATBOOST}",
    )


FIXTURES = [isolation_forest, catboost_regressor]
