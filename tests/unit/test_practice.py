"""The practice widget's rounds, score and messages; nothing is broken on any host here."""

import time

import pytest

from sandbox.errors import SandboxError
from sandbox.lessons.shop import FAULTS, Calls
from sandbox.widgets.practice import Practice


class Shop:
    """Stands for hosts: remembers what was broken, and lets a test say what calls give."""

    id, hosts = "made-up", ("host-a", "host-b")

    def __init__(self):
        self.broken, self.error = [], None

    def break_shop(self, name, *, id):
        if self.error:
            raise self.error
        self.broken.append(name)


@pytest.fixture
def shop(monkeypatch):
    shop = Shop()
    for name, stand_in in {
        "shop": lambda **_: None,
        "break_shop": shop.break_shop,
        "calls": lambda **_: Calls({"a call": "it failed"}),
        "look": lambda _sandbox, step: (step.whole, True),
    }.items():
        monkeypatch.setattr(f"sandbox.widgets.practice.{name}", stand_in)
    return shop


@pytest.fixture
def practice(shop):
    practice = Practice(shop, choose=lambda left: left[0])
    yield practice
    practice.close()


def press(practice, button):
    button.click()
    deadline = time.monotonic() + 5
    while practice._busy:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def answer(practice, name):
    practice._guess.value = name
    press(practice, practice._answer)


def test_each_fault_comes_once_before_any_comes_again(practice, shop):
    for _ in range(len(FAULTS) + 1):
        press(practice, practice._break)
    assert shop.broken == [*(fault.name for fault in FAULTS), FAULTS[0].name]


def test_only_what_can_be_done_can_be_pressed(practice):
    assert practice._again.disabled and practice._guess.disabled and practice._answer.disabled
    press(practice, practice._break)
    assert not practice._again.disabled and practice._answer.disabled
    practice._guess.value = FAULTS[0].name
    assert not practice._answer.disabled


def test_a_wrong_answer_says_what_would_show_it_and_counts_as_a_try(practice):
    press(practice, practice._break)
    answer(practice, FAULTS[1].name)
    assert "Not so" in practice._message.value
    assert f"“{FAULTS[1].step}”" in practice._message.value
    answer(practice, FAULTS[0].name)
    assert "✓ Right" in practice._message.value
    assert "first try: 0 of 1" in practice._message.value
    press(practice, practice._break)
    answer(practice, FAULTS[1].name)
    assert "first try: 1 of 2" in practice._message.value


def test_who_has_seen_the_repair_did_not_find_it(practice):
    press(practice, practice._break)
    press(practice, practice._repair)
    assert "%%host a\ndocker exec client" in practice._message.value
    answer(practice, FAULTS[0].name)
    assert "first try: 0 of 1" in practice._message.value


@pytest.mark.parametrize("error", [SandboxError("No sandbox runs."), ValueError("odd")])
def test_an_error_is_said_and_the_same_fault_can_be_tried_again(practice, shop, error):
    shop.error = error
    press(practice, practice._break)
    assert 'role="alert"' in practice._message.value
    assert str(error.args[0]) in practice._message.value
    assert not practice._break.disabled and practice._guess.disabled
    shop.error = None
    press(practice, practice._break)
    assert shop.broken == [FAULTS[0].name]
