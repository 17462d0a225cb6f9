"""Every threshold of the gate, just met and just missed."""

import math

import pytest

from fraud import gate
from fraud.command import StepError

GOOD = {"f1": 0.68, "average_precision": 0.75, "latency_us": 100.0, "disagreement": 5e-7, "other_labels": 0, "rows": 4500}


def reasons(champion=GOOD, limits=None, **changed):
    return gate.reasons(GOOD | changed, champion, limits or gate.Thresholds())


def test_an_equal_model_passes_and_so_does_the_first():
    assert reasons() == []
    assert reasons(champion=None) == []


@pytest.mark.parametrize("name, just, below, sentence", [
    ("f1", 0.67, 0.6699, "f1 is 0.6699 and the champion's 0.6800: a drop of 0.0101, more than 0.01"),
    ("average_precision", 0.74, 0.7399, "average_precision is 0.7399 and the champion's 0.7500: a drop of 0.0101"),
    ("latency_us", 200.0, 200.1, "one row takes 200 us and the champion 100 us"),
    ("disagreement", 1e-5, 1.01e-5, "differ from scikit-learn's by 1.0e-05, more than 1e-05"),
    ("other_labels", 0, 1, "the graph gives 1 of 4500 test rows another label"),
])  # fmt: skip
def test_a_limit_may_be_met_and_not_missed(name, just, below, sentence):
    assert reasons(**{name: just}) == []
    [said] = reasons(**{name: below})
    assert sentence in said


def test_floors_hold_beside_any_champion():
    weak = GOOD | {"f1": 0.5, "average_precision": 0.6}
    assert reasons(champion=None, f1=0.55, average_precision=0.65) == []
    assert [it.split(" is")[0] for it in reasons(champion=None, f1=0.5499, average_precision=0.6499)] == ["f1", "average_precision"]
    assert len(reasons(champion=weak, f1=0.5, average_precision=0.6)) == 2


@pytest.mark.parametrize("name", ["f1", "average_precision", "latency_us", "disagreement"])
def test_what_is_no_number_passes_nothing(name):
    assert reasons(**{name: math.nan})


def test_every_reason_is_said_at_once():
    assert len(reasons(f1=0.1, average_precision=0.1, latency_us=1e6, disagreement=1, other_labels=3)) == 7


def test_thresholds_are_numbers_of_at_least_zero():
    for wrong in (-0.01, math.nan):
        with pytest.raises(StepError, match="the threshold max_f1_drop"):
            gate.Thresholds(max_f1_drop=wrong)
    assert reasons(limits=gate.Thresholds(max_f1_drop=0), f1=0.6799)
