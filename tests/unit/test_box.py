"""What widgets with buttons share: one thing at a time, and what goes wrong is said."""

import threading

import pytest

from sandbox.errors import SandboxError
from sandbox.widgets.box import Worker
from tests.hosts import until


class Counting(Worker):
    """Has one button, which counts."""

    def __init__(self):
        self.count, self.wrong = 0, None
        self.go_on = threading.Event()
        super().__init__()
        self.button = self._button("Count", self._on_count, "one more")

    def _enable(self):
        self.button.disabled = self._busy
        if self.wrong:
            raise self.wrong

    def _on_count(self):
        assert self.go_on.wait(10)
        self.count += 1


@pytest.fixture
def counting():
    counting = Counting()
    yield counting
    counting.go_on.set()
    counting.close()


def press(counting):
    counting.button.click()
    until("it is done", lambda: not counting._busy, 10)


def test_of_clicks_that_wait_only_the_first_counts(counting):
    counting.button.click()
    counting.button.click()
    assert counting.button.disabled
    counting.go_on.set()
    until("it is done", lambda: not counting._busy, 10)
    press(counting)
    assert counting.count == 2


def test_a_click_that_waited_while_it_was_closed_does_nothing(counting, caplog):
    counting.go_on.set()
    counting.close()
    counting.button.click()
    assert not counting._busy and counting.count == 0
    assert caplog.text == ""


@pytest.mark.parametrize("wrong", [SandboxError("It cannot be read."), KeyError("It")])
def test_a_control_that_cannot_be_switched_is_told_and_the_buttons_go_on(counting, wrong):
    counting.go_on.set()
    counting.wrong = wrong
    press(counting)
    until("it is told", lambda: 'role="alert"' in counting._message.value, 10)
    assert str(wrong.args[0]) in counting._message.value
    counting.wrong = None
    press(counting)
    assert counting.count == 2
    assert not counting.button.disabled
