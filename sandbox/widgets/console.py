"""The panel's command line: what a click ran, and what came of it."""

from __future__ import annotations

import shlex
import threading

import anywidget
import traitlets

from sandbox.views.topology import front_end

__all__ = ["Console"]


class Console(anywidget.AnyWidget):
    """Shows a command with a button that copies it, the answer, and a bar while it runs.

    place: where it ran, ``host-a$``.  command: one line.  busy: what goes on, or "".
    answer: plain text, or "".  failed: whether the answer is a failure.
    answered: how many clicks have been answered.
    """

    _esm = front_end("console.js")
    _css = front_end("panel.css")
    place = traitlets.Unicode("").tag(sync=True)
    command = traitlets.Unicode("").tag(sync=True)
    busy = traitlets.Unicode("").tag(sync=True)
    answer = traitlets.Unicode("").tag(sync=True)
    failed = traitlets.Bool(False).tag(sync=True)
    answered = traitlets.Int(0).tag(sync=True)

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    def say(self, text: str, *, failed: bool = False) -> None:
        """Show an answer, from any thread; "" for none."""
        with self._lock:
            self.failed, self.answer = failed, text

    def open_terminal(self, argv: list[str]) -> None:
        """Have JupyterLab open a terminal that runs argv; elsewhere, say how to open one."""
        self.send({"terminal": argv, "instead": shlex.join(argv)})
