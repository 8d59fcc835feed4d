"""Practice: something in the shop is broken at random, and a learner finds out what."""

from __future__ import annotations

import random
from collections.abc import Callable

import ipywidgets as widgets

from sandbox.hosts.sandbox import Sandbox
from sandbox.lessons.shop import FAULTS, STEPS, Calls, Fault, break_shop, calls, look, shop
from sandbox.steps import Quiet
from sandbox.widgets.box import Worker

__all__ = ["Practice"]

_STEPS = {step.title: step for step in STEPS}


class Practice(Worker):
    """Opens the shop, breaks one thing, and takes answers to what it is. close() ends it.

    sandbox: one with two hosts.  choose: picks the next fault out of those that are left.
    """

    def __init__(
        self, sandbox: Sandbox, choose: Callable[[list[Fault]], Fault] = random.choice
    ) -> None:
        super().__init__()
        self._sandbox, self._choose = sandbox, choose
        self._fault: Fault | None = None
        self._left: list[Fault] = []
        self._tries = self._rounds = self._at_first_try = 0
        self._calls = widgets.HTML()
        self._break = self._button("Break something", self._on_break, "opens the shop again first")
        self._again = self._button("Call again", self._on_call, "make the four calls")
        self._guess = widgets.Dropdown(
            options=[("…", ""), *((fault.cause, fault.name) for fault in FAULTS)],
            description="What is it?",
            layout={"width": "auto"},
        )
        self._guess.observe(lambda _: self._enable(), names="value")
        self._answer = self._button("That is it", self._on_answer, "check this answer")
        self._repair = self._button("Show the repair", self._on_repair, "gives the answer away")
        self.children = (
            widgets.HBox([self._break, self._again]),
            self._calls,
            widgets.HBox([self._guess, self._answer, self._repair]),
            self._message,
        )
        self.add_class("wire-by-wire-practice")
        self._say("Press “Break something”. It takes about half a minute.")
        self._enable()

    def __repr__(self) -> str:
        return f"<Practice on {', '.join(self._sandbox.hosts)}>"

    def _enable(self) -> None:
        idle, broken = not self._busy, self._fault is not None
        self._break.disabled = not idle
        self._again.disabled = self._guess.disabled = self._repair.disabled = not (idle and broken)
        self._answer.disabled = not (idle and broken and self._guess.value)

    def _on_break(self) -> None:
        self._fault = None
        self._guess.value = self._calls.value = ""
        self._say("Opening the shop, and breaking something …")
        shop(id=self._sandbox.id, steps=Quiet())
        # Each comes once before any comes again.
        self._left = self._left or list(FAULTS)
        fault = self._choose(self._left)
        break_shop(fault.name, id=self._sandbox.id)
        self._left.remove(fault)
        self._fault, self._tries = fault, 0
        self._rounds += 1
        self._call()
        self._say("Something is broken. Follow the decision tree, and say what it is.")

    def _call(self) -> Calls:
        found = calls(id=self._sandbox.id)
        self._calls.value = found._repr_html_()
        return found

    def _on_call(self) -> None:
        if self._call().failed:
            self._say("Not all calls succeed yet.")
        else:
            self._say("All calls succeed: it is repaired. Break the next.")

    def _on_repair(self) -> None:
        assert self._fault
        self._tries += 1
        lines = "\n".join((f"%%host {self._fault.host}", *self._fault.repair))
        self._say("In a cell:", lines, "Then call again.")

    def _on_answer(self) -> None:
        assert self._fault
        guessed = next(fault for fault in FAULTS if fault.name == self._guess.value)
        step = _STEPS[guessed.step]
        said, _ = look(self._sandbox, step)
        self._tries += 1
        if guessed is self._fault:
            self._at_first_try += self._tries == 1
            verdict = f"✓ Right, and the step “{step.title}” shows it: {step.wrong}"
            then = (
                f"Found at the first try: {self._at_first_try} of {self._rounds}. "
                "Now repair it, and call again."
            )
        else:
            why = "" if guessed.fails == self._fault.fails else " Other calls would fail then."
            verdict = f"✗ Not so.{why} The step “{step.title}” would show it:"
            then = f"In order would be: {step.whole}"
        self._say(verdict, f"host-{step.host}$ {step.command}\n{said}", then)
