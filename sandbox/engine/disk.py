"""What to say of a disk that a sandbox cannot write to."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from sandbox.errors import SandboxError
from sandbox.paths import free, mount_point, no_room

__all__ = ["told", "unwritable"]


def unwritable(folder: Path, reason: str, happened: str, fix: str = "") -> SandboxError:
    """The error for a folder that takes no more for another reason, such as a quota."""
    return SandboxError(
        f"{folder} cannot be written to, so {happened}.",
        why=f"{reason or 'a write failed'}; {free(folder) / 1e6:.0f} MB are free on "
        f"{mount_point(folder)}",
        fix=f"make room, or raise your quota there{fix}",
    )


@contextlib.contextmanager
def told(folder: Path, happened: str) -> Iterator[None]:
    """Have a write that finds the disk of that folder full raise the SandboxError that says so.

    happened: as in ``no_room``. A program that failed raises SandboxError with its last line.
    """
    try:
        yield
    except OSError as error:
        if error.errno == errno.EDQUOT:
            raise unwritable(folder, str(error.strerror), happened) from error
        if error.errno == errno.ENOSPC:
            raise no_room(folder, happened) from error
        raise
    except subprocess.CalledProcessError as error:
        reason = (error.stderr or b"").decode(errors="replace").strip().rpartition("\n")[2]
        if os.strerror(errno.ENOSPC) in reason:
            raise no_room(folder, happened) from error
        if os.strerror(errno.EDQUOT) in reason:
            raise unwritable(folder, reason, happened) from error
        raise SandboxError(f"{happened[:1].upper()}{happened[1:]}.", why=reason) from error
