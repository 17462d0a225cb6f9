"""Commits in a real bare repository."""

import subprocess

import pytest
import yaml

import local
from fraud import gitops
from fraud.command import StepError

PATH = gitops.ENVIRONMENT.format("staging")
PIN = "12e" + "0" * 61
URI = "http://mlflow-server:5000"


@pytest.fixture
def bare(tmp_path):
    return local.bare_repository(tmp_path)


def repository(address, branch="main", token_file=None):
    return gitops.Repository(str(address), branch, "main", token_file)


def test_values_are_those_of_the_chart():
    values = yaml.safe_load(gitops.values("fraud-detector", "3", PIN, local.IMAGE, URI))
    init = values["models"]["init"]
    assert values["model"] == {"name": "fraud-detector"}
    assert init["image"] == local.IMAGE
    assert init["args"] == ["--model", "fraud-detector", "--version", "3", "--sha256", PIN, "--out", "/models"]
    assert all(isinstance(it, str) for it in init["args"])
    assert init["env"] == [{"name": "MLFLOW_TRACKING_URI", "value": URI}]


@pytest.mark.parametrize("image", ["", "ghcr.io/myorg/model-deployer:1", "ghcr.io/myorg/x@sha256:abc", f"a b@sha256:{PIN}"])
def test_an_image_without_a_digest_is_refused(image):
    with pytest.raises(StepError, match="expected an image by digest"):
        gitops.values("fraud-detector", "3", PIN, image, URI)


def test_an_address_with_credentials_is_refused():
    with pytest.raises(StepError, match="without credentials"):
        gitops.values("fraud-detector", "3", PIN, local.IMAGE, "http://user:word@mlflow")


def test_one_file_is_committed_once(bare):
    before = local.git(bare, "rev-parse", "main")
    commit = repository(bare).put(PATH, "a: 1\n", "staging: serve 1")
    assert local.git(bare, "rev-parse", "main") == commit
    assert local.git(bare, "rev-parse", "main^") == before
    assert local.git(bare, "show", "--format=%an: %s", "--name-only", "main").split("\n\n") == ["model-deployer: staging: serve 1", PATH]
    assert local.git(bare, "show", f"main:{PATH}") == "a: 1"
    assert repository(bare).put(PATH, "a: 1\n", "again") is None
    assert local.git(bare, "rev-parse", "main") == commit


def test_a_proposal_is_one_commit_on_the_base_as_it_is_now(bare):
    commit = repository(bare, "delivery/m").put(PATH, "a: 1\n", "m")
    assert local.git(bare, "rev-parse", "delivery/m") == commit
    assert local.git(bare, "rev-parse", "delivery/m^") == local.git(bare, "rev-parse", "main")
    assert repository(bare, "delivery/m").put(PATH, "a: 1\n", "again") is None
    repository(bare).put("other.yaml", "b: 1\n", "somebody else")
    later = repository(bare, "delivery/m").put(PATH, "a: 2\n", "m")
    assert local.git(bare, "rev-parse", "delivery/m") == later
    assert local.git(bare, "rev-parse", "delivery/m^") == local.git(bare, "rev-parse", "main")


def test_a_proposal_is_taken_back_where_the_base_has_the_file_as_it_is(bare):
    repository(bare).put(PATH, "a: 1\n", "merged")
    repository(bare, "delivery/m").put(PATH, "a: 2\n", "m")
    assert repository(bare, "delivery/m").put(PATH, "a: 1\n", "back") is None
    assert local.git(bare, "branch", "--list", "delivery/m") == ""
    assert repository(bare, "delivery/m").put(PATH, "a: 1\n", "again") is None


def test_a_base_that_is_not_there(bare):
    for branch in ("none", "delivery/m"):
        with pytest.raises(StepError, match="has no branch none"):
            gitops.Repository(str(bare), branch, "none", None).put(PATH, "a: 1\n", "m")


def test_what_somebody_else_pushed_in_between_stays(bare, monkeypatch):
    own, pushed = gitops.Repository._commit, []

    def commit(self, *given):
        monkeypatch.undo()  # once, and not for who pushes here
        pushed.append(repository(bare).put("other.yaml", "b: 1\n", "somebody else"))
        return own(self, *given)

    monkeypatch.setattr(gitops.Repository, "_commit", commit)
    commit = repository(bare).put(PATH, "a: 1\n", "m")
    assert pushed == [local.git(bare, "rev-parse", "main^")]
    assert commit == local.git(bare, "rev-parse", "main")
    assert local.git(bare, "show", "main:other.yaml") == "b: 1"


def test_a_protected_branch_is_said_and_left(bare):
    before = local.git(bare, "rev-parse", "main")
    hook = bare / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho main is protected >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(StepError, match="main is protected"):
        repository(bare).put(PATH, "a: 1\n", "m")
    assert local.git(bare, "rev-parse", "main") == before


def test_a_repository_that_is_not_there(tmp_path):
    with pytest.raises(StepError, match="cannot be read"):
        repository(tmp_path / "none.git").put(PATH, "a: 1\n", "m")


def test_the_token_is_read_by_git_out_of_its_file(tmp_path):
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    own = repository("https://github.com/myorg/ml-inference-api", token_file=token)
    asked = "protocol=https\nhost=github.com\n\n"
    said = subprocess.run(["git", *own.options, "credential", "fill"], env=own.environment, input=asked, text=True, capture_output=True, check=True)
    assert "username=x-access-token\npassword=s3cret\n" in said.stdout
    assert "s3cret" not in " ".join([*own.options, *own.environment.values()])
    for missing in (None, tmp_path / "none"):
        with pytest.raises(StepError, match="asks for a token"):
            repository("https://github.com/myorg/ml-inference-api", token_file=missing)
