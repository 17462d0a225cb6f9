"""As much of HCL as the checks read by themselves: blocks with their labels, and the arguments of a block as text. What an expression
means is for the real evaluator to say.
"""

import re

# A string, a heredoc, a comment, a bracket, or the end of a line: whatever decides where an argument ends.
TOKEN = re.compile(
    r'"(?:\\.|\$\{(?:[^{}]|\{[^{}]*\})*\}|[^"\\])*"|<<[-~]?(\w+)\n.*?\n\s*\1\b|#[^\n]*|//[^\n]*|/\*.*?\*/|[][(){}]|\n', re.S
)  # fmt: skip
OPEN, CLOSE = "([{", ")]}"


def end_of_block(text, start):
    """The place after the bracket that closes the one before `start`."""
    depth = 1
    for it in TOKEN.finditer(text, start):
        if it[0] in OPEN:
            depth += 1
        elif it[0] in CLOSE:
            depth -= 1
            if not depth:
                return it.end()
    raise ValueError(f"a bracket is never closed: {text[start - 40 : start]!r}")


def arguments(text):
    """Name to text of the arguments at the top of a block's body; names of inner blocks to their bodies, in a list, by `name {`."""
    found, place = {}, 0
    head = re.compile(r'[ \t]*([\w-]+)[ \t]*(?:(=)(?!=)|((?:[ \t]*"[^"]*")*)[ \t]*\{)')
    while place < len(text):
        token = head.match(text, place)
        if token and token[2]:
            end = end_of_line(text, token.end())
            found[token[1]] = text[token.end() : end].strip()
        elif token:
            end = end_of_block(text, token.end())
            found.setdefault(f"{token[1]} {{", []).append(text[token.end() : end - 1])
        else:
            end = text.find("\n", place)
            end = len(text) if end < 0 else end
        place = end + 1
    return found


def end_of_line(text, start):
    """Where the expression that begins there ends: the first end of line outside of brackets and strings."""
    depth = 0
    for it in TOKEN.finditer(text, start):
        if it[0] in OPEN:
            depth += 1
        elif it[0] in CLOSE:
            depth -= 1
        elif depth == 0 and (it[0] == "\n" or it[0].startswith(("#", "//"))):
            return it.start()
    return len(text)


def blocks(text, kind):
    """(labels, arguments) of every block of a kind at the top of a file."""
    for it in re.finditer(rf'^{kind}((?:[ \t]+"[^"]*")*)[ \t]*\{{', text, re.M):
        end = end_of_block(text, it.end())
        yield re.findall(r'"([^"]*)"', it[1]), arguments(text[it.end() : end - 1])
