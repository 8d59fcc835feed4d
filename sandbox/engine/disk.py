"""The disk that a sandbox writes to: how much is free there, and what to say when it is full."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from sandbox.errors import SandboxError

__all__ = ["ROOM", "free", "full", "mount_point", "told", "unwritable"]

# Bytes that have to be free before a VM that ran out of them goes on. It leaves something for
# whoever makes room, such as the notebook that waits to be saved.
ROOM = 32 * 1024**2


def free(folder: Path) -> int:
    """Bytes that this account can still write in that folder, quotas aside."""
    found = os.statvfs(folder)
    # A file system may keep blocks back for root (mke2fs -m).
    return found.f_frsize * (found.f_bavail if os.geteuid() else found.f_bfree)


def mount_point(folder: Path) -> Path:
    """Where the file system that holds that folder is mounted."""
    path = folder.resolve()
    while not path.is_mount():
        path = path.parent
    return path


def full(folder: Path, happened: str, fix: str = "") -> SandboxError:
    """The error that names the disk of that folder as full.

    happened: what could not be done, as the end of a sentence.  fix: what to do beyond making room.
    """
    return SandboxError(
        f"The disk at {mount_point(folder)} is full, so {happened}.",
        why=f"{free(folder) / 1e6:.0f} MB are free for {folder}",
        fix=f"make room on {mount_point(folder)}, at least {ROOM / 1e6:.0f} MB{fix}",
    )


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

    happened: as in ``full``. A program that failed raises SandboxError with its last line.
    """
    try:
        yield
    except OSError as error:
        if error.errno == errno.EDQUOT:
            raise unwritable(folder, str(error.strerror), happened) from error
        if error.errno == errno.ENOSPC:
            raise full(folder, happened) from error
        raise
    except subprocess.CalledProcessError as error:
        reason = (error.stderr or b"").decode(errors="replace").strip().rpartition("\n")[2]
        if os.strerror(errno.ENOSPC) in reason:
            raise full(folder, happened) from error
        if os.strerror(errno.EDQUOT) in reason:
            raise unwritable(folder, reason, happened) from error
        raise SandboxError(f"{happened[:1].upper()}{happened[1:]}.", why=reason) from error
