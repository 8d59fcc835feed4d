"""What a VM's supervisor is told when it starts, and how it is asked later."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sandbox.engine import link
from sandbox.paths import run_dir

__all__ = ["CONTROL", "SUPERVISOR", "Settings", "ask"]

SUPERVISOR = "sandbox.engine.supervisor"
CONTROL = "control.sock"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a supervisor is told.

    Paths are strings, memory is MiB. idle: seconds without use until the VM is paused, 0 for never.
    """

    base: str
    snapshot: str
    memory: int
    accelerator: str
    hosts: list[str]
    internet: bool
    recipe: str
    idle: float


def ask(sandbox_id: str, order: str, timeout: float = 15.0) -> dict[str, Any] | None:
    """The supervisor's answer to ``status``, ``reset`` or ``stop``; None if none runs."""
    try:
        with link.connect(str(run_dir(sandbox_id) / CONTROL), timeout) as sock:
            sock.sendall(json.dumps({"do": order}).encode() + b"\n")
            line = sock.makefile().readline()
            return json.loads(line) if line else None
    except (OSError, ValueError):
        return None
