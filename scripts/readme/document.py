"""README.md as commands with the answers that it shows, and whether an answer is what is shown.

In what is shown `...` stands for more: in JSON the text "..." for any value, and as an element of a list for any number of them;
in other text for any part of a line, and alone on a line for any number of lines. Numbers of JSON compare within 1e-5.
tests/docs/ reads the page by the same rules; lanes.json says of every command that is no request to a server who runs it.
"""

import json
import re
from pathlib import Path
from typing import NamedTuple, Optional

LANES = Path(__file__).with_name("lanes.json")
TOLERANCE = 1e-5
ANYTHING = "..."


class Block(NamedTuple):
    """A fenced block of commands, the block of the answer that follows it, and its line."""

    language: str
    text: str
    answer: Optional[str]
    answer_language: str
    line: int


def blocks(text):
    """The blocks of sh and python of a page, in order."""
    fences = [
        (match[1], match[2], text[: match.start()].count("\n") + 1)
        for match in re.finditer(r"^```(\w*)\n(.*?)\n```$", text, re.M | re.S)
    ]
    for index, (language, body, line) in enumerate(fences):
        if language in ("sh", "python"):
            follows = fences[index + 1] if index + 1 < len(fences) else ("sh", "", 0)
            shown = follows[0] not in ("sh", "python")
            yield Block(language, body, follows[1] if shown else None, follows[0] if shown else "", line)


def commands(block):
    """The commands of a block of sh: a request to the server is one, else each line is, without its comment."""
    if is_request(block):
        return [block.text]
    return [re.sub(r"\s+#.*", "", line) for line in block.text.splitlines() if line.strip()]


def is_request(block):
    """Whether the block asks a server of the walk."""
    return block.language == "sh" and block.text.startswith("curl ") and " localhost:8080/" in block.text


def lanes():
    """Who runs which command."""
    return json.loads(LANES.read_text())


def differs(block, came):
    """Where and how an answer differs from what is shown; None where it does not, or where nothing is shown."""
    if block.answer is None:
        return None
    if block.answer_language == "json":
        try:
            return differs_json("", json.loads(block.answer), json.loads(came))
        except ValueError as error:
            return f"no JSON: {error}"
    return differs_text(block.answer.splitlines(), came.splitlines())


def spoilt(block):
    """The block with another first digit in what it shows: an answer that fits both proves nothing."""
    at = next((index for index, character in enumerate(block.answer) if character.isdigit()), None)
    if at is None:
        return block
    return block._replace(answer=f"{block.answer[:at]}{(int(block.answer[at]) + 1) % 10}{block.answer[at + 1 :]}")


def differs_json(at, shown, came):
    """The first difference of two values."""
    if shown == ANYTHING:
        return None
    numbers = [isinstance(it, (int, float)) and not isinstance(it, bool) for it in (shown, came)]
    if all(numbers):
        return None if abs(shown - came) <= TOLERANCE else f"{at}: {came}, shown {shown}"
    if isinstance(shown, dict) and isinstance(came, dict):
        if shown.keys() != came.keys():
            return f"{at}: members {sorted(came)}, shown {sorted(shown)}"
        return next(filter(None, (differs_json(f"{at}/{name}", shown[name], came[name]) for name in shown)), None)
    if isinstance(shown, list) and isinstance(came, list):
        return differs_list(at, shown, came)
    return None if shown == came else f"{at}: {came!r}, shown {shown!r}"


def differs_list(at, shown, came):
    """What stands before and after the one "...", or all."""
    gap = shown.index(ANYTHING) if ANYTHING in shown else None
    before, after = (shown, []) if gap is None else (shown[:gap], shown[gap + 1 :])
    if len(came) < len(before) + len(after) or gap is None and len(came) != len(shown):
        return f"{at}: {len(came)} elements, shown {len(shown)}"
    pairs = [*zip(before, came), *zip(after, came[len(came) - len(after) :])]
    return next(filter(None, (differs_json(f"{at}/{number}", *pair) for number, pair in enumerate(pairs))), None)


def differs_text(shown, came):
    """The lines as one pattern, for `...` may stand for any number of them."""
    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == ANYTHING else ".*".join(re.escape(part) for part in line.split(ANYTHING)) + "\n"
        for line in shown
    )
    text = "".join(f"{line.rstrip()}\n" for line in came)
    return None if re.fullmatch(pattern, text) else f"it is not:\n{chr(10).join(shown)}"
