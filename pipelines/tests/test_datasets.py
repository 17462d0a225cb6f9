"""The folder of data: the same each time, and noticed when it is touched."""

import json

import numpy as np
import pytest

from fraud import baseline, datasets, transactions
from fraud.command import StepError
from fraud.schema import COLUMNS

FEATURES, LABELS = transactions.generate(2000, np.random.default_rng(1))


def saved(folder, seed=42, validation=0.1):
    parts = datasets.split(FEATURES, LABELS, 0.15, validation, seed)
    datasets.save(folder, parts, {"source": "generated", "seed": seed})
    return folder


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path):
    first, again, other = (saved(tmp_path / name, seed) for name, seed in (("a", 42), ("b", 42), ("c", 43)))
    assert {it.name: it.read_bytes() for it in first.iterdir()} == {it.name: it.read_bytes() for it in again.iterdir()}
    assert datasets.digest(first) != datasets.digest(other)


def test_parts_have_every_row_once_and_the_same_share_of_fraud():
    parts = datasets.split(FEATURES, LABELS, 0.15, 0.1, 42)
    assert [len(part[1]) for part in parts.values()] == [1500, 200, 300]
    rows = np.concatenate([part[0] for part in parts.values()])
    assert sorted(map(tuple, rows.tolist())) == sorted(map(tuple, FEATURES.tolist()))
    shares = [part[1].mean() for part in parts.values()]
    assert max(shares) - min(shares) < 0.005


def test_the_share_of_validation_changes_nothing_of_what_is_trained_on():
    some, none = (datasets.split(FEATURES, LABELS, test, validation, 42)["train"] for test, validation in ((0.15, 0.1), (0.25, 0)))
    assert (some[0] == none[0]).all()
    assert (some[1] == none[1]).all()


@pytest.mark.parametrize("name", datasets.COVERED)
def test_a_file_that_was_changed_is_noticed(tmp_path, name):
    saved(tmp_path)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-2] + b"1\n")
    with pytest.raises(StepError, match="is not what prepare_data wrote"):
        datasets.Data(tmp_path)


def test_a_folder_that_is_not_whole_is_named(tmp_path):
    with pytest.raises(StepError, match=r"data\.json is not there: run the step before"):
        datasets.Data(tmp_path)
    saved(tmp_path)
    (tmp_path / "test.csv").unlink()
    with pytest.raises(StepError, match=r"has no test\.csv"):
        datasets.Data(tmp_path)
    (tmp_path / "data.json").write_text("{")
    with pytest.raises(StepError, match="is not JSON"):
        datasets.Data(tmp_path)


def test_another_schema_is_refused(tmp_path):
    saved(tmp_path)
    schema = json.loads((tmp_path / "schema.json").read_text())
    schema["labels"].reverse()
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    about = json.loads((tmp_path / "data.json").read_text()) | {"digest": datasets.digest(tmp_path)}
    (tmp_path / "data.json").write_text(json.dumps(about))
    with pytest.raises(StepError, match="another schema"):
        datasets.Data(tmp_path)


def test_too_few_of_a_label_are_refused():
    with pytest.raises(StepError, match=r"expected at least 10 rows of 'fraud' \(is_fraud = 1\), came 3"):
        datasets.enough(np.array([0] * 50 + [1] * 3), "data")


def test_generated_payments_keep_the_schema():
    for at, column in enumerate(COLUMNS):
        values = FEATURES[:, at]
        assert values.min() >= column.minimum, column
        assert values.max() <= column.maximum, column
        assert column.kind == "number" or (values == np.floor(values)).all(), column


def test_statistics_say_what_is_usual():
    rows = np.tile(np.arange(101, dtype=np.float32)[:, None], (1, len(COLUMNS)))
    rows[0] = np.nan
    usual = baseline.of_features(rows)["amount"]
    assert usual["missing_share"] == pytest.approx(1 / 101, abs=1e-6)
    assert (usual["minimum"], usual["maximum"], usual["mean"], usual["quantiles"]["0.5"]) == (1, 100, 50.5, 50.5)
    answers = baseline.of_predictions(np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [1, 0]]))
    assert answers["label_share"] == {"legitimate": 0.75, "fraud": 0.25}
    assert answers["confidence_mean"] == pytest.approx(0.85)
    assert answers["confidence_share_up_to"]["0.8"] == 0.5
    assert answers["confidence_share_up_to"]["1"] == 1
