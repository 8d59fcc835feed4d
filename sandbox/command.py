"""How a command of the course ends: whatever fails is one message and a status."""

from __future__ import annotations

import io
import os
import select
import sys
from collections.abc import Callable

from sandbox.errors import SandboxError
from sandbox.paths import explained

__all__ = ["run"]


def run(
    act: Callable[[], int], *, failed: int = 1, interrupted: int = 130, said: str = "interrupted"
) -> int:
    """The exit status of act, after what it could not do is told on standard error.

    failed, interrupted: the statuses for those.  said: what to say of an interrupt.
    """
    _open_streams()
    status, error = failed, None
    try:
        with explained():
            status = act()
    except SandboxError as problem:
        error = problem
    except KeyboardInterrupt:
        print(f"sandbox: {said}", file=sys.stderr)
        return interrupted
    cause = error and error.__cause__
    try:
        if isinstance(cause, OSError) and cause.filename is None:
            # It may be the output that failed; then it does so again.
            print()
        # What could not be written is noticed here, not when Python ends.
        sys.stdout.flush()
    except OSError as problem:
        left = _reader_left()
        # Python tries once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if left:
            return 0 if error else status
        status = failed
        error = SandboxError("The output cannot be written.", why=problem.strerror or "")
    if error:
        print(f"sandbox: {error}", file=sys.stderr)
    return status


def _open_streams() -> None:
    """Give every closed standard stream a place, so that no file of ours takes its number."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free, open(2).
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
    for stream in (sys.stdout, sys.stderr):
        # A terminal whose locale lacks a character gets a question mark instead.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _reader_left() -> bool:
    """Whether who read our output had enough, as ``| head`` has."""
    try:
        output = sys.stdout.fileno()
    except (OSError, ValueError):
        return False
    poll = select.poll()
    poll.register(output, 0)
    # A pipe that nobody reads is in error, poll(2).
    return any(event & select.POLLERR for _, event in poll.poll(0))
