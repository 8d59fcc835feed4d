"""A lab as a learner does it: start, work, check, hints; it survives a kernel's restart."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from sandbox import record
from sandbox.errors import SandboxError
from sandbox.hosts.sandbox import LAB_MARKER, Sandbox, default_id, find, keep_lab, settled, up
from sandbox.labs.checking import check, run_commands, set_up
from sandbox.labs.lab import HINT_COSTS, Lab, Task
from sandbox.labs.report import Report, TaskResult
from sandbox.labs.scene import snapshot_of
from sandbox.model.state import Snapshot
from sandbox.steps import Steps, best

if TYPE_CHECKING:
    from sandbox.views.graph import Mark
    from sandbox.views.topology import Topology

__all__ = ["Session", "cost_of", "next_cost"]

# Who waits for a check can ask again.
SETTLE_SECONDS = 2.0


class Displayed(Protocol):
    """Something that a notebook shows."""

    def _repr_mimebundle_(self, **options: Any) -> Any: ...


class Session:
    """One learner's work on a lab.

    lab: what it is.  id: the sandbox's.  panel: makes what a notebook shows of it.
    """

    def __init__(
        self, lab: Lab, id: str, panel: Callable[[Session], Displayed] | None = None
    ) -> None:
        self.lab, self.id, self._panel = lab, id, panel
        self._report: Report | None = None

    def __repr__(self) -> str:
        kept = record.read().lab(self.lab.name)
        tasks = [
            f"{number}. {task.title} ({task.points} points)"
            for number, task in enumerate(self.lab.tasks, 1)
        ]
        asked = [f"Question: {question}" for question in self.lab.questions]
        score = f"Best so far: {kept.best} of {self.lab.points} points"
        head = f"{self.lab.title} ({self.lab.minutes} minutes)"
        return "\n".join([head, "", self.lab.story.strip(), "", *tasks, *asked, score])

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        shown = self._panel(self)._repr_mimebundle_(**options) if self._panel else None
        return shown or {"text/plain": repr(self)}

    @property
    def seconds(self) -> float:
        """Since it was started; 0 if it was not."""
        started = record.read().lab(self.lab.name).started
        return time.time() - started if started else 0.0

    def start(self, *, leave_lab: bool = False, steps: Steps | None = None) -> None:
        """Put the hosts back as new, and build the scenario. What was there is gone; hints and
        answers too.

        leave_lab: even though another lab was begun on these hosts and is not finished.

        Raises SandboxError.
        """
        shown = steps or best()
        if (found := find(self.id)) and not leave_lab:
            given = f'"{self.lab.name}"'
            given += "" if self.id == default_id() else f', id="{self.id}"'
            anyway = f"sandbox.lab({given}).start(leave_lab=True)"
            keep_lab(found, anyway, other_than=self.lab.name)
        sandbox = up(self.lab.sandbox_hosts, fresh=True, leave_lab=True, id=self.id, steps=shown)
        shown.begin(f"Setting {self.lab.name} up")
        raw = set_up(self.lab, sandbox)
        record.begin(self.lab.name, self.lab.points, raw)
        self._report = None
        mark = [(name, f"echo {self._mark} > {LAB_MARKER}") for name in sandbox.hosts]
        run_commands(sandbox, mark, f"Setting {self.lab.name} up")
        shown.done(f"{self.lab.title}: set up on {', '.join(sandbox.hosts)}")

    reset = start

    @property
    def _mark(self) -> str:
        return f"{self.lab.name}/{self.lab.learner.encode().hex()}"

    def _marked(self, sandbox: Sandbox) -> bool:
        return all(
            sandbox.host(name).run(f"cat {LAB_MARKER}").stdout.strip() == self._mark
            for name in sandbox.hosts
        )

    def check(self) -> Report:
        """How the tasks stand now; the best score is kept. Nothing on the hosts is changed.

        Raises SandboxError if the lab is not set up, or a host does not answer.
        """
        sandbox = find(self.id)
        if sandbox is None or not self._marked(sandbox):
            raise SandboxError(
                f"The lab {self.lab.name} is not set up on these hosts.",
                why="it was not started, or they were put back as new since",
                fix="Press Start, or lab.start(); that builds the scenario again.",
            )
        kept = record.read().lab(self.lab.name)
        found = check(self.lab.tasks, sandbox, self._start(), kept.answers, settle=SETTLE_SECONDS)
        results = tuple(
            TaskResult(task.title, task.points, findings, cost_of(task, kept.hints))
            for task, findings in zip(self.lab.tasks, found, strict=True)
        )
        report = Report(self.lab.name, self.lab.learner, results, self.seconds)
        took = report.seconds if report.complete else None
        record.change(record.keep_score, self.lab.name, report.earned, report.points, took)
        self._report = report
        return report

    def topology(self) -> Topology:
        """The hosts as they are now, with what the last check found wrong in red.

        Raises SandboxError if no sandbox runs.
        """
        from sandbox.views.topology import Topology

        now = settled(id=self.id)
        return Topology(now, marks=self.marks(now))

    def marks(self, now: Snapshot) -> list[Mark]:
        """What the last check found wrong, at nodes of the picture of that moment."""
        from sandbox.views.graph import Mark

        tasks = self._report.tasks if self._report else ()
        found = []
        for finding in (finding for task in tasks for finding in task.wrong):
            text = f"{finding.wanted}: {finding.seen}"
            if finding.at_fault:
                # A bridge without a network is named as its node is.
                found += [Mark((_node(now, it) or it,), text) for it in finding.at_fault]
            elif ends := dict.fromkeys(filter(None, (_node(now, it) for it in finding.places))):
                found.append(Mark(tuple(ends)[:2], text))
        return found

    def _start(self) -> Snapshot | None:
        with contextlib.suppress(OSError, ValueError):
            return snapshot_of(json.loads(record.start_path(self.lab.name).read_text()))
        return None

    def hint(self, task: int) -> str:
        """The next hint for a task, which costs some of its points; the last one again when there
        are no more. task: its number, from 1. Raises SandboxError if there is no such task.
        """
        if not isinstance(task, int) or not 1 <= task <= len(self.lab.tasks):
            raise SandboxError(
                f"There is no task {task!r}.", fix=f"Give its number, 1 to {len(self.lab.tasks)}."
            )
        wanted = self.lab.tasks[task - 1]
        if not wanted.hints:
            return "There is no hint for this task."
        name, title, most = self.lab.name, wanted.title, len(wanted.hints)
        kept = record.change(record.take_hint, name, title, most)
        return wanted.hints[kept.lab(name).hints[title] - 1]

    def answer(self, question: str | int, text: str) -> None:
        """Answer a question in words. question: it, or its number, from 1.

        Raises SandboxError if the lab does not ask it.
        """
        asked = self.lab.questions
        if isinstance(question, int) and 1 <= question <= len(asked):
            question = asked[question - 1]
        if question not in asked:
            raise SandboxError(
                f"The lab does not ask {question!r}.",
                fix=f"It asks: {'; '.join(asked)}" if asked else "It has no questions.",
            )
        if not isinstance(text, str):
            raise SandboxError(f"{text!r} is not text.", fix='Write it in quotes: "web".')
        record.change(record.answer, self.lab.name, question, text)


def _node(now: Snapshot, place: str) -> str:
    """The id of the node that a place of a condition has in the picture; "" for none."""
    for container in now.containers():
        if place in (container.name, f"{container.host}/{container.name}"):
            return f"{container.host}/{container.name}"
    return place if "/" in place or now.host(place) else ""


def cost_of(task: Task, hints: Mapping[str, int]) -> int:
    """The points that hints took off a task. hints: how many were taken, by task's title.

    Whole points, rounded down in the learner's favour.
    """
    taken = hints.get(task.title, 0)
    return int(task.points * sum(HINT_COSTS[:taken]))


def next_cost(task: Task, hints: Mapping[str, int]) -> int:
    """The points that one more hint takes off."""
    more = {**hints, task.title: min(hints.get(task.title, 0) + 1, len(task.hints))}
    return cost_of(task, more) - cost_of(task, hints)
