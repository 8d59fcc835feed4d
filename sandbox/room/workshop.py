"""Before a workshop: whether a learner's machine can take the course, by trying it, and how many
learners one machine takes."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import math
import os
import shutil
import time
from dataclasses import dataclass

from sandbox import memory, paths
from sandbox.errors import SandboxError, setting, shell
from sandbox.hosts.sandbox import down, up
from sandbox.steps import Quiet, Steps

__all__ = ["Check", "Room", "check", "room"]

MEBIBYTE = 2**20
# What tests/benchmarks/session.py measures of a session, and room for more.
MEMORY = 1600 * MEBIBYTE
DISK = 1024 * MEBIBYTE
# Longer than these, and a room waits instead of learning.
UP_SECONDS, RUN_SECONDS = 15.0, 15.0
# A learner's session in a container of the image with one processor (tests/benchmarks/image.py):
# GiB that are kept for it, of which it has 0.7 at its most and reads files with the rest; seconds
# that a container takes to start there.
SESSION, RUN_ALONE = 1.0, 4.0
# GiB that a node of a cluster keeps for itself, and what a learner's unpacked hosts take of its
# disk with room for what they write.
NODE, NODE_DISK = 1.0, 3
# When everybody runs the same cell at once, those who share a processor wait for one another.
SHARE = 4


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. fix: what to do where it is not ok."""

    what: str
    ok: bool
    found: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Room:
    """How many learners a machine takes at once.

    ends: what more of them would lack, memory or processors.  disk: GiB that they need there.
    seconds: how long a container takes to start when everybody starts one.
    """

    learners: int
    ends: str
    disk: int
    seconds: float

    def __repr__(self) -> str:
        return (
            f"{self.learners} learners; more would lack {self.ends}. They need {self.disk} GiB of "
            f"disk. When all start a container at once, it takes {self.seconds:.0f} s."
        )


def room(memory: float, processors: float) -> Room:
    """How many learners a machine, or a node of a cluster, takes.

    memory: its GiB.  processors: as its operating system counts them.

    Raises SandboxError for what is less than one learner needs.
    """
    numbers = all(isinstance(it, int | float) and 0 <= it < math.inf for it in (memory, processors))
    by_memory = int((memory - NODE) / SESSION) if numbers else 0
    by_processors = int(processors * SHARE) if numbers else 0
    learners = min(by_memory, by_processors)
    if learners < 1:
        raise SandboxError(
            f"A machine with {memory!r} GiB and {processors!r} processors takes no learner.",
            why=f"it is a number of each, {NODE + SESSION:.0f} GiB and a processor at least",
            fix="such as room(memory=64, processors=16)",
        )
    ends = "memory" if by_memory < by_processors else "processors"
    waiting = max(1.0, learners / processors)
    return Room(learners, ends, learners * NODE_DISK, RUN_ALONE * waiting)


def check(hosts: int = 2, *, steps: Steps | None = None) -> list[Check]:
    """Look at this machine, and try a sandbox of its own there, which is removed again.

    The hosts' files are built if they are not there yet. hosts: how many to bring up.
    """
    return [_jupyterlab(), _memory(), _disk(), _record(), *_trial(hosts, steps or Quiet())]


def _jupyterlab() -> Check:
    found = importlib.util.find_spec("jupyterlab") is not None
    version = importlib.metadata.version("jupyterlab") if found else "not installed"
    return Check("JupyterLab", found, version, f"in the course's folder: {shell('make setup')}")


def _memory() -> Check:
    free = memory.available()
    return Check(
        "memory",
        free >= MEMORY,
        f"{free // MEBIBYTE} MiB available",
        f"a learner needs {MEMORY // MEBIBYTE} MiB; close other programs",
    )


def _disk() -> Check:
    free = shutil.disk_usage(paths.cache_dir()).free
    return Check(
        "disk",
        free >= DISK,
        f"{free // MEBIBYTE} MiB free in {paths.cache_dir()}",
        f"a sandbox may write {DISK // MEBIBYTE} MiB; make room; or choose another folder, and "
        f"{setting('WIRE_BY_WIRE_CACHE', 'FOLDER')}",
    )


def _record() -> Check:
    try:
        folder = paths.data_dir()
    except SandboxError as error:
        return Check("progress is kept", False, str(error.why), error.fix)
    return Check(
        "progress is kept",
        os.access(folder, os.W_OK),
        f"in {folder}",
        f"choose a folder that you may write to, and {setting('WIRE_BY_WIRE_DATA', 'FOLDER')}",
    )


def _trial(hosts: int, steps: Steps) -> list[Check]:
    what = [f"{hosts} hosts come up", "a container runs"]
    # A short name of its own: a learner's sandbox goes on.
    name = f"try{os.getpid()}"
    try:
        # What is built once is not waited for by anybody later.
        up(hosts, id=name, steps=steps)
        down(id=name)
        began = time.monotonic()
        host = up(hosts, id=name, steps=Quiet()).host("a")
        up_seconds = time.monotonic() - began
        began = time.monotonic()
        result = host.run("docker run --rm toolbox true", timeout=120)
        run_seconds = time.monotonic() - began
    except SandboxError as error:
        told = "; ".join(filter(None, (error.what, error.why)))
        return [Check(" and ".join(what), False, told, error.fix)]
    finally:
        with contextlib.suppress(SandboxError):
            down(id=name)
    slow = "close other programs; KVM, if the account may use it, makes it faster"
    return [
        Check(what[0], up_seconds <= UP_SECONDS, f"in {up_seconds:.1f} s", slow),
        Check(
            what[1],
            result.code == 0 and run_seconds <= RUN_SECONDS,
            f"in {run_seconds:.1f} s" if result.code == 0 else result.stderr.strip(),
            slow,
        ),
    ]
