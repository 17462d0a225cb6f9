"""Writes `sentence-embedder`: all-MiniLM-L6-v2 from its published weights, and its tokenizer. assemble.sh calls it.

The graph ends with the last hidden states: pooling and normalization are the server's (model.toml).
"""

import argparse
from pathlib import Path

import minilm


def build():
    """Returns the bytes of the graph."""
    g = minilm.graph()
    minilm.encoder(g, "last_hidden_state")
    return minilm.finished(g, "sentence-embedder", {"last_hidden_state": ["batch", "sequence", minilm.WIDTH]})


def main():
    default = Path(__file__).resolve().parents[2] / "models" / "sentence-embedder"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=default,
                        help="folder to write to (default: models/sentence-embedder)")
    args = parser.parse_args()
    minilm.write(args.out / "tokenizer.json", (minilm.package_files() / "tokenizer.json").read_bytes())
    minilm.write(args.out / "1" / "model.onnx", build())


if __name__ == "__main__":
    main()
