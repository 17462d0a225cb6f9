"""Trains `digits` and writes everything in models/digits/ except its prose.

The pictures are scikit-learn's handwritten digits: 1,797 of 8x8 pixels with values 0 to 16. The model is a
small network that sees pixels as the server hands them over: white ink on black, 8 bits, resized to 8x8.

Run it by scripts/models/train.sh, which makes the environment. The same machine and pins give a
byte-identical graph. Expected values in model.toml and testdata/ come from scikit-learn in FP64 and from
Pillow, never from ONNX Runtime or from the server, so that both can be checked against them.
"""

import argparse
import base64
import hashlib
import io
import json
import os
import re
import sys
import warnings
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when the library loads
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # threads add up in another order, and another network comes out

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from sklearn import metrics
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from fraud.files import write

SEED = 42
NAME = "digits"
LABELS = [str(digit) for digit in range(10)]
SIZE = 8
HIDDEN = 128
SCALE = 1 / 255
# Agreement with scikit-learn asked of the exported graph, in scores: FP32 sums of 64 and of 128 products.
TOLERANCE = 1e-5
OPSET, IR = 17, 8


# === pictures ===


def pictures():
    """Returns (8-bit pictures [N,8,8], digits): ink of 16 becomes 255."""
    data = load_digits()
    return np.round(data.images * (255 / 16)).astype(np.uint8), data.target


def split():
    """Returns (training pictures, held-out pictures, training digits, held-out digits)."""
    pixels, digits = pictures()
    return train_test_split(pixels, digits, test_size=0.25, random_state=SEED, stratify=digits)


def resized(picture, size, how=Image.Resampling.BILINEAR):
    """`size` is (width, height), as Pillow has it."""
    return np.asarray(Image.fromarray(picture).resize(size, how))


def preprocess(data):
    """What the server does with a file's bytes: decode, grey, resize to 8x8; without scale and normalization."""
    with Image.open(io.BytesIO(data)) as image:
        grey = image.convert("L")
    return np.asarray(grey.resize((SIZE, SIZE), Image.Resampling.BILINEAR))


def augmented(pixels, digits):
    """The pictures, the same after a detour over a larger size (clients send large ones), and moved sideways by one."""
    detours = [np.stack([resized(resized(p, size, how), (SIZE, SIZE)) for p in pixels])
               for size, how in (((64, 64), Image.Resampling.BILINEAR), ((100, 80), Image.Resampling.BICUBIC))]
    left, right = np.zeros_like(pixels), np.zeros_like(pixels)
    left[:, :, :-1], right[:, :, 1:] = pixels[:, :, 1:], pixels[:, :, :-1]
    sets = [pixels, *detours, left, right]
    return np.concatenate(sets), np.tile(digits, len(sets))


# === the network ===


class Digits:
    """A trained network with the normalization of its input."""

    def __init__(self, pixels, digits):
        scaled = pixels * SCALE
        self.mean, self.std = round(float(scaled.mean()), 4), round(float(scaled.std()), 4)
        self.network = MLPClassifier((HIDDEN,), alpha=0.01, batch_size=64, learning_rate_init=0.002, max_iter=40,
                                     random_state=SEED)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # 40 passes are what was asked for
            self.network.fit(*self._rows(*augmented(pixels, digits)))
        for parts in (self.network.coefs_, self.network.intercepts_):  # the graph's own numbers
            parts[:] = [part.astype(np.float32).astype(np.float64) for part in parts]

    def _rows(self, pixels, digits):
        return self.normalized(pixels).reshape(len(pixels), -1), digits

    def normalized(self, pixels):
        return (np.asarray(pixels, np.float64) * SCALE - self.mean) / self.std

    def tensor(self, pixels):
        return self.normalized(pixels).astype(np.float32).reshape(-1, 1, SIZE, SIZE)

    def scores(self, pixels):
        """FP64, by scikit-learn."""
        return self.network.predict_proba(self.normalized(pixels).reshape(-1, SIZE * SIZE))


def train():
    """Returns (model, held-out pictures, held-out digits)."""
    fit_x, test_x, fit_y, test_y = split()
    return Digits(fit_x, fit_y), test_x, test_y


def measure(model, test_x, test_y):
    large = np.stack([resized(resized(p, (64, 64)), (SIZE, SIZE)) for p in test_x])
    scores = model.scores(test_x)
    guess = scores.argmax(axis=1)
    return {
        "rows": int(len(test_y)),
        "accuracy": round(float(metrics.accuracy_score(test_y, guess)), 4),
        "accuracy_of_the_same_sent_as_64x64": round(float(np.mean(model.scores(large).argmax(axis=1) == test_y)), 4),
        "accuracy_of_always_the_commonest": round(float(np.bincount(test_y).max() / len(test_y)), 4),
        "macro_f1": round(float(metrics.f1_score(test_y, guess, average="macro")), 4),
        "log_loss": round(float(metrics.log_loss(test_y, scores)), 4),
        "recall": {str(k): round(float(x), 4) for k, x in enumerate(metrics.recall_score(test_y, guess, average=None))},
        "mistaken": {f"{a} for {b}": int(np.sum((test_y == b) & (guess == a)))
                     for b in range(10) for a in range(10) if a != b and np.any((test_y == b) & (guess == a))},
    }


def export(model):
    """Returns the bytes of the graph: `image` [batch,1,8,8] -> `logits` [batch,10]."""
    constants, nodes, x = [], [helper.make_node("Flatten", ["image"], ["pixels"], axis=1)], "pixels"
    layers = list(zip(model.network.coefs_, model.network.intercepts_))
    for number, (weight, bias) in enumerate(layers, 1):
        out = "logits" if number == len(layers) else f"sums_{number}"
        for kind, array in (("weight", weight), ("bias", bias)):
            constants.append(numpy_helper.from_array(array.astype(np.float32), f"{kind}_{number}"))
        nodes.append(helper.make_node("Gemm", [x, f"weight_{number}", f"bias_{number}"], [out]))
        if out != "logits":
            x = f"hidden_{number}"
            nodes.append(helper.make_node("Relu", [out], [x]))
    for node in nodes:
        node.name = node.output[0]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, SIZE, SIZE])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(LABELS)])
    graph = helper.make_graph(nodes, NAME, [image], [logits], constants)
    whole = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    onnx.checker.check_model(whole, full_check=True)
    return whole.SerializeToString(deterministic=True)


def run_graph(session, model, pixels):
    """Softmax of the graph's logits, in FP64."""
    logits = session.run(["logits"], {"image": model.tensor(pixels)})[0].astype(np.float64)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def compare(model, graph, pixels):
    """Returns the largest difference of a score between scikit-learn and ONNX Runtime."""
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    worst = float(np.abs(run_graph(session, model, pixels) - model.scores(pixels)).max())
    if not worst <= TOLERANCE:
        sys.exit(f"the graph disagrees with scikit-learn: {worst:.2e} over {len(pixels)} pictures")
    return worst


# === what is written ===


def encoded(picture, kind="png", mode="L"):
    """The bytes of a file."""
    file = io.BytesIO()
    options = {"quality": 95} if kind == "jpeg" else {"optimize": True}
    Image.fromarray(picture).convert(mode).save(file, kind, **options)
    return file.getvalue()


def sensitivity(model, pixels):
    """How far a score may move when each pixel is off by one of 255, to first order."""
    base, moved = model.scores(pixels[None])[0], []
    for step in (-1, 1):
        rows = np.repeat(pixels.reshape(1, -1).astype(np.float64), SIZE * SIZE, axis=0) + step * np.eye(SIZE * SIZE)
        moved.append(np.abs(model.scores(rows.reshape(-1, SIZE, SIZE)) - base))
    return float(np.maximum(*moved).sum(axis=0).max())


def sample(model, name, digit, data, exact):
    """One picture of testdata/vectors.json with scikit-learn's answer."""
    pixels = preprocess(data)
    scores = model.scores(pixels[None])[0]
    # other decoders and resizers may round a pixel differently; where nothing is rounded, only sums differ
    tolerance = TOLERANCE if exact else max(TOLERANCE, float(f"{sensitivity(model, pixels):.1e}"))
    return {"name": name, "media_type": "image/jpeg" if data[:2] == b"\xff\xd8" else "image/png", "digit": str(digit),
            "b64": base64.b64encode(data).decode(), "label": LABELS[int(scores.argmax())],
            "scores": [round(float(x), 8) for x in scores], "tolerance": tolerance}


def samples(model, test_x, test_y):
    """Held-out pictures: of each digit the surest and the least sure at 8x8, and sure ones in other sizes and forms."""
    sure = model.scores(test_x).max(axis=1)
    order = {digit: sorted(np.flatnonzero(test_y == digit), key=lambda i: (-sure[i], i)) for digit in range(10)}
    found = []
    for digit in range(10):
        for place, word in ((0, "surest"), (-1, "least sure")):
            found.append(sample(model, f"{digit}, 8x8, {word}", digit, encoded(test_x[order[digit][place]]), True))
    bilinear, bicubic, nearest = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.NEAREST)
    forms = [  # size, filter, kind, mode
        ((64, 64), bilinear, "png", "L"), ((100, 80), bicubic, "png", "L"), ((64, 64), nearest, "png", "L"),
        ((33, 57), bilinear, "png", "L"), ((8, 8), nearest, "png", "RGB"), ((64, 64), bicubic, "png", "RGB"),
        ((64, 64), nearest, "jpeg", "L"), ((100, 80), bilinear, "jpeg", "RGB"), ((256, 256), bicubic, "png", "L"),
        ((28, 28), bilinear, "png", "L"), ((64, 64), nearest, "png", "LA"), ((640, 480), bilinear, "jpeg", "L"),
    ]
    for number, (size, how, kind, mode) in enumerate(forms):
        digit = number % 10
        picture = resized(test_x[order[digit][1 + number // 10]], size, how)
        name = f"{digit}, {kind.upper()} {size[0]}x{size[1]} {mode}, enlarged by {how.name.lower()}"
        found.append(sample(model, name, digit, encoded(picture, kind, mode), size == (SIZE, SIZE)))
    return found


def manifest(model, digest, found):
    lines = [
        "# Written by pipelines/digits.py: change it there. Golden values are scikit-learn's own.",
        "schema = 1",
        f'name = "{NAME}"',
        'description = "Reads one handwritten digit: white ink on black, trained on scikit-learn\'s 8x8 digits"',
        'task = "image-classification"',
        f"labels = {json.dumps(LABELS)}",
        f'sha256 = {{ "1/model.onnx" = "{digest}" }}',
        "",
        "[image]",
        f"size = [{SIZE}, {SIZE}]",
        'resize = "bilinear"',
        'color = "grey"',
        f"scale = {SCALE!r}",
        f"mean = [{model.mean!r}]",
        f"std = [{model.std!r}]",
        'layout = "nchw"',
    ]
    golden = [next(s for s in found if s["name"].startswith(start)) for start in ("7, 8x8, surest", "0, PNG 64x64 L")]
    for entry in golden:
        lines += ["", f"# {entry['name']}", "[[golden]]", f'input = {{ b64 = "{entry["b64"]}" }}',
                  f'expected = {{ label = "{entry["label"]}", confidence = {max(entry["scores"])!r} }}']
    return "\n".join(lines) + "\n"


def vectors(found):
    lines = ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in found)
    return f'{{"labels":{json.dumps(LABELS, separators=(",", ":"))},\n"images":[\n{lines}\n]}}\n'


def readme_with(measured, text):
    flat = {name: value for name, value in measured.items() if not isinstance(value, dict)}
    rows = [f"| {name.replace('_', ' ')} | {value} |" for name, value in flat.items()]
    rows += [f"| recall of {digit} | {value} |" for digit, value in measured["recall"].items()]
    taken = ", ".join(f"{pair} ({count})" for pair, count in measured["mistaken"].items())
    block = "\n".join(["<!-- metrics: written by pipelines/digits.py -->", "| held-out pictures | |", "|---|---|",
                       *rows, "", f"Mistaken: {taken}.", "<!-- /metrics -->"])
    return re.sub(r"<!-- metrics:.*?<!-- /metrics -->", lambda _: block, text, flags=re.S)


def main():
    default = Path(__file__).resolve().parent.parent / "models" / NAME
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=default, help="folder to write to (default: models/digits)")
    args = parser.parse_args()

    print(f"digits: {len(pictures()[0])} pictures of {SIZE}x{SIZE}, seed {SEED}")
    model, test_x, test_y = train()
    measured = measure(model, test_x, test_y)
    for name, value in measured.items():
        print(f"digits:   {name:35} {value}")
    graph = export(model)
    digest = hashlib.sha256(graph).hexdigest()
    print(f"digits: graph of {len(graph)} bytes, sha256 {digest}")
    print(f"digits: agrees with scikit-learn within {compare(model, graph, test_x):.1e} over {len(test_x)} pictures")
    found = samples(model, test_x, test_y)
    write(args.out / "1/model.onnx", graph)
    write(args.out / "model.toml", manifest(model, digest, found))
    write(args.out / "metrics.json", json.dumps(measured, indent=2) + "\n")
    write(args.out / "testdata/vectors.json", vectors(found))
    readme = args.out / "README.md"
    if readme.exists():
        write(readme, readme_with(measured, readme.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
