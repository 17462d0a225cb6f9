"""A PromQL expression as a tree, so that its parts can be asked for one by one. promtool has checked the grammar.

An alert's expression is a filter: without trouble it has no result, and a misspelt one has none either. So it is taken
apart: `sides` are what it compares and joins, without the comparisons, `selectors` the series by themselves, `promised`
the expressions whose results must carry given labels.
"""

from dataclasses import dataclass, field

import promql

COMPARISONS = {"==", "!=", ">", "<", ">=", "<="}
SETS = {"and", "or", "unless"}
LEVELS = [{"or"}, {"and", "unless"}, COMPARISONS, {"+", "-"}, {"*", "/", "%"}]
AGGREGATIONS = set("sum min max avg group stddev stdvar count count_values bottomk topk quantile".split())
MATCHING = {"on", "ignoring"}
GROUPS = {"group_left", "group_right"}


@dataclass
class Node:
    """`kind` is one of scalar, text, selector, call, aggregation, binary, group, unary; the rest as it needs."""

    kind: str
    text: str = ""
    parts: list = field(default_factory=list)
    labels: tuple = ()  # of `by`, `without`, `on`
    how: str = ""  # by, without, on, ignoring
    span: str = ""  # [5m]
    offset: str = ""
    extra: str = ""  # group_left (...), bool

    def __str__(self):
        return self.written() + self.span + (f" offset {self.offset}" if self.offset else "")

    def written(self):
        """Without what stands behind it: range and offset."""
        inside = ", ".join(map(str, self.parts))
        grouping = f" {self.how} ({', '.join(self.labels)})" if self.how else ""
        if self.kind in {"scalar", "text", "selector"}:
            return self.text
        if self.kind == "call":
            return f"{self.text}({inside})"
        if self.kind == "aggregation":
            return f"{self.text}{grouping} ({inside})"
        if self.kind == "binary":
            return f"{self.parts[0]} {self.text}{self.extra}{grouping} {self.parts[1]}"
        return f"({inside})" if self.kind == "group" else f"{self.text}{inside}"

    def walk(self):
        """This node and all below it."""
        yield self
        for part in self.parts:
            yield from part.walk()

    def is_scalar(self):
        """Whether only numbers are in it."""
        return all(node.kind in {"scalar", "binary", "group", "unary"} for node in self.walk())


class Parser:
    """One expression's tokens, read from left to right."""

    def __init__(self, expression):
        self.expression, self.tokens, self.at = expression, promql.tokens(expression), 0

    def word(self, ahead=0):
        index = self.at + ahead
        return self.tokens[index][1] if index < len(self.tokens) else ""

    def take(self, expected=None):
        word = self.word()
        if not word or (expected and word != expected):
            raise SystemExit(f"error: {expected or 'more'} is wanted where {word or 'the end'} is, in: {self.expression}")
        self.at += 1
        return word

    def names(self):
        """A list of labels in parentheses."""
        found = []
        self.take("(")
        while self.word() != ")":
            found.append(self.take())
            if self.word() == ",":
                self.take()
        self.take(")")
        return tuple(found)

    def whole(self):
        tree = self.level(0)
        if self.word():
            raise SystemExit(f"error: {self.word()} is not understood in: {self.expression}")
        return tree

    def level(self, number):
        if number == len(LEVELS):
            return self.unary()
        left = self.level(number + 1)
        while self.word().lower() in LEVELS[number]:
            node = Node("binary", self.take().lower())
            if self.word() == "bool":
                node.extra = " " + self.take()
            if self.word().lower() in MATCHING:
                node.how, node.labels = self.take().lower(), self.names()
            if self.word().lower() in GROUPS:
                side = self.take().lower()
                brought = self.names() if self.word() == "(" else ()
                grouping = f" {node.how} ({', '.join(node.labels)})"
                node.extra, node.how = f"{node.extra}{grouping} {side} ({', '.join(brought)})", ""
            node.parts = [left, self.level(number + 1)]
            left = node
        return left

    def unary(self):
        if self.word() in {"-", "+"}:
            return Node("unary", self.take(), [self.unary()])
        node = self.power()
        while True:
            if self.tokens[self.at : self.at + 1] and self.tokens[self.at][0] == "range":
                node.span = self.take()
            elif self.word().lower() == "offset":
                self.take()
                node.offset = self.take()
            else:
                return node

    def power(self):
        if self.word() == "(":
            self.take()
            inside = Node("group", parts=[self.level(0)])
            self.take(")")
            return inside
        kind, word = self.tokens[self.at] if self.at < len(self.tokens) else ("", "")
        self.take()
        if kind == "number" or word.lower() in {"inf", "nan"}:
            return Node("scalar", word)
        if kind == "text":
            return Node("text", word)
        if word.lower() in AGGREGATIONS:
            return self.aggregation(word)
        if self.word() == "(":
            return Node("call", word, self.arguments())
        if kind == "sign" and word == "{":
            self.at -= 1
            word = ""
        return Node("selector", word + self.matchers())

    def matchers(self):
        text = ""
        if self.word() == "{":
            while (word := self.take()) != "}":
                text += word + (" " if word == "," else "")
            text += "}"
        return text

    def arguments(self):
        found = []
        self.take("(")
        while self.word() != ")":
            found.append(self.level(0))
            if self.word() == ",":
                self.take()
        self.take(")")
        return found

    def aggregation(self, name):
        node = Node("aggregation", name)
        for _ in range(2):  # the grouping stands before or behind
            if self.word().lower() in {"by", "without"}:
                node.how, node.labels = self.take().lower(), self.names()
            if not node.parts:
                node.parts = self.arguments()
        return node


def parse(expression):
    """The tree of an expression."""
    return Parser(expression).whole()


def bare(node):
    """The same without comparisons with numbers and without offsets: nothing in a test is a day old."""
    parts = [bare(part) for part in node.parts]
    if node.kind == "binary" and node.text in COMPARISONS and "bool" not in node.extra:
        for part, other in (parts, parts[::-1]):
            if other.is_scalar():
                return part
    return Node(node.kind, node.text, parts, node.labels, node.how, node.span, "", node.extra)


def sides(node):
    """What a filter compares and joins, each to be asked for by itself."""
    if node.kind == "group":
        return sides(node.parts[0])
    if node.kind == "binary" and node.text in SETS | COMPARISONS and "bool" not in node.extra:
        return [side for part in node.parts if not part.is_scalar() for side in sides(part)]
    return [bare(node)]


def selectors(node):
    """The series that are selected, as instant vectors."""
    return [Node("selector", it.text) for it in node.walk() if it.kind == "selector"]


def promised(node):
    """Pairs of an expression and the labels that its results must have: what it groups or joins by."""
    for it in node.walk():
        if it.kind == "aggregation" and it.how == "by" and it.labels:
            yield bare(it), it.labels
        if it.kind == "binary" and it.how == "on":
            for part in it.parts:
                yield bare(part), it.labels
