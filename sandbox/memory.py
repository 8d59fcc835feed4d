"""How much memory this machine has, or this container."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil

__all__ = ["available", "limit", "resident"]

# Of the control group, version 2 and 1 (cgroups(7)); a container sees its own there.
_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def available() -> int:
    """Bytes that new programs can have: the kernel's estimate, within this container's limit."""
    return min(int(psutil.virtual_memory().available), limit())


def limit() -> int:
    """Bytes of this machine's memory, or of what this container may have of it."""
    limits = [int(psutil.virtual_memory().total)]
    for path in _LIMITS:
        with contextlib.suppress(OSError, ValueError):
            limits.append(int(path.read_text()))
    return min(limits)


def resident(pid: int) -> int:
    """Bytes of memory that a process holds; 0 if there is none of that id."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
