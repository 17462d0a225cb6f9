"""What the tests share: the folder of the scripts and of the lane on the path, our binary, and one MLflow server for all."""

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "scripts/pipelines")]

import local  # noqa: E402  (of scripts/pipelines)


@pytest.fixture(scope="session")
def binary():
    """ml-inference-api, as scripts/pipelines/check.sh names it."""
    named = os.environ.get("ML_INFERENCE_API", "")
    if not Path(named).is_file():
        pytest.fail(f"ML_INFERENCE_API is '{named}': run the tests by scripts/pipelines/check.sh BINARY")
    return Path(named)


@pytest.fixture(scope="session")
def mlflow_uri(tmp_path_factory):
    """A real MLflow server, empty when the tests begin."""
    with local.Mlflow(tmp_path_factory.mktemp("mlflow")) as server:
        yield server.uri
