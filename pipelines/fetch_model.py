"""Fetches one version of a model out of MLflow's registry into a folder that ml-inference-api serves.

The init container of the chart runs it (`models.source: init`), with the version and the digest that deploy.py wrote into
model.yaml. What is not what was judged is refused; the folder gets everything or nothing.
"""

import sys
from pathlib import Path

from fraud import command, layout
from fraud.registry import DEFAULT_URI, Registry
from fraud.schema import NAME

EXAMPLES = """
  fetch_model.py --version 3 --sha256 2f1c...9e --out /models
  MLFLOW_TRACKING_URI=http://127.0.0.1:5000 fetch_model.py --version 3 --sha256 2f1c...9e --out models
"""
say = command.told("fetch_model")


def arguments():
    """The command line."""
    parser = command.parser("fetch_model.py", __doc__, EXAMPLES)
    parser.add_argument("--model", type=command.model_name, default=NAME, metavar="NAME", help="registered model (default: %(default)s)")
    parser.add_argument("--version", required=True, type=command.whole(1), metavar="N", help="its version")
    parser.add_argument("--sha256", required=True, type=command.digest, metavar="HEX", help="digest of the version's model.toml")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of models to write to")
    parser.add_argument("--retries", type=command.whole(0, 100), default=5, metavar="N", help="tries again so often (default: %(default)s)")
    parser.add_argument("--tracking-uri", metavar="URL", help=f"MLflow (default: MLFLOW_TRACKING_URI, else {DEFAULT_URI})")
    return parser.parse_args()


def main():
    """Fetches, verifies, installs."""
    args = arguments()
    registry = Registry(args.tracking_uri, args.retries)
    files = layout.fetch(registry, args.model, str(args.version), args.sha256)
    layout.install(files, args.out, args.model)
    for path, digest in layout.digests(files).items():
        say(f"{args.out / args.model / path} sha256 {digest}")
    return 0


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    command.run(main)
