"""Compares both demo models, run by ONNX Runtime, with what they must be: exits 1 on disagreement.

fraud-detector: a forest trained again by scikit-learn, and the vectors in git, within 1e-5.
sentence-embedder: the FP64 NumPy reference, each sentence alone and all padded into one batch,
within 1e-4. Golden samples and digests of both model.toml are checked too. Run by verify.sh.
"""

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

import minilm_reference
import train

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
    session = onnxruntime.InferenceSession(folder / "1/model.onnx", options, providers=["CPUExecutionProvider"])
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

    model, rows, _ = train.train()
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


def embed(session, batch):
    """What the server does: pad to the longest, run, mean over the tokens, normalize."""
    longest = max(map(len, batch))
    ids = np.array([[*ids, *[0] * (longest - len(ids))] for ids in batch], np.int64)
    mask = np.array([[1] * len(ids) + [0] * (longest - len(ids)) for ids in batch], np.int64)
    feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    hidden = session.run(["last_hidden_state"], feed)[0]
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

    rng = np.random.default_rng(train.SEED)
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


def main():
    print(f"verify: ONNX Runtime {onnxruntime.__version__}")
    fraud_detector()
    sentence_embedder()
    if FAILURES:
        sys.exit(f"verify: {len(FAILURES)} disagreements")
    print("verify: both models agree with their references")


if __name__ == "__main__":
    main()
