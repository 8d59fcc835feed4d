"""What a check of a lab found: tasks with their points, for people, JSON and JUnit."""

from __future__ import annotations

import dataclasses
import html
import json
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from sandbox.labs.checks import Finding

__all__ = ["CellRun", "Report", "TaskResult"]

_SIGNS = {"passed": "✓", "failed": "✗", "unknown": "?"}


@dataclass(frozen=True, slots=True)
class TaskResult:
    """How a task stands. cost: points taken off for hints.  hidden: only a teacher has it."""

    title: str
    points: int
    findings: tuple[Finding, ...]
    cost: int = 0
    hidden: bool = False

    @property
    def state(self) -> str:
        """``passed`` if all findings are, ``unknown`` if one is and none failed, or ``failed``."""
        states = {finding.state for finding in self.findings}
        return next((it for it in ("failed", "unknown") if it in states), "passed")

    @property
    def earned(self) -> int:
        """Its points if it passed, less the hints' cost; else 0."""
        return self.points - self.cost if self.state == "passed" else 0

    @property
    def wrong(self) -> tuple[Finding, ...]:
        """The findings that did not pass."""
        return tuple(finding for finding in self.findings if not finding.passed)


@dataclass(frozen=True, slots=True)
class CellRun:
    """A cell of a submission that was run. number: its place among all cells, from 1.

    code: its shell's exit status; None if it did not end.  said: the end of its output.
    """

    number: int
    host: str
    code: int | None
    said: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What was found. lab, learner: whose.  seconds: since it was started.

    cells: of a submission, what was run.  trouble: what kept a submission from being run whole.
    """

    lab: str
    learner: str
    tasks: tuple[TaskResult, ...]
    seconds: float
    cells: tuple[CellRun, ...] = ()
    trouble: str = ""

    @property
    def earned(self) -> int:
        return sum(task.earned for task in self.tasks)

    @property
    def points(self) -> int:
        return sum(task.points for task in self.tasks)

    @property
    def complete(self) -> bool:
        """Whether every task passed, hints or not."""
        return all(task.state == "passed" for task in self.tasks)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: the fields, and ``earned``, ``points`` and each task's ``state``."""
        tasks = [
            {**dataclasses.asdict(task), "state": task.state, "earned": task.earned}
            for task in self.tasks
        ]
        return {
            **dataclasses.asdict(self),
            "tasks": tasks,
            "earned": self.earned,
            "points": self.points,
        }

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    def to_junit(self) -> str:
        """An XML text as JUnit writes it: a test case for each task, an error where it is unknown.

        Its form is what CI systems read, see https://github.com/testmoapp/junitxml.
        """
        suite = ElementTree.Element(
            "testsuite",
            name=self.lab,
            tests=str(len(self.tasks)),
            time=f"{self.seconds:.1f}",
            failures=str(sum(task.state == "failed" for task in self.tasks)),
            errors=str(sum(task.state == "unknown" for task in self.tasks)),
        )
        for task in self.tasks:
            case = ElementTree.SubElement(suite, "testcase", classname=self.lab, name=task.title)
            if task.state != "passed":
                kind = "failure" if task.state == "failed" else "error"
                told = ElementTree.SubElement(
                    case, kind, message=f"{task.earned} of {task.points} points"
                )
                told.text = _xml("\n".join(f"{it.wanted}: {it.seen}" for it in task.wrong))
        return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)

    def __str__(self) -> str:
        lines = [f"{self.lab}: {self.earned} of {self.points} points"]
        for task in self.tasks:
            cost = f", {task.cost} taken off for hints" if task.cost else ""
            lines.append(
                f"{_SIGNS[task.state]} {task.title} ({task.earned} of {task.points}{cost})"
            )
            for finding in task.wrong:
                lines.append(f"    expected: {finding.wanted}")
                unclear = "could not tell: " if finding.state == "unknown" else "seen: "
                lines.append(f"    {unclear}{finding.seen}")
        if self.trouble:
            lines.append(self.trouble)
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        share = 100 * self.earned / self.points if self.points else 0
        rows = "".join(map(_row, self.tasks))
        return (
            f'<div class="wire-by-wire-report"><p><b>{self.earned} of {self.points} points</b> '
            f'<meter min="0" max="100" value="{share:.0f}">{share:.0f} %</meter></p>'
            f"<table>{rows}</table><p>{html.escape(self.trouble)}</p></div>"
        )


def _xml(text: str) -> str:
    """Without the control characters that XML cannot hold (XML 1.0, 2.2)."""
    return "".join(it for it in text if it in "\t\n" or it >= " ")


def _row(task: TaskResult) -> str:
    cell = '<td style="text-align: left; vertical-align: top">{}</td>'
    wrong = "".join(
        f"<br>expected: {html.escape(it.wanted)}<br>"
        f"{'could not tell' if it.state == 'unknown' else 'seen'}: {html.escape(it.seen)}"
        for it in task.wrong
    )
    word = {"passed": "✓ done", "failed": "✗ not yet", "unknown": "? unclear"}[task.state]
    cells = (
        f'<span style="white-space: nowrap">{word}</span>',
        f"{html.escape(task.title)}{wrong}",
        f"{task.earned}/{task.points}",
    )
    return f"<tr>{''.join(map(cell.format, cells))}</tr>"
