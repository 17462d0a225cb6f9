"""The table of exports: as text for the lane, as Markdown for docs/models.md."""

import json
import os
import sys
from pathlib import Path

BEGIN, END = "<!-- exports: begin -->", "<!-- exports: end -->"
LONGEST = 150
HEADER = ("layout", "exporter", "model", "export", "request", "answer", "Python")


def as_text(verdicts):
    """A line for each fixture: layout, exporter, what, verdict, largest difference."""
    rows = [("layout", "exporter", "model", "verdict", "largest difference")]
    for verdict in verdicts:
        fixture = verdict.fixture
        word = "DIFFERENT" if verdict.problems else "equal"
        rows.append((fixture["layout"], fixture["exporter"], fixture["what"], word, f"{verdict.largest:.1e}"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def rounded(value):
    """Numbers with six digits: more would differ from machine to machine."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value


def cell(value):
    """Code for a cell of the table; what is long loses its end."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    if len(text) > LONGEST:
        text = text[:LONGEST].rstrip() + " ..."
    fence = "``" if "`" in text else "`"
    return fence + text.replace("|", "\\|") + fence


def request(case):
    """The body of a case, as one would see it."""
    return f"{case['content_type']}: {case['body_file']}" if "body_file" in case else case["body"]


def row(verdict):
    """One fixture, shown by its first case; of our answer, the members that Python's has."""
    fixture, case = verdict.fixture, verdict.fixture["cases"][0]
    answer, expected = verdict.answers[0], case["expected"]
    if isinstance(expected, dict):
        answer = {key: answer[key] for key in expected}
    cells = [fixture["layout"], fixture["exporter"], fixture["what"], cell(fixture["export"]), cell(request(case))]
    return [*cells, cell(rounded(answer)), cell(rounded(expected))]


def as_markdown(verdicts):
    """The whole table."""
    rows = sorted((row(verdict) for verdict in verdicts), key=lambda cells: cells[0] != "single file")
    lines = [HEADER, ["---"] * len(HEADER), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write(path, verdicts):
    """Put the table between its marks."""
    text = Path(path).read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        sys.exit(f"error: {Path(path).name} does not have {BEGIN} and {END} once each")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    part = Path(f"{path}.part")
    part.write_text(f"{before}{BEGIN}\n{as_markdown(verdicts)}\n{END}{after}", encoding="utf-8")
    os.replace(part, path)
