"""One story against a real MLflow server, with the Workflow's own command lines in the order of its DAG: a first model goes all the
way, a better one takes its place, a worse one is refused, one is rolled back; and what is served is what was judged. Each
test takes up where the one before ended."""

import importlib
import json
import shutil
import sys

import numpy as np
import pytest
import yaml

import local
import workflow
from fraud import datasets, layout, registry, tables, transactions
from fraud.command import StepError
from fraud.files import read_json, sha256
from fraud.schema import FEATURES

MODEL = "fraud-detector"
IN_GIT = workflow.ROOT / "models/fraud-detector"
PATH = "deploy/gitops/environments/staging/model.yaml"


class Story:
    """The server, the steps and the repository that all tests of this file share."""

    def __init__(self, uri, folder, binary):
        self.uri, self.folder, self.binary = uri, folder, binary
        self.bare = local.bare_repository(folder)
        self.steps = local.Steps(uri, folder / "runs", binary, self.bare)
        self.registry = registry.Registry(uri)

    def aliases(self):
        return [self.registry.alias(MODEL, it) for it in (registry.CHAMPION, registry.PREVIOUS)]

    def committed(self):
        """(version, digest) in the file of values in git."""
        arguments = yaml.safe_load(local.git(self.bare, "show", f"{local.BRANCH}:{PATH}"))["models"]["init"]["args"]
        return arguments[3], arguments[5]

    def trained(self, run, **given):
        """A further candidate, judged: the process of evaluate."""
        self.steps.share("first", run)
        made = self.steps.run(run, "train", **given)
        assert made.returncode == 0, made.stdout
        return self.steps.run(run, "evaluate", **given)

    def version(self, run):
        return read_json(self.steps.folder / run / "candidate/candidate.json")["version"]

    def deploy(self, *arguments):
        return local.script("deploy.py", self.uri, *arguments)


@pytest.fixture(scope="module")
def story(mlflow_uri, tmp_path_factory, binary):
    return Story(mlflow_uri, tmp_path_factory.mktemp("story"), binary)


@pytest.fixture
def judge(story, monkeypatch):
    """Runs evaluate in this process, where it is to be refused: importing what it needs takes seconds."""

    def run(name):
        step = workflow.steps(story.steps.template)["evaluate-model"]
        argv, variables = workflow.command(step, story.steps.values(), story.steps.folder / name, sys.executable)
        monkeypatch.setattr("sys.argv", argv[1:])
        monkeypatch.setenv("MLFLOW_TRACKING_URI", variables["MLFLOW_TRACKING_URI"])
        return importlib.import_module("evaluate").main()

    return run


def test_the_first_model_goes_all_the_way(story):
    done = story.steps.all("first")
    assert [(name, it.returncode) for name, it in done] == [("data-prep", 0), ("train", 0), ("evaluate", 0), ("deploy", 0)], done[-1][1].stdout
    assert story.aliases() == ["1", None]
    assert "ml-inference-api check: 1 good, 0 problems" in done[-1][1].stdout


def test_mlflow_has_what_the_guide_asks_for(story):
    version = story.registry.version(MODEL, "1")
    run = story.registry._json("GET", "runs/get", {"run_id": version["run_id"]})["run"]
    experiment = story.registry._json("GET", "experiments/get", {"experiment_id": run["info"]["experiment_id"]})["experiment"]
    metrics = {it["key"]: it["value"] for it in run["data"]["metrics"]}
    assert (experiment["name"], run["info"]["run_name"]) == ("fraud-detection-v2", "rf-baseline")
    assert {it["key"]: it["value"] for it in run["data"]["params"]} == {"n_estimators": "100", "max_depth": "10", "random_state": "42"}
    assert {"accuracy", "f1_score", "precision", "recall", "roc_auc", "average_precision"} <= metrics.keys()
    assert metrics["accuracy"] > 0.97
    assert run["inputs"]["dataset_inputs"][0]["dataset"]["name"] == "payments"
    data = read_json(story.steps.folder / "first/data/data.json")
    assert version["tags"]["data_digest"] == data["digest"]
    assert version["tags"]["verdict"] == "passed"
    described = yaml.safe_load(story.registry.download(story.registry.model_root(MODEL, "1"), "MLmodel"))
    assert described["flavors"]["onnx"]["data"] == "model.onnx"
    assert json.loads(described["signature"]["inputs"])[0]["tensor-spec"] == {"dtype": "float32", "shape": [-1, len(FEATURES)]}
    assert described["saved_input_example_info"]


def test_the_default_pipeline_trains_the_model_in_git(story):
    exported = story.steps.folder / "first/deployment/fraud-detector/1/model.onnx"
    assert exported.read_bytes() == (IN_GIT / "1/model.onnx").read_bytes()


def test_golden_samples_and_baseline_lie_beside_the_model(story):
    root = story.registry.run_root(story.registry.version(MODEL, "1")["run_id"])
    own = story.steps.folder / "first/evaluation"
    for name in ("verdict.json", "golden.json", "baseline.json", "model.toml"):
        assert story.registry.download(root, layout.place("1", name)) == (own / name).read_bytes()
    usual = read_json(own / "baseline.json")
    assert set(usual["features"]) == set(FEATURES)
    assert {"missing_share", "mean", "std", "quantiles"} <= usual["features"]["amount"].keys()
    assert usual["predictions"]["label_share"]["legitimate"] > 0.9
    golden = read_json(own / "golden.json")
    assert {it["label"] for it in golden} == {"legitimate", "fraud"}
    assert len(golden) == 8


def test_our_service_answers_as_scikit_learn(story, tmp_path):
    golden = read_json(story.steps.folder / "first/evaluation/golden.json")
    with local.Service(story.binary, story.steps.folder / "first/deployment", tmp_path) as service:
        for sample in golden:
            status, answer = service.ask(f"/predict/{MODEL}", sample["input"])
            assert status == 200, answer
            assert answer["label"] == sample["label"]
            assert answer["confidence"] == pytest.approx(sample["confidence"], abs=1e-5)
            assert answer["scores"] == pytest.approx(sample["scores"], abs=1e-5)
        status, answer = service.ask(f"/predict/{MODEL}/versions/1", golden[0]["input"])
        assert (status, answer["model"]["version"]) == (200, "1")
        rows, _ = tables.read(story.steps.folder / "first/data/test.csv")
        row = {name: float(value) for name, value in zip(FEATURES, rows[0], strict=True)}
        assert service.ask(f"/predict/{MODEL}", row)[0] == 200
    assert service.child.returncode == 0


def test_the_rollout_is_a_commit(story):
    version, pin = story.committed()
    assert (version, pin) == ("1", sha256(story.steps.folder / "first/deployment/fraud-detector/model.toml"))
    assert local.git(story.bare, "log", "--format=%s", local.BRANCH).splitlines() == ["staging: serve fraud-detector 1", "environments"]


def test_what_the_init_container_fetches_is_what_deploy_exported(story, tmp_path):
    version, pin = story.committed()
    done = local.script("fetch_model.py", story.uri, "--version", version, "--sha256", pin, "--out", tmp_path)
    assert done.returncode == 0, done.stdout
    for name in ("1/model.onnx", "model.toml"):
        assert (tmp_path / MODEL / name).read_bytes() == (story.steps.folder / "first/deployment" / MODEL / name).read_bytes()


def test_deploying_again_changes_nothing(story):
    before = local.git(story.bare, "rev-parse", local.BRANCH)
    done = story.steps.run("first", "deploy")
    assert done.returncode == 0, done.stdout
    assert "version 1 is the champion already" in done.stdout
    assert "is so already" in done.stdout
    assert story.aliases() == ["1", None]
    assert local.git(story.bare, "rev-parse", local.BRANCH) == before


def test_a_worse_model_is_refused_and_nothing_moves(story):
    before = local.git(story.bare, "rev-parse", local.BRANCH)
    judged = story.trained("worse", n_estimators=2, max_depth=1)
    assert judged.returncode == 1
    said = [line for line in judged.stdout.splitlines() if line.startswith("refused: ")]
    assert any("f1 is" in it and "below the floor" in it for it in said)
    assert any("f1 is" in it and "the champion's" in it for it in said)
    assert any("average_precision is" in it for it in said)
    verdict = read_json(story.steps.folder / "worse/evaluation/verdict.json")
    assert [f"refused: {it}" for it in verdict["reasons"]] == said
    assert verdict["champion"]["version"] == "1"
    tags = story.registry.version(MODEL, story.version("worse"))["tags"]
    assert tags["verdict"] == "refused"
    done = story.steps.run("worse", "deploy")
    assert done.returncode == 1
    assert "may not be deployed, its verdict is 'refused': f1 is" in done.stdout
    assert not (story.steps.folder / "worse/deployment").exists()
    assert story.aliases() == ["1", None]
    assert local.git(story.bare, "rev-parse", local.BRANCH) == before


def test_a_version_that_nobody_judged_is_not_deployed(story):
    story.steps.share("first", "second")
    made = story.steps.run("second", "train", n_estimators=60, max_depth=16)
    assert made.returncode == 0, made.stdout
    done = story.steps.run("second", "deploy")
    assert done.returncode == 1
    assert "its verdict is 'none': evaluate.py has not judged it" in done.stdout
    done = story.deploy("--version", "99", "--out", story.folder / "none")
    assert done.returncode == 1
    assert "404" in done.stdout


def test_a_better_model_takes_the_place(story):
    judged = story.steps.run("second", "evaluate")
    assert judged.returncode == 0, judged.stdout
    assert "beside champion version 1" in judged.stdout
    done = story.steps.run("second", "deploy")
    assert done.returncode == 0, done.stdout
    second = story.version("second")
    assert f"champion: version 1 -> {second}" in done.stdout
    assert story.aliases() == [second, "1"]
    assert story.committed()[0] == second


def test_a_verdict_beside_another_champion_is_stale(story):
    """Judged beside version 1, and the champion is another one now."""
    third = story.version("worse")
    story.registry.tag(MODEL, third, verdict="passed", compared_with="1", manifest_sha256="0" * 64)
    done = story.deploy("--version", third, "--out", story.folder / "stale")
    assert done.returncode == 1
    assert "run evaluate.py again" in done.stdout
    assert story.aliases()[1] == "1"


def test_a_candidate_of_other_data_is_not_judged(story, judge):
    parts = datasets.split(*transactions.generate(4000, np.random.default_rng(1)), 0.15, 0.1, 1)
    datasets.save(story.steps.folder / "other/data", parts, {"source": "generated", "seed": 1})
    story.steps.share("second", "other", "candidate")
    with pytest.raises(StepError, match="was trained on data of digest"):
        judge("other")


def test_a_commit_without_an_image_is_refused_before_anything_moves(story):
    before = story.aliases()
    done = story.steps.run("first", "deploy", deployer_image="")
    assert done.returncode == 1
    done = story.deploy("--version", story.version("second"), "--out", story.folder / "x", "--repository", story.bare)
    assert done.returncode == 1
    assert "expected an image by digest" in done.stdout
    assert story.aliases() == before


def test_what_our_service_does_not_take_is_not_promoted(story):
    done = story.deploy("--version", story.version("second"), "--out", story.folder / "x", "--binary", shutil.which("false"))
    assert done.returncode == 1
    assert "ml-inference-api does not take what was exported" in done.stdout


def test_a_rollback_goes_to_the_champion_before(story):
    second = story.version("second")
    arguments = ["--rollback", "--out", story.folder / "back", "--repository", story.bare, "--image", local.IMAGE, "--binary", story.binary]
    done = story.deploy(*arguments)
    assert done.returncode == 0, done.stdout
    assert story.aliases() == ["1", None]
    assert story.committed()[0] == "1"
    assert local.git(story.bare, "log", "-1", "--format=%s", local.BRANCH) == "staging: roll back to fraud-detector 1"
    assert (story.folder / "back" / MODEL / "1/model.onnx").read_bytes() == (IN_GIT / "1/model.onnx").read_bytes()
    again = story.deploy("--version", second, "--out", story.folder / "x")
    assert again.returncode == 1
    assert "its verdict is 'rolled-back'" in again.stdout
    once_more = story.deploy(*arguments)
    assert once_more.returncode == 1
    assert "there is nothing to roll back to" in once_more.stdout


def test_a_rollback_that_died_after_its_commit_ends_when_it_is_run_again(story):
    """The commit is made and the aliases are as before it: the second run finds the commit and moves them."""
    second = story.version("second")
    story.registry.set_alias(MODEL, registry.PREVIOUS, "1")
    story.registry.set_alias(MODEL, registry.CHAMPION, second)
    done = story.deploy("--rollback", "--out", story.folder / "back", "--repository", story.bare, "--image", local.IMAGE)
    assert done.returncode == 0, done.stdout
    assert "is so already" in done.stdout
    assert story.aliases() == ["1", None]


def test_a_forest_that_was_tampered_with_is_not_read(story, judge):
    candidate = read_json(story.steps.folder / "second/candidate/candidate.json")
    root = story.registry.logged_root(candidate["forest"])
    data = story.registry.download(root, "model.skops")
    story.registry.upload(root, "model.skops", data[:-9] + bytes(9))
    with pytest.raises(StepError, match=r"model\.skops is not what train\.py kept"):
        judge("second")


def test_what_was_tampered_with_is_not_fetched(story, judge, tmp_path):
    """Last, as it spoils version 1: its manifest and then its graph are changed on the server, and each is refused."""
    _, pin = story.committed()
    fetch = ["fetch_model.py", story.uri, "--version", "1", "--sha256", pin, "--out", tmp_path]
    kept = tmp_path / MODEL
    assert local.script(*fetch).returncode == 0
    before = sha256(kept / "1/model.onnx")
    root = story.registry.run_root(story.registry.version(MODEL, "1")["run_id"])
    manifest = story.registry.download(root, layout.place("1", "model.toml"))
    story.registry.upload(root, layout.place("1", "model.toml"), manifest + b"\n")
    done = local.script(*fetch)
    assert done.returncode == 1
    assert f"model.toml of {MODEL} 1 is not what was judged: expected sha256 {pin}" in done.stdout
    story.registry.upload(root, layout.place("1", "model.toml"), manifest)
    place = story.registry.model_root(MODEL, "1")
    graph = bytearray(story.registry.download(place, "model.onnx"))
    graph[len(graph) // 2] ^= 1
    story.registry.upload(place, "model.onnx", bytes(graph))
    done = local.script(*fetch)
    assert done.returncode == 1
    assert f"model.onnx of {MODEL} 1 is not what was judged: expected sha256 {before}, came" in done.stdout
    assert sha256(kept / "1/model.onnx") == before, "what is refused must leave what was there"
    assert not list(tmp_path.glob(".*"))
    with pytest.raises(StepError, match=r"is not what train\.py registered"):
        judge("first")
    done = story.deploy("--version", "1", "--out", story.folder / "tampered")
    assert done.returncode == 1
    assert "is not what was judged" in done.stdout
