"""FastAPI with onnxruntime: one worker process a core, each with a session of its own.

The body is read by orjson without a schema of pydantic, and the answer is written by it: the quickest form that FastAPI
has. The session is run on the event loop, since the process has one core and nothing else to do meanwhile. With
TELEMETRY=1 it is traced and metered: see telemetry.py.
"""

import os

import onnx_model
import orjson
from fastapi import FastAPI, HTTPException, Request, Response

model = onnx_model.load(os.environ["MODEL_PATH"])
app = FastAPI()


def predicted(body):
    """The prediction of one instance; 422 when it is not one."""
    try:
        return model.predict([orjson.loads(body)])[0]
    except (KeyError, TypeError, ValueError) as problem:
        raise HTTPException(422, f"not an instance: {problem}") from problem


if os.environ.get("TELEMETRY") == "1":
    import telemetry

    telemetry.serve(app, predicted)
else:

    @app.post("/predict")
    async def predict(request: Request) -> Response:
        """One instance's prediction."""
        return Response(orjson.dumps(predicted(await request.body())), media_type="application/json")
