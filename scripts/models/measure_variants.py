"""Compares the variants of the MiniLM encoder and writes the table in docs/performance.md. Run by variants.sh.

Each variant has three outputs: the last hidden states, the sentence embedding and ticket-topic's logits.
Compared with FP32 are the embeddings and labels of the held-out tickets, the CPU time of runs of 32
tokens, and a ticket's results alone with those in a batch of 16: the server runs rows together only if
that changes nothing beyond its tolerance.
"""

import argparse
import json
import os
import platform
import re
import sys
import time
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when the library loads

import numpy as np
import onnxruntime

import ticket_topic
import variants

PAGE = Path(__file__).resolve().parents[2] / "docs" / "performance.md"
BATCH = 16
TOKENS = 32
RUNS = {1: 24, BATCH: 3}
# The server's bound on a number that may differ between a row alone and in a batch, absolute and relative.
TOLERANCE = 1e-3


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run(model, batch):
    names = ["last_hidden_state", "embedding", "logits"]
    return dict(zip(names, model.run(names, variants.feed(batch)), strict=True))


def excess(alone, together):
    """The largest difference, and how often the server's bound goes into it at the worst place."""
    gap = np.abs(alone - together)
    return float(gap.max()), float((gap / (TOLERANCE + TOLERANCE * np.abs(alone))).max())


def embeddings(results):
    return np.concatenate([one["embedding"] for one in results]).astype(np.float64)


def quality(model, ids, labels, odd):
    """Embeddings and labels of each ticket alone, embeddings of odd texts, and what being in a batch changes."""
    alone = [run(model, [x]) for x in ids]
    worst_logit, worst_bound = 0.0, 0.0
    for start in range(0, len(ids), BATCH):
        part = ids[start : start + BATCH]
        together = run(model, part)
        for row, x in enumerate(part):
            one = alone[start + row]
            logit, bound = excess(one["logits"][0], together["logits"][row])
            _, hidden = excess(one["last_hidden_state"][0], together["last_hidden_state"][row, : len(x)])
            worst_logit, worst_bound = max(worst_logit, logit), max(worst_bound, bound, hidden)
    logits = np.concatenate([one["logits"] for one in alone])
    names = ticket_topic.read_head()["labels"]
    answers = [names[i] for i in logits.argmax(axis=1)]
    return {
        "embeddings": embeddings(alone),
        "odd": embeddings([run(model, [x]) for x in odd]),
        "answers": answers,
        "accuracy": float(np.mean([a == b for a, b in zip(answers, labels, strict=True)])),
        "batch_logit": worst_logit,
        "batch_bound": worst_bound,
    }


def cpu_times(models, rounds):
    """CPU ms a row by variant, batch and round. Variants take turns within a round, so a slow spell meets all."""
    rng = np.random.default_rng(42)
    feeds = {size: variants.feed([rng.integers(999, 30522, TOKENS).tolist() for _ in range(size)]) for size in RUNS}
    times = {name: {size: [] for size in RUNS} for name in models}
    for number in range(rounds + 1):  # the first one warms up and does not count
        order = list(models) if number % 2 else list(reversed(models))
        for size, count in RUNS.items():
            for name in order:
                before = time.process_time()
                for _ in range(count):
                    models[name].run(["logits"], feeds[size])
                spent = time.process_time() - before
                if number:
                    times[name][size].append(1000 * spent / count / size)
        print(f"variants: round {number} of {rounds}", flush=True)
    return times


def spread(values, digits):
    return f"{np.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def table(rows):
    head = ["variant", "MB", "cosine to FP32, mean", "lowest", "lowest, odd texts", "right of 160 tickets",
            "answers changed", "CPU ms a row, batch 1", "over FP32", f"batch {BATCH}", "over FP32",
            "a logit changes in a batch by", "rows independent"]
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 2) + " --- |"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def cosine(a, b):
    return (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))


def row_of(name, size, found, base, times):
    tickets, odd = cosine(found["embeddings"], base["embeddings"]), cosine(found["odd"], base["odd"])
    changed = sum(a != b for a, b in zip(found["answers"], base["answers"], strict=True))
    total = len(found["answers"])
    cells = [name, f"{size / 1e6:.1f}", f"{tickets.mean():.5f}", f"{tickets.min():.5f}", f"{odd.min():.5f}",
             f"{round(found['accuracy'] * total)}", str(changed)]
    for batch in RUNS:
        ratio = np.array(times[name][batch]) / np.array(times["fp32"][batch])
        cells += [spread(times[name][batch], 2), spread(ratio, 2)]
    independent = "yes" if found["batch_bound"] <= 1 else f"no ({found['batch_bound']:.0f} times the bound)"
    return [*cells, f"{found['batch_logit']:.1e}", independent]


def machine(loads, rounds):
    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.processor())
    flags = re.search(r"^flags\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    known = [flag for flag in ("avx2", "avx512_vnni", "avx_vnni", "amx_int8") if flags and flag in flags[1].split()]
    return (f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores of {model} ({', '.join(known)}), "
            f"ONNX Runtime {onnxruntime.__version__}, one thread. {rounds} interleaved rounds; load average at the "
            f"start of the times {loads[0]:.1f}, at their end {loads[1]:.1f}.")


def written(page, text):
    begin, end = "<!-- variants: begin -->", "<!-- variants: end -->"
    if page.count(begin) != 1 or page.count(end) != 1:
        sys.exit(f"variants: docs/performance.md needs {begin} and {end} once each")
    before, rest = page.split(begin)
    return f"{before}{begin}\n\n{text}\n\n{end}{rest.split(end)[1]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11, help="rounds of the times (default: 11)")
    parser.add_argument("--folder", type=Path, required=True, help="where the variants' files go")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error("--rounds: at least 1")
    texts = variants.Texts()
    ids, labels = texts.read("test.csv")
    odd = texts.odd()
    models, found, sizes = {}, {}, {}
    for name in variants.VARIANTS:
        path = args.folder / f"{name}.onnx"
        sizes[name] = variants.make(name, "both", path)
        models[name] = session(path)
        found[name] = quality(models[name], ids, labels, odd)
        print(f"variants: {name}: {sizes[name] / 1e6:.1f} MB, accuracy {found[name]['accuracy']:.4f}, "
              f"a row in a batch {found[name]['batch_bound']:.2f} times the bound", flush=True)
    measured = json.loads((variants.MODELS / "ticket-topic" / "metrics.json").read_text())["test"]["accuracy"]
    if abs(found["fp32"]["accuracy"] - measured) > 5e-5:
        sys.exit(f"variants: FP32 has an accuracy of {found['fp32']['accuracy']}, metrics.json says {measured}")
    before = os.getloadavg()[0]
    times = cpu_times(models, args.rounds)
    rows = [row_of(name, sizes[name], found[name], found["fp32"], times) for name in models]
    text = f"{machine((before, os.getloadavg()[0]), args.rounds)}\n\n{table(rows)}"
    print(f"\n{text}")
    if args.write:
        part = PAGE.with_name(PAGE.name + ".part")
        part.write_text(written(PAGE.read_text(encoding="utf-8"), text), encoding="utf-8")
        part.replace(PAGE)


if __name__ == "__main__":
    main()
