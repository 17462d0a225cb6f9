"""What the models are asked: bodies for the load, and samples whose answers are compared."""

import base64
import json
import math
import struct
import tomllib
import zlib
from pathlib import Path

from measure.models import FRAUD, SENTENCE, cosine

BERT, MINILM, RESNET = "bert-base", "minilm", "resnet-50"
HALF = "-fp16"
# Each with how far an answer in that precision may be from the CPU's in FP32.
TOLERANCES = {"fp32": 1e-3, "fp16": 2e-2}
COSINES = {"fp32": 0.9999, "fp16": 0.999}


class Models:
    """Folders, facts, bodies."""

    def __init__(self, folder, scratch):
        self.folder, self.scratch = Path(folder), Path(scratch)
        self.names = sorted(path.parent.name for path in self.folder.glob("*/facts.json"))
        self.facts = {name: json.loads((self.folder / name / "facts.json").read_text()) for name in self.names}

    def path(self, name):
        """A model's folder."""
        return Path("models", FRAUD).resolve() if name == FRAUD else self.folder / name

    def precision(self, name):
        """FP32 or FP16."""
        return self.facts[name]["precision"] if name in self.facts else "fp32"

    def samples(self, name):
        """Instances whose answers are compared."""
        if name == FRAUD:
            manifest = tomllib.loads((self.path(name) / "model.toml").read_text())
            return [golden["input"] for golden in manifest["golden"]]
        shape = self.facts[name]["inputs"][0]["shape"]
        if name.startswith(RESNET):
            return [{"b64": picture(shape[-1], number)} for number in range(3)]
        words = SENTENCE.split()
        return [{"text": text(count)} for count in (shape[0] - 2, 5, min(len(words), shape[0] - 2))]

    def body(self, name):
        """A file with what the load sends: the first sample, a full text or a picture."""
        path = self.scratch / f"{name}.json"
        path.write_text(json.dumps(self.samples(name)[0]))
        return path


def text(count):
    """So many words of one token each."""
    words = SENTENCE.split()
    return " ".join((words * (count // len(words) + 1))[:count])


def picture(size, number):
    """A smooth PNG in colour, in base64."""
    wave = lambda x, y, phase: int(127 + 120 * math.sin((x * (number + 1) + y * phase) * 6 / size))  # noqa: E731
    rows = b"".join(
        b"\0" + bytes(wave(x, y, phase) for x in range(size) for phase in (1, 2, 3)) for y in range(size)
    )
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return base64.b64encode(data).decode()


def chunk(kind, data):
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def numbers(answer):
    """What of an answer is compared, as a list of numbers."""
    if "embedding" in answer:
        return answer["embedding"]
    return [answer["scores"][label] for label in sorted(answer["scores"])]


def distance(mine, theirs):
    """The largest difference of two answers, and the cosine between them."""
    a, b = numbers(mine), numbers(theirs)
    return max(abs(x - y) for x, y in zip(a, b, strict=True)), cosine(a, b)
