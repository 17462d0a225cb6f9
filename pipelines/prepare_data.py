"""Makes the data of a training: generates payments, or takes a file of them whose every value the schema allows, and splits
them into train, validation and test.

The same input, shares and seed give the same bytes. Writes DIR/train.csv, validation.csv, test.csv, schema.json,
statistics.json (quantiles of each feature) and data.json (digest, rows, source).
"""

import sys
from pathlib import Path

import numpy as np

from fraud import command, datasets, tables, transactions
from fraud.command import StepError
from fraud.files import sha256
from fraud.schema import FEATURES, LABEL

EXAMPLES = """
  prepare_data.py --out data                               30,000 generated payments
  prepare_data.py --out data --rows 2000 --seed 7          fewer, and others
  prepare_data.py --out data --input payments.parquet      payments of your own
"""
say = command.told("prepare_data")


def arguments():
    """The command line."""
    parser = command.parser("prepare_data.py", __doc__, EXAMPLES)
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write to")
    parser.add_argument("--input", metavar="FILE", default="", help=f"CSV or Parquet with the 30 features and {LABEL}; empty: generate")
    parser.add_argument("--rows", type=command.whole(200, 10_000_000), default=30_000, metavar="N", help="payments to generate (default: %(default)s)")
    parser.add_argument("--seed", type=command.whole(0), default=42, metavar="N", help="of payments and split (default: %(default)s)")
    parser.add_argument("--test-share", type=command.number(0.05, 0.5), default=0.15, metavar="X", help="share for evaluate.py (default: %(default)s)")
    parser.add_argument("--validation-share", type=command.number(0, 0.4), default=0.10, metavar="X", help="share for train.py (default: %(default)s)")
    return parser.parse_args()


def main():
    """Writes the folder."""
    args = arguments()
    if args.input:
        source = Path(args.input)
        if not source.is_file():
            raise StepError(f"{source} is no file: --input names a CSV or Parquet file")
        features, labels = tables.read(source)
        origin = {"source": source.name, "source_sha256": sha256(source)}
    else:
        features, labels = transactions.generate(args.rows, np.random.default_rng(args.seed))
        origin = {"source": "generated"}
    say(f"{len(labels)} payments ({args.input or 'generated'}), {len(FEATURES)} features, {int(labels.sum())} of them fraud, seed {args.seed}")
    datasets.enough(labels, args.input or "the generated payments")
    parts = datasets.split(features, labels, args.test_share, args.validation_share, args.seed)
    for name, (_, part) in parts.items():
        if len(part) or name != "validation":
            datasets.enough(part, f"{name} rows")
        say(f"  {name:10} {len(part):6} rows, {int(part.sum())} fraud")
    about = {**origin, "seed": args.seed, "test_share": args.test_share, "validation_share": args.validation_share}
    datasets.save(args.out, parts, about)
    say(f"wrote {args.out}, digest {datasets.digest(args.out)}")
    return 0


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    command.run(main)
