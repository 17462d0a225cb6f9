"""BentoML with onnxruntime: two workers, each with a session of its own; no access log."""

import os

import bentoml
import onnx_model


@bentoml.service(workers=2, traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Service:
    """A model of this repository."""

    def __init__(self):
        self.model = onnx_model.load(os.environ["MODEL_PATH"])

    @bentoml.api(route="/predict")
    async def predict(self, instance: dict) -> dict:
        """One instance's prediction; on the event loop, since the process has one core and nothing else to do."""
        return self.model.predict([instance])[0]
