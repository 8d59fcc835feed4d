"""The one exception that a learner may meet, how it is shown, and how advice is written."""

from __future__ import annotations

import os
import reprlib
import shlex
import shutil
import sys
from collections.abc import Collection
from pathlib import Path

from sandbox import settings

__all__ = [
    "UNSEEN",
    "CellFailed",
    "SandboxError",
    "advice",
    "chosen",
    "course",
    "default_id",
    "expect",
    "setting",
    "shell",
    "written",
]

# Set in a process that does not know where its errors are read.
UNSEEN = "WIRE_BY_WIRE_UNSEEN"


def advice(notebook: str, terminal: str) -> str:
    """What to do, in the language of the place where it is read: Python in a notebook (or in
    IPython), a shell command elsewhere; both where that is not known.
    """
    if settings.read(UNSEEN):
        return f"{terminal} (in a notebook: {notebook})"
    ipython = sys.modules.get("IPython")
    return notebook if ipython and ipython.get_ipython() else terminal


def shell(command: str) -> str:
    """That command for a shell, which a reader of a notebook types in a terminal."""
    there = f"in a terminal, {command}"
    return there if settings.read(UNSEEN) else advice(there, command)


def course(command: str, notebook: str = "", *, module: str = "sandbox") -> str:
    """A command of the course, such as ``down --id mine``, with the Python that has it.

    notebook: the call that does the same in a notebook, if there is one.
    """
    here = f"{_python()} -m {module} {command}"
    if notebook:
        return advice(notebook, here)
    # JupyterLab's terminals have the course's Python first.
    there = f"in a terminal of JupyterLab, python -m {module} {command}"
    return there if settings.read(UNSEEN) else advice(there, here)


def default_id() -> str:
    """The sandbox meant when none is named: SANDBOX_ID, or ``default``."""
    return settings.read("SANDBOX_ID") or "default"


def written(name: str, sandbox_id: str, *options: tuple[str, str]) -> str:
    """A call on that sandbox, ``sandbox.reset()``, or the command that does the same.

    name: of the function and the command.  options: each as Python has it, and as a shell.
    """
    meant = sandbox_id == default_id() and not settings.read(UNSEEN)
    given = [*options, *([] if meant else [(f'id="{sandbox_id}"', f"--id {sandbox_id}")])]
    command = " ".join((name, *(word for _, word in given)))
    return course(command, f"sandbox.{name}({', '.join(python for python, _ in given)})")


def setting(name: str, value: str = "") -> str:
    """How to set an environment variable for what is run next; without a value, to unset it."""
    # IPython has no way to unset one; for the course an empty one is the same.
    there = f"run %env {name}={value} in a cell"
    if name == "TMPDIR":
        # Python reads it once.
        there = f"stop JupyterLab, run export {name}={value} in a terminal, and start it from there"
    return advice(there, f"run export {name}={value}" if value else f"run unset {name}")


def chosen(name: str, *, among: Collection[str] = ()) -> str:
    """What that variable of ``settings`` is set to; "" if it is not.

    among: what it takes, where its row does not say so. Raises SandboxError for anything else.
    """
    value, known = settings.read(name), settings.SETTINGS[name]
    takes, example, fits = known.takes, known.example, known.fits
    if among:
        *others, example = among
        takes, fits = f"{', '.join(others)} or {example}", among.__contains__
    if value and takes and not fits(value):
        raise SandboxError(
            f"{name} is {value!r}.",
            why=f"it has to be {takes}",
            fix=f"{setting(name, example)}; or {setting(name)}",
        )
    return value


def _python() -> str:
    """What the shell from which this was run calls this Python."""
    found = shutil.which("python")
    if found and Path(found).parent == Path(sys.executable).parent:
        return "python"
    try:
        near = os.path.relpath(sys.executable)
    except OSError:  # the current folder is gone
        near = ".."
    return shlex.quote(sys.executable if near.startswith("..") else near)


class SandboxError(Exception):
    """Something that the person at the keyboard can put right.

    what: one sentence that says what is wrong.
    why: the cause as far as it is known, or "".
    fix: what to do about it, as a command where there is one, or "".

    Notebooks and the command line show the text alone, without a traceback.
    """

    def __init__(self, what: str, *, why: str = "", fix: str = "") -> None:
        self.what, self.why, self.fix = what, why, fix
        super().__init__(what, why, fix)

    def __str__(self) -> str:
        lines = [self.what]
        if self.why:
            lines.append(f"Why: {self.why}")
        if self.fix:
            lines.append(f"What to do: {self.fix}")
        return "\n".join(lines)

    def _render_traceback_(self) -> list[str]:
        # IPython calls this in place of formatting the stack.
        return [f"{type(self).__name__}: {self}"]


class CellFailed(SandboxError):
    """A ``%%host`` cell ended with a status that it did not expect."""


def expect(value: object, kind: type | tuple[type, ...], what: str, fix: str) -> None:
    """Raise SandboxError if value is not of that kind. what: how that is called, with its article.

    For what a learner gives us: a TypeError of Python's would come with our own lines.
    """
    if not isinstance(value, kind):
        raise SandboxError(f"{reprlib.repr(value)} is not {what}.", fix=fix)
