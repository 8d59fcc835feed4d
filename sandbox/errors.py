"""The one exception that a learner may meet, and how it is shown."""

from __future__ import annotations

import sys

__all__ = ["CellFailed", "SandboxError", "advice"]


def advice(notebook: str, terminal: str) -> str:
    """What to do, in the language of the place where it is read: Python in a notebook (or in
    IPython), a shell command elsewhere.
    """
    ipython = sys.modules.get("IPython")
    return notebook if ipython and ipython.get_ipython() else terminal


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
