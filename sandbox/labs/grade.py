"""Grades a submission in a sandbox of its own: pristine hosts, its cells, then the checks."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sandbox.errors import SandboxError
from sandbox.guest import wire
from sandbox.hosts import shell
from sandbox.hosts.cell import save
from sandbox.hosts.host import text_writer
from sandbox.hosts.sandbox import Sandbox, down, up
from sandbox.labs.checking import SETTLE_SECONDS, check, set_up
from sandbox.labs.checks import UNKNOWN, Finding
from sandbox.labs.lab import Commands, Lab, Task
from sandbox.labs.report import CellRun, Report, TaskResult
from sandbox.labs.scene import snapshot_of
from sandbox.labs.submission import Step, Submission
from sandbox.model.state import Snapshot
from sandbox.steps import Quiet, Steps

__all__ = ["Graded", "grade", "steps_of"]

# A cell may write for ever; the end of what it wrote is kept.
MOST_SAID = 2000
# Of how long its last cell may run over the submission's limit.
LEAST_SECONDS = 1.0


def steps_of(commands: Commands) -> tuple[Step, ...]:
    """Shell lines by host, as cells."""
    return tuple(Step(number, host, text) for number, (host, text) in enumerate(commands, 1))


def grade(
    lab: Lab,
    submission: Submission,
    *,
    id: str | None = None,
    steps: Steps | None = None,
) -> Report:
    """Run a submission's cells where its lab was set up, and check every task, hidden ones too.

    No Python of it is run, and nothing that it printed counts. Its sandbox, which has no way out,
    is removed at the end, whatever happens.  id: the sandbox's; None for a new one.

    Raises SandboxError if the sandbox does not start, or the lab cannot be set up.
    """
    with Graded(lab, id=id, steps=steps) as graded:
        return graded.run(submission.steps, submission.answers)


class Graded:
    """A sandbox in which a lab is set up for one submission, or for several one after another.

    Leaving it removes the sandbox.
    """

    def __init__(self, lab: Lab, *, id: str | None = None, steps: Steps | None = None) -> None:
        self._lab, self._steps = lab, steps or Quiet()
        self._id = id or f"grade-{uuid.uuid4().hex[:8]}"
        # One that has a lab under way is refused, and stays.
        self._ours = False

    def __enter__(self) -> Graded:
        return self

    def __exit__(self, *_: object) -> None:
        down(id=self._id, leave_lab=self._ours)

    def run(self, steps: Sequence[Step], answers: Mapping[str, str]) -> Report:
        """The report on these cells and answers, from pristine hosts. Raises SandboxError."""
        self.begin()
        return self.go_on(steps, answers)

    def begin(self) -> None:
        """Take the hosts back to pristine, and set the lab up. Raises SandboxError."""
        self._began = time.monotonic()
        self._sandbox = up(
            self._lab.sandbox_hosts,
            fresh=True,
            leave_lab=self._ours,
            id=self._id,
            steps=self._steps,
        )
        self._ours = True
        self._steps.begin(f"Setting {self._lab.name} up")
        self._start = snapshot_of(set_up(self._lab, self._sandbox))

    def go_on(
        self, steps: Sequence[Step], answers: Mapping[str, str], *, settle: float = SETTLE_SECONDS
    ) -> Report:
        """The report after these cells, too. settle: see ``check``. Raises SandboxError."""
        self._steps.begin("Running the submission's cells")
        cells, trouble = _run_cells(self._sandbox, steps, self._lab.seconds)
        self._steps.begin("Checking")
        hidden = self._lab.hidden()
        tasks = [*self._lab.tasks]
        tasks += [replace(task, hidden=True) for task in (hidden.tasks if hidden else ())]
        results, unread = _check(tasks, self._sandbox, self._start, answers, settle)
        report = Report(
            self._lab.name,
            self._lab.learner,
            results,
            time.monotonic() - self._began,
            cells,
            "; ".join(filter(None, (trouble, unread))),
        )
        self._steps.done(f"{report.earned} of {report.points} points")
        return report


def _check(
    tasks: Sequence[Task],
    sandbox: Sandbox,
    start: Snapshot,
    answers: Mapping[str, str],
    settle: float,
) -> tuple[tuple[TaskResult, ...], str]:
    unread = ""
    try:
        found = check(tasks, sandbox, start, answers, settle=settle)
    except SandboxError as error:
        # What cannot be looked at was not brought about, and the teacher is told.
        unread = "; ".join(filter(None, (error.what, error.why)))
        found = [
            tuple(Finding(UNKNOWN, it.wanted, error.what, it.places) for it in task.conditions)
            for task in tasks
        ]
    results = tuple(
        TaskResult(task.title, task.points, findings, hidden=task.hidden)
        for task, findings in zip(tasks, found, strict=True)
    )
    return results, unread


def _run_cells(
    sandbox: Sandbox, steps: Sequence[Step], seconds: float
) -> tuple[tuple[CellRun, ...], str]:
    """Run them in order until all are done or the time is over. A cell that fails ends nothing:
    in a notebook, too, the next one can be run.
    """
    deadline = time.monotonic() + seconds
    runs: list[CellRun] = []
    for step in steps:
        left = deadline - time.monotonic()
        if left < LEAST_SECONDS:
            late = f"cell {step.number} and those after it were not run"
            return tuple(runs), f"The cells took longer than {seconds:.0f} s: {late}."
        runs.append(_run_cell(sandbox, step, left))
    return tuple(runs), ""


def _run_cell(sandbox: Sandbox, step: Step, seconds: float) -> CellRun:
    if step.wrong:
        return CellRun(step.number, "", None, step.wrong)
    said = ""

    def write(text: str) -> None:
        nonlocal said
        said = (said + text)[-MOST_SAID:]

    take = text_writer(write)
    code = None
    try:
        host = sandbox.host(step.host)
        if step.path:
            save(host, step.path, step.text, write)
            code = 0
        else:
            report: list[bytes] = []
            code = host.stream(
                shell.argv(step.text),
                lambda kind, data: take(data) if kind == wire.STDOUT else report.append(data),
                timeout=seconds,
            )
            # As in a notebook: what ended because its reader had enough is no failure.
            if not shell.failure(step.text, code, b"".join(report), said.encode()):
                code = 0
    except SandboxError as error:
        write(f"\n{error}")
    return CellRun(step.number, step.host, code, said)
