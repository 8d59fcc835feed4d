"""Sets a lab's scenario up, and looks at how its tasks stand."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import TYPE_CHECKING

from sandbox.errors import SandboxError
from sandbox.hosts import plan
from sandbox.hosts.sandbox import Sandbox
from sandbox.labs.checks import Finding, look
from sandbox.labs.lab import Commands, Lab, Task
from sandbox.labs.scene import Scene, look_at, read_raw, snapshot_of
from sandbox.model.difference import steady
from sandbox.model.state import Snapshot

if TYPE_CHECKING:
    from sandbox.guest.state_types import State

__all__ = ["SETTLE_SECONDS", "check", "run_commands", "set_up"]

# What was just made may need a moment: a server to listen, a service to start its tasks.
SETTLE_SECONDS = 8.0
STILL_SECONDS = 30.0
COMMAND_SECONDS = 120.0


def set_up(lab: Lab, sandbox: Sandbox) -> dict[str, State]:
    """Build the lab's scenario on hosts that are as new; gives their states then, see read_raw.

    They are those before the lab's fault. Raises SandboxError if a command of it fails.
    """
    run_commands(sandbox, lab.setup, f"Setting {lab.name} up")
    raw = _at_rest(sandbox)
    run_commands(sandbox, lab.fault, f"Setting {lab.name} up")
    return raw


def _at_rest(sandbox: Sandbox) -> dict[str, State]:
    """The hosts' states when two in a row are the same: a swarm goes on making its networks."""
    deadline = time.monotonic() + STILL_SECONDS
    raw, before = read_raw(sandbox), None
    while time.monotonic() < deadline:
        now = [steady(host) for host in snapshot_of(raw).hosts]
        if now == before:
            break
        before = now
        time.sleep(0.5)
        raw = read_raw(sandbox)
    return raw


def run_commands(sandbox: Sandbox, commands: Commands, what: str) -> None:
    """Run shell lines on hosts, one after the other; each must succeed. Raises SandboxError."""
    for host, lines in commands:
        result = sandbox.host(host).run(f"set -e -o pipefail\n{lines}", timeout=COMMAND_SECONDS)
        if result.code:
            raise SandboxError(
                f"{what} failed on {plan.full_name(host)}.",
                why=(result.stderr or result.stdout).strip()[-1000:],
                fix="Start it again.",
            )


def check(
    tasks: Sequence[Task],
    sandbox: Sandbox,
    start: Snapshot | None,
    answers: Mapping[str, str],
    *,
    settle: float = SETTLE_SECONDS,
) -> list[tuple[Finding, ...]]:
    """For each task what its conditions find now.

    settle: for how many seconds those that do not hold are looked at again. Raises SandboxError
    if a host cannot be read.
    """
    deadline = time.monotonic() + settle
    found: list[tuple[Finding, ...]] = [()] * len(tasks)
    left = list(range(len(tasks)))
    while True:
        scene = look_at(sandbox, start, answers)
        with ThreadPoolExecutor(4) as pool:
            seen = list(pool.map(_look, [tasks[number] for number in left], repeat(scene)))
        for number, findings in zip(left, seen, strict=True):
            found[number] = findings
        left = [n for n in left if not all(it.passed for it in found[n])]
        if not left or time.monotonic() >= deadline:
            return found
        time.sleep(0.5)


def _look(task: Task, scene: Scene) -> tuple[Finding, ...]:
    return tuple(look(condition, scene) for condition in task.conditions)
