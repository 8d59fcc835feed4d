"""Five answers name a driver, and as few as decide it are enough."""

import itertools

import pytest

from sandbox.lessons.advice import QUESTIONS, advise, choose_driver
from sandbox.lessons.drivers import CASES


@pytest.mark.parametrize(
    ("answers", "driver"),
    [
        ({"talks": False}, "none"),
        ({"talks": True, "lan": True, "macs": True}, "macvlan"),
        ({"talks": True, "lan": True, "macs": False}, "ipvlan"),
        ({"talks": True, "lan": False, "hosts": True}, "overlay"),
        ({"talks": True, "lan": False, "hosts": False, "stack": True}, "host"),
        ({"talks": True, "lan": False, "hosts": False, "stack": False}, "bridge"),
    ],
)
def test_the_answers_that_decide_are_enough(answers, driver):
    assert advise(answers).driver == driver
    for key in answers:
        assert advise({k: v for k, v in answers.items() if k != key}) is None


def test_every_set_of_five_answers_names_a_driver_that_is_compared():
    compared = {case.driver for case in CASES}
    found = {
        advise(dict(zip(QUESTIONS, answers, strict=True))).driver
        for answers in itertools.product([True, False], repeat=len(QUESTIONS))
    }
    assert found == compared - {"ipvlan l3"}


def test_the_widget_names_the_driver_when_it_is_decided():
    *rows, said, _keys = choose_driver().widget.children
    talks, lan, _macs, _hosts, stack = rows[1::2]
    talks.value = "yes"
    lan.value = "no"
    stack.value = "no"
    assert said.value == ""
    rows[7].value = "no"
    assert "Take bridge." in said.value
    assert "docker network create app" in said.value
    talks.value = "no"
    assert "Take none." in said.value
