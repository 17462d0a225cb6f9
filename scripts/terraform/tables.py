"""usage: tables.py [--write]

The tables of variables and outputs in the README of each folder of deploy/terraform, out of its files. Without --write, which renews
them, it says which are not as the files are. Called by check.sh.
"""

import re
import sys

from hcl import blocks
from scratch import FOLDERS, ROOT

BEGIN, END = "<!-- made by scripts/terraform/tables.py --write -->", "<!-- end -->"
LONGEST = 60


def plain(text):
    """A string of HCL as text."""
    return re.sub(r"\\(.)", r"\1", text.strip().strip('"'))


def shown(value):
    """A type or a default in a cell: what is long is in variables.tf."""
    text = re.sub(r"\s+", " ", re.sub(r"(?<=[^\s({\[,])\s*\n\s*(?=[^\s)}\]])", ", ", value))
    return f"`{text}`" if len(text) <= LONGEST else "see `variables.tf`"


def table(folder, text):
    def rows():
        yield "| variable | type | default | what |"
        yield "|---|---|---|---|"
        for [name], body in blocks(text, "variable"):
            default = shown(body["default"]) if "default" in body else "**to be given**"
            yield f"| `{name}` | {shown(body['type'])} | {default} | {plain(body['description']).replace('|', chr(92) + '|')} |"
        yield ""
        yield "| output | what |"
        yield "|---|---|"
        for [name], body in blocks(text, "output"):
            yield f"| `{name}` | {plain(body['description'])} |"

    return "\n".join([BEGIN, "", *rows(), "", END])


def renewed(folder, text):
    """A README with its tables as they should be."""
    readme = (ROOT / "deploy/terraform" / folder / "README.md").read_text()
    if readme.count(BEGIN) != 1 or readme.count(END) != 1:
        sys.exit(f"error: deploy/terraform/{folder}/README.md has not one place between '{BEGIN}' and '{END}'")
    before, after = readme.split(BEGIN)[0], readme.split(END)[1]
    return readme, before + table(folder, text) + after


def main():
    stale, proven = [], True
    for folder in FOLDERS:
        text = "\n".join(file.read_text() for file in sorted((ROOT / "deploy/terraform" / folder).glob("*.tf")))
        readme, wanted = renewed(folder, text)
        if "--write" in sys.argv[1:]:
            (ROOT / "deploy/terraform" / folder / "README.md").write_text(wanted)
        elif readme != wanted:
            stale.append(f"deploy/terraform/{folder}/README.md")
        # Proof: another description, another table.
        proven = proven and renewed(folder, text.replace('description = "', 'description = "Not ', 1))[1] != wanted
    for it in stale:
        print(f"error: the tables of {it} are not as its files are: run scripts/terraform/tables.py --write", file=sys.stderr)
    if not proven:
        print("error: tables.py does not notice another description", file=sys.stderr)
    if stale or not proven:
        return 1
    print(f"the tables in {len(FOLDERS)} README files are as the files are")
    return 0


if __name__ == "__main__":
    sys.exit(main())
