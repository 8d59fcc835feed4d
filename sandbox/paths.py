"""Where files live: the cache of built assets, each sandbox's state, its sockets."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from pathlib import Path

from sandbox.errors import SandboxError

__all__ = ["cache_dir", "data_dir", "run_dir", "run_root", "sandbox_ids", "state_dir"]

# sun_path holds 108 bytes on Linux and 104 on macOS (unix(7)), the closing NUL included.
_SOCKET_PATH_MAX = 103
_LONGEST_SOCKET_NAME = len("/host-a.agent.sock")


def cache_dir() -> Path:
    """The folder of everything that can be rebuilt, made if missing.

    ``WIRE_BY_WIRE_CACHE`` names another one. Otherwise the platform's own place:
    ``$XDG_CACHE_HOME`` or ``~/.cache`` (XDG Base Directory Specification),
    ``~/Library/Caches`` on macOS.
    """
    if chosen := os.environ.get("WIRE_BY_WIRE_CACHE"):
        path = Path(chosen).expanduser().absolute()
    elif sys.platform == "darwin":
        path = Path.home() / "Library/Caches/wire-by-wire"
    else:
        path = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wire-by-wire"
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SandboxError(
            f"The cache folder {path} cannot be made.",
            why=str(error.strerror or error),
            fix="set WIRE_BY_WIRE_CACHE to a folder that you may write to",
        ) from error
    return path


def data_dir() -> Path:
    """The folder of what a learner has done, made if missing.

    ``WIRE_BY_WIRE_DATA`` names another one. Otherwise the platform's own place:
    ``$XDG_DATA_HOME`` or ``~/.local/share`` (XDG Base Directory Specification),
    ``~/Library/Application Support`` on macOS.
    """
    if chosen := os.environ.get("WIRE_BY_WIRE_DATA"):
        path = Path(chosen).expanduser().absolute()
    elif sys.platform == "darwin":
        path = Path.home() / "Library/Application Support/wire-by-wire"
    else:
        home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share"
        path = Path(home) / "wire-by-wire"
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SandboxError(
            f"The data folder {path} cannot be made.",
            why=str(error.strerror or error),
            fix="set WIRE_BY_WIRE_DATA to a folder that you may write to",
        ) from error
    return path


def state_dir(sandbox_id: str) -> Path:
    """The folder of one sandbox's disk and logs; not made here."""
    return cache_dir() / "sandboxes" / sandbox_id


def sandbox_ids() -> list[str]:
    """Ids of all sandboxes that run or left something."""
    return sorted(path.name for path in (cache_dir() / "sandboxes").glob("*"))


def run_root() -> Path:
    """The private folder (mode 0700) that holds every sandbox's sockets, made if missing.

    Raises SandboxError if somebody else owns it or others may enter it.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.path.isdir(runtime) and os.access(runtime, os.W_OK):
        root = Path(runtime) / "wire-by-wire"
    else:
        root = Path(tempfile.gettempdir()) / f"wire-by-wire-{os.getuid()}"
    root.mkdir(mode=0o700, exist_ok=True)
    info = root.lstat()
    if (
        info.st_uid != os.getuid()
        or stat.S_IMODE(info.st_mode) & 0o077
        or not stat.S_ISDIR(info.st_mode)
    ):
        raise SandboxError(
            f"The folder {root} is not private to you, so the sandbox's sockets cannot go there.",
            fix=f"remove {root}, or set XDG_RUNTIME_DIR to a folder of your own",
        )
    return root


def run_dir(sandbox_id: str) -> Path:
    """The folder of one sandbox's sockets; not made here.

    Raises SandboxError if a socket's path in it would be longer than the kernel takes.
    """
    path = run_root() / sandbox_id
    longest = len(os.fsencode(path)) + _LONGEST_SOCKET_NAME
    if longest > _SOCKET_PATH_MAX:
        raise SandboxError(
            f"The path {path} is too long for a socket by {longest - _SOCKET_PATH_MAX} characters.",
            fix="choose a shorter sandbox id, or set TMPDIR (or XDG_RUNTIME_DIR) to a shorter path",
        )
    return path
