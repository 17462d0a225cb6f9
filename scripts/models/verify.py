"""Compares the demo models, run by ONNX Runtime, with what they must be: exits 1 on disagreement.

fraud-detector: a forest trained again by scikit-learn, and the vectors in git, within 1e-5.
digits: a network trained again by scikit-learn, and the pictures in git by Pillow, within 1e-5.
sentence-embedder, ticket-topic: the FP64 NumPy references, each text alone and all padded into one
batch, within 1e-4. Golden samples and digests of every model.toml are checked too. Run by verify.sh.
"""

import base64
import hashlib
import json
import os
import sys
import tomllib
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when the library loads

import numpy as np
import onnxruntime

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "pipelines"))

import digits as digits_training
import minilm_reference
import ticket_head as ticket_training
import ticket_reference
import ticket_topic as ticket_graph
from fraud import datasets, forest, transactions

SEED = 42
FRAUD_TOLERANCE = 1e-5
EMBEDDING_TOLERANCE = 1e-4
FAILURES = []


def report(what, worst, tolerance):
    good = worst <= tolerance  # false for NaN
    print(f"verify: {'ok  ' if good else 'FAIL'} {what}: {worst:.1e} (at most {tolerance:.0e})")
    if not good:
        FAILURES.append(what)


def load(name):
    folder = ROOT / "models" / name
    manifest = tomllib.loads((folder / "model.toml").read_text(encoding="utf-8"))
    for path, digest in manifest["sha256"].items():
        found = hashlib.sha256((folder / path).read_bytes()).hexdigest()
        report(f"{name}: sha256 of {path}", 0.0 if found == digest else np.inf, 0.0)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    graph = next(folder / path for path in manifest["sha256"] if path.endswith(".onnx"))
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    vectors = json.loads((folder / "testdata/vectors.json").read_text(encoding="utf-8"))
    return manifest, session, vectors


def difference(a, b):
    return float(np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64)).max())


def fraud_detector():
    manifest, session, vectors = load("fraud-detector")
    names = [feature["name"] for feature in manifest["features"]]
    run = lambda rows: session.run(["label", "probabilities"], {"features": np.asarray(rows, np.float32)})
    _, scores = run(vectors["rows"])
    report(f"fraud-detector: {len(scores)} rows of testdata", difference(scores, vectors["scores"]), FRAUD_TOLERANCE)

    # As scripts/models/train.sh has it trained.
    parts = datasets.split(*transactions.generate(30_000, np.random.default_rng(SEED)), 0.25, 0, SEED)
    model, rows = forest.fit(*parts["train"], forest.Parameters()), parts["test"][0]
    expected = model.predict_proba(rows)
    label, scores = run(rows)
    clear = np.abs(expected[:, 0] - 0.5) > FRAUD_TOLERANCE
    wrong = int((label != model.predict(rows))[clear].sum())
    report(f"fraud-detector: {len(rows)} rows, forest trained again", difference(scores, expected), FRAUD_TOLERANCE)
    report(f"fraud-detector: {len(rows)} rows, labels that differ", wrong, 0)
    alone = np.concatenate([run(rows[i : i + 1])[1] for i in range(200)])
    report("fraud-detector: 200 rows alone and in a batch", difference(alone, scores[:200]), 0)

    for golden in manifest["golden"]:
        _, scores = run([[golden["input"][name] for name in names]])
        wanted = [golden["expected"]["scores"][name] for name in manifest["labels"]]
        best = manifest["labels"][int(scores[0].argmax())]
        report(f"fraud-detector: golden sample, {best}", difference(scores[0], wanted), FRAUD_TOLERANCE)
        report("fraud-detector: its label and confidence", difference(scores[0].max(), golden["expected"]["confidence"])
               if best == golden["expected"]["label"] else np.inf, FRAUD_TOLERANCE)


def digits():
    manifest, session, vectors = load("digits")
    model, pixels, truth = digits_training.train()
    image = manifest["image"]
    report("digits: scale, mean and std", difference([image["scale"], *image["mean"], *image["std"]],
                                                     [digits_training.SCALE, model.mean, model.std]), 0)
    again = []
    for number, sample in enumerate(vectors["images"]):
        data = base64.b64decode(sample["b64"], validate=True)
        seen = digits_training.preprocess(data)
        scores = digits_training.run_graph(session, model, seen[None])[0]
        label = manifest["labels"][int(scores.argmax())]
        worst = difference(scores, sample["scores"]) if label == sample["label"] else np.inf
        report(f"digits: {sample['name']}", worst, sample["tolerance"])
        again.append(difference(model.scores(seen[None])[0], sample["scores"]))
        if number < 20 and not (pixels[truth == int(sample["digit"])] == seen).all(axis=(1, 2)).any():
            report("digits: it is a held-out picture", np.inf, 0)
    report("digits: the same by the network trained again", max(again), 1e-7)
    scores = digits_training.run_graph(session, model, pixels)
    report(f"digits: {len(pixels)} held-out pictures", difference(scores, model.scores(pixels)),
           digits_training.TOLERANCE)
    alone = np.concatenate([digits_training.run_graph(session, model, p[None]) for p in pixels[:200]])
    report("digits: 200 pictures alone and in a batch", difference(alone, scores[:200]), 1e-6)
    measured = json.loads((ROOT / "models/digits/metrics.json").read_text())
    right = np.mean(scores.argmax(axis=1) == truth)
    report("digits: accuracy in metrics.json", difference(right, measured["accuracy"]), 5e-5)
    for golden in manifest["golden"]:
        seen = digits_training.preprocess(base64.b64decode(golden["input"]["b64"], validate=True))
        scores = digits_training.run_graph(session, model, seen[None])[0]
        answer(manifest["labels"], scores, golden["expected"], "digits")


def answer(labels, scores, expected, name):
    """A golden sample of a classifier: label and confidence."""
    right = labels[int(scores.argmax())] == expected["label"]
    report(f"{name}: golden sample, {expected['label']}",
           difference(scores.max(), expected["confidence"]) if right else np.inf, 1e-4)


def run_encoder(session, batch):
    """What the server does: pad to the longest, and run. Returns the first output and the mask."""
    longest = max(map(len, batch))
    ids = np.array([[*ids, *[0] * (longest - len(ids))] for ids in batch], np.int64)
    mask = np.array([[1] * len(ids) + [0] * (longest - len(ids)) for ids in batch], np.int64)
    return session.run(None, {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)})[0], mask


def embed(session, batch):
    """Mean over the tokens, normalized."""
    hidden, mask = run_encoder(session, batch)
    mean = (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
    return mean / np.linalg.norm(mean, axis=1, keepdims=True)


def sentence_embedder():
    manifest, session, vectors = load("sentence-embedder")
    reference = minilm_reference.Reference()
    ids = [reference.ids(text) for text in vectors["sentences"]]
    report("sentence-embedder: token counts of testdata", difference([len(x) for x in ids], vectors["tokens"]), 0)
    expected = [reference.embed(x) for x in ids]
    report("sentence-embedder: testdata and the reference", difference(vectors["embeddings"], expected), 1e-7)
    alone = np.concatenate([embed(session, [x]) for x in ids])
    report(f"sentence-embedder: {len(ids)} sentences, each alone", difference(alone, expected), EMBEDDING_TOLERANCE)
    report("sentence-embedder: the same in one padded batch", difference(embed(session, ids), expected), EMBEDDING_TOLERANCE)

    rng = np.random.default_rng(SEED)
    made = [[101, *rng.integers(999, 30522, size - 2).tolist(), 102] for size in (2, 17, 64, 256)]
    report("sentence-embedder: random ids up to 256 tokens, one batch",
           difference(embed(session, made), [reference.embed(x) for x in made]), EMBEDDING_TOLERANCE)
    whole = session.run(None, {"input_ids": np.array([made[-1]]), "attention_mask": np.ones((1, 256), np.int64),
                               "token_type_ids": np.zeros((1, 256), np.int64)})[0][0]
    report("sentence-embedder: last_hidden_state of 256 tokens", difference(whole, reference.hidden(made[-1])),
           EMBEDDING_TOLERANCE)
    for golden in manifest["golden"]:
        x = reference.ids(golden["input"])
        wrong = np.inf if len(x) != golden["expected"]["tokens"] else 0
        report("sentence-embedder: golden sample", wrong + difference(embed(session, [x])[0], golden["expected"]["embedding"]),
               EMBEDDING_TOLERANCE)


def ticket_topic():
    manifest, session, vectors = load("ticket-topic")
    reference, head = minilm_reference.Reference(), ticket_graph.read_head()
    config = json.loads((ROOT / "models/ticket-topic/config.json").read_text())
    labels = [config["id2label"][str(i)] for i in range(len(config["id2label"]))]
    same = labels == head["labels"] == vectors["labels"] and config["label2id"] == {x: i for i, x in enumerate(labels)}
    report("ticket-topic: labels of config.json, head and testdata", 0 if same else np.inf, 0)

    ids = [reference.ids(text) for text in vectors["texts"]]
    report("ticket-topic: token counts of testdata", difference([len(x) for x in ids], vectors["tokens"]), 0)
    expected = np.stack([ticket_reference.logits(reference, x, head) for x in ids])
    report("ticket-topic: testdata and the reference", difference(vectors["logits"], expected), 1e-7)
    report("ticket-topic: its scores", difference(vectors["scores"], ticket_reference.softmax(expected)), 1e-7)
    alone = np.concatenate([run_encoder(session, [x])[0] for x in ids])
    report(f"ticket-topic: logits of {len(ids)} texts, each alone", difference(alone, expected), EMBEDDING_TOLERANCE)
    report("ticket-topic: the same in one padded batch", difference(run_encoder(session, ids)[0], expected),
           EMBEDDING_TOLERANCE)
    texts, truth = ticket_training.read("test.csv")
    found = [labels[int(run_encoder(session, [reference.ids(text)])[0].argmax())] for text in texts]
    right = np.mean([label == ticket_training.LABELS[number] for label, number in zip(found, truth)])
    measured = json.loads((ROOT / "models/ticket-topic/metrics.json").read_text())["test"]
    report("ticket-topic: accuracy in metrics.json", difference(right, measured["accuracy"]), 5e-5)
    for golden in manifest["golden"]:
        logits, _ = run_encoder(session, [reference.ids(golden["input"]["text"])])
        answer(labels, ticket_reference.softmax(logits[0].astype(np.float64)), golden["expected"], "ticket-topic")


def main():
    print(f"verify: ONNX Runtime {onnxruntime.__version__}")
    fraud_detector()
    digits()
    sentence_embedder()
    ticket_topic()
    if FAILURES:
        sys.exit(f"verify: {len(FAILURES)} disagreements")
    print("verify: all models agree with their references")


if __name__ == "__main__":
    main()
