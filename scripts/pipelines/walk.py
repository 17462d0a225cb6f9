"""The walk of walk.sh: tells each step with the command that it runs and what it says."""

import json
import signal
import sys
import tempfile
import time
from pathlib import Path

import local
import workflow

sys.path.insert(0, str(workflow.PIPELINES))

from fraud.command import Parser


def arguments():
    """The command line."""
    parser = Parser(prog="walk.sh", description="From data to a served model.")
    parser.add_argument("binary", type=Path)
    for option in ("--port", "--mlflow-port"):
        parser.add_argument(option, type=int, default=0, help="(default: any that is free)")
    parser.add_argument("--keep", action="store_true", help="keep everything running until Ctrl-C")
    return parser.parse_args()


class Walk:
    """One folder, one MLflow server, one GitOps repository, and the time that passes."""

    def __init__(self, folder, uri, binary):
        self.folder, self.bare = folder, local.bare_repository(folder)
        self.steps = local.Steps(uri, folder / "runs", binary, self.bare)
        self.begun = time.monotonic()

    def head(self, text):
        """A line that says what comes."""
        print(f"\n== {text} ({time.monotonic() - self.begun:.0f} s)", flush=True)

    def step(self, run, task, wanted=0, **given):
        """Runs a task, shows what it says, and holds it to an exit code."""
        step = next(it["template"] for it in workflow.tasks(self.steps.template) if it["name"] == task)
        script = workflow.steps(self.steps.template)[step]["container"]["command"][1]
        options = "".join(f" --{name.replace('_', '-')}={value}" for name, value in given.items())
        self.head(f"{task}: python {script}{options}")
        done = self.steps.run(run, task, **given)
        print(done.stdout.replace(f"{self.steps.folder}/", "").replace(f"{self.folder}/", ""), end="", flush=True)
        if done.returncode != wanted:
            sys.exit(f"error: {task} ended with {done.returncode}, expected {wanted}")
        if wanted:
            print(f"(exit code {wanted})")

    def read(self, path):
        """What a step wrote."""
        return json.loads((self.steps.folder / path).read_text())


def serve(walk, binary, port):
    """Serves what deploy exported, and asks it for a payment whose answer scikit-learn has given; returns the running service."""
    golden = walk.read("first/evaluation/golden.json")[1]
    exported = walk.steps.folder / "first/deployment"
    walk.head("serve: ml-inference-api serve --models first/deployment")
    service = local.Service(binary, exported, walk.folder, f"127.0.0.1:{port}")
    status, answer = service.ask("/predict/fraud-detector", golden["input"])
    print(f"POST /predict/fraud-detector -> {status} {json.dumps(answer)}")
    difference = max(abs(answer["scores"][label] - score) for label, score in golden["scores"].items())
    print(f"scikit-learn said {json.dumps(golden['scores'])}: the difference is {difference:.1e}")
    if status != 200 or answer["label"] != golden["label"] or not difference < 1e-5:
        service.end()
        sys.exit("error: the service does not answer as scikit-learn")
    return service


def go(args, folder):
    """The way."""
    print(f"MLflow starts, with {folder} for its registry and artifacts", flush=True)
    with local.Mlflow(folder / "mlflow", args.mlflow_port) as mlflow:
        walk = Walk(folder, mlflow.uri, args.binary)
        print(f"MLflow answers at {mlflow.uri}", flush=True)
        for task in workflow.order(walk.steps.template):
            walk.step("first", task["name"])
        walk.head(f"the rollout: git show {local.BRANCH}, in {walk.bare.name}")
        print(local.git(walk.bare, "show", "--format=%an: %s", local.BRANCH))
        service = serve(walk, args.binary, args.port)
        try:
            walk.steps.share("first", "worse")
            walk.step("worse", "train", n_estimators=2, max_depth=1)
            walk.step("worse", "evaluate", wanted=1)
            walk.step("worse", "deploy", wanted=1)
            walk.head("done: the champion is version 1, a worse model was refused")
            if args.keep:
                print(f"MLflow: {mlflow.uri}, the service: http://{service.address}; Ctrl-C ends both", flush=True)
                signal.pause()
        finally:
            service.end()


def main():
    """Walks in a folder that goes at the end."""
    args = arguments()
    with tempfile.TemporaryDirectory(prefix="ml-pipeline-") as folder:
        try:
            go(args, Path(folder))
        except local.Ended as error:
            sys.exit(f"error: {error}")
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
