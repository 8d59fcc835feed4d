"""The cell magic ``%%host a`` in IPython, and what an interrupt of a cell shows."""

from __future__ import annotations

import contextlib
import sys
import traceback
from types import TracebackType
from typing import Any

from sandbox import record
from sandbox.errors import SandboxError
from sandbox.hosts.cell import OPTIONS, run_cell
from sandbox.hosts.sandbox import find

__all__ = ["load_ipython_extension"]


def _show_interrupt(
    ipython: Any, kind: type, error: Any, stack: TracebackType | None, tb_offset: int | None = None
) -> None:
    """Show an interrupt that came while one of our calls waited in one line, others as ever."""
    names = (frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(stack))
    if any(name.partition(".")[0] == "sandbox" for name in names):
        error._render_traceback_ = lambda: ["KeyboardInterrupt: You interrupted this cell."]
    ipython.showtraceback((kind, error, stack), tb_offset=tb_offset)


def load_ipython_extension(ipython: Any = None) -> None:
    """Register the magic with IPython, if this runs in it. ``import sandbox`` does so."""
    if ipython is None:
        module = sys.modules.get("IPython")
        ipython = module.get_ipython() if module else None
    if ipython is None:
        return

    def write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def magic(line: str, cell: str) -> None:
        run_cell(line, cell, write)

    def complete(_shell: object, _event: object) -> list[str]:
        found = find()
        return [*(found.hosts if found else ()), *OPTIONS]

    ipython.register_magic_function(magic, "cell", "host")
    ipython.set_custom_exc((KeyboardInterrupt,), _show_interrupt)
    ipython.set_hook("complete_command", complete, str_key="%%host")
    # A lesson can be read where nothing can be kept; its quiz says so.
    with contextlib.suppress(SandboxError):
        record.begin_lesson()
