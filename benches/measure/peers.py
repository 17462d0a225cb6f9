"""The servers that are compared: how each is started, what it is sent, and whether it answers what the model says."""

import json
import os
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from .models import EMBEDDER, FRAUD, SENTENCE, cosine
from .processes import PATIENCE, Child, environment, free_port, tell

FOLDER = Path("benches/peers")
OIP = "/v2/models/model/infer"


@dataclass(frozen=True)
class Peer:
    """A server: its folder under benches/peers/, its route, the form of its bodies, and what it is given besides."""

    name: str
    folder: str
    path: str
    form: str
    models: tuple = (FRAUD,)
    variables: dict = field(default_factory=dict)
    binary: str = ""

    def body(self, models, model):
        """The body to send, in the form that the server takes."""
        instance = models.instances[model]
        row = list(models.transaction.values())
        forms = {
            "instance": lambda: instance,
            "wrapped": lambda: {"instance": instance},
            "oip": lambda: {"inputs": [tensor("input", "FP32", row)]},
            "tei": lambda: {"inputs": SENTENCE},
        }
        if self.form == "oip" and model == EMBEDDER:
            value = {"inputs": [tensor(name, "INT64", values) for name, values in tokens(models.paths[model]).items()]}
        else:
            value = forms[self.form]()
        return models.body(f"{self.folder}-{model}.json", value)


def tensor(name, kind, row):
    """A tensor of one row in Open Inference Protocol's JSON."""
    return {"name": name, "shape": [1, len(row)], "datatype": kind, "data": row}


def tokens(folder):
    """The sentence as the model's inputs, by the pinned tokenizer of FastAPI's environment."""
    script = (
        "import json, sys; from tokenizers import Tokenizer; tokenizer = Tokenizer.from_file(sys.argv[1]); "
        "tokenizer.no_padding(); print(json.dumps(tokenizer.encode(sys.argv[2]).ids))"
    )
    command = [python_of("fastapi"), "-c", script, str(folder / "tokenizer.json"), SENTENCE]
    ids = json.loads(subprocess.run(command, env=environment(), check=True, stdout=subprocess.PIPE).stdout)
    return {"input_ids": ids, "attention_mask": [1] * len(ids), "token_type_ids": [0] * len(ids)}


def python_of(name):
    """The interpreter of a peer's environment, which is made when it is not there."""
    done = subprocess.run([FOLDER / "venv.sh", name], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"the environment of {name} could not be made (the reason is above)")
    return done.stdout.strip()


FASTAPI = Peer("FastAPI", "fastapi", "/predict", "instance", (FRAUD, EMBEDDER))
TRACED = Peer("FastAPI traced and metered", "fastapi", "/predict", "instance", (FRAUD,), {"TELEMETRY": "1"})
OTHERS = (
    Peer("LitServe", "litserve", "/predict", "instance", (FRAUD, EMBEDDER)),
    Peer("BentoML", "bentoml", "/predict", "wrapped", (FRAUD, EMBEDDER)),
    Peer("MLServer", "mlserver", OIP, "oip"),
    Peer("KServe", "kserve", OIP, "oip"),
    Peer("Triton, Python backend", "pytriton", OIP, "oip"),
)
NATIVE = (
    Peer("Triton, ONNX backend", "triton", OIP, "oip", (FRAUD, EMBEDDER), binary="TRITON"),
    Peer("text-embeddings-inference", "tei", "/embed", "tei", (EMBEDDER,), binary="TEI"),
)


def chosen():
    """The peers of this run: FastAPI always, others by PEERS (`all`, or folders), native ones by their binary."""
    asked = {name for name in os.environ.get("PEERS", "").split(",") if name}
    unknown = asked - {"all", "fastapi"} - {peer.folder for peer in OTHERS}
    if unknown:
        sys.exit(f"PEERS names {sorted(unknown)}; there are: all, {', '.join(peer.folder for peer in OTHERS)}")
    picked = [FASTAPI, TRACED, *(peer for peer in OTHERS if "all" in asked or peer.folder in asked)]
    for peer in NATIVE:
        path = os.environ.get(peer.binary)
        if path and not (Path(path).is_file() and os.stat(path).st_mode & stat.S_IXUSR):
            sys.exit(f"{peer.binary}={path} is not a program")
        if path:
            picked.append(peer)
    return picked


class Running(Child):
    """A peer that serves one model and has answered what ours does; `place` is the model and that answer's numbers."""

    def __init__(self, peer, models, place, variables=None):
        (model, expected), folder = place, models.folder
        self.peer, self.model, port = peer, model, free_port()
        tell(f"starting {peer.name} with {model}")
        if not peer.binary:
            python_of(peer.folder)
        command = [FOLDER / peer.folder / "start", port, models.paths[model]]
        begun = time.perf_counter()
        super().__init__(command, folder, f"{peer.name} {model}", peer.variables | (variables or {}))
        self.target = (f"http://127.0.0.1:{port}{peer.path}", peer.body(models, model))
        answer = self.first_answer(begun)
        self.prove(answer, expected, model)

    def first_answer(self, begun):
        """What it answers once it serves."""
        url, body = self.target
        problem = "no connection"
        while True:
            if time.perf_counter() - begun > PATIENCE:
                tell(f"{self.name} does not answer its request: {problem}")
            self.check(begun)
            request = urllib.request.Request(url, body.read_bytes(), {"content-type": "application/json"})
            try:
                with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                    return json.loads(answer.read())
            except urllib.error.HTTPError as refusal:
                problem = f"{refusal.code} {refusal.read()[:500]}"
            except (OSError, ValueError) as fault:
                problem = str(fault)
            time.sleep(0.1)

    def prove(self, answer, expected, model):
        """Ends everything when the answer is not the model's: what does less work is no yardstick."""
        numbers = [value for value in flat(answer) if isinstance(value, float)]
        if model == FRAUD:
            right = any(abs(value - expected) < 1e-3 for value in numbers)
        else:
            right = len(numbers) == len(expected) and cosine(numbers, expected) > 0.999
        if not right:
            self.kill()
            sys.exit(f"{self.name} does not answer what {model} says: {str(answer)[:500]}")


def flat(value):
    """Every leaf of a JSON value."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from flat(one)
    else:
        yield value
