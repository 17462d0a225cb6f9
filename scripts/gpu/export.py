"""Writes the models of `make gpu-check` into a folder: `export.py FOLDER TOKENIZER [--small]`. Needs NumPy and onnx.

Weights are random, of fixed seeds: speed is the real models', answers mean nothing but can be compared. bert-base and
minilm have the shapes of BERT-base and of all-MiniLM-L6-v2 (sentence-embedder's), by the same code as the demo models;
resnet-50 is ResNet-50 with its normalizations folded into the convolutions. Each stands there in FP32 and, as NAME-fp16,
with weights and arithmetic in FP16. facts.json says what a bare loop must know: inputs, outputs, FLOPs and bytes a row.
--small writes stand-ins for a rehearsal.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "benches"), str(ROOT / "scripts")]
from gpu import cost, resnet  # noqa: E402
from measure import graphs  # noqa: E402

BERT_TOKENS, MINILM_TOKENS = 128, 32
# Layers, width, inner width.
TEXTS = {"bert-base": (12, 768, 3072, BERT_TOKENS), "minilm": (6, 384, 1536, MINILM_TOKENS)}
SMALL_TEXTS = {"bert-base": (2, 96, 192, 32), "minilm": (1, 48, 96, 16)}
PICTURE, SMALL_PICTURE = (224, 64, 1000), (64, 8, 10)
TEXT_MANIFEST = """task = "text-embedding"
tokenizer = "tokenizer.json"
max_length = {tokens}
pooling = "mean"
normalize = true
"""
IMAGE_MANIFEST = """task = "image-classification"
activation = "softmax"

[image]
size = [{size}, {size}]
resize = "none"
scale = 0.00392156862745098
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]
layout = "nchw"
"""


def encoder(layers, width, inner):
    """The bytes of an encoder."""
    graphs.LAYERS, graphs.WIDTH, graphs.INNER = layers, width, inner
    minilm = graphs.minilm
    minilm.LAYERS, minilm.HEADS, minilm.WIDTH, minilm.HEAD_WIDTH = layers, graphs.HEADS, width, width // graphs.HEADS
    g = minilm.Graph(graphs.weights())
    minilm.encoder(g, "last_hidden_state")
    return onnx.load_from_string(minilm.finished(g, "encoder", {"last_hidden_state": ["batch", "sequence", width]}))


def half(model):
    """The model with FP16 inside: its inputs and outputs stay what they were."""
    graph = model.graph
    for tensor in list(graph.initializer):
        if tensor.data_type == TensorProto.FLOAT:
            array = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.FLOAT16
    first, last = [], []
    for value in graph.input:
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            rename(graph.node, value.name, f"{value.name}.half")
            first.append(helper.make_node("Cast", [value.name], [f"{value.name}.half"], to=TensorProto.FLOAT16))
    for value in graph.output:
        rename(graph.node, value.name, f"{value.name}.half")
        last.append(helper.make_node("Cast", [f"{value.name}.half"], [value.name], to=TensorProto.FLOAT))
    nodes = [*first, *graph.node, *last]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model, full_check=True)
    return model


def rename(nodes, old, new):
    """Gives a value another name, wherever it is made or taken."""
    for node in nodes:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == old:
                    names[place] = new


def write(folder, name, model, shapes, manifest, kind):
    """A model's folder: graph, manifest, facts."""
    place = folder / name
    graphs.minilm.write(place / "1" / "model.onnx", model.SerializeToString(deterministic=True))
    head = f"# Written by scripts/gpu/export.py: random weights, for checks only.\nschema = 1\nname = \"{name}\"\n"
    (place / "model.toml").write_text(head + manifest)
    facts = {
        "name": name,
        "precision": kind,
        "inputs": [{"name": value.name, "shape": shapes[value.name],
                    "type": TensorProto.DataType.Name(value.type.tensor_type.elem_type)} for value in model.graph.input],
        "outputs": [value.name for value in model.graph.output],
        **cost.of(model, shapes),
    }  # fmt: skip
    (place / "facts.json").write_text(json.dumps(facts, indent=2) + "\n")


def texts(folder, tokenizer, shapes):
    """The encoders."""
    for name, (layers, width, inner, tokens) in shapes.items():
        sizes = dict.fromkeys(("input_ids", "attention_mask", "token_type_ids"), [tokens])
        manifest = TEXT_MANIFEST.format(tokens=tokens)
        for suffix, kind, change in (("", "fp32", lambda model: model), ("-fp16", "fp16", half)):
            write(folder, name + suffix, change(encoder(layers, width, inner)), sizes, manifest, kind)
            shutil.copyfile(tokenizer, folder / (name + suffix) / "tokenizer.json")


def pictures(folder, size, width, classes):
    """The classifier of pictures."""
    sizes = {"pixels": [3, size, size]}
    for suffix, kind, change in (("", "fp32", lambda model: model), ("-fp16", "fp16", half)):
        model = change(resnet.build(size, width, classes))
        write(folder, f"resnet-50{suffix}", model, sizes, IMAGE_MANIFEST.format(size=size), kind)


def main():
    """Writes all of them."""
    folder, tokenizer, *rest = sys.argv[1:]
    is_small = "--small" in rest
    texts(Path(folder), tokenizer, SMALL_TEXTS if is_small else TEXTS)
    pictures(Path(folder), *(SMALL_PICTURE if is_small else PICTURE))


if __name__ == "__main__":
    main()
