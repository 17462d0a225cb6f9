"""The model: a random forest, and its graph, which takes every branch that scikit-learn takes.

No GPU is used. scikit-learn's forests run on the CPU alone; at this size (100 trees, tens of thousands of rows) training takes
seconds on two cores, less than it takes to give a pod a card. The workflow asks for one by a value all the same: see
pipelines/README.md.
"""

import os
from dataclasses import asdict, dataclass

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when the library loads

import numpy as np
import onnx
import onnxruntime
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType
from sklearn.ensemble import RandomForestClassifier

from .command import StepError
from .schema import FEATURES, LABELS, NAME

# Agreement with scikit-learn asked of the exported graph: FP32 sums of 100 leaf values.
TOLERANCE = 1e-5
# The file in which MLflow's flavour sklearn keeps a forest, and what skops is to build of it beyond the types that it knows: it
# runs no code, but numbers of nodes made up by someone else could crash the process. So the file is held against its digest.
FILE, TRUSTED = "model.skops", ["sklearn.tree._tree.Tree"]
INPUT, LABEL_OUTPUT, SCORES_OUTPUT = "features", "label", "probabilities"


@dataclass(frozen=True)
class Parameters:
    """What the forest is made with."""

    n_estimators: int = 100
    max_depth: int = 10
    random_state: int = 42

    def as_dict(self):
        """By the names of scikit-learn."""
        return asdict(self)


def fit(features, labels, parameters):
    """A trained forest, whose thresholds are FP32 numbers."""
    model = RandomForestClassifier(**parameters.as_dict())
    model.fit(features, labels)
    _thresholds_to_fp32(model)
    return model


def _thresholds_to_fp32(model):
    """Rounds each split down to FP32, which changes no decision on FP32 rows and makes the export exact.

    scikit-learn compares FP32 values with FP64 thresholds; the graph has FP32 thresholds. Rounded to
    nearest, one may pass the value above it, and a row with just that value would go the other way.
    """
    for tree in model.estimators_:
        threshold = tree.tree_.threshold
        single = threshold.astype(np.float32)
        above = single.astype(np.float64) > threshold
        single[above] = np.nextafter(single[above], np.float32(-np.inf))
        threshold[:] = single


def export(model):
    """Returns the bytes of the graph: `features` [N,30] -> `label` [N], `probabilities` [N,2], no ZipMap."""
    graph = convert_sklearn(
        model,
        name=NAME,
        initial_types=[(INPUT, FloatTensorType([None, len(FEATURES)]))],
        final_types=[(LABEL_OUTPUT, Int64TensorType([None])), (SCORES_OUTPUT, FloatTensorType([None, len(LABELS)]))],
        options={"zipmap": False},
        target_opset={"": 17, "ai.onnx.ml": 3},
    )
    _slim(graph.graph)
    graph.ir_version = 8
    graph.doc_string = ""
    for value in [*graph.graph.input, *graph.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    # skl2onnx lists these in the order of a Python set, another one in each run
    for field in (graph.opset_import, graph.graph.node[0].attribute):
        field.sort(key=lambda entry: getattr(entry, "domain", "") or getattr(entry, "name", ""))
    onnx.checker.check_model(graph, full_check=True)
    return graph.SerializeToString(deterministic=True)


def _slim(graph):
    """Takes out what is in the graph and changes nothing: casts to the same type, all-zero optional columns."""
    forest = next(node for node in graph.node if node.op_type == "TreeEnsembleClassifier")
    for cast in [node for node in graph.node if node.op_type == "Cast"]:
        at = list(forest.output).index(cast.input[0])
        forest.output[at] = cast.output[0]
        graph.node.remove(cast)
    for attribute in list(forest.attribute):
        if attribute.name in ("nodes_hitrates", "nodes_missing_value_tracks_true"):
            if attribute.name == "nodes_missing_value_tracks_true" and any(attribute.ints):
                raise StepError("a split sends missing values somewhere: keep nodes_missing_value_tracks_true")
            forest.attribute.remove(attribute)


class Graph:
    """A graph in ONNX Runtime, on one thread, so that its answers and its times are the same on every machine's count of cores."""

    def __init__(self, data):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self.session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime raises types of its own, which have no common parent
            raise StepError(f"ONNX Runtime does not load the graph: {error}") from None
        shapes = {it.name: it.shape for it in self.session.get_inputs()}
        if list(shapes) != [INPUT] or shapes[INPUT][1:] != [len(FEATURES)]:
            raise StepError(f"the graph takes {shapes}, expected {INPUT} [N, {len(FEATURES)}]: it was trained on another schema")

    def run(self, rows):
        """(labels, scores) of rows."""
        return self.session.run([LABEL_OUTPUT, SCORES_OUTPUT], {INPUT: rows})


def load(data):
    """A forest out of the file that MLflow keeps."""
    import skops.io  # of requirements-mlflow.txt, and training alone does without

    try:
        return skops.io.loads(data, trusted=TRUSTED)
    except Exception as error:  # a damaged archive raises whatever its first wrong byte leads to
        raise StepError(f"{FILE} is no forest that skops reads: {error}") from None


def disagreement(model, graph, rows):
    """(largest difference of a score between scikit-learn and the graph, rows that got another label)."""
    label, scores = graph.run(rows)
    expected = model.predict_proba(rows)
    clear = np.abs(expected[:, 0] - 0.5) > TOLERANCE
    return float(np.abs(scores - expected).max()), int((label != model.predict(rows))[clear].sum())


def agrees(model, data, rows):
    """The largest difference, which must be within the tolerance: what is not the same model is not published."""
    worst, others = disagreement(model, Graph(data), rows)
    if worst > TOLERANCE or others:
        raise StepError(f"the graph disagrees with scikit-learn: scores by {worst:.2e}, {others} labels of {len(rows)} rows")
    return worst
