"""Where files live: the cache of built assets, each sandbox's state, its sockets."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from sandbox import settings
from sandbox.errors import SandboxError, course, setting

__all__ = [
    "FULL_BYTES",
    "ID",
    "ROOM_BYTES",
    "TAG",
    "alive_file",
    "cache_dir",
    "data_dir",
    "explained",
    "free",
    "full",
    "home_path",
    "is_ours",
    "make_private",
    "marked",
    "mount_point",
    "new_run_dir",
    "no_room",
    "opened",
    "refused",
    "run_dir",
    "run_root",
    "sandbox_ids",
    "state_dir",
]

# sun_path holds 108 bytes on Linux and 104 on macOS (unix(7)), the closing NUL included.
_SOCKET_PATH_MAX = 103
_LONGEST_SOCKET_NAME = len("/host-a.agent.sock")
# A sandbox's id.
ID = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
NAME = "wire-by-wire"
# The Cache Directory Tagging Specification (bford.info/cachedir): back-ups leave such a folder out.
TAG = "CACHEDIR.TAG"
_TAG_TEXT = b"""Signature: 8a477f597d28d172789f06886806bc55
# This folder is a cache of the course Docker Networking, Wire by Wire (wire-by-wire).
# python -m sandbox down --all --cache removes what the course made in it.
"""
# All that the course makes in its cache.
_OURS = re.compile(
    r"(base|snapshot)-[0-9a-f]{1,12}(\.new)?|unpack-\w+\.new|tmp\w{8}\.new|sandboxes|accelerator\.json"
    rf"|build\.lock|last-failed-boot\.log|{re.escape(TAG)}(\.\w+\.new)?"
)
# All that is kept in the data folder.
_LEARNED = re.compile(r"progress\.(json|lock|new)|starts|wall\.sqlite(-\w+)?")
# A disk with less than this is what stopped whoever could not write.
FULL_BYTES = 16 * 1024**2
# Bytes that have to be free before a VM that ran out of them goes on. It leaves something for
# whoever makes room, such as the notebook that waits to be saved.
ROOM_BYTES = 32 * 1024**2
# What file managers leave in any folder.
_LITTER = (".DS_Store", ".directory", "desktop.ini")


def home_path(path: str) -> Path:
    """That path, absolute, with ``~`` in it resolved. Raises SandboxError if that cannot be."""
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as error:
        raise SandboxError(
            f"{path} cannot be found: this account has no home folder.",
            fix=f"choose a folder that you may write to, and {setting('HOME', 'FOLDER')}",
        ) from error
    except OSError as error:
        raise SandboxError(
            f"{path} cannot be found: the current folder is gone.",
            why=error.strerror or str(error),
            fix="change to a folder that exists, and run this again",
        ) from error


def cache_dir() -> Path:
    """The folder of everything that can be rebuilt, made and marked as ours if missing.

    It is a folder of our own, ``wire-by-wire``, inside the one that ``WIRE_BY_WIRE_CACHE`` names.
    A named folder that is our own already is taken itself. Otherwise the platform's own place:
    ``$XDG_CACHE_HOME`` or ``~/.cache`` (XDG Base Directory Specification),
    ``~/Library/Caches`` on macOS.

    Raises SandboxError if it cannot be made, or holds files of somebody else.
    """
    if chosen := settings.read("WIRE_BY_WIRE_CACHE"):
        named = home_path(chosen)
        path = named if marked(named) or _earlier(named) else named / NAME
    else:
        path = _of_the_platform("XDG_CACHE_HOME", "~/.cache", "~/Library/Caches")
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not marked(path):
            _mark(path)
    except OSError as error:
        raise SandboxError(
            f"The cache folder {path} cannot be used.",
            why=str(error.strerror or error),
            fix=_another("WIRE_BY_WIRE_CACHE"),
        ) from error
    return path


def _of_the_platform(variable: str, otherwise: str, macos: str) -> Path:
    """Our folder in the platform's own place; on Linux a variable may name that.

    In the common cases it is the one that platformdirs gives. But that heeds XDG's variables on
    macOS too, some versions of it, and takes no relative ones: what somebody has learned would
    be elsewhere after an update.
    """
    if sys.platform == "darwin":
        return home_path(macos) / NAME
    return home_path(settings.read(variable) or otherwise) / NAME


def marked(folder: Path) -> bool:
    """Whether folder carries our mark, so that what we make there may be deleted."""
    try:
        return (folder / TAG).read_bytes() == _TAG_TEXT
    except OSError:
        return False


def is_ours(name: str) -> bool:
    """Whether the cache's file or folder of that name is one that the course makes."""
    return bool(_OURS.fullmatch(name))


def _earlier(folder: Path) -> bool:
    """Whether folder is a cache of a version that used the named folder itself, without a mark."""
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError:
        return False
    return "build.lock" in names and TAG not in names and all(map(is_ours, names))


def _mark(folder: Path) -> None:
    names = sorted(path.name for path in folder.iterdir())
    if others := [name for name in names if not is_ours(name) and name not in _LITTER]:
        raise SandboxError(
            f"The folder {folder} is not a cache of the course, so nothing is written there.",
            why=f"it holds other files, such as {others[0]}",
            fix=f"{_another('WIRE_BY_WIRE_CACHE')}; the course makes its own folder inside it",
        )
    # Without a mark the cache still works; it is only never deleted.
    with contextlib.suppress(OSError):
        # Whoever reads the mark meanwhile finds none or all of it.
        part, path = tempfile.mkstemp(prefix=f"{TAG}.", suffix=".new", dir=folder)
        try:
            with open(part, "wb") as file:
                file.write(_TAG_TEXT)
            Path(path).replace(folder / TAG)
        finally:
            Path(path).unlink(missing_ok=True)


def data_dir() -> Path:
    """The folder of what a learner has done, made if missing; what is ours there is private.

    ``WIRE_BY_WIRE_DATA`` names another one. Otherwise the platform's own place:
    ``$XDG_DATA_HOME`` or ``~/.local/share`` (XDG Base Directory Specification),
    ``~/Library/Application Support`` on macOS.
    """
    if chosen := settings.read("WIRE_BY_WIRE_DATA"):
        path = home_path(chosen)
    else:
        path = _of_the_platform("XDG_DATA_HOME", "~/.local/share", "~/Library/Application Support")
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        inside = list(path.iterdir())
    except OSError as error:
        raise SandboxError(
            f"The data folder {path} cannot be made.",
            why=str(error.strerror or error),
            fix=_another("WIRE_BY_WIRE_DATA"),
        ) from error
    ours = [it for it in inside if _LEARNED.fullmatch(it.name)]
    # A folder that is named may hold other things, which others may be meant to read.
    if not chosen or len(ours) == len(inside):
        make_private(path)
    for it in ours:
        make_private(it)
    return path


def make_private(path: Path) -> None:
    """Let nobody but its owner read that file or folder, however it was made."""
    with contextlib.suppress(OSError):
        info = path.lstat()
        # What a link leads to is not ours, and a sticky folder, such as /tmp, is everybody's.
        foreign = info.st_uid != os.getuid() or info.st_mode & stat.S_ISVTX
        if not foreign and not stat.S_ISLNK(info.st_mode) and stat.S_IMODE(info.st_mode) & 0o077:
            path.chmod(0o700 if stat.S_ISDIR(info.st_mode) else 0o600)


def opened(path: Path, mode: str) -> IO[Any]:
    """``open`` of a file that nobody but its owner may read. Raises OSError."""
    make_private(path)
    encoding = None if "b" in mode else "utf-8"
    return open(path, mode, encoding=encoding, opener=lambda it, how: os.open(it, how, 0o600))


@contextmanager
def explained() -> Iterator[None]:
    """Turn what the system refuses to the block into a SandboxError that names the path."""
    try:
        yield
    except OSError as error:
        raise refused(error) from error


def refused(error: OSError) -> SandboxError:
    """That error for the person at the keyboard: which path, why, and what to do."""
    why = error.strerror or str(error) or type(error).__name__
    path = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return no_room(Path(path), f"{path} could not be written") if path else no_room()
    if not path:
        return SandboxError(
            "Something that the sandbox needs failed, or is not allowed here.",
            why=why,
            fix=f"to see what works on this machine: {course('doctor')}",
        )
    look = f"check {path}"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        look = f"make {path} yours to write to"
    return SandboxError(f"{path} cannot be used.", why=why, fix=look + _elsewhere(path))


def no_room(path: Path | None = None, happened: str = "", fix: str = "") -> SandboxError:
    """What to say when a disk is full, and which one it is.

    path: what could not be written; None if that is not known.  happened: what could not be done,
    as the end of a sentence.  fix: what to do about it beyond making room.
    """
    where = path or full() or cache_dir()
    mount = mount_point(where)
    return SandboxError(
        f"The disk at {mount} is full{f', so {happened}' if happened else ''}.",
        why=f"{free(mount) / 1e6:.0f} MB are free for {where}",
        fix=f"make room on {mount}, at least {ROOM_BYTES / 1e6:.0f} MB"
        f"{fix or _elsewhere(str(where))}",
    )


def free(folder: Path) -> int:
    """Bytes that this account can still write in that folder, quotas aside."""
    found = os.statvfs(folder)
    # A file system may keep blocks back for root (mke2fs -m).
    return found.f_frsize * (found.f_bavail if os.geteuid() else found.f_bfree)


def mount_point(path: Path) -> Path:
    """Where the file system is mounted that holds that file or folder, or would hold it."""
    found = path.resolve()
    while not found.is_mount():
        found = found.parent
    return found


def full() -> Path | None:
    """The first of the course's folders whose disk has less than FULL_BYTES left, or None."""
    for find in (cache_dir, lambda: Path(tempfile.gettempdir()), data_dir):
        with contextlib.suppress(OSError, SandboxError):
            if shutil.disk_usage(folder := find()).free < FULL_BYTES:
                return folder
    return None


def _elsewhere(path: str) -> str:
    """How to have what is at path elsewhere; "" if that cannot be chosen."""
    places: tuple[tuple[str, Callable[[], Path]], ...] = (
        ("WIRE_BY_WIRE_CACHE", cache_dir),
        ("WIRE_BY_WIRE_DATA", data_dir),
        ("TMPDIR", lambda: Path(tempfile.gettempdir())),
    )
    for variable, folder in places:
        with contextlib.suppress(OSError, SandboxError):
            if Path(path).is_relative_to(folder()):
                return f"; or {_another(variable)}"
    return ""


def _another(variable: str) -> str:
    return f"choose another folder that you may write to, and {setting(variable, 'FOLDER')}"


def state_dir(sandbox_id: str) -> Path:
    """The folder of one sandbox's disk and logs; not made here."""
    return cache_dir() / "sandboxes" / sandbox_id


def sandbox_ids() -> list[str]:
    """Ids of all sandboxes that run or left something."""
    folders = (cache_dir() / "sandboxes").glob("*")
    return sorted(path.name for path in folders if ID.fullmatch(path.name) and path.is_dir())


def run_root() -> Path:
    """The private folder (mode 0700) that holds every sandbox's sockets, made if missing.

    Raises SandboxError if it cannot be made, somebody else owns it or others may enter it.
    """
    runtime = settings.read("XDG_RUNTIME_DIR")
    try:
        if runtime and os.path.isdir(runtime) and os.access(runtime, os.W_OK):
            root = Path(runtime) / NAME
        else:
            root = Path(tempfile.gettempdir()) / f"{NAME}-{os.getuid()}"
        root.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise SandboxError(
            "There is no folder for the sandbox's sockets.",
            why=str(error),
            fix=f"make room there; or {_another('XDG_RUNTIME_DIR')}",
        ) from error
    _require_private(root)
    return root


def _require_private(root: Path) -> None:
    info = root.lstat()
    if (
        info.st_uid != os.getuid()
        or stat.S_IMODE(info.st_mode) & 0o077
        or not stat.S_ISDIR(info.st_mode)
    ):
        raise SandboxError(
            f"The folder {root} is not private to you, so the sandbox's sockets cannot go there.",
            fix=f"remove {root}; or {_another('XDG_RUNTIME_DIR')}",
        )


def run_dir(sandbox_id: str) -> Path:
    """The folder of one sandbox's sockets; not made here.

    It is the one that was chosen when the sandbox started, whatever this process's environment
    says, else ``new_run_dir``. Raises SandboxError if it is not private.
    """
    return _recorded(sandbox_id) or new_run_dir(sandbox_id)


def new_run_dir(sandbox_id: str) -> Path:
    """Where a sandbox that starts now has its sockets; not made here.

    Raises SandboxError if a socket's path in it would be longer than the kernel takes.
    """
    path = run_root() / sandbox_id
    longest = len(os.fsencode(path)) + _LONGEST_SOCKET_NAME
    if longest > _SOCKET_PATH_MAX:
        raise SandboxError(
            f"The path {path} is too long for a socket by {longest - _SOCKET_PATH_MAX} characters.",
            fix="choose a shorter sandbox id; or choose a folder with a shorter path, and "
            f"{setting('XDG_RUNTIME_DIR', 'FOLDER')}",
        )
    return path


def alive_file(sandbox_id: str) -> Path:
    """What the process beside a sandbox holds a lock on; it says where the sockets are."""
    return state_dir(sandbox_id) / "alive"


def _recorded(sandbox_id: str) -> Path | None:
    """The folder that ``alive_file`` names, if it can be one of ours."""
    try:
        path = Path(os.fsdecode(alive_file(sandbox_id).read_bytes()))
        root = path.parent
        # It is removed with all in it one day, so nothing else may pass for it.
        if root.name not in (NAME, f"{NAME}-{os.getuid()}") or path.name != sandbox_id:
            return None
        if not path.is_absolute() or ".." in path.parts:
            return None
        _require_private(root)
    except (OSError, ValueError):
        return None
    return path
