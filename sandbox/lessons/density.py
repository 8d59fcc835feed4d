"""How many containers a host holds: what each costs in memory and in time to start."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.errors import SandboxError, written
from sandbox.hosts import actions
from sandbox.hosts.sandbox import running
from sandbox.steps import best

if TYPE_CHECKING:
    from sandbox.hosts.host import Host
    from sandbox.views.table import Lines

__all__ = ["Density", "density"]

NETWORK = "crowd"
MOST = 500
# With less than this the kernel would end some process of the host's, as likely dockerd's.
SPARE_MIB = 60
AVAILABLE = re.compile(r"^MemAvailable: +(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Density:
    """What containers cost, in the order that they were started in.

    seconds: how long each took from the call of the Engine's API until its process ran.
    memory: MiB of the host's that were in use after each start, less what was in use before.
    """

    seconds: tuple[float, ...]
    memory: tuple[float, ...]

    def __repr__(self) -> str:
        count = len(self.seconds)
        half = max(1, count // 2)
        first, last = (
            sum(times) / len(times) for times in (self.seconds[:half], self.seconds[-half:])
        )
        return "\n".join(
            (
                f"{count} containers of one image run on the network {NETWORK}",
                f"start: {first:.1f} s each in the first half, {last:.1f} s each in the second",
                f"memory: {self.memory[-1]:.0f} MiB in all, {self.memory[-1] / count:.1f} MiB each",
            )
        )

    def chart(self) -> Lines:
        """Memory and start time by number of containers."""
        from sandbox.views.table import Lines

        return Lines({"memory in use, MiB": self.memory, "start, s": self.seconds}, "containers")


def density(count: int = 50, *, host: str = "a", id: str | None = None) -> Density:
    """Start that many containers of the toolbox image on one host, and measure each.

    They are named ``crowd-1`` and so on, on a network ``crowd`` made for them, and stay there.

    count: 1 to 500.  host: ``a`` or ``host-a``.

    Raises SandboxError if count is none of those, no sandbox runs, the Engine refuses one, or the
    host's memory comes to its end; those that were started then run on.
    """
    if not isinstance(count, int) or not 1 <= count <= MOST:
        raise SandboxError(
            f"{count!r} containers cannot be asked for.", fix=f"Ask for 1 to {MOST}."
        )
    sandbox = running(id)
    there = sandbox.host(host)
    shown = best()
    try:
        actions.perform(there, actions.create_network(NETWORK))
    except actions.Refused as refused:
        raise SandboxError(
            f"{there.name} could not be given a new network {NETWORK}.",
            why=refused.what,
            fix=f"put it back as new: {written('reset', sandbox.id)}; then measure again",
        ) from refused
    seconds, memory = [], []
    free = before = _available(there)
    for number in range(1, count + 1):
        if free < SPARE_MIB:
            raise SandboxError(
                f"{there.name} has {free:.0f} MiB of memory left after {number - 1} containers.",
                fix=f"put it back as new: {written('reset', sandbox.id)}; "
                f"then ask for at most {number - 1}",
            )
        if number % 10 == 1:
            shown.begin(f"Starting container {number} of {count}")
        start = time.perf_counter()
        actions.perform(there, actions.run("toolbox", name=f"{NETWORK}-{number}", network=NETWORK))
        seconds.append(time.perf_counter() - start)
        free = _available(there)
        memory.append(before - free)
    shown.done(f"{count} containers run on {there.name}")
    return Density(tuple(seconds), tuple(memory))


def _available(there: Host) -> float:
    """MiB that programs on the host could still take, by /proc/meminfo (proc_meminfo(5))."""
    # No shell: on an emulated processor each program counts.
    result = there.run(["cat", "/proc/meminfo"])
    found = AVAILABLE.search(result.stdout)
    if found is None:
        raise SandboxError(f"The memory of {there.name} cannot be read.", why=result.stderr)
    return int(found[1]) / 1024
