"""KServe's Python model server with onnxruntime: two workers, by Open Inference Protocol, without gRPC.

The port is an option that KServe itself reads from the command line.
"""

import os

import onnx_model
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer
from kserve.logging import KSERVE_LOG_CONFIG
from kserve.utils.utils import generate_uuid

# Every process, also a worker, takes its logging from here; it would log every request three times.
for logger in KSERVE_LOG_CONFIG["loggers"].values():
    logger["level"] = "WARNING"


class Served(Model):
    """A table model of this repository."""

    def __init__(self):
        super().__init__("model")
        self.load()

    def __getstate__(self):
        """What a worker is sent: all but the session, which can't be."""
        return {name: value for name, value in vars(self).items() if name != "model"}

    def __setstate__(self, state):
        """In a worker: the session is its own."""
        vars(self).update(state)
        self.load()

    def load(self):
        """Loads the model in each process."""
        self.model = onnx_model.load(os.environ["MODEL_PATH"])
        self.ready = True
        return True

    async def predict(self, payload: InferRequest, headers=None, response_headers=None) -> InferResponse:
        """Scores of the rows."""
        scores = self.model.run(payload.inputs[0].as_numpy())
        output = InferOutput("probabilities", list(scores.shape), "FP32")
        output.set_data_from_numpy(scores, binary_data=False)
        return InferResponse(payload.id or generate_uuid(), "model", [output])


if __name__ == "__main__":
    ModelServer(workers=2, enable_grpc=False, enable_latency_logging=False).start([Served()])
