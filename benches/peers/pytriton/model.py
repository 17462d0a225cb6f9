"""The model of Triton's Python backend, with onnxruntime: each instance is a process with a session of its own."""

import os
import sys

# The backend's own interpreter leaves this variable alone.
sys.path[:0] = os.environ["PYTHONPATH"].split(os.pathsep)
import numpy as np  # noqa: E402
import onnx_model  # noqa: E402
import triton_python_backend_utils as backend  # noqa: E402


class TritonPythonModel:
    """A table model of this repository."""

    def initialize(self, args):
        """Loads the model in an instance's process."""
        self.model = onnx_model.load(os.environ["MODEL_PATH"])

    def execute(self, requests):
        """Scores of each request of a batch; the rows run together."""
        arrays = [backend.get_input_tensor_by_name(request, "input").as_numpy() for request in requests]
        scores, at, answers = self.model.run(np.concatenate(arrays)), 0, []
        for rows in arrays:
            part = backend.Tensor("probabilities", scores[at : at + len(rows)])
            answers.append(backend.InferenceResponse([part]))
            at += len(rows)
        return answers
