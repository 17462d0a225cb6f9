"""The workflows as data: parsed, with the lines as they stand for what only comments say. Used by check.py and mutate.py."""

import pathlib
import re

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ".github/workflows"
ACTIONS = ".github/actions"


class Loader(yaml.SafeLoader):
    """YAML 1.2's booleans: `on` is a key here, not true."""


BOOL = "tag:yaml.org,2002:bool"
KNOWN = yaml.SafeLoader.yaml_implicit_resolvers
Loader.yaml_implicit_resolvers = {key: [it for it in value if it[0] != BOOL] for key, value in KNOWN.items()}
Loader.add_implicit_resolver(BOOL, re.compile(r"^(?:true|false)$"), list("tf"))


class File:
    """A workflow, or an action of our own."""

    def __init__(self, path, text):
        self.path, self.text, self.data = path, text, yaml.load(text, Loader)  # noqa: S506: a SafeLoader

    @property
    def name(self):
        return self.path.rsplit("/", 1)[-1]

    @property
    def jobs(self):
        return self.data.get("jobs", {})

    @property
    def triggers(self):
        """The events, as a mapping."""
        on = self.data.get("on", {})
        return on if isinstance(on, dict) else dict.fromkeys([on] if isinstance(on, str) else on)

    def steps(self):
        """Each step with the job that it is of; an action of our own has no job."""
        for name, job in self.jobs.items():
            for step in job.get("steps", []):
                yield name, job, step
        for step in self.data.get("runs", {}).get("steps", []):
            yield "action", {}, step

    def uses(self):
        """Each `uses`, with the rest of its line."""
        return re.findall(r"^\s*(?:- )?uses:\s*(\S+)(.*)$", self.text, re.MULTILINE)


def load(root=ROOT):
    """All of them by their paths."""
    paths = [*sorted((root / FOLDER).glob("*.y*ml")), *sorted((root / ACTIONS).glob("*/action.y*ml"))]
    texts = {str(it.relative_to(root)): it.read_text(encoding="utf-8") for it in paths}
    return {path: File(path, text) for path, text in texts.items()}


def values_of(job, key):
    """What a variable of the matrix is in each of its runs."""
    matrix = job.get("strategy", {}).get("matrix", {})
    return [str(it) for it in matrix.get(key, [])] + [str(it[key]) for it in matrix.get("include", []) if key in it]


def commands(job, step):
    """The step's script, once for each run of the matrix, with the variables of its environment that are the matrix's."""
    scripts = [step.get("run", "")]
    for name, value in step.get("env", {}).items():
        found = re.fullmatch(r"\$\{\{ matrix\.(\w+) \}\}", str(value))
        if found:
            # An array that was read of a variable is the variable here.
            scripts = [
                re.sub(rf"\$\{{?{name}\b\}}?", it, re.sub(rf"\"\$\{{{name.lower()}\[@\]\}}\"", it, script)).replace(f'"{it}"', it)
                for script in scripts
                for it in values_of(job, found.group(1))
            ]
    return scripts
