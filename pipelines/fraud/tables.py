"""Reads and writes tables of payments, and holds each value against the schema: what is wrong is named by row and column."""

import csv
import io
from pathlib import Path

import numpy as np

from .command import StepError
from .files import write
from .schema import FEATURES, LABEL, TABLE

# So many complaints are shown; a file with one wrong column has as many as rows.
SHOWN = 20


def refuse(source, problems):
    """Raises the problems of a table as one error, a line each."""
    more = [f"{source}: and {len(problems) - SHOWN} more of this kind"] if len(problems) > SHOWN else []
    raise StepError("\n".join([*(f"{source}: {it}" for it in problems[:SHOWN]), *more]))


def read(path):
    """Returns (features as FP32, labels) of a CSV or Parquet file whose every value the schema allows."""
    path = Path(path)
    readers = {".csv": _csv, ".parquet": _parquet}
    if path.suffix not in readers:
        raise StepError(f"{path}: expected a name that ends in .csv or .parquet, came '{path.suffix or path.name}'")
    try:
        columns = readers[path.suffix](path)
    except OSError as error:
        raise StepError(f"{path} cannot be read: {error}") from None
    problems, values = [], {}
    for column in TABLE:
        values[column.name], wrong = _numbers(columns[column.name], column)
        problems += wrong
    if problems:
        refuse(path, [text for _, text in sorted(problems)])
    if not len(values[LABEL]):
        raise StepError(f"{path}: expected rows below the header, came none")
    features = np.stack([values[name] for name in FEATURES], axis=1).astype(np.float32)
    return features, values[LABEL].astype(np.int64)


def _same_columns(path, came):
    wanted = [it.name for it in TABLE]
    twice = sorted({name for name in came if came.count(name) > 1})
    problems = [f"column {name}: expected, and is missing; came {len(came)} columns" for name in wanted if name not in came]
    problems += [f"column {name}: not expected; the schema has {len(wanted)} columns" for name in came if name not in wanted]
    problems += [f"column {name}: expected once, came {came.count(name)} times" for name in twice]
    if problems:
        refuse(path, problems)


def _csv(path):
    """The cells of a CSV file by column, as texts."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        try:
            rows = list(csv.reader(file, strict=True))
        except (csv.Error, UnicodeDecodeError) as error:
            raise StepError(f"{path}: expected CSV in UTF-8, came something else: {error}") from None
    if not rows:
        raise StepError(f"{path}: expected a header with {len(TABLE)} columns, came an empty file")
    header, rows = [it.strip() for it in rows[0]], rows[1:]
    _same_columns(path, header)
    odd = [f"row {at}: expected {len(header)} cells, came {len(row)}" for at, row in enumerate(rows, 1) if len(row) != len(header)]
    if odd:
        refuse(path, odd)
    return {name: [row[at] for row in rows] for at, name in enumerate(header)}


def _parquet(path):
    """The values of a Parquet file by column."""
    from pyarrow import ArrowException, parquet  # takes a second, and only Parquet needs it

    try:
        table = parquet.read_table(path)
    except ArrowException as error:
        raise StepError(f"{path}: expected a Parquet file, came something else: {error}") from None
    _same_columns(path, table.column_names)
    return {name: table.column(name).to_pylist() for name in table.column_names}


def _number(cell):
    """A cell as a number; None where it is none."""
    try:
        return float(cell)
    except (TypeError, ValueError):
        return None


def _numbers(cells, column):
    """Returns (a column's values, what is wrong as (row, sentence))."""
    try:
        values = np.array(cells, dtype=np.float64) if None not in cells else None
    except (TypeError, ValueError):
        values = None
    if values is None:
        read = [_number(cell) for cell in cells]
        values = np.array([np.nan if it is None else it for it in read], dtype=np.float64)
    right = np.isfinite(values) & (values >= column.minimum) & (values <= min(column.maximum, np.finfo(np.float32).max))
    if column.kind != "number":
        right &= values == np.floor(values)
    return values, [(int(at) + 1, _complaint(int(at) + 1, column, cells[at])) for at in np.flatnonzero(~right)]


def _complaint(row, column, cell):
    empty = cell is None or (isinstance(cell, str) and not cell.strip())
    came = "an empty cell" if empty else repr(cell)[:40]
    return f"row {row}, column {column.name}: expected {column.wanted()}, came {came}"


def write_csv(path, features, labels):
    """Writes a table whose numbers read back to the very same FP32 values."""
    text = features.astype("U32")  # the shortest digits that give this FP32 value again
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*FEATURES, LABEL])
    for row, label in zip(text.tolist(), labels.tolist(), strict=True):
        writer.writerow([*(cell.removesuffix(".0") for cell in row), label])
    write(path, out.getvalue())
