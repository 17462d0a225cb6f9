"""Writes the fixtures of Triton's layout: tests/fixtures/exports/triton-*.

Each is one folder of a model repository with config.pbtxt as Triton's documentation and examples have it
(densenet_onnx, simple, simple_string), small graphs, and what PyTorch or NumPy answers. Run by remake-hf.sh.
"""

import argparse
import io
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

import triton_configs as configs
from fixture import Fixture
from recheck import recheck

TORCH = f"PyTorch {torch.__version__.split('+')[0]}"
NUMPY = f"NumPy {np.__version__}"
JSON = "application/json"
LABELS = ["tench", "goldfish", "great white shark", "tiger shark", "hammerhead"]
ONNX = 'onnx.save(model, "1/model.onnx"), beside config.pbtxt'
SEED = 20


def numbers(*shape, seed=0):
    """Values with few digits."""
    return np.random.default_rng(SEED + seed).normal(0, 1, shape).round(2).astype(np.float32)


def nested(values):
    """Lists of what JSON has: floats with the digits of a single."""
    values = values.detach().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    if values.dtype.kind != "f":
        return values.tolist()
    return np.vectorize(lambda value: float(f"{value:.8g}"), otypes=[object])(values.astype(np.float64)).tolist()


def exported(model, examples, inputs, outputs, dynamic=None):
    """The bytes that torch.onnx writes."""
    file = io.BytesIO()
    torch.onnx.export(model.eval(), examples, file, input_names=inputs, output_names=outputs, dynamic_axes=dynamic,
                      opset_version=17, dynamo=False)
    return file.getvalue()


def assembled(name, nodes, inputs, outputs, constants=()):
    """The bytes of a graph that is written node by node."""
    graph = helper.make_graph(nodes, name, inputs, outputs, list(constants))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def case(body, expected):
    """A request in JSON."""
    return {"content_type": JSON, "body": body, "expected": expected}


def rows(bodies, answers):
    """Each row as a bare instance, and all in one list."""
    single = [case(body, answer) for body, answer in zip(bodies, answers, strict=True)]
    return [*single, case({"instances": bodies}, {"predictions": answers})]


def fixture(name, what, files, cases, python=TORCH, **members):
    """The fixture of a folder with `files` of bytes or text."""
    folder = configs.folder_name(files["config.pbtxt"]) or "model"

    def write(part):
        for path, content in files.items():
            place = part / folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content if isinstance(content, bytes) else content.encode())

    defaults = {
        "exporter": f"torch.onnx of {TORCH}", "layout": "Triton", "path": folder, "task": "tensors", "python": python,
        "export": 'torch.onnx.export(model, example, "1/model.onnx", ...), beside config.pbtxt', "tolerance": 1e-5,
        "notes": ["recognised: a Triton model (config.pbtxt)"], "cases": cases, "write": write,
    }
    return Fixture(name=name, what=what, **(defaults | members))


class Pictures(torch.nn.Module):
    """A few convolutions and scores."""

    def __init__(self, softmax):
        super().__init__()
        layers = [torch.nn.Conv2d(3, 6, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(6, 8, 3, stride=2),
                  torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1)]
        self.features = torch.nn.Sequential(*layers)
        self.classes = torch.nn.Conv2d(8, len(LABELS), 1)
        self.softmax = softmax

    def forward(self, pictures):
        scores = self.classes(self.features(pictures)) * 4
        return scores.flatten(1).softmax(dim=1) if self.softmax else scores


class Table(torch.nn.Module):
    """A small perceptron."""

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))

    def forward(self, rows):
        return self.layers(rows)


class Tokens(torch.nn.Module):
    """Tokens of which the mask tells those that count."""

    def __init__(self):
        super().__init__()
        self.words = torch.nn.Embedding(60, 8)
        self.classes = torch.nn.Linear(8, 2)

    def forward(self, input_ids, attention_mask):
        mask = attention_mask.unsqueeze(-1).to(torch.float32)
        mean = (self.words(input_ids) * mask).sum(dim=1) / mask.sum(dim=1)
        return self.classes(mean)


def made(kind, *arguments):
    """A model with weights of its own."""
    torch.manual_seed(SEED)
    return kind(*arguments).eval()


def densenet():
    """A fixed batch of one, and scores with two empty dimensions."""
    model, pictures = made(Pictures, False), [numbers(1, 3, 8, 8, seed=seed) for seed in range(2)]
    graph = exported(model, torch.from_numpy(pictures[0]), ["data_0"], ["fc6_1"])
    answers = [{"fc6_1": nested(model(torch.from_numpy(picture)))} for picture in pictures]
    cases = [case({"data_0": nested(picture)}, answer) for picture, answer in zip(pictures, answers, strict=True)]
    files = {"config.pbtxt": configs.DENSENET, "1/model.onnx": graph, "densenet_labels.txt": "\n".join(LABELS) + "\n"}
    notes = ["recognised: a Triton model (config.pbtxt)", "5 labels of output fc6_1", "output fc6_1.reshape"]
    return fixture("triton-densenet", "densenet_onnx of Triton's quick start: a batch of one, labels, reshape", files,
                   cases, notes=notes)


def batched():
    """All that a tuned model has."""
    model, pictures = made(Pictures, True), numbers(3, 3, 8, 8, seed=3)
    free = {"input": {0: "batch"}, "probabilities": {0: "batch"}}
    graph = exported(model, torch.from_numpy(pictures), ["input"], ["probabilities"], free)
    answers = [{"probabilities": row} for row in nested(model(torch.from_numpy(pictures)))]
    files = {
        "config.pbtxt": configs.BATCHED, "1/model.onnx": graph, "labels.txt": "\n".join(LABELS),
        "warmup/picture": numbers(3, 8, 8, seed=9).astype("<f4").tobytes(),
    }
    notes = ["recognised: a Triton model (config.pbtxt)", "dynamic_batching.preferred_batch_size", "optimization",
             "parameters"]
    return fixture("triton-batched", "dynamic batching, two instances, warm-up of two kinds, labels, version policy",
                   files, rows([{"input": nested(picture)} for picture in pictures], answers), notes=notes)


def minimal():
    """What Triton completes by itself."""
    model, table = made(Table), numbers(3, 4, seed=5)
    free = {"rows": {0: "batch"}, "values": {0: "batch"}}
    graph = exported(model, torch.from_numpy(table), ["rows"], ["values"], free)
    answers = [{"values": row} for row in nested(model(torch.from_numpy(table)))]
    files = {"config.pbtxt": configs.MINIMAL, "1/model.onnx": graph}
    return fixture("triton-minimal", "only max_batch_size", files,
                   rows([{"rows": nested(row)} for row in table], answers))


def tokens():
    """Free lengths."""
    model = made(Tokens)
    ids = [[2, 17, 40, 3], [2, 9, 3], [2, 5, 59, 21, 30, 3]]
    masks = [[1, 1, 1, 1], [1, 1, 0], [1, 1, 1, 1, 0, 1]]
    axes = {0: "batch", 1: "sequence"}
    example = (torch.tensor(ids[:1]), torch.tensor(masks[:1]))
    free = {"input_ids": axes, "attention_mask": axes, "logits": {0: "batch"}}
    graph = exported(model, example, ["input_ids", "attention_mask"], ["logits"], free)
    bodies = [{"input_ids": one, "attention_mask": mask} for one, mask in zip(ids, masks, strict=True)]
    answers = [{"logits": nested(model(torch.tensor([one]), torch.tensor([mask])))[0]}
               for one, mask in zip(ids, masks, strict=True)]
    files = {"config.pbtxt": configs.TOKENS, "1/model.onnx": graph}
    cases = [case(body, answer) for body, answer in zip(bodies, answers, strict=True)]
    return fixture("triton-tokens", "two inputs of free length, INT64", files, cases)


def string_sums():
    """The graph of simple_string: numbers written as text, their sums and differences."""
    def value(name):
        return helper.make_tensor_value_info(name, TensorProto.STRING, ["batch", 16])

    def cast(source, into, kind):
        return helper.make_node("Cast", [source], [into], to=kind)

    return assembled("simple_string", [
        cast("INPUT0", "a", TensorProto.INT32), cast("INPUT1", "b", TensorProto.INT32),
        helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Sub", ["a", "b"], ["difference"]),
        cast("sum", "OUTPUT0", TensorProto.STRING), cast("difference", "OUTPUT1", TensorProto.STRING),
    ], [value("INPUT0"), value("INPUT1")], [value("OUTPUT0"), value("OUTPUT1")])


def sums(a, b):
    """A body of simple_string and its answer."""
    body = {"INPUT0": a.astype(str).tolist(), "INPUT1": b.astype(str).tolist()}
    return body, {"OUTPUT0": (a + b).astype(str).tolist(), "OUTPUT1": (a - b).astype(str).tolist()}


def strings():
    """The example as it is."""
    files = {"config.pbtxt": configs.STRINGS, "1/model.onnx": string_sums()}
    cases = rows(*zip(*(sums(np.arange(start, start + 16), np.full(16, 7)) for start in (0, 16)), strict=True))
    return fixture("triton-strings", "simple_string of Triton's examples: TYPE_STRING in and out", files, cases, NUMPY,
                   exporter=f"onnx {onnx.__version__}", export=ONNX)


def warmed_strings():
    """The same with a warm-up of numbers; strings in a file stand behind their lengths."""
    raw = b"".join(len(text).to_bytes(4, "little") + text for text in (str(number).encode() for number in range(16)))
    files = {"config.pbtxt": configs.WARMED_STRINGS, "1/model.onnx": string_sums(), "warmup/numbers": raw}
    cases = rows(*zip(*(sums(np.arange(start, start + 16), np.full(16, 7)) for start in (0, 90)), strict=True))
    return fixture("triton-strings-warm-up", "simple_string with a warm-up from a file", files, cases, NUMPY,
                   exporter=f"onnx {onnx.__version__}", export=ONNX)


def versions():
    """simple, in versions 2 and 10: the highest number answers, and it is not the last name."""
    def value(name):
        return helper.make_tensor_value_info(name, TensorProto.INT32, ["batch", 16])

    def graph(first, second):
        nodes = [helper.make_node("Add", ["INPUT0", "INPUT1"], [first]),
                 helper.make_node("Sub", ["INPUT0", "INPUT1"], [second])]
        return assembled("simple", nodes, [value("INPUT0"), value("INPUT1")], [value("OUTPUT0"), value("OUTPUT1")])

    a, b = np.arange(32).reshape(2, 16), np.full((2, 16), 5)
    bodies = [{"INPUT0": x.tolist(), "INPUT1": y.tolist()} for x, y in zip(a, b, strict=True)]
    answers = [{"OUTPUT0": (x - y).tolist(), "OUTPUT1": (x + y).tolist(), "model": {"version": "10"}}
               for x, y in zip(a, b, strict=True)]
    listed = {"predictions": [{key: answer[key] for key in ("OUTPUT0", "OUTPUT1")} for answer in answers],
              "model": {"version": "10"}}
    files = {"config.pbtxt": configs.VERSIONS, "2/model.onnx": graph("OUTPUT0", "OUTPUT1"),
             "10/model.onnx": graph("OUTPUT1", "OUTPUT0")}
    cases = [*(case(*pair) for pair in zip(bodies, answers, strict=True)), case({"instances": bodies}, listed)]
    return fixture("triton-versions", "simple of Triton's examples in versions 2 and 10; INT32", files, cases, NUMPY,
                   exporter=f"onnx {onnx.__version__}", export=ONNX)


def unbatched():
    """max_batch_size 0: dims are the whole shape; a graph of another name, and types that are no floats."""
    half = numpy_helper.from_array(np.array(0.5, np.float16), "half")
    free = ["n", 2]
    inputs = [helper.make_tensor_value_info("flags", TensorProto.BOOL, free),
              helper.make_tensor_value_info("values", TensorProto.FLOAT16, free)]
    outputs = [helper.make_tensor_value_info("chosen", TensorProto.FLOAT16, free),
               helper.make_tensor_value_info("count", TensorProto.INT64, [])]
    graph = assembled("unbatched", [
        helper.make_node("Where", ["flags", "values", "half"], ["chosen"]),
        helper.make_node("Cast", ["flags"], ["ones"], to=TensorProto.INT64),
        helper.make_node("ReduceSum", ["ones"], ["count"], keepdims=0),
    ], inputs, outputs, [half])
    flags, values = np.array([[True, False], [False, False], [True, True]]), numbers(3, 2, seed=7).astype(np.float16)
    answer = {"chosen": nested(np.where(flags, values, np.float16(0.5))), "count": int(flags.sum())}
    files = {"config.pbtxt": configs.UNBATCHED, "1/net.onnx": graph}
    return fixture("triton-unbatched", "max_batch_size 0, default_model_filename; BOOL, FP16, a scalar", files,
                   [case({"flags": flags.tolist(), "values": nested(values)}, answer)], NUMPY,
                   exporter=f"onnx {onnx.__version__}", export='onnx.save(model, "1/net.onnx"), beside config.pbtxt',
                   tolerance=1e-3)


BUILDERS = {
    "triton-densenet": densenet, "triton-batched": batched, "triton-minimal": minimal, "triton-tokens": tokens,
    "triton-strings": strings, "triton-strings-warm-up": warmed_strings, "triton-versions": versions,
    "triton-unbatched": unbatched,
}


def main():
    """Makes the fixtures that are named, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="make only these fixtures")
    parser.add_argument("--check", action="store_true", help="write nothing: answers must be those in git")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(BUILDERS)
    if unknown:
        sys.exit(f"error: no fixture is named {', '.join(sorted(unknown))}; there are {', '.join(BUILDERS)}")
    for name in arguments.names or BUILDERS:
        made_now = BUILDERS[name]()
        if arguments.check:
            with tempfile.TemporaryDirectory() as folder:
                recheck(made_now, Path(folder))
        else:
            made_now.save()
        print(f"{name}: {len(made_now.cases)} cases", flush=True)


if __name__ == "__main__":
    main()
