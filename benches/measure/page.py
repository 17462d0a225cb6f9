"""Tables as Markdown, and their places in the pages."""

import json
import os
import platform
import re
from pathlib import Path

PAGE = Path("docs/performance.md")


def table(head, rows):
    """A table whose first column is text."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def machine():
    """The machine in a sentence."""
    text = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", text)
    memory = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1]) // (1 << 20)
    cores = len(os.sched_getaffinity(0))
    bf16 = " with AMX" if " amx_bf16" in text else " with AVX-512 bf16" if " avx512_bf16" in text else ""
    name = model[1] if model else platform.machine()
    return f"{cores} cores of {name}{bf16}, {memory} GiB, Linux {platform.release().split('-')[0]}"


def write_page(name, text, page=PAGE):
    """Puts `text` between the marks called `name`."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, mark, rest = page.read_text().partition(begin)
    after = rest.partition(end)[2]
    if not mark or not after:
        raise SystemExit(f"{page} has no marks called {name}")
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")


def keep(options, name, facts, text):
    """Writes results beside the build and, where that is asked for, into the page; prints them."""
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.json").write_text(json.dumps(facts, indent=2))
    (out / f"{name}.md").write_text(text + "\n")
    if options.write:
        write_page(name, text)
    print(text, flush=True)
