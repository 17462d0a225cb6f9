"""The command lines: help with examples, 64 for wrong usage, and what is refused before anything is done."""

import importlib

import numpy as np
import pytest

import local
import workflow
from fraud import datasets, tables, transactions
from fraud.command import StepError

SCRIPTS = ["prepare_data.py", "train.py", "evaluate.py", "deploy.py", "fetch_model.py"]
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def asked(monkeypatch, capsys):
    """Asks a script's command line in this process, as importing what a script needs takes seconds: (exit code, output, errors)."""

    def ask(name, *arguments):
        monkeypatch.setattr("sys.argv", [name, *arguments])
        with pytest.raises(SystemExit) as end:
            importlib.import_module(name.removesuffix(".py")).arguments()
        return end.value.code, *capsys.readouterr()

    return ask


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_has_examples_and_no_argument_is_wrong_usage(asked, name):
    code, said, _ = asked(name, "--help")
    assert code == 0
    assert f"examples:\n  {name} " in said
    code, _, said = asked(name)
    assert code == 64
    assert "error: " in said


@pytest.mark.parametrize("name, arguments, sentence", [
    ("prepare_data.py", ["--out", "x", "--rows", "7"], "argument --rows: 7 is not from 200"),
    ("prepare_data.py", ["--out", "x", "--test-share", "much"], "argument --test-share: much is no number"),
    ("train.py", ["--data", "/none", "--out", "x"], "argument --data: /none is no folder"),
    ("train.py", ["--data", ".", "--out", "x", "--layout", "y"], "expected --out or --layout, and not both"),
    ("train.py", ["--data", ".", "--out", "x", "--model", "../x"], "argument --model: ../x is no name"),
    ("evaluate.py", ["--data", ".", "--candidate", ".", "--out", "x", "--max-f1-drop", "-1"], "argument --max-f1-drop: -1 is not from 0"),
    ("deploy.py", ["--out", "x", "--version", "0"], "argument --version: 0 is not from 1"),
    ("deploy.py", ["--out", "x", "--version", "1", "--rollback"], "not allowed with argument"),
    ("fetch_model.py", ["--out", "x", "--version", "1", "--sha256", "abc"], "abc is no sha256"),
])  # fmt: skip
def test_wrong_usage_is_named(asked, name, arguments, sentence):
    code, _, said = asked(name, *arguments)
    assert code == 64
    assert sentence in said


def test_a_process_ends_with_64_too():
    assert local.script("deploy.py", NOWHERE).returncode == 64


@pytest.fixture
def prepare(monkeypatch):
    """Runs prepare_data in this process."""

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["prepare_data.py", *map(str, arguments)])
        return importlib.import_module("prepare_data").main()

    return run


def test_bad_data_is_refused_by_name_and_nothing_is_written(tmp_path):
    features, labels = transactions.generate(300, np.random.default_rng(2))
    features[16, 4] = 3
    tables.write_csv(tmp_path / "payments.csv", features, labels)
    said = local.script("prepare_data.py", NOWHERE, "--out", tmp_path / "data", "--input", tmp_path / "payments.csv")
    assert said.returncode == 1
    assert said.stdout == f"error: {tmp_path}/payments.csv: row 17, column is_night: expected 0 or 1, came '3'\n"
    assert not (tmp_path / "data").exists()


def test_a_file_that_is_not_there(prepare, tmp_path):
    with pytest.raises(StepError, match=r"none\.csv is no file"):
        prepare("--out", tmp_path / "data", "--input", tmp_path / "none.csv")


def test_own_payments_are_taken(prepare, tmp_path):
    features, labels = transactions.generate(4000, np.random.default_rng(2))
    tables.write_csv(tmp_path / "payments.csv", features, labels)
    assert prepare("--out", tmp_path / "data", "--input", tmp_path / "payments.csv") == 0
    data = datasets.Data(tmp_path / "data")
    assert data.about["source"] == "payments.csv"
    assert sum(len(data.part(name)[1]) for name in datasets.PARTS) == 4000


def test_every_script_of_the_workflow_is_among_these():
    steps = workflow.steps(workflow.template_of(workflow.objects())).values()
    assert {it["container"]["command"][1] for it in steps} == set(SCRIPTS) - {"fetch_model.py"}
