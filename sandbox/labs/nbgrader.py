"""Labs as nbgrader's assignments: their source notebooks, and grades for its gradebook.

nbgrader (https://nbgrader.readthedocs.io) releases, collects, keeps grades and writes feedback.
It would grade by running a submission's Python; here its step ``Execute`` is replaced.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from nbformat.notebooknode import NotebookNode
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import is_grade
from traitlets import Unicode

from sandbox.errors import SandboxError
from sandbox.labs.batch import entry_of, kept
from sandbox.labs.grade import grade
from sandbox.labs.lab import COURSE, Lab, Task, load
from sandbox.labs.submission import notebook_text, read

__all__ = ["GradeInSandbox", "source_page", "write_sources"]

SCHEMA = 3  # nbgrader's metadata, see its documentation, "Metadata"


def source_page(lab: Lab) -> str:
    """nbgrader's source notebook of a lab as text: solution cells, and a graded cell for each task.

    Raises SandboxError if the lab has no hidden.py.
    """
    hidden = lab.hidden()
    if hidden is None:
        raise SandboxError(f"{lab.name} has no hidden.py, so it cannot be handed out.")
    cells = [
        _text(
            f"# {lab.title}\n\nAbout {lab.minutes} minutes. Write your name as your teacher has it "
            "into the next cell, and run it: it shows what there is to do, in names, subnets and "
            "ports that are yours alone. What is graded is what the `%%host` cells below do, from "
            "top to bottom, on new hosts; add as many as you like."
        ),
        _code(f'import sandbox\n\nlab = sandbox.lab("{lab.name}", learner="your name")\nlab'),
    ]
    for number, question in enumerate(lab.questions, 1):
        answer = hidden.answers[question]
        cells += [
            _text(f"**{question}** Write the answer in place of the dots."),
            _code(
                f"### BEGIN SOLUTION\nlab.answer({question!r}, {answer!r})\n### END SOLUTION",
                f"answer-{number}",
                solution=True,
            ),
        ]
    for number, (host, lines) in enumerate(hidden.solution, 1):
        text = f"%%host {host}\n### BEGIN SOLUTION\n{lines.strip()}\n### END SOLUTION"
        cells.append(_code(text, f"work-{number}", solution=True))
    for number, (task, is_hidden) in enumerate(_all_tasks(lab), 1):
        text = f"lab.check()  # task {number}"
        if is_hidden:
            text = f"### BEGIN HIDDEN TESTS\n# {task.title}\n### END HIDDEN TESTS"
        cells.append(_code(text, f"task-{number}", points=task.points))
    return notebook_text(cells)


def _all_tasks(lab: Lab) -> list[tuple[Task, bool]]:
    hidden = lab.hidden()
    return [
        *((task, False) for task in lab.tasks),
        *((task, True) for task in (hidden.tasks if hidden else ())),
    ]


def _text(source: str) -> NotebookNode:
    cell: NotebookNode = nbformat.v4.new_markdown_cell(source)
    return cell


def _code(
    source: str, id: str = "", *, solution: bool = False, points: int | None = None
) -> NotebookNode:
    cell: NotebookNode = nbformat.v4.new_code_cell(source)
    if id:
        cell.metadata["nbgrader"] = {
            "grade": points is not None,
            "grade_id": id,
            "locked": points is not None,
            "schema_version": SCHEMA,
            "solution": solution,
            "task": False,
            **({} if points is None else {"points": points}),
        }
    return cell


def write_sources(course: Path, names: list[str], *, root: Path = COURSE) -> list[Path]:
    """Write COURSE/source/LAB/LAB.ipynb for each of those labs; gives the paths."""
    written = []
    for name in names:
        path = course / "source" / name / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source_page(load(name, root=root)), encoding="utf-8")
        written.append(path)
    return written


class GradeInSandbox(NbGraderPreprocessor):
    """Puts the points that a submission earned in a sandbox of its own into its graded cells.

    What ``python -m sandbox.labs grade-all`` graded before is taken from there.
    """

    submitted = Unicode("submitted", help="The folder of submissions.").tag(config=True)
    graded = Unicode("graded", help="The folder of grade-all's reports.").tag(config=True)

    def preprocess(
        self, nb: NotebookNode, resources: dict[str, Any]
    ) -> tuple[NotebookNode, dict[str, Any]]:
        """Called by nbgrader with the submission, whose graded cells are those of the source.

        Raises SandboxError if it cannot be graded, so that nbgrader reports it as failed.
        """
        about = resources["nbgrader"]
        student, name = about["student"], about["assignment"]
        path = Path(self.submitted) / student / name / f"{about['notebook']}.ipynb"
        entry = entry_of(student, name, path)
        report = kept(entry, Path(self.graded)) or (
            grade(load(name, student, root=COURSE), read(path)).to_dict()
        )
        tasks = {f"task-{number}": task for number, task in enumerate(report["tasks"], 1)}
        for cell in nb.cells:
            if is_grade(cell):
                cell.outputs = _outputs(tasks.get(cell.metadata.nbgrader["grade_id"]))
        return nb, resources


def _outputs(task: dict[str, Any] | None) -> list[NotebookNode]:
    """What nbgrader reads a cell's points from: its result, a number."""
    if task is None:
        task = {"title": "There is no such task.", "earned": 0, "findings": []}
    lines = [task["title"]]
    for finding in task["findings"]:
        if finding["state"] != "passed":
            lines += [f"expected: {finding['wanted']}", f"seen: {finding['seen']}"]
    return [
        nbformat.v4.new_output("stream", name="stdout", text="\n".join(lines) + "\n"),
        nbformat.v4.new_output(
            "execute_result", data={"text/plain": str(task["earned"])}, execution_count=1
        ),
    ]
