"""What every Python peer shares: a model of this repository, run by onnxruntime as a good engineer would have it.

One session a process with one thread in a run, since the processes are as many as the cores; onnxruntime's own
optimizations; no copies that are not needed. `load` reads the folder of a model (model.toml beside 1/model.onnx).
"""

import os
import tomllib
from pathlib import Path

import numpy as np
import onnxruntime

# Texts arrive one by one: threads inside the tokenizer would only get in each other's way.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def session(graph):
    """A session of one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


class Tabular:
    """Named numbers to a label and scores."""

    def __init__(self, folder, manifest):
        self.session = session(folder / "1" / "model.onnx")
        self.names = [feature["name"] for feature in manifest["features"]]
        self.labels = manifest["labels"]
        self.input = self.session.get_inputs()[0].name
        self.output = manifest["outputs"]["scores"]

    def run(self, rows):
        """Scores of an array of rows."""
        return self.session.run([self.output], {self.input: rows})[0]

    def predict(self, instances):
        """Predictions of instances; a KeyError, TypeError or ValueError is the client's."""
        rows = np.array([[instance[name] for name in self.names] for instance in instances], np.float32)
        return [self.answer(scores) for scores in self.run(rows).tolist()]

    def answer(self, scores):
        """A row's scores as they are sent."""
        best = max(range(len(scores)), key=scores.__getitem__)
        named = dict(zip(self.labels, scores, strict=True))
        return {"label": self.labels[best], "confidence": scores[best], "scores": named}


class Embedder:
    """Texts to unit vectors."""

    def __init__(self, folder, manifest):
        from tokenizers import Tokenizer

        self.session = session(folder / "1" / "model.onnx")
        self.tokenizer = Tokenizer.from_file(str(folder / manifest["tokenizer"]))
        self.tokenizer.enable_truncation(manifest["max_length"])
        self.tokenizer.enable_padding()

    def predict(self, instances):
        """Vectors of instances; a KeyError, TypeError or ValueError is the client's."""
        encoded = self.tokenizer.encode_batch([instance["text"] for instance in instances])
        ids = np.array([one.ids for one in encoded], np.int64)
        mask = np.array([one.attention_mask for one in encoded], np.int64)
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        states = self.session.run(["last_hidden_state"], feed)[0]
        weights = mask[:, :, None].astype(np.float32)
        vectors = (states * weights).sum(1) / weights.sum(1)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return [{"embedding": vector} for vector in vectors.tolist()]


def load(path):
    """The model in a folder."""
    folder = Path(path)
    manifest = tomllib.loads((folder / "model.toml").read_text())
    kinds = {"tabular-classification": Tabular, "text-embedding": Embedder}
    return kinds[manifest["task"]](folder, manifest)
