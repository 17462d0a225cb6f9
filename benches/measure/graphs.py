"""Writes a graph that only measuring needs: `graphs.py bert-base FOLDER TOKENIZER`, `graphs.py minilm-pooled FOLDER`.

bert-base has BERT-base's shape (12 layers of width 768, 12 heads) with random weights of a fixed seed: its speed is the
real one's, its vectors mean nothing. minilm-pooled is sentence-embedder with pooling and normalization inside, for
servers that can't do that themselves; beside it the published files, and the graph where Hugging Face's layout has it.
Both by scripts/models/minilm.py, as the demo models are.
"""

import shutil
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts/models"))
import minilm  # noqa: E402
import sentence_embedder  # noqa: E402

LAYERS, HEADS, WIDTH, INNER, WORDS, POSITIONS = 12, 12, 768, 3072, 30522, 512
MANIFEST = """# Written by benches/measure/graphs.py: random weights, for measuring only.
schema = 1
name = "bert-base"
description = "The shape of BERT-base with random weights"
task = "text-embedding"
tokenizer = "tokenizer.json"
max_length = 512
truncate = false
pooling = "mean"
normalize = true
"""


def shapes():
    """The published model's weights: name and shape of each."""
    yield "embeddings.word_embeddings.weight", (WORDS, WIDTH)
    yield "embeddings.position_embeddings.weight", (POSITIONS, WIDTH)
    yield "embeddings.token_type_embeddings.weight", (2, WIDTH)
    yield from norm("embeddings.LayerNorm")
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            yield from dense(f"{name}.attention.self.{part}", WIDTH, WIDTH)
        yield from dense(f"{name}.attention.output.dense", WIDTH, WIDTH)
        yield from norm(f"{name}.attention.output.LayerNorm")
        yield from dense(f"{name}.intermediate.dense", INNER, WIDTH)
        yield from dense(f"{name}.output.dense", WIDTH, INNER)
        yield from norm(f"{name}.output.LayerNorm")


def dense(name, rows, columns):
    """A layer's matrix and offset."""
    yield f"{name}.weight", (rows, columns)
    yield f"{name}.bias", (rows,)


def norm(name):
    """A normalization's scale and offset."""
    yield f"{name}.weight", (WIDTH,)
    yield f"{name}.bias", (WIDTH,)


def weights():
    """Random weights as BERT's are at the begin of its training: normal, 0.02 wide; scales are 1, offsets 0."""
    random = np.random.default_rng(20_181_011)
    made = {}
    for name, shape in shapes():
        if name.endswith("LayerNorm.weight"):
            made[name] = np.ones(shape, np.float32)
        elif name.endswith(".bias"):
            made[name] = np.zeros(shape, np.float32)
        else:
            made[name] = random.standard_normal(shape, np.float32) * np.float32(0.02)
    return made


def bert_base(folder, tokenizer):
    """The graph, its manifest and a tokenizer of the same vocabulary."""
    minilm.LAYERS, minilm.HEADS, minilm.WIDTH, minilm.HEAD_WIDTH = LAYERS, HEADS, WIDTH, WIDTH // HEADS
    g = minilm.Graph(weights())
    minilm.encoder(g, "last_hidden_state")
    data = minilm.finished(g, "bert-base", {"last_hidden_state": ["batch", "sequence", WIDTH]})
    minilm.write(folder / "1" / "model.onnx", data)
    minilm.write(folder / "tokenizer.json", Path(tokenizer).read_bytes())
    minilm.write(folder / "model.toml", MANIFEST.encode())


def minilm_pooled(folder):
    """sentence-embedder's graph, ending with the vector."""
    g = minilm.graph()
    states = minilm.encoder(g, "last_hidden_state")
    minilm.pooled(g, states[-1], "sentence_embedding")
    data = minilm.finished(g, "minilm-pooled", {"sentence_embedding": ["batch", minilm.WIDTH]})
    minilm.write(folder / "1" / "model.onnx", data)
    published = folder / "hugging-face"
    shutil.copytree(minilm.package_files(), published)
    (published / "onnx").mkdir(exist_ok=True)
    minilm.write(published / "onnx" / "model.onnx", sentence_embedder.build())


def main():
    """Writes the one that is named."""
    name, folder, *rest = sys.argv[1:]
    {"bert-base": bert_base, "minilm-pooled": minilm_pooled}[name](Path(folder), *rest)


if __name__ == "__main__":
    main()
