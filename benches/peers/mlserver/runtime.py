"""MLServer with onnxruntime: a runtime of its own, as its documentation has them, by Open Inference Protocol."""

import onnx_model
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Runtime(MLModel):
    """A table model of this repository."""

    async def load(self) -> bool:
        """Loads the model where it will run."""
        self.model = onnx_model.load(self.settings.parameters.uri)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Scores of the rows."""
        rows = NumpyCodec.decode_input(payload.inputs[0])
        scores = NumpyCodec.encode_output("probabilities", self.model.run(rows))
        return InferenceResponse(model_name=self.name, outputs=[scores])
