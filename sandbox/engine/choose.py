"""Which engine a sandbox runs on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sandbox.engine.docker import DockerEngine
from sandbox.engine.vm import VMEngine
from sandbox.errors import SandboxError

if TYPE_CHECKING:
    from sandbox.engine.base import Engine

__all__ = ["choose", "remove", "running"]

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
    engines: tuple[Engine, ...] = (VMEngine(), DockerEngine())
    return next((engine for engine in engines if engine.state(sandbox_id)), None)


def remove(sandbox_id: str) -> None:
    """Remove that sandbox wherever it is. Raises SandboxError if its Docker does not answer."""
    # The VM engine's removal takes the record of the other one along.
    DockerEngine().remove(sandbox_id)
    VMEngine().remove(sandbox_id)


def choose(sandbox_id: str) -> Engine:
    """The engine for that sandbox: the one on which it runs, else the one that SANDBOX_ENGINE
    names, else a Docker that answers, else the VM.

    Raises SandboxError, with what to install, if none works.
    """
    name = _named()
    if (engine := running(sandbox_id)) and name in ("", engine.name):
        return engine
    if engine:
        raise SandboxError(
            f"SANDBOX_ENGINE is {name}, and the sandbox {sandbox_id!r} runs on {engine.name}.",
            fix="python -m sandbox down, and start it again; or unset SANDBOX_ENGINE",
        )
    lacking = VMEngine.lacks()
    install = f"sudo apt install --no-install-recommends {' '.join(lacking)}"
    no_docker = DockerEngine.problem() if name != "vm" else None
    if name == "docker" and no_docker:
        raise SandboxError(
            "SANDBOX_ENGINE is docker, and no Docker can be used.",
            why=f"{no_docker.what} {no_docker.why}".strip(),
            fix=no_docker.fix,
        )
    if name == "docker" or (not name and not no_docker):
        return DockerEngine()
    if lacking:
        raise SandboxError(
            "No engine works here: no Docker can be used, and the embedded VM misses programs."
            if not name
            else "The embedded VM misses programs.",
            why=f"missing: {', '.join(lacking)}"
            + (f"; {no_docker.what} {no_docker.why}" if no_docker else ""),
            fix=f"{install}; or {no_docker.fix}" if no_docker else install,
        )
    return VMEngine()
