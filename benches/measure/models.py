"""The models that are measured, what is sent to them, and the copies of them that need other settings."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

FRAUD, EMBEDDER, BERT = "fraud-detector", "sentence-embedder", "bert-base"
# 30 words of one token each: 32 tokens with the two that the tokenizer adds.
SENTENCE = (
    "the bank called about a card payment that was made in a city far from home at night "
    "and asked me to say if it was mine or not today"
)
BERT_WORDS = 126
SINGLE = "instances = 1\nintra_threads = 1"
EXECUTION = """
[execution]
{settings}
"""


class Models:
    """Paths, bodies and facts of the models; copies lie in a folder that goes when the measuring ends."""

    def __init__(self, folder, names=(FRAUD, EMBEDDER)):
        self.folder = Path(folder)
        self.paths = {name: Path("models", name).resolve() for name in (FRAUD, EMBEDDER)}
        if BERT in names:
            self.paths[BERT] = bert_base(self.paths[EMBEDDER])
        manifest = self.manifest(FRAUD)
        self.features = [feature["name"] for feature in manifest["features"]]
        self.transaction = manifest["golden"][0]["input"]
        words = (SENTENCE.split() * 5)[:BERT_WORDS]
        texts = {EMBEDDER: SENTENCE, BERT: " ".join(words)}
        self.instances = {FRAUD: self.transaction, EMBEDDER: {"text": SENTENCE}, BERT: {"text": texts[BERT]}}
        self.bodies = {name: self.body(f"{name}.json", instance) for name, instance in self.instances.items()}

    def manifest(self, name):
        """A model's manifest."""
        return tomllib.loads((self.paths[name] / "model.toml").read_text())

    def body(self, name, value):
        """A file with a body to send; its path."""
        path = self.folder / name
        path.write_text(json.dumps(value))
        return path

    def copy(self, name, suffix, settings):
        """A copy of a model with other settings of execution; its files are links. The copy's folder.

        Golden samples are left out of a copy with a name of its own: its precision is another, and is measured here.
        """
        source, copy = self.paths[name], self.folder / "copies" / f"{name}{suffix}"
        (copy / "1").mkdir(parents=True)
        for file in ("tokenizer.json", "1/model.onnx"):
            if (source / file).exists():
                link(source / file, copy / file)
        text = (source / "model.toml").read_text()
        text = re.sub(r'^name = ".*"$', f'name = "{name}{suffix}"', text, flags=re.MULTILINE)
        head, golden, rest = text.partition("\n[[golden]]")
        rest = "" if suffix else golden + rest
        (copy / "model.toml").write_text(head + EXECUTION.format(settings=settings) + rest)
        return copy


def link(source, path):
    """A hard link where that can be, else a copy: a model's files must lie inside its folder."""
    try:
        os.link(source, path)
    except OSError:
        shutil.copyfile(source, path)


def bert_base(embedder):
    """The folder of BERT-base with made weights, written into the cache when it is not there."""
    done = subprocess.run(
        ["benches/measure/graphs.sh", BERT, embedder / "tokenizer.json"], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        sys.exit("the graph of BERT-base could not be written (the reason is above)")
    return Path(done.stdout.strip())


def cosine(a, b):
    """The cosine of the angle between two vectors."""
    product = sum(x * y for x, y in zip(a, b, strict=True))
    return product / (sum(x * x for x in a) * sum(y * y for y in b)) ** 0.5
