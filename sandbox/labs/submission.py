"""A submission is data: its ``%%host`` cells are read, its Python is never run."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat.notebooknode import NotebookNode

from sandbox.errors import SandboxError
from sandbox.hosts.cell import cell_options

__all__ = ["Step", "Submission", "notebook_text", "read"]

MAGIC = "%%host"
MOST_CELLS = 500


@dataclass(frozen=True, slots=True)
class Step:
    """A cell for a host. number: its place among all cells, from 1.

    path: the file that it is written to; "" if it is run.  wrong: why it cannot be done, or "".
    """

    number: int
    host: str
    text: str
    path: str = ""
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class Submission:
    """What a notebook does and says.

    lab, learner: as its call of ``sandbox.lab`` has them, or "".  answers: by question, of calls
    ``lab.answer("question", "text")``.
    """

    lab: str
    learner: str
    steps: tuple[Step, ...]
    answers: dict[str, str]


def notebook_text(cells: Sequence[NotebookNode]) -> str:
    """A notebook of those cells as it is written to a file, the same each time."""
    for number, cell in enumerate(cells):
        cell["id"] = f"c{number}"
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return str(nbformat.writes(notebook)) + "\n"


def read(path: Path) -> Submission:
    """Read a notebook. Raises SandboxError if it is none."""
    try:
        # The text alone: a notebook of the wrong form must not cost more than a message.
        notebook = nbformat.read(path, as_version=4)
        cells = [(str(it["cell_type"]), str(it["source"])) for it in notebook["cells"]]
    except OSError as error:
        raise SandboxError(
            f"{path} cannot be read.", why=error.strerror or "", fix="Give a notebook's path."
        ) from None
    except Exception as error:
        raise SandboxError(
            f"{path} is no notebook.",
            why=f"{type(error).__name__}: {error}"[:300],
            fix="Save it in JupyterLab, and hand that file in.",
        ) from None
    if len(cells) > MOST_CELLS:
        raise SandboxError(f"{path} has {len(cells)} cells; at most {MOST_CELLS} are read.")
    steps: list[Step] = []
    answers: dict[str, str] = {}
    lab = learner = ""
    for number, (kind, source) in enumerate(cells, 1):
        if kind != "code":
            continue
        first, _, text = source.lstrip("\n").partition("\n")
        words = first.split(maxsplit=1)
        if words[:1] == [MAGIC]:
            steps.append(_step(number, first.removeprefix(MAGIC).strip(), text))
            continue
        for name, arguments in _calls(source):
            if name == "answer" and len(arguments) == 2:
                answers[arguments[0]] = arguments[1]
            elif name == "lab" and arguments:
                lab, learner = (*arguments, "")[:2]
    return Submission(lab, learner, tuple(steps), answers)


def _step(number: int, line: str, text: str) -> Step:
    try:
        options = cell_options(line)
    except SandboxError as error:
        return Step(number, "", text, wrong=str(error))
    return Step(number, options.name, text, options.save or "")


def _calls(source: str) -> list[tuple[str, list[str]]]:
    """Calls of a method ``answer`` or ``lab`` with texts for arguments, in their order."""
    lines = ["" if it.lstrip().startswith(("%", "!")) else it for it in source.splitlines()]
    try:
        tree = ast.parse("\n".join(lines))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            given = [*node.args, *(it.value for it in node.keywords)]
            texts = [it.value for it in given if isinstance(it, ast.Constant)]
            if node.func.attr in ("answer", "lab") and all(isinstance(it, str) for it in texts):
                found.append((node.lineno, node.func.attr, [str(it) for it in texts]))
    return [(name, texts) for _, name, texts in sorted(found, key=lambda it: it[0])]
