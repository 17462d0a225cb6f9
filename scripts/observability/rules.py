"""The rule files as this repository writes them: a small part of YAML, since python3 alone has no reader of it.

What it does not know is an error, so that no rule is passed over. promtool reads the files as Prometheus does.
"""

import re

FLOW = re.compile(r"(\w+): ([^,}]+)")


def read(file):
    """Every rule of a file: expr, labels, annotations, and `alert` or `record`."""
    rules, lines, at = [], file.read_text().splitlines(), 0

    def folded(index, indent):
        """The lines of a block that begins behind `index`, and the line behind it."""
        end = index + 1
        while end < len(lines) and (not lines[end].strip() or len(lines[end]) - len(lines[end].lstrip()) > indent):
            end += 1
        return "\n".join(line.strip() for line in lines[index + 1 : end]).strip(), end

    while at < len(lines):
        line = lines[at]
        key, _, value = line.strip().removeprefix("- ").partition(": ")
        key, indent = key.rstrip(":"), len(line) - len(line.lstrip())
        at += 1
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if key in {"alert", "record"}:
            rules.append({key: value, "file": file.name, "labels": {}, "annotations": {}, "expr": ""})
        elif key == "expr":
            rules[-1]["expr"], at = folded(at - 1, indent) if value == "|" else (value, at)
        elif key == "labels":
            rules[-1]["labels"] = dict(FLOW.findall(value))
        elif key in {"summary", "description", "runbook_url"}:
            text, at = folded(at - 1, indent) if value == ">-" else (value.strip("'"), at)
            rules[-1]["annotations"][key] = text
        elif key not in {"groups", "name", "interval", "rules", "for", "annotations"}:
            raise SystemExit(f"error: {file}: line {at}: this line is not as rules are written here: {line.strip()}")
    return rules


def of_queries(queries):
    """A rule file that records each of the queries, for promtool to read."""
    rows = ["groups:", "  - name: runbooks", "    rules:"]
    for number, query in enumerate(queries):
        rows += [f"      - record: runbooks:query{number}", "        expr: |"]
        rows += [f"          {line}" for line in query.splitlines()]
    return "\n".join(rows) + "\n"
