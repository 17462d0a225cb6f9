"""Trains the random forest on what prepare_data.py wrote, exports its graph, and registers both with MLflow.

The same data, parameters and pins give a byte-identical graph. Figures are of the validation rows; the test rows are
evaluate.py's. Registers the graph (flavour onnx, with signature and input example) as a new version of the model, and
keeps the forest itself (flavour sklearn) in the same run. Writes DIR/candidate.json for the next step.

No GPU is used, see fraud/forest.py. With --layout nothing is registered: the model is written as it lies in
models/fraud-detector (scripts/models/train.sh).
"""

import sys
from pathlib import Path

from fraud import command, forest, manifest, scores
from fraud.command import StepError
from fraud.datasets import Data
from fraud.files import sha256, write, write_json
from fraud.registry import DEFAULT_URI, Registry
from fraud.schema import NAME

EXAMPLES = """
  train.py --data data --out candidate
  train.py --data data --out candidate --n-estimators 200 --max-depth 14
  MLFLOW_TRACKING_URI=http://127.0.0.1:5000 train.py --data data --out candidate
  train.py --data data --layout models/fraud-detector      no MLflow
"""
say = command.told("train")


def arguments():
    """The command line."""
    made = forest.Parameters()
    parser = command.parser("train.py", __doc__, EXAMPLES)
    parser.add_argument("--data", required=True, type=command.folder, metavar="DIR", help="folder of prepare_data.py")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for candidate.json and the graph")
    parser.add_argument("--layout", type=Path, metavar="DIR", help="write the model as it lies in git, and register nothing")
    parser.add_argument("--n-estimators", type=command.whole(1, 5000), default=made.n_estimators, metavar="N", help="trees (default: %(default)s)")
    parser.add_argument("--max-depth", type=command.whole(1, 64), default=made.max_depth, metavar="N", help="their depth (default: %(default)s)")
    parser.add_argument("--random-state", type=command.whole(0), default=made.random_state, metavar="N", help="seed (default: %(default)s)")
    parser.add_argument("--model", type=command.model_name, default=NAME, metavar="NAME", help="registered model (default: %(default)s)")
    parser.add_argument("--experiment", default="fraud-detection-v2", metavar="NAME", help="MLflow's experiment (default: %(default)s)")
    parser.add_argument("--run-name", default="rf-baseline", metavar="NAME", help="name of the run (default: %(default)s)")
    parser.add_argument("--tracking-uri", metavar="URL", help=f"MLflow (default: MLFLOW_TRACKING_URI, else {DEFAULT_URI})")
    args = parser.parse_args()
    if (args.out is None) == (args.layout is None):
        parser.error("expected --out or --layout, and not both")
    return args


def judged_by(data, args):
    """(name, features, labels) of the rows whose figures are reported: with --layout there is nobody else to take the test rows."""
    name = "test" if args.layout else "validation"
    features, labels = data.part(name)
    if not len(labels):
        raise StepError(f"{data.folder} has no {name} rows: run prepare_data.py with --validation-share above 0")
    return name, features, labels


def main():
    """Trains, exports, checks, and registers or writes."""
    args = arguments()
    if args.out:
        Registry(args.tracking_uri).alive()
    data = Data(args.data)
    features, labels = data.part("train")
    parameters = forest.Parameters(args.n_estimators, args.max_depth, args.random_state)
    say(f"{len(labels)} rows, {parameters.n_estimators} trees of depth {parameters.max_depth}, seed {parameters.random_state}")
    model = forest.fit(features, labels, parameters)
    name, held_x, held_y = judged_by(data, args)
    measured = scores.measure(model.predict_proba(held_x), held_y)
    for key, value in measured.items():
        say(f"  {name} {key:30} {value}")
    graph = forest.export(model)
    worst = forest.agrees(model, graph, held_x)
    say(f"graph of {len(graph)} bytes, sha256 {sha256(graph)}, agrees with scikit-learn within {worst:.1e} over {len(held_x)} rows")
    if args.layout:
        manifest.write_model(args.layout, model, graph, measured, held_x)
        say(f"wrote {args.layout}")
        return 0

    from fraud import tracking  # takes seconds, and only a registered training needs it

    candidate = tracking.register(args, data, model, graph, measured)
    write(args.out / "model.onnx", graph)
    write_json(args.out / "candidate.json", candidate)
    say(f"registered {args.model} version {candidate['version']}, run {candidate['run_id']} of '{args.experiment}'")
    return 0


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    command.run(main)
