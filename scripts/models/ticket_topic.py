"""Writes the files of `ticket-topic` that are not in git: the MiniLM encoder with the head in head.json.

The head is a logistic regression over the pooled hidden states of two layers; pipelines/ticket_head.py
trains it. Its softmax is the server's (config.json says that it is a classifier). assemble.sh calls this.
"""

import argparse
import json
from pathlib import Path

import numpy as np

import minilm

FOLDER = Path(__file__).resolve().parents[2] / "models" / "ticket-topic"


def read_head(path=FOLDER / "head.json"):
    """Returns the head as written by training: `labels`, `layers`, `weight` [labels, features], `bias`."""
    head = json.loads(path.read_text(encoding="utf-8"))
    head["weight"] = np.array(head["weight"], np.float32)
    head["bias"] = np.array(head["bias"], np.float32)
    return head


def add_head(g, states, head):
    """Adds pooling and the linear layer; layers are counted from 1."""
    features = [minilm.pooled(g, states[layer - 1], f"pooled.{layer}") for layer in head["layers"]]
    joined = g.node("Concat", features, "features", axis=1)
    weight, bias = g.constant("head.weight", head["weight"]), g.constant("head.bias", head["bias"])
    return g.node("Gemm", [joined, weight, bias], "logits", transB=1)


def build(head):
    """Returns the bytes of the graph."""
    g = minilm.graph()
    add_head(g, minilm.encoder(g, "last_hidden_state"), head)
    return minilm.finished(g, "ticket-topic", {"logits": ["batch", len(head["labels"])]})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write to (default: models/ticket-topic)")
    args = parser.parse_args()
    minilm.write(args.out / "tokenizer.json", (minilm.package_files() / "tokenizer.json").read_bytes())
    minilm.write(args.out / "model.onnx", build(read_head()))


if __name__ == "__main__":
    main()
