"""What `ticket-topic` must answer: plain NumPy in FP64 over the reference of the encoder, without any graph.

pipelines/ticket_head.py trains on its features; verify.py compares ONNX Runtime with it. With --write it
writes models/ticket-topic/model.toml (golden samples and digests) and testdata/vectors.json.
"""

import argparse
import hashlib
import json

import numpy as np

import minilm_reference
import ticket_topic
from minilm_reference import MAX_LENGTH, unit_mean
from ticket_topic import FOLDER

# Tickets that are in neither data set, and texts that no customer would send.
TEXTS = [
    "The invoice for May lists a seat that we gave up in February.",
    "Please send the money for the returned kettle to my new account.",
    "The code for signing in never reaches my phone.",
    "Whenever I sort the table by price, the app shuts down.",
    "Nothing of yours answers any more, for none of our offices.",
    "My parcel has been lying in the same depot for a week.",
    "I'd like to end my contract at the next possible date.",
    "It would be lovely if the map could be printed.",
    "Hi",
    ".",
    "   ",
    "?!?!?!",
    "help",
    "refund",
    "LOGIN LOGIN LOGIN",
    "Charged twice, package lost, password gone and the app crashes. What a day!",
    "Hello,\n\nmy order 5512 has not come.\n\nKind regards\nA customer",
    "Größe, naïve café, déjà vu: ÀÉÎÕÜ",
    "Meine Rechnung stimmt nicht, bitte prüfen Sie den Betrag.",
    "机器学习模型在云端运行。",
    "שלום עולם, привет мир, γειά σου κόσμε",
    "🚀🚀 when does it ship? 📦",
    "İSTANBUL'DA ÇAY 2026-11-22 23:56:42 −17.5 °C",
    "zero\u200bwidth,\ttab, no\u00a0break, bell\u0007 and e\u0301 combined",
    '{"error": 500, "trace": "at Object.<anonymous> (index.js:12:7)"}',
    "<p>Is your <b>service</b> down?</p>",
    "SELECT * FROM orders WHERE status = 'lost'; -- where is it?",
    "x" * 101,
    "pneumonoultramicroscopicsilicovolcanoconiosis " + "x" * 90,
    "12345 67890 00000",
    "Thanks for the quick help yesterday, all is well now.",
    minilm_reference.PARAGRAPH,
    # 254 words of one token each: with [CLS] and [SEP] the longest that the model takes
    " ".join(["the parcel is late and the bill is wrong"] * 28 + ["so"] * 2),
]
GOLDEN = 8


def softmax(logits):
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shares / shares.sum(axis=-1, keepdims=True)


def features(reference, ids, layers):
    """The unit means of the named layers (counted from 1), side by side."""
    states = list(reference.states(ids))
    return np.concatenate([unit_mean(states[layer - 1]) for layer in layers])


def logits(reference, ids, head):
    return head["weight"].astype(np.float64) @ features(reference, ids, head["layers"]) + head["bias"]


def manifest(head, scores):
    graph = hashlib.sha256(ticket_topic.build(head)).hexdigest()
    tokenizer = hashlib.sha256((FOLDER / "tokenizer.json").read_bytes()).hexdigest()
    lines = [
        "# Written by scripts/models/ticket_reference.py: change it there. Golden values are by NumPy in FP64.",
        "# Task, labels and lengths are in the Hugging Face files beside it.",
        "schema = 1",
        'description = "Names the topic of a support ticket, one of eight: MiniLM with a linear head"',
        f'sha256 = {{ "model.onnx" = "{graph}", "tokenizer.json" = "{tokenizer}" }}',
    ]
    for text, row in list(zip(TEXTS, scores))[:GOLDEN]:
        best = int(np.argmax(row))
        lines += ["", "[[golden]]", f"input = {{ text = {json.dumps(text, ensure_ascii=False)} }}",
                  f'expected = {{ label = "{head["labels"][best]}", confidence = {row[best]!r} }}']
    return "\n".join(lines) + "\n"


def vectors(head, tokens, found, scores):
    def listed(items):
        return "[\n" + ",\n".join(json.dumps(x, ensure_ascii=False, separators=(",", ":")) for x in items) + "\n]"

    return (f'{{"labels":{json.dumps(head["labels"])},\n"texts":{listed(TEXTS)},\n"tokens":{json.dumps(tokens)},\n'
            f'"logits":{listed(found)},\n"scores":{listed(scores)}}}\n')


def rounded(rows):
    return [[round(float(x), 8) for x in row] for row in rows]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write model.toml and testdata/vectors.json")
    args = parser.parse_args()
    reference, head = minilm_reference.Reference(), ticket_topic.read_head()
    ids = [reference.ids(text) for text in TEXTS]
    tokens = [len(x) for x in ids]
    print(f"reference: {len(ids)} texts of {min(tokens)} to {max(tokens)} tokens (at most {MAX_LENGTH})")
    exact = np.stack([logits(reference, x, head) for x in ids])
    if args.write:
        scores = rounded(softmax(exact))
        minilm_reference.write(FOLDER / "testdata/vectors.json", vectors(head, tokens, rounded(exact), scores))
        minilm_reference.write(FOLDER / "model.toml", manifest(head, scores))


if __name__ == "__main__":
    main()
