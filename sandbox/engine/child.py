"""Programs that end when whoever started them does."""

from __future__ import annotations

import functools
import os
import subprocess
import sys

__all__ = ["bound"]

# Whoever started it may have ended before setpriv asked for the signal.
_STILL = '[ "$PPID" = "$0" ] && exec "$@"'


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
def _setpriv() -> bool:
    if sys.platform != "linux":
        return False
    try:
        # That of busybox lacks the option.
        return not subprocess.run(
            ["setpriv", "--pdeathsig", "KILL", "true"], check=False, capture_output=True
        ).returncode
    except OSError:
        return False
