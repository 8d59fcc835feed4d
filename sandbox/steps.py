"""What a long step is doing and how long is left: one interface, for people and for logs."""

from __future__ import annotations

import html
import sys
import time
from typing import Protocol, TextIO

__all__ = ["Quiet", "Steps", "TextSteps", "best"]


class Steps(Protocol):
    """Told of steps as they begin; shows them somewhere."""

    def begin(self, text: str, *, left: float | None = None) -> None:
        """A step begins. text: "-ing" form, no full stop. left: seconds until all is done."""
        ...

    def done(self, text: str) -> None:
        """All is done; text replaces the steps."""
        ...


class Quiet:
    """Shows nothing."""

    def begin(self, text: str, *, left: float | None = None) -> None:
        pass

    def done(self, text: str) -> None:
        pass


class TextSteps:
    """One line a step, with the seconds since the start: for terminals and logs."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._began = time.monotonic()

    def begin(self, text: str, *, left: float | None = None) -> None:
        rest = f", about {left:.0f} s left" if left else ""
        print(f"[{self._elapsed():5.1f} s] {text}{rest}", file=self._stream, flush=True)

    def done(self, text: str) -> None:
        print(f"[{self._elapsed():5.1f} s] {text}", file=self._stream, flush=True)

    def _elapsed(self) -> float:
        return time.monotonic() - self._began


class NotebookSteps:
    """A line of output that is rewritten while steps run, and is empty again at the end.

    nbval sees the first content of a display and no update of it, so first and last are equal.
    """

    def __init__(self) -> None:
        from IPython.display import display

        self._line = display(self._content(""), raw=True, display_id=True)

    def begin(self, text: str, *, left: float | None = None) -> None:
        rest = f" (about {left:.0f} s left)" if left else ""
        self._line.update(self._content(f"{text}{rest} …"), raw=True)

    def done(self, text: str) -> None:
        self._line.update(self._content(""), raw=True)
        print(text)

    @staticmethod
    def _content(text: str) -> dict[str, str]:
        # An empty text takes up a line in a notebook, an empty HTML fragment none.
        return {"text/plain": text, "text/html": html.escape(text)}


def best() -> Steps:
    """The display that fits where this runs."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return NotebookSteps() if shell is not None and hasattr(shell, "kernel") else TextSteps()
