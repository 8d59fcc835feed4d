"""How much memory this machine has, or this container."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

__all__ = ["available", "limit"]

# Of the control group, version 2 and 1 (cgroups(7)); a container sees its own there.
_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def available() -> int:
    """Bytes that new programs can have: the kernel's estimate, within this container's limit."""
    return min(_free(), limit())


def limit() -> int:
    """Bytes of this machine's memory, or of what this container may have of it."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in _LIMITS:
        with contextlib.suppress(OSError, ValueError):
            limits.append(int(path.read_text()))
    return min(limits)


def _free() -> int:
    with contextlib.suppress(OSError, ValueError, StopIteration), open("/proc/meminfo") as file:
        line = next(line for line in file if line.startswith("MemAvailable"))
        return int(line.split()[1]) * 1024
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
