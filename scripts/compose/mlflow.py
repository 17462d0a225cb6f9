"""usage: mlflow.py PROGRAM

Starts MLflow (PROGRAM is its command) with the very options of deploy/compose.yaml, but for the folder and the address, and
asks for what the file promises: it answers to the names by which it is reached there and to no other, a page of another
origin may not write, and artifacts go through it into the folder.
"""

import json
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "pipelines"))

import local  # noqa: E402
import yaml  # noqa: E402

FILE = Path("deploy/compose.yaml")
FOLDER, PATIENCE = "/mlflow", 180
EXPERIMENT = "/api/2.0/mlflow/experiments/get?experiment_id=0"
CREATE = "/api/2.0/mlflow/experiments/create"


def command(program, service, port, folder):
    """The command of the file, with the program, the address and the folder of here."""
    first, *options = service["command"]
    if first != "mlflow":
        sys.exit(f"error: the command of mlflow in {FILE} begins with {first}")
    here = {"--host": "127.0.0.1", "--port": str(port)}
    changed = [f"{name}={here.get(name, value)}" if value else name for name, _, value in (it.partition("=") for it in options)]
    return [program, *(it.replace(f"{FOLDER}/", f"{folder}/") for it in changed)]


def ask(port, path, body=None, headers=None, method=None):
    """The status and the body of an answer."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def answers(port):
    """Whether it is healthy."""
    try:
        return ask(port, "/health", headers={"host": "localhost:5000"})[0] == 200
    except OSError:
        return False


def problems(port, folder):
    """What is not as the file promises."""
    for host, wanted in (("localhost:5000", 200), ("127.0.0.1:5000", 200), ("mlflow:5000", 200), ("example.com", 403)):
        status, _ = ask(port, EXPERIMENT, headers={"host": host})
        if status != wanted:
            yield f"asked by the name {host} it answers {status}, not {wanted}"
    for origin, wanted in (("http://localhost:5000", 200), ("http://example.com", 403)):
        headers = {"host": "localhost:5000", "origin": origin, "content-type": "application/json"}
        status, _ = ask(port, CREATE, json.dumps({"name": origin}).encode(), headers)
        if status != wanted:
            yield f"a page of {origin} that writes gets {status}, not {wanted}"
    path = "/api/2.0/mlflow-artifacts/artifacts/proof/text"
    status, _ = ask(port, path, b"kept", {"host": "mlflow:5000"}, "PUT")
    if status != 200 or (folder / "artifacts/proof/text").read_bytes() != b"kept":
        yield f"an artifact that is put gets {status}, and is not in the folder"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    service = yaml.safe_load(FILE.read_text())["services"]["mlflow"]
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), local.free_port()
        with local.Process(command(sys.argv[1], service, port, folder), folder / "log", service["environment"], folder) as server:
            try:
                server.wait_until(lambda: answers(port), PATIENCE)
            except local.Ended as error:
                sys.exit(f"error: MLflow does not answer with the options of {FILE}: {error}")
            found = list(problems(port, folder))
    if found:
        sys.exit("\n".join([*found, f"error: MLflow as in {FILE} is not as it should be (the reasons are above)"]))
    print(f"MLflow runs with the options of {FILE}, answers to its own names only, and keeps artifacts")


if __name__ == "__main__":
    main()
