"""Which engine a sandbox runs on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sandbox.engine.vm import VMEngine
from sandbox.errors import SandboxError

if TYPE_CHECKING:
    from sandbox.engine.base import Engine

__all__ = ["choose", "running"]

ENGINES = ("docker", "vm")


def _named() -> str:
    name = os.environ.get("SANDBOX_ENGINE", "")
    if name and name not in ENGINES:
        raise SandboxError(
            f"SANDBOX_ENGINE is {name!r}, which is no engine.",
            fix="set it to docker or to vm",
        )
    return name


def running(sandbox_id: str) -> Engine | None:
    """The engine on which that sandbox runs already, or None."""
    vm = VMEngine()
    return vm if vm.state(sandbox_id) else None


def choose(sandbox_id: str) -> Engine:
    """The engine for that sandbox. Raises SandboxError, with what to install, if none works."""
    if _named() == "docker":
        raise SandboxError(
            "The course cannot run its hosts on a Docker of your own yet.",
            fix="unset SANDBOX_ENGINE: the embedded VM needs no Docker",
        )
    vm = VMEngine()
    if vm.state(sandbox_id):
        return vm
    if lacking := vm.lacks():
        raise SandboxError(
            "No engine works here: the embedded VM misses programs.",
            why=f"missing: {', '.join(lacking)}",
            fix=f"sudo apt install --no-install-recommends {' '.join(lacking)}",
        )
    return vm
