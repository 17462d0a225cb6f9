"""What a table may hold, and what is said where it does not."""

import csv

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from fraud import schema, tables, transactions
from fraud.command import StepError

FEATURES, LABELS = transactions.generate(50, np.random.default_rng(1))
NAMES = [*schema.FEATURES, schema.LABEL]


@pytest.fixture
def cells(tmp_path):
    """The cells of a good table with its header, to be spoilt."""
    tables.write_csv(tmp_path / "good.csv", FEATURES, LABELS)
    with (tmp_path / "good.csv").open(newline="") as file:
        return list(csv.reader(file))


def refused(tmp_path, rows, name="bad.csv"):
    """What is said to a table."""
    with (tmp_path / name).open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    with pytest.raises(StepError) as error:
        tables.read(tmp_path / name)
    return str(error.value)


def test_csv_gives_back_the_very_same_numbers(tmp_path):
    tables.write_csv(tmp_path / "t.csv", FEATURES, LABELS)
    features, labels = tables.read(tmp_path / "t.csv")
    assert features.dtype == np.float32
    assert (features == FEATURES).all()
    assert (labels == LABELS).all()


def test_any_fp32_number_survives_csv(tmp_path):
    rows = FEATURES.copy()
    rows[:, 0] = np.abs(np.random.default_rng(3).integers(1, 2**31 - 2**24, 50).astype(np.int32).view(np.float32))
    tables.write_csv(tmp_path / "t.csv", rows, LABELS)
    assert (tables.read(tmp_path / "t.csv")[0] == rows).all()


@pytest.mark.parametrize("cell, column, sentence", [
    ("", "amount", "row 3, column amount: expected a number of at least 0, came an empty cell"),
    ("12,5", "amount", "row 3, column amount: expected a number of at least 0, came '12,5'"),
    ("-1", "amount", "row 3, column amount: expected a number of at least 0, came '-1'"),
    ("nan", "amount", "row 3, column amount: expected a number of at least 0, came 'nan'"),
    ("inf", "credit_limit", "row 3, column credit_limit: expected a number of at least 0, came 'inf'"),
    ("1e39", "amount", "row 3, column amount: expected a number of at least 0, came '1e39'"),
    ("24", "hour_of_day", "row 3, column hour_of_day: expected a whole number from 0 to 23, came '24'"),
    ("1.5", "day_of_week", "row 3, column day_of_week: expected a whole number from 0 to 6, came '1.5'"),
    ("2", "is_night", "row 3, column is_night: expected 0 or 1, came '2'"),
    ("1.01", "ip_risk_score", "row 3, column ip_risk_score: expected a number from 0 to 1, came '1.01'"),
    ("yes", "is_fraud", "row 3, column is_fraud: expected 0 or 1, came 'yes'"),
])  # fmt: skip
def test_a_bad_cell_is_named(tmp_path, cells, cell, column, sentence):
    cells[3][NAMES.index(column)] = cell
    assert refused(tmp_path, cells) == f"{tmp_path}/bad.csv: {sentence}"


def test_all_bad_cells_are_named_in_order_up_to_a_limit(tmp_path, cells):
    for row in cells[1:]:
        row[0] = "x"
    cells[2][5] = "7"
    said = refused(tmp_path, cells).splitlines()
    assert len(said) == tables.SHOWN + 1
    assert ["row 1, column amount" in said[0], "row 2, column amount" in said[1], "row 2, column merchant_risk_score" in said[2]] == [True] * 3
    assert said[-1].endswith(f"and {50 + 1 - tables.SHOWN} more of this kind")


def test_columns_must_be_those_of_the_schema(tmp_path, cells):
    lacking = [row[1:] for row in cells]
    assert "column amount: expected, and is missing; came 30 columns" in refused(tmp_path, lacking)
    more = [[*row, "x"] for row in cells]
    more[0][-1] = "card_number"
    assert "column card_number: not expected" in refused(tmp_path, more)
    more[0][-1] = "amount"
    assert "column amount: expected once, came 2 times" in refused(tmp_path, more)


def test_rows_must_be_as_wide_as_the_header(tmp_path, cells):
    cells[4] = cells[4][:-1]
    assert refused(tmp_path, cells) == f"{tmp_path}/bad.csv: row 4: expected 31 cells, came 30"


def test_order_of_columns_is_free(tmp_path, cells):
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([row[::-1] for row in cells])
    assert (tables.read(tmp_path / "t.csv")[0] == FEATURES).all()


def test_files_that_are_no_tables(tmp_path):
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "header.csv").write_text(",".join(NAMES) + "\n")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "text.parquet").write_text("no")
    for name, word in (("empty.csv", "came an empty file"), ("header.csv", "came none"), ("bytes.csv", "expected CSV in UTF-8"),
                       ("text.parquet", "expected a Parquet file"), ("t.xlsx", "came '.xlsx'"), ("none.csv", "cannot be read")):  # fmt: skip
        with pytest.raises(StepError, match=word):
            tables.read(tmp_path / name)


def table(**changed):
    """The good table for Parquet, with other columns."""
    columns = {name: FEATURES[:, at] for at, name in enumerate(schema.FEATURES)} | {schema.LABEL: LABELS}
    return pyarrow.table({name: changed.get(name, column) for name, column in columns.items()})


def test_parquet(tmp_path):
    parquet.write_table(table(), tmp_path / "t.parquet")
    features, labels = tables.read(tmp_path / "t.parquet")
    assert (features == FEATURES).all()
    assert (labels == LABELS).all()
    gap = [*FEATURES[:49, 0].tolist(), None]
    parquet.write_table(table(amount=gap), tmp_path / "gap.parquet")
    with pytest.raises(StepError, match="row 50, column amount: expected a number of at least 0, came an empty cell"):
        tables.read(tmp_path / "gap.parquet")
    parquet.write_table(table(is_online=[{"a": 1}] * 50), tmp_path / "odd.parquet")
    with pytest.raises(StepError, match=r"row 1, column is_online: expected 0 or 1, came \{'a': 1\}"):
        tables.read(tmp_path / "odd.parquet")
