"""Judges a candidate on the test rows beside the current champion, and says whether it may be deployed.

Exit code 0: passed; 1: refused, with every reason; 64: wrong usage. Writes DIR/verdict.json, golden.json (rows with
scikit-learn's answers), baseline.json (what inputs and answers usually are) and model.toml (what is served beside the graph,
golden samples included), puts them beside the model as artifacts of its run, and tags the version with the verdict.
"""

import sys
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from fraud import baseline, command, forest, gate, latency, manifest, scores
from fraud.command import StepError
from fraud.datasets import Data
from fraud.files import read_json, sha256, write, write_json
from fraud.layout import GRAPH, MANIFEST, place
from fraud.registry import CHAMPION, DEFAULT_URI, Registry

EXAMPLES = """
  evaluate.py --data data --candidate candidate --out evaluation
  evaluate.py --data data --candidate candidate --out evaluation --max-f1-drop 0
  evaluate.py --data data --candidate candidate --out evaluation --ignore-champion 'it takes other features'
"""
say = command.told("evaluate")


def arguments():
    """The command line; every threshold is an option."""
    parser = command.parser("evaluate.py", __doc__, EXAMPLES)
    parser.add_argument("--data", required=True, type=command.folder, metavar="DIR", help="folder of prepare_data.py")
    parser.add_argument("--candidate", required=True, type=command.folder, metavar="DIR", help="folder of train.py")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write to")
    for field in fields(gate.Thresholds):
        option = "--" + field.name.replace("_", "-")
        parser.add_argument(option, type=command.number(0, 1e6), default=field.default, metavar="X", help="(default: %(default)s)")
    parser.add_argument("--ignore-champion", metavar="WHY", default="", help="judge by the floors alone; the verdict keeps the reason")
    parser.add_argument("--tracking-uri", metavar="URL", help=f"MLflow (default: MLFLOW_TRACKING_URI, else {DEFAULT_URI})")
    return parser.parse_args()


def champion_of(registry, candidate, ignored):
    """(version, graph) of the champion, without the graph where it is ignored; (None, None) for the first model. A version does not
    compete with itself."""
    version = registry.alias(candidate["model"], CHAMPION)
    if version is None or version == candidate["version"]:
        return None, None
    if ignored:
        return version, None
    data = registry.download(registry.model_root(candidate["model"], version), GRAPH)
    try:
        return version, forest.Graph(data)
    except StepError as error:
        raise StepError(f"the champion, version {version}, cannot be compared: {error}. Give --ignore-champion a reason") from None


def graph_of(registry, candidate):
    """The graph that the registry has, which must be the one that was trained."""
    data = registry.download(registry.model_root(candidate["model"], candidate["version"]), GRAPH)
    came = sha256(data)
    if came != candidate["graph_sha256"]:
        raise StepError(f"version {candidate['version']} is not what train.py registered: expected sha256 {candidate['graph_sha256']}, came {came}")
    return data


def forest_of(registry, candidate):
    """The forest that train.py kept beside the graph."""
    data = registry.download(registry.logged_root(candidate["forest"]), forest.FILE)
    came = sha256(data)
    if came != candidate["forest_sha256"]:
        raise StepError(f"{forest.FILE} is not what train.py kept: expected sha256 {candidate['forest_sha256']}, came {came}")
    return forest.load(data)


def measured(graph, rows, labels):
    """(figures, scores) of a graph on the test rows."""
    _, given = graph.run(rows)
    return scores.measure(given, labels), given


@dataclass
class Comparison:
    """Everything that the gate looks at, and what is written beside the model."""

    now: dict
    then: dict | None
    champion: str | None
    model: object
    given: np.ndarray
    rows: np.ndarray


def compare(registry, candidate, data, ignored):
    """Measures the candidate and, on the same rows and in the same minutes, the champion."""
    rows, labels = data.part("test")
    graph = forest.Graph(graph_of(registry, candidate))
    champion, other = champion_of(registry, candidate, ignored)
    model = forest_of(registry, candidate)
    now, given = measured(graph, rows, labels)
    now["disagreement"], now["other_labels"] = forest.disagreement(model, graph, rows)
    then = {"version": champion, **measured(other, rows, labels)[0]} if other else None
    times = latency.medians([graph, other] if other else [graph], rows)
    for figures, took in zip((now, then), times, strict=False):
        figures["latency_us"] = took
    return Comparison(now, then, champion, model, given, rows)


def write_beside(out, candidate, data, it):
    """Writes golden samples, baseline and manifest; returns the manifest's digest."""
    samples = manifest.golden(it.model, [*np.asarray(manifest.PAYMENTS, np.float32), *manifest.telling(it.model, it.rows)])
    write_json(out / "golden.json", samples)
    about = {"model": candidate["model"], "version": candidate["version"], "data_digest": data.digest}
    usual = {"features": read_json(data.folder / "statistics.json"), "predictions": baseline.of_predictions(it.given)}
    write_json(out / "baseline.json", about | usual)
    text = manifest.model_toml(candidate["model"], candidate["version"], candidate["graph_sha256"], samples, "pipelines/evaluate.py")
    write(out / MANIFEST, text)
    return sha256(text)


def tell(candidate, it):
    """The figures, side by side."""
    beside = f"beside champion version {it.then['version']}" if it.then else "without a champion"
    say(f"{candidate['model']} version {candidate['version']} {beside}, {len(it.rows)} test rows")
    say(f"  {'':20} {'candidate':>10} {'champion' if it.then else '':>10}".rstrip())
    for name in ("f1", "average_precision", "accuracy", "precision", "recall", "roc_auc", "latency_us"):
        say(f"  {name:20} {it.now[name]:10} {it.then[name] if it.then else '':>10}".rstrip())
    say(f"  {'disagreement':20} {it.now['disagreement']:10.1e}")


def publish(registry, candidate, out, verdict, champion):
    """Puts the files beside the model; the tag `verdict`, which deploy.py reads, comes last."""
    root = registry.run_root(candidate["run_id"])
    for name in ("verdict.json", "golden.json", "baseline.json", MANIFEST):
        registry.upload(root, place(candidate["version"], name), (out / name).read_bytes())
    registry.tag(
        candidate["model"], candidate["version"], graph_sha256=candidate["graph_sha256"], manifest_sha256=verdict["manifest_sha256"],
        compared_with=champion or "none", verdict_reasons="; ".join(verdict["reasons"]) or "none",
        verdict="passed" if verdict["passed"] else "refused",
    )  # fmt: skip


def main():
    """Compares, writes, tags, and ends with the verdict."""
    args = arguments()
    limits = gate.Thresholds(**{it.name: getattr(args, it.name) for it in fields(gate.Thresholds)})
    data = Data(args.data)
    candidate = read_json(args.candidate / "candidate.json")
    if candidate["data_digest"] != data.digest:
        raise StepError(f"the candidate was trained on data of digest {candidate['data_digest']}, and that of {args.data} is {data.digest}")
    registry = Registry(args.tracking_uri)
    it = compare(registry, candidate, data, args.ignore_champion)
    tell(candidate, it)
    reasons = gate.reasons(it.now, it.then, limits)
    verdict = {
        "model": candidate["model"], "version": candidate["version"], "passed": not reasons, "reasons": reasons,
        "candidate": it.now, "champion": it.then, "ignored_champion": args.ignore_champion or None, "thresholds": asdict(limits),
        "data_digest": data.digest, "graph_sha256": candidate["graph_sha256"],
        "manifest_sha256": write_beside(args.out, candidate, data, it),
    }  # fmt: skip
    write_json(args.out / "verdict.json", verdict)
    publish(registry, candidate, args.out, verdict, it.champion)
    for reason in reasons:
        print(f"refused: {reason}", file=sys.stderr)
    say(f"{candidate['model']} version {candidate['version']} {'is refused' if reasons else 'passes'}")
    return 1 if reasons else 0


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    command.run(main)
