"""LitServe with onnxruntime: two workers, two API processes, its quicker queue, batches without a delay."""

import os
import sys

import litserve
import onnx_model


class Api(litserve.LitAPI):
    """A model of this repository."""

    def setup(self, device):
        """Loads the model in a worker."""
        self.model = onnx_model.load(os.environ["MODEL_PATH"])

    def batch(self, inputs):
        """Instances stay a list: arrays are made of all of them at once."""
        return inputs

    def predict(self, instances):
        """Predictions of a batch."""
        return self.model.predict(instances)

    def unbatch(self, output):
        """One prediction each."""
        return output


if __name__ == "__main__":
    api = Api(max_batch_size=8, batch_timeout=0.0)
    server = litserve.LitServer(api, accelerator="cpu", devices=1, workers_per_device=2, fast_queue=True, timeout=60)
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=2, generate_client_file=False, log_level="warning",
        access_log=False,
    )  # fmt: skip
