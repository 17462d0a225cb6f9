"""Exports whose signature misleads: a label and scores of what is no classifier, scores that are no probabilities,
a declared shape that the outputs do not have. What counts is what Python says."""

import catboost
import numpy as np
import skl2onnx
from sklearn.cluster import KMeans
from sklearn.ensemble import BaggingClassifier, IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.svm import LinearSVC

import tabular_boosting as boosting
import tabular_data as data
from tabular_cases import case, many, named, tensor_cases
from tabular_sklearn import LIBRARY, classifier, logistic, single


def kmeans():
    """`scores` are distances: the lowest is the cluster."""
    features, _ = data.iris()
    model = KMeans(3, n_init=3, random_state=0).fit(features)
    rows = features[[0, 60, 120]]
    outputs = {"label": model.predict(rows).astype("int64"), "scores": model.transform(rows)}
    return single(
        "sklearn-kmeans",
        "KMeans(3): label and distances",
        "to_onnx(model, X[:1])",
        skl2onnx.to_onnx(model, features[:1]),
        tensor_cases({"X": rows}, outputs),
        task="tensors",
        python=f"predict and transform of {LIBRARY}",
        tolerance=1e-3,  # of distances in single precision
    )


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


def linear_svc():
    """One column that is a distance from the plane, not a probability: the label is 1 above zero, not above a half."""
    features, species = data.iris()
    model = LinearSVC(random_state=0).fit(features, (species == 2).astype(int))
    close = [index for index, value in enumerate(model.decision_function(features)) if 0.1 < value < 0.4]
    rows = features[[0, close[0], 107]]
    answers = [{"label": str(label)} for label in model.predict(rows)]
    names = data.unnamed(4)
    cases = [
        case(named(names, rows[0]), answers[0]),
        case({"instances": [named(names, row) for row in rows]}, many(answers)),
    ]
    return single(
        "sklearn-linear-svc",
        "LinearSVC, two classes: one column, the distance from the plane",
        "to_onnx(model, X[:1])",
        skl2onnx.to_onnx(model, features[:1]),
        cases,
        python=f"predict of {LIBRARY}",
    )


def class_labels():
    """A third output that has the names of the classes, once and not for each row."""
    model, sample, rows = logistic()
    options = {"zipmap": False, "output_class_labels": True}
    exported = skl2onnx.to_onnx(model, sample, options=options)
    return classifier(
        "sklearn-class-labels",
        "LogisticRegression, the classes' names as an output",
        'to_onnx(model, X[:1], options={"zipmap": False, "output_class_labels": True})',
        model,
        rows,
        exported,
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


def named_outside():
    """The classes' names are a constant that the label is gathered from: no node has them as an attribute."""
    features, labels = data.iris_named()
    model = GaussianNB().fit(features, labels)
    options = {"zipmap": False}
    return classifier(
        "sklearn-naive-bayes-names",
        "GaussianNB, classes named by text, ZipMap off",
        'to_onnx(model, X[:1], options={"zipmap": False})',
        model,
        features[[70, 60, 106, 133]],
        skl2onnx.to_onnx(model, features[:1], options=options),
    )


def numbers_outside():
    """The same with classes that are numbers, but not 0, 1, 2."""
    features, species = data.iris()
    model = MLPClassifier((6,), max_iter=500, random_state=0).fit(features, np.array([3, 5, 9])[species])
    return classifier(
        "sklearn-mlp-numbers",
        "MLPClassifier, classes 3, 5, 9, ZipMap off",
        'to_onnx(model, X[:1], options={"zipmap": False})',
        model,
        features[data.spread(species)],
        skl2onnx.to_onnx(model, features[:1], options={"zipmap": False}),
    )


def bagging():
    """Inner trees with classes of their own, 0, 1, 2; the names are ZipMap's."""
    features, labels = data.iris_named()
    model = BaggingClassifier(n_estimators=3, random_state=0).fit(features, labels)
    exported = skl2onnx.to_onnx(model, features[:1], target_opset={"": 17, "ai.onnx.ml": 3})
    return classifier(
        "sklearn-bagging-names",
        "BaggingClassifier, classes named by text, ZipMap on (the default)",
        'to_onnx(model, X[:1], target_opset={"": 17, "ai.onnx.ml": 3})',
        model,
        features[data.spread(labels)],
        exported,
    )


def one_versus_rest():
    """Inner classifiers of two classes each; the names of the three are a constant."""
    features, labels = data.iris_named()
    model = OneVsRestClassifier(LogisticRegression()).fit(features, labels)
    return classifier(
        "sklearn-one-versus-rest",
        "OneVsRestClassifier(LogisticRegression), ZipMap off",
        'to_onnx(model, X[:1], options={"zipmap": False})',
        model,
        features[data.spread(labels)],
        skl2onnx.to_onnx(model, features[:1], options={"zipmap": False}),
    )


FIXTURES = [
    kmeans,
    isolation_forest,
    linear_svc,
    class_labels,
    named_outside,
    numbers_outside,
    bagging,
    one_versus_rest,
    catboost_regressor,
]
