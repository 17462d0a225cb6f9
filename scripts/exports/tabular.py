"""Makes the fixtures of tabular exporters: trains small models on scikit-learn's own data, exports them as the
exporters' documentation says, and writes what Python's own library predicts beside them.

Run by `scripts/exports/run.sh --remake`; needs scripts/exports/requirements.txt. Models and expected values are
the same in every run; onnxmltools, CatBoost and MLflow write a random id into their files, the latter two the time too.
"""

import argparse
import os
import warnings

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when the library loads

import tabular_boosting
import tabular_mlflow
import tabular_native
import tabular_sklearn
import tabular_special
from fixture import FOLDER

MAKERS = [
    *tabular_sklearn.FIXTURES,
    *tabular_boosting.FIXTURES,
    *tabular_mlflow.FIXTURES,
    *tabular_native.FIXTURES,
    *tabular_special.FIXTURES,
]


def main():
    """Make all fixtures, or those whose names are given."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="make only these fixtures")
    wanted = set(parser.parse_args().names)
    warnings.simplefilter("ignore")  # deprecations of the libraries among themselves
    made = set()
    for maker in MAKERS:
        fixture = maker()
        if wanted and fixture.name not in wanted:
            continue
        fixture.save()
        made.add(fixture.name)
        size = sum(path.stat().st_size for path in (FOLDER / fixture.name).rglob("*") if path.is_file())
        print(f"exports: {fixture.name}: {size} bytes, {fixture.exporter}, {fixture.what}", flush=True)
    if wanted - made:
        parser.error(f"no fixture is named {', '.join(sorted(wanted - made))}")


if __name__ == "__main__":
    main()
