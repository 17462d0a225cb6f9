"""The served layout of one version, out of the registry: `MODEL/VERSION/model.onnx` and `MODEL/model.toml`.

One digest pins it all: that of model.toml, which evaluate.py has written and which names the digest of the graph. So neither
file can be another one than what was judged.
"""

import shutil
import tomllib
from pathlib import Path

from .command import StepError
from .files import replace_folder, sha256, write

MANIFEST, GRAPH = "model.toml", "model.onnx"


def place(version, name):
    """Where evaluate.py puts what belongs to a version, below its run."""
    return f"evaluation/{version}/{name}"


def _graph_digest(manifest, version, source):
    """The digest that a manifest names for the version's graph."""
    try:
        named = tomllib.loads(manifest.decode())["sha256"]
        return named[f"{version}/{GRAPH}"]
    except (ValueError, KeyError, TypeError):
        raise StepError(f"{source} names no sha256 of {version}/{GRAPH}: expected the manifest that evaluate.py wrote") from None


def _pinned(data, expected, what):
    came = sha256(data)
    if came != expected:
        raise StepError(f"{what} is not what was judged: expected sha256 {expected}, came {came}")


def fetch(registry, model, version, pin):
    """Returns {path below the models' folder: bytes} of a version whose manifest has the digest `pin`."""
    found = registry.version(model, version)
    path = place(version, MANIFEST)
    manifest = registry.download(registry.run_root(found["run_id"]), path)
    _pinned(manifest, pin, f"{path} of {model} {version}")
    named = _graph_digest(manifest, version, path)
    graph = registry.download(registry.model_root(model, version), GRAPH)
    _pinned(graph, named, f"{GRAPH} of {model} {version}")
    return {f"{version}/{GRAPH}": graph, MANIFEST: manifest}


def install(files, out, model):
    """Writes them as out/model, in place of what is there. Whoever looks sees all of it, or nothing."""
    out = Path(out)
    staged = out / f".{model}.new"
    shutil.rmtree(staged, ignore_errors=True)
    for path, data in files.items():
        write(staged / path, data)
    replace_folder(staged, out / model)


def digests(files):
    """Path to digest, as the reports show it."""
    return {path: sha256(data) for path, data in sorted(files.items())}
