"""A second, independent computation of all-MiniLM-L6-v2: plain NumPy in FP64, from the weights.

It shares nothing with the ONNX graph but the published weights: own forward pass, own pooling, and
ids from the `tokenizers` package checked against an own WordPiece over vocab.txt. verify.py
compares ONNX Runtime with it. With --write it writes models/sentence-embedder/model.toml (golden
samples, digests of the files as the scripts beside it write them) and testdata/vectors.json.
"""

import argparse
import hashlib
import json
import math
import os
import sys
import unicodedata
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

import sentence_embedder
from minilm import package_files

FOLDER = Path(__file__).resolve().parents[2] / "models" / "sentence-embedder"
MAX_LENGTH = 256

PARAGRAPH = (
    "The dispute team reads every complaint within one working day. A customer who does not recognise a payment is "
    "asked for three things: where the card was at that time, whether anybody else knows the code, and whether a "
    "parcel arrived that nobody had ordered. Most cases turn out to be a subscription that was forgotten, or a shop "
    "whose name on the statement differs from the one above its door. About one case in nine is fraud. Then the card "
    "is blocked, the amount is returned on the same evening, and the merchant's acquirer receives a chargeback with "
    "the evidence. The difficult ones lie between: a nephew borrowed the phone, a hotel charged for a night that was "
    "cancelled, a ticket was resold twice. For these, two colleagues decide independently of each other, and a third "
    "one is asked if they disagree. What they write is kept, because the model that ranks tomorrow's complaints "
    "learns from what they decided today, and it must not learn from guesses."
)
SENTENCES = [
    "The payment was declined twice before it went through.",
    "Heavy rain is expected on the coast tonight.",
    "It will pour by the sea this evening.",
    "Hi",
    ".",
    "   ",
    "Größe, naïve café, déjà vu: ÀÉÎÕÜ",
    "机器学习模型在云端运行。",
    "שלום עולם, привет мир, γειά σου κόσμε",
    "🚀🚀 to the moon 🌕!",
    "İSTANBUL'DA ÇAY 2026-11-22 23:56:42 −17.5 °C",
    "zero\u200bwidth,\ttab, no\u00a0break, bell\u0007 and e\u0301 combined",
    'fn main() { println!("{:?}", 1_000.5e-3 / x[i] ** 2); }',
    "pneumonoultramicroscopicsilicovolcanoconiosis " + "x" * 130,
    PARAGRAPH,
]
GOLDEN = 2


# === WordPiece ===


def _is_punctuation(c):
    code = ord(c)
    ascii_sign = 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126
    return ascii_sign or unicodedata.category(c).startswith("P")


def _is_ideograph(c):
    ranges = [(0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
              (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)]
    return any(low <= ord(c) <= high for low, high in ranges)


def words(text):
    """BERT's basic tokenization, uncased."""
    clean = []
    for c in text:
        if c in "\t\n\r" or unicodedata.category(c) == "Zs":
            clean.append(" ")
        elif c not in "\0\ufffd" and not unicodedata.category(c).startswith("C"):
            clean.append(f" {c} " if _is_ideograph(c) else c)
    plain = unicodedata.normalize("NFD", "".join(clean).lower())
    plain = "".join(c for c in plain if unicodedata.category(c) != "Mn")
    return "".join(f" {c} " if _is_punctuation(c) else c for c in plain).split()


def pieces(word, vocabulary):
    """Greedy longest match; a word that can't be covered, or of over 100 characters, is [UNK]."""
    found, start = [], 0
    while len(word) <= 100 and start < len(word):
        ends = range(len(word), start, -1)
        match = next((e for e in ends if ("##" if start else "") + word[start:e] in vocabulary), None)
        if match is None:
            return [vocabulary["[UNK]"]]
        found.append(vocabulary[("##" if start else "") + word[start:match]])
        start = match
    return found or [vocabulary["[UNK]"]]


def word_piece(text, vocabulary):
    inner = [i for word in words(text) for i in pieces(word, vocabulary)]
    return [vocabulary["[CLS]"], *inner, vocabulary["[SEP]"]]


# === the model ===


def _layer_norm(x, scale, bias):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12) * scale + bias


_erf = np.frompyfunc(math.erf, 1, 1)


def _gelu(x):
    return 0.5 * x * (1.0 + _erf(x / math.sqrt(2.0)).astype(np.float64))


class Reference:
    def __init__(self):
        source = package_files()
        self.config = json.loads((source / "config.json").read_text())
        self.weights = {name: array.astype(np.float64) for name, array in load_file(source / "model.safetensors").items()
                        if array.dtype == np.float32}
        lines = (source / "vocab.txt").read_text(encoding="utf-8").split("\n")
        self.vocabulary = {token: number for number, token in enumerate(lines) if token}
        self.tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()

    def ids(self, text):
        ids = self.tokenizer.encode(text).ids
        if ids != word_piece(text, self.vocabulary):
            sys.exit(f"tokenizers and the own WordPiece disagree on {text!r}")
        if len(ids) > MAX_LENGTH:
            sys.exit(f"{len(ids)} tokens are too many: {text[:40]!r}")
        return ids

    def _dense(self, x, name):
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def _norm(self, x, name):
        return _layer_norm(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def states(self, ids):
        """Each layer's hidden states of one sentence, [tokens, 384]. One sentence, so there is no mask."""
        table = {part: self.weights[f"embeddings.{part}_embeddings.weight"] for part in ("word", "position", "token_type")}
        x = table["word"][ids] + table["position"][: len(ids)] + table["token_type"][0]
        x = self._norm(x, "embeddings.LayerNorm")
        heads = self.config["num_attention_heads"]
        width = self.config["hidden_size"] // heads
        for layer in range(self.config["num_hidden_layers"]):
            name = f"encoder.layer.{layer}"
            query, key, value = (self._dense(x, f"{name}.attention.self.{part}") for part in ("query", "key", "value"))
            context = np.empty_like(x)
            for head in range(heads):
                cut = slice(head * width, (head + 1) * width)
                scores = query[:, cut] @ key[:, cut].T / math.sqrt(width)
                shares = np.exp(scores - scores.max(-1, keepdims=True))
                context[:, cut] = shares / shares.sum(-1, keepdims=True) @ value[:, cut]
            x = self._norm(x + self._dense(context, f"{name}.attention.output.dense"), f"{name}.attention.output.LayerNorm")
            inner = _gelu(self._dense(x, f"{name}.intermediate.dense"))
            x = self._norm(x + self._dense(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")
            yield x

    def hidden(self, ids):
        """The last hidden states."""
        *_, last = self.states(ids)
        return last

    def embed(self, ids):
        return unit_mean(self.hidden(ids))


def unit_mean(states):
    """The mean over the tokens, brought to length 1."""
    mean = states.mean(axis=0)
    return mean / np.linalg.norm(mean)


# === what is written ===


def manifest(embeddings, tokens):
    graph = hashlib.sha256(sentence_embedder.build()).hexdigest()
    tokenizer = hashlib.sha256((FOLDER / "tokenizer.json").read_bytes()).hexdigest()
    lines = [
        "# Written by scripts/models/minilm_reference.py: change it there. Golden values are an FP64 NumPy computation's.",
        "schema = 1",
        'name = "sentence-embedder"',
        'description = "all-MiniLM-L6-v2: an English sentence or short paragraph to a unit vector of 384 numbers"',
        'task = "text-embedding"',
        'tokenizer = "tokenizer.json"',
        f"max_length = {MAX_LENGTH}",
        "truncate = false",
        'pooling = "mean"',
        "normalize = true",
        f'sha256 = {{ "1/model.onnx" = "{graph}", "tokenizer.json" = "{tokenizer}" }}',
    ]
    for text, embedding, count in list(zip(SENTENCES, embeddings, tokens))[:GOLDEN]:
        numbers = [repr(x) for x in embedding]
        rows = [", ".join(numbers[i : i + 8]) for i in range(0, len(numbers), 8)]
        lines += ["", "[[golden]]", f"input = {json.dumps(text, ensure_ascii=False)}", "[golden.expected]",
                  f"tokens = {count}", "embedding = [", *(f"  {row}," for row in rows), "]"]
    return "\n".join(lines) + "\n"


def vectors(embeddings, tokens):
    listed = lambda items: "[\n" + ",\n".join(json.dumps(x, ensure_ascii=False, separators=(",", ":")) for x in items) + "\n]"
    return (f'{{"sentences":{listed(SENTENCES)},\n"tokens":{json.dumps(tokens)},\n'
            f'"embeddings":{listed(embeddings)}}}\n')


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
    print(f"reference: wrote {path.relative_to(FOLDER.parent)}, {len(text.encode())} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write model.toml and testdata/vectors.json")
    args = parser.parse_args()
    reference = Reference()
    ids = [reference.ids(text) for text in SENTENCES]
    tokens = [len(x) for x in ids]
    print(f"reference: {len(ids)} sentences of {tokens} tokens; tokenizers and the own WordPiece agree")
    embeddings = [[round(float(x), 7) for x in reference.embed(x)] for x in ids]
    if args.write:
        write(FOLDER / "testdata/vectors.json", vectors(embeddings, tokens))
        write(FOLDER / "model.toml", manifest(embeddings, tokens))


if __name__ == "__main__":
    main()
