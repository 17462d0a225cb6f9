"""Which series a PromQL expression selects: names and matchers, by the tokens. promtool has checked the grammar."""

import re

GROUPINGS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
KEYWORDS = GROUPINGS | {"and", "or", "unless", "bool", "offset", "inf", "nan"}
TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*) | (?P<text>"(?:[^"\\]|\\.)*"|'[^']*') | (?P<range>\[[^\]]*\])
      | (?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*) | (?P<number>[0-9][0-9a-zA-Z.]*) | (?P<sign>=~|!~|!=|==|>=|<=|[^\s])""",
    re.X,
)


def tokens(expression):
    return [(found.lastgroup, found.group()) for found in TOKEN.finditer(expression) if found.lastgroup != "comment"]


def selectors(expression):
    """Every selected series, as its name and its matchers: {"status": '=~"5.."'}."""
    found, at, all_tokens = [], 0, tokens(expression)

    def text(index):
        return all_tokens[index][1] if index < len(all_tokens) else ""

    while at < len(all_tokens):
        kind, word = all_tokens[at]
        at += 1
        if kind != "name":
            continue
        if word.lower() in KEYWORDS:
            # The labels of a grouping are no series.
            if text(at) == "(" and word.lower() in GROUPINGS:
                at = next(index for index in range(at, len(all_tokens)) if text(index) == ")") + 1
            continue
        if text(at) == "(" or text(at).lower() in {"by", "without"}:  # a function or an aggregation
            continue
        matchers = {}
        if text(at) == "{":
            end = next(index for index in range(at, len(all_tokens)) if text(index) == "}")
            inside = [it[1] for it in all_tokens[at + 1 : end] if it[1] != ","]
            matchers = {label: sign + value for label, sign, value in zip(*[iter(inside)] * 3)}
            at = end + 1
        found.append((word, matchers))
    return found
