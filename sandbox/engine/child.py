"""Programs that end when whoever started them does."""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import TextIO

__all__ = ["bound", "run", "works"]

END_SECONDS = 10.0
# Whoever started it may have ended before setpriv asked for the signal.
_STILL = '[ "$PPID" = "$0" ] && exec "$@"'
# A signal ends the first wait; the program may still clean up then.
_GROUP = """
trap 'trap : TERM; kill -TERM 0' TERM
"$@" &
wait $!
status=$?
wait
exit $status
"""


def bound(arguments: list[str], signal: str = "KILL") -> list[str]:
    """The command that runs arguments and gets that signal when the calling thread ends.

    By PR_SET_PDEATHSIG, prctl(2), which a new program keeps. Where there is no setpriv(1) that
    knows it, as on macOS, these are the arguments as they are.
    """
    if not _setpriv():
        return arguments
    still = ["sh", "-c", _STILL, str(os.getpid())]
    return ["setpriv", "--pdeathsig", signal, *still, *arguments]


@functools.cache
def works(*command: str) -> bool:
    """Whether that command is there and ends well. It is tried once."""
    try:
        return not subprocess.run(command, check=False, capture_output=True).returncode
    except OSError:
        return False


def _setpriv() -> bool:
    # That of busybox lacks the option.
    return sys.platform == "linux" and works("setpriv", "--pdeathsig", "KILL", "true")


def _memory() -> TextIO:
    """A file that takes no room on a disk, which may be full."""
    return os.fdopen(os.memfd_create("said"), "w+", encoding="utf-8", errors="replace")


def run(arguments: list[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a program that starts others, with its output kept.

    All of them get SIGTERM when the calling thread ends or this call does by an exception.
    env: added to the environment.
    """
    # A pipe would have nobody at its other end when the caller has died, and what the program
    # says of that while it cleans up would end it.
    with _memory() as said, _memory() as complained:
        with subprocess.Popen(
            bound(["sh", "-c", _GROUP, "sh", *arguments], "TERM"),
            env={**os.environ, **env},
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=complained,
        ) as process:
            try:
                process.wait()
            except BaseException:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(END_SECONDS)
                process.kill()
                raise
        said.seek(0)
        complained.seek(0)
        return subprocess.CompletedProcess(
            arguments, process.returncode, said.read(), complained.read()
        )
