"""scikit-learn's estimators, exported by skl2onnx to single files."""

import numpy as np
import skl2onnx
import sklearn
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from fixture import Fixture, file_writer
from tabular_cases import classifier_cases, spread

EXPORTER = f"skl2onnx {skl2onnx.__version__}"
PROBABILITIES = f"predict_proba of scikit-learn {sklearn.__version__}"

def unnamed(width):
    """The features of a [N,F] input that nothing names."""
    return [f"f{index}" for index in range(width)]

def iris(dtype=np.float32):
    """Iris with its species as class 0, 1, 2."""
    features, species = load_iris(return_X_y=True)
    return features.astype(dtype), species

def iris_names():
    """Iris with its species by name."""
    features, species = iris()
    return features, load_iris().target_names[species]

def classifier(name, what, export, model, features, labels, onnx_model, **more):
    """A fixture of a classifier whose graph has one [N,F] input."""
    rows = features[spread(labels)]
    cases = classifier_cases(unnamed(rows.shape[1]), rows, model.classes_, model.predict_proba(rows))
    return Fixture(
        name=name, exporter=EXPORTER, layout="single file", what=what, export=export, path=f"{name}.onnx",
        task="tabular-classification", python=PROBABILITIES, cases=cases,
        write=file_writer(f"{name}.onnx", onnx_model.SerializeToString()), **more,
    )

def forest_zipmap():
    """skl2onnx as it is out of the box."""
    features, labels = iris()
    model = RandomForestClassifier(10, max_depth=4, random_state=0).fit(features, labels)
    return classifier("sklearn-forest-zipmap", "RandomForestClassifier, ZipMap on (the default)", "to_onnx(model, X[:1])",
                      model, features, labels, skl2onnx.to_onnx(model, features[:1]))

def forest_tensor():
    """Probabilities as one tensor."""
    features, labels = iris()
    model = RandomForestClassifier(10, max_depth=4, random_state=0).fit(features, labels)
    exported = skl2onnx.to_onnx(model, features[:1], options={"zipmap": False})
    return classifier("sklearn-forest", "RandomForestClassifier, ZipMap off",
                      'to_onnx(model, X[:1], options={"zipmap": False})', model, features, labels, exported)

def logistic_names():
    """Labels that are text."""
    features, labels = iris_names()
    model = LogisticRegression(max_iter=1000).fit(features, labels)
    return classifier("sklearn-logistic-names", "LogisticRegression, classes named by text", "to_onnx(model, X[:1])",
                      model, features, labels, skl2onnx.to_onnx(model, features[:1]))

FIXTURES = [forest_zipmap, forest_tensor, logistic_names]
