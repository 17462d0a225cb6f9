"""Variants of the MiniLM encoder for ONNX Runtime's CPU provider: fused, in 8 bits, in 16 bits.

Each is made from the graph that sentence_embedder.py and ticket_topic.py write, by ONNX Runtime's own
optimizer and quantizers. measure_variants.py compares them; with --make one of them is written to a
folder that can be served beside or in place of the model. Run by variants.sh.
"""

import argparse
import csv
import hashlib
import json
import logging
import os
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when the library loads

import numpy as np
import onnx
from onnx import TensorProto
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer
from onnxruntime.transformers import optimizer
from onnxruntime.transformers.float16 import convert_float_to_float16
from tokenizers import Tokenizer

import minilm
import ticket_topic

MODELS = Path(__file__).resolve().parents[2] / "models"
CALIBRATION_TEXTS = 200
BLOCK = 32


# === the graphs to begin with ===


def mask_bias_apart(g):
    """As minilm.mask_bias, with two Unsqueeze nodes: the form that ONNX Runtime's optimizer knows."""
    first, second = (g.constant(f"axes_{axis}", np.array([axis], np.int64)) for axis in (1, 2))
    wide = g.node("Unsqueeze", [g.node("Unsqueeze", ["attention_mask", first], "mask.row"), second], "mask.wide")
    mask = g.node("Cast", [wide], "mask.float", to=TensorProto.FLOAT)
    absent = g.node("Sub", [g.constant("one", np.float32(1.0)), mask], "mask.absent")
    return g.node("Mul", [absent, g.constant("masked", np.float32(minilm.MASKED))], "mask.bias")


def attention_apart(g, x, bias, layer):
    """As minilm.attention, with a product each for query, key and value: the form that the optimizer fuses."""
    name = f"encoder.layer.{layer}.attention"
    heads = g.constant("to_heads", np.array([0, 0, minilm.HEADS, minilm.HEAD_WIDTH], np.int64))
    query, key, value = (
        g.node("Transpose", [g.node("Reshape", [g.dense(x, f"{name}.self.{part}"), heads], f"{name}.{part}.split")],
               f"{name}.{part}.heads", perm=perm)
        for part, perm in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3]))
    )
    scores = g.node("MatMul", [query, key], f"{name}.scores")
    root = g.constant("root_of_head_width", np.float32(minilm.HEAD_WIDTH**0.5))
    scaled = g.node("Div", [scores, root], f"{name}.scaled")
    shares = g.node("Softmax", [g.node("Add", [scaled, bias], f"{name}.biased")], f"{name}.shares", axis=-1)
    context = g.node("Transpose", [g.node("MatMul", [shares, value], f"{name}.context")], f"{name}.rows",
                     perm=[0, 2, 1, 3])
    merged = g.node("Reshape", [context, g.constant("to_rows", np.array([0, 0, minilm.WIDTH], np.int64))],
                    f"{name}.merged")
    summed = g.node("Add", [g.dense(merged, f"{name}.output.dense"), x], f"{name}.residual")
    return g.layer_norm(summed, f"{name}.output.LayerNorm", f"{name}.result")


def source(kind, apart=False):
    """The FP32 graph: of `sentence-embedder`, of `ticket-topic`, or `both` with the pooled embedding besides."""
    g = minilm.graph()
    form = (mask_bias_apart, attention_apart) if apart else (minilm.mask_bias, minilm.attention)
    states = minilm.encoder(g, "last_hidden_state", form)
    outputs = {}
    if kind != "ticket-topic":
        outputs["last_hidden_state"] = ["batch", "sequence", minilm.WIDTH]
    if kind == "both":
        minilm.pooled(g, states[-1], "embedding")
        outputs["embedding"] = ["batch", minilm.WIDTH]
    if kind != "sentence-embedder":
        head = ticket_topic.read_head()
        ticket_topic.add_head(g, states, head)
        outputs["logits"] = ["batch", len(head["labels"])]
    return onnx.load_from_string(minilm.finished(g, kind, outputs))


# === texts ===


class Texts:
    """Tokenized as the server does it; `feed` pads to the longest."""

    def __init__(self):
        self.tokenizer = Tokenizer.from_file(str(MODELS / "ticket-topic" / "tokenizer.json"))
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()

    def read(self, name):
        """Returns (token ids of each text, labels) of one of ticket-topic's files."""
        with open(MODELS / "ticket-topic" / "data" / name, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return [self.tokenizer.encode(row["text"]).ids for row in rows], [row["label"] for row in rows]

    def odd(self):
        """Token ids of the texts in testdata, few of which are like a ticket."""
        vectors = json.loads((MODELS / "ticket-topic" / "testdata" / "vectors.json").read_text(encoding="utf-8"))
        return [self.tokenizer.encode(text).ids for text in vectors["texts"]]


def feed(batch):
    longest = max(map(len, batch))
    ids = np.array([[*ids, *[0] * (longest - len(ids))] for ids in batch], np.int64)
    mask = np.array([[1] * len(ids) + [0] * (longest - len(ids)) for ids in batch], np.int64)
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


class Calibration(CalibrationDataReader):
    """Training tickets, each alone: every calibration begins anew."""

    def __init__(self):
        ids, _ = Texts().read("train.csv")
        step = len(ids) // CALIBRATION_TEXTS
        self.feeds = iter([feed([x]) for x in ids[::step][:CALIBRATION_TEXTS]])

    def get_next(self):
        return next(self.feeds, None)


# === the variants ===


def fused(kind):
    model = optimizer.optimize_model(source(kind, apart=True), model_type="bert", num_heads=minilm.HEADS,
                                     hidden_size=minilm.WIDTH, opt_level=0)
    found = model.get_fused_operator_statistics()
    if found["Attention"] != minilm.LAYERS or found["BiasGelu"] != minilm.LAYERS:
        sys.exit(f"variants: the optimizer did not fuse every layer: {found}")
    if not any(opset.domain == "com.microsoft" for opset in model.model.opset_import):
        model.model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))  # the quantizer asks for it
    return model.model


def dynamic(model, per_channel):
    """8 bits for weights; activations get one scale for the whole tensor while it runs."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        # shapes behind ONNX Runtime's own operators can't be inferred: their type is FP32
        quantize_dynamic(model, path, per_channel=per_channel, weight_type=QuantType.QInt8,
                         extra_options={"DefaultTensorType": TensorProto.FLOAT})
        return onnx.load(path)


def static(model):
    """8 bits for weights, by channel, the embedding table and activations; their scales come from training tickets."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        quantize_static(model, path, Calibration(), quant_format=QuantFormat.QDQ, per_channel=True,
                        op_types_to_quantize=["MatMul", "Gather"], activation_type=QuantType.QUInt8,
                        weight_type=QuantType.QInt8,
                        extra_options={"MatMulConstBOnly": True, "OpTypesToExcludeOutputQuantization": ["MatMul"]})
        return onnx.load(path)


def blocks(model):
    """8 bits for weights and, in the product, for activations, with a scale for each row's blocks of 32 numbers."""
    config = DefaultWeightOnlyQuantConfig(block_size=BLOCK, is_symmetric=True, accuracy_level=4, bits=8)
    quantizer = MatMulNBitsQuantizer(model, algo_config=config)
    quantizer.process()
    return quantizer.model.model


VARIANTS = {
    "fp32": source,
    "fused": fused,
    "int8-dynamic": lambda kind: dynamic(source(kind), per_channel=False),
    "int8-dynamic-per-channel": lambda kind: dynamic(source(kind), per_channel=True),
    "int8-dynamic-fused": lambda kind: dynamic(fused(kind), per_channel=True),
    "int8-static": lambda kind: static(source(kind)),
    "int8-blocks": lambda kind: blocks(source(kind)),
    "fp16": lambda kind: convert_float_to_float16(source(kind), keep_io_types=True),
}


def make(name, kind, path):
    """Writes a variant's graph to `path` and returns its size in bytes."""
    logging.disable(logging.WARNING)  # the quantizers advise a step that changes nothing for this graph
    data = VARIANTS[name](kind).SerializeToString(deterministic=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.replace(path)
    return len(data)


def folder(name, kind, out):
    """Writes a model's folder with a variant's graph; golden samples keep their labels, not their numbers."""
    model = tomllib.loads((MODELS / kind / "model.toml").read_text(encoding="utf-8"))
    graph = next(path for path in model["sha256"] if path.endswith(".onnx"))
    make(name, kind, out / graph)
    for file in [*(MODELS / kind).glob("*.json")]:
        if file.name not in ("head.json", "metrics.json"):
            shutil.copyfile(file, out / file.name)
    digest = hashlib.sha256((out / graph).read_bytes()).hexdigest()
    lines = [f"# Written by scripts/models/variants.py from {kind}.", "schema = 1",
             f"description = {json.dumps(model['description'] + f' ({name})')}"]
    for key in ("task", "tokenizer", "max_length", "truncate", "pooling", "normalize"):
        lines += [f"{key} = {json.dumps(model[key])}"] if key in model else []
    lines.append(f'sha256 = {{ "{graph}" = "{digest}" }}')
    for golden in model["golden"]:
        if "label" in golden["expected"]:
            lines += ["", "[[golden]]", f"input = {{ text = {json.dumps(golden['input']['text'])} }}",
                      f"expected = {{ label = {json.dumps(golden['expected']['label'])} }}"]
    (out / "model.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--make", required=True, choices=VARIANTS, metavar="NAME", help=", ".join(VARIANTS))
    parser.add_argument("--of", default="ticket-topic", choices=["ticket-topic", "sentence-embedder"])
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="the model's folder to write")
    args = parser.parse_args()
    if args.out.exists():
        parser.error(f"{args.out} exists already")
    part = args.out.with_name(f"{args.out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    folder(args.make, args.of, part)
    part.rename(args.out)
    print(f"variants: wrote {args.out}: serve it with --models {args.out.name}={args.out}")


if __name__ == "__main__":
    main()
