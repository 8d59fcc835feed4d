"""A lab on the page: its story, a button that sets it up, its tasks, and a button that checks."""

from __future__ import annotations

import html
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import ipywidgets as widgets
import mistune

from sandbox import record
from sandbox.errors import SandboxError
from sandbox.hosts.sandbox import snapshot
from sandbox.labs.session import cost_of, next_cost
from sandbox.widgets.box import Worker
from sandbox.widgets.live import LiveTopology
from sandbox.widgets.registry import replace

if TYPE_CHECKING:
    from sandbox.labs.report import Report
    from sandbox.labs.session import Session

__all__ = ["LabPanel", "panel_of"]


class LabPanel(Worker):
    """Start, tasks with their hints, answers to questions, Check. close() ends it."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session, lab = session, session.lab
        self._started = bool(record.read().lab(lab.name).started)
        self._start_button = self._button(
            "Start over" if self._started else "Start",
            self._on_start,
            "puts the hosts back as new and builds the scenario",
        )
        self._check_button = self._button("Check", self._on_check, "looks at the hosts")
        self._clock = widgets.HTML()
        self._report = widgets.HTML()
        # A picture is large; it comes with the first check that finds something wrong.
        self._picture: LiveTopology | None = None
        self._below = widgets.VBox()
        self._hints = [widgets.HTML() for _ in lab.tasks]
        self._hint_buttons = [
            self._button("Hint", partial(self._on_hint, number), "says a little more")
            for number in range(1, len(lab.tasks) + 1)
        ]
        kept = record.read().lab(lab.name).answers
        self._answers = [
            widgets.Text(
                value=kept.get(question, ""),
                description=f"Answer {number}",
                continuous_update=False,
            )
            for number, question in enumerate(lab.questions, 1)
        ]
        for question, field in zip(lab.questions, self._answers, strict=True):
            field.observe(partial(self._on_answer, question), names="value")
        rows = [
            widgets.VBox(
                [
                    widgets.HTML(
                        f"<b>{number}. {html.escape(task.title)}</b> ({task.points} points)"
                    ),
                    widgets.HBox([button, hint]),
                ]
            )
            for number, (task, button, hint) in enumerate(
                zip(lab.tasks, self._hint_buttons, self._hints, strict=True), 1
            )
        ]
        asked = [
            widgets.VBox([widgets.HTML(html.escape(question)), field])
            for question, field in zip(lab.questions, self._answers, strict=True)
        ]
        title = f"<h3>{html.escape(lab.title)}</h3><p>About {lab.minutes} minutes</p>"
        self.children = (
            widgets.HTML(title + str(mistune.html(lab.story))),
            widgets.HBox([self._start_button, self._check_button, self._clock]),
            *rows,
            *asked,
            self._report,
            self._below,
            self._message,
        )
        self.add_class("wire-by-wire-lab")
        self._tell_costs()
        self._say(
            "The scenario was set up before; go on, or start over."
            if self._started
            else "Press “Start”. It puts the hosts back as new, and builds the scenario."
        )
        self._enable()

    def __repr__(self) -> str:
        return repr(self._session)

    def _enable(self) -> None:
        idle = not self._busy
        self._start_button.disabled = not idle
        self._check_button.disabled = not (idle and self._started)
        kept = record.read().lab(self._session.lab.name).hints
        for task, button in zip(self._session.lab.tasks, self._hint_buttons, strict=True):
            left = kept.get(task.title, 0) < len(task.hints)
            button.disabled = not (idle and self._started and left)

    def _tell_costs(self) -> None:
        kept = record.read().lab(self._session.lab.name).hints
        for task, button, shown in zip(
            self._session.lab.tasks, self._hint_buttons, self._hints, strict=True
        ):
            cost = next_cost(task, kept)
            button.description = f"Hint (costs {cost})" if cost else "Hint"
            taken = task.hints[: kept.get(task.title, 0)]
            spent = cost_of(task, kept)
            lines = [html.escape(hint) for hint in taken]
            lines += [f"<i>{spent} points taken off</i>"] if spent else []
            shown.value = "<br>".join(lines)

    def _on_start(self) -> None:
        self._report.value = ""
        self._below.children = ()
        if self._picture:
            self._picture.close()
            self._picture = None
        self._session.start(steps=_Said(self._say))
        self._started = True
        self._start_button.description = "Start over"
        for field in self._answers:
            field.value = ""
        self._tell_costs()
        self._say("It is set up. Work in cells with %%host, or in a terminal; then press “Check”.")

    def _on_answer(self, question: str, change: dict[str, str]) -> None:
        # An answer given in a cell counts until another is written here.
        if change["new"]:
            try:
                self._session.answer(question, change["new"])
            except SandboxError as error:
                self._say(str(error), failed=True)

    def _on_check(self) -> None:
        self._say("Looking at the hosts …")
        report = self._session.check()
        if self._picture or not report.complete:
            self._draw()
        self._show(report)

    def _show(self, report: Report) -> None:
        self._report.value = report._repr_html_()
        minutes, seconds = divmod(int(report.seconds), 60)
        self._clock.value = f"{minutes}:{seconds:02} since the start"
        best = record.read().lab(self._session.lab.name).best
        done = "All tasks are done. " if report.complete else ""
        self._say(f"{done}Best so far: {best} of {report.points} points.")

    def _draw(self) -> None:
        """The hosts with what is wrong in red."""
        now = snapshot(id=self._session.id)
        if self._picture is None:
            self._picture = LiveTopology()
            self._below.children = (self._picture,)
        self._picture.show(now, marks=self._session.marks(now))

    def _on_hint(self, number: int) -> None:
        self._session.hint(number)
        self._tell_costs()


def panel_of(session: Session) -> LabPanel:
    """A panel for that lab; an earlier one for the same sandbox is closed."""
    return replace(LabPanel, session.id, lambda: LabPanel(session))


class _Said:
    """Shows steps by a function."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def begin(self, text: str, *, left: float | None = None) -> None:
        rest = f", about {left:.0f} s left" if left else ""
        self._say(f"{text}{rest} …")

    def done(self, text: str) -> None:
        self._say(text)
