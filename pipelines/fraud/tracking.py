"""One training in MLflow: parameters, figures, the data's digest, the forest, and the graph as a registered version."""

import logging
import os
import warnings

# Read when MLflow loads: nothing is told to its makers, and git, which a container may not have, is not missed.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "4")

from importlib.metadata import version as installed

import mlflow
import onnx
import pandas
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature

from . import forest
from .command import StepError
from .files import sha256
from .registry import Registry
from .schema import FEATURES, LABEL
from .scores import named


def register(args, data, model, graph, measured):
    """Logs the run and registers the graph; returns what the next steps need to know of it."""
    registry = Registry(args.tracking_uri)
    mlflow.set_tracking_uri(registry.uri)
    mlflow.set_registry_uri(registry.uri)
    warnings.filterwarnings("ignore", module="mlflow.*")
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    try:
        mlflow.set_experiment(args.experiment)
        with mlflow.start_run(run_name=args.run_name) as run:
            mlflow.log_params({name: getattr(model, name) for name in ("n_estimators", "max_depth", "random_state")})
            mlflow.log_metrics(named(measured))
            mlflow.set_tags({"data_digest": data.digest, "data_source": data.about["source"]})
            version, kept = _log(args, data, model, graph)
    except MlflowException as error:
        raise StepError(f"MLflow at {registry.uri} refuses: {error}") from None
    candidate = {
        "model": args.model, "version": version, "run_id": run.info.run_id,
        "graph_sha256": sha256(graph), "data_digest": data.digest, "forest": kept,
        "forest_sha256": sha256(registry.download(registry.logged_root(kept), forest.FILE)),
    }  # fmt: skip
    registry.tag(args.model, version, graph_sha256=candidate["graph_sha256"], data_digest=data.digest)
    stored = sha256(registry.download(registry.model_root(args.model, version), "model.onnx"))
    if stored != candidate["graph_sha256"]:
        raise StepError(f"MLflow has another graph than it was given: expected sha256 {candidate['graph_sha256']}, came {stored}")
    return candidate


def _pins(*packages):
    """What a model needs to be loaded by MLflow; left to itself MLflow finds out by loading it in another process."""
    return [f"{name}=={installed(name)}" for name in packages]


def _log(args, data, model, graph):
    """Logs the data set and both flavours; returns the number of the new version, and the forest's id."""
    rows, labels = data.part("train")
    table = pandas.DataFrame(rows, columns=FEATURES)
    known = mlflow.data.from_pandas(table.assign(**{LABEL: labels}), name="payments", targets=LABEL, digest=data.digest[:8])
    mlflow.log_input(known, context="training")
    mlflow.log_dict(data.about, "data/data.json")
    example = rows[:2]
    signature = infer_signature({forest.INPUT: example}, {"probabilities": model.predict_proba(example).astype("float32")})
    kept = mlflow.sklearn.log_model(
        model, name="sklearn", serialization_format="skops", skops_trusted_types=forest.TRUSTED,
        pip_requirements=_pins("scikit-learn", "skops", "numpy"),
    )  # fmt: skip
    logged = mlflow.onnx.log_model(
        onnx.load_model_from_string(graph), name="model", signature=signature, input_example={forest.INPUT: example},
        registered_model_name=args.model, save_as_external_data=False,
        onnx_execution_providers=["CPUExecutionProvider"], pip_requirements=_pins("onnx", "onnxruntime", "numpy"),
    )  # fmt: skip
    return str(logged.registered_model_version), kept.model_id
