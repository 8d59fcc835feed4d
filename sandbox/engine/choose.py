"""Which engine a sandbox runs on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.engine import companion, qemu
from sandbox.engine.docker import DockerEngine
from sandbox.engine.vm import VMEngine
from sandbox.errors import SandboxError, chosen, setting, shell, written
from sandbox.paths import alive_file, state_dir

if TYPE_CHECKING:
    from sandbox.engine.base import Engine

__all__ = ["choose", "ended", "lives", "remove", "running"]


def running(sandbox_id: str) -> Engine | None:
    """The engine on which that sandbox runs already, or None."""
    engines: tuple[Engine, ...] = (VMEngine(), DockerEngine())
    return next((engine for engine in engines if engine.state(sandbox_id)), None)


def ended(sandbox_id: str) -> tuple[Engine, int, bool] | None:
    """A sandbox that ended though nobody removed it: its engine, how many hosts, whether internet.

    On a Docker that already runs, hosts end with it and come back with it.
    """
    last = VMEngine.ended(sandbox_id)
    return (VMEngine(), *last) if last else None


def lives(sandbox_id: str) -> bool:
    """Whether anything of that sandbox runs, starts, or is on some Docker, as far as is known."""
    return (
        companion.living(sandbox_id)
        or companion.starts(sandbox_id)
        or DockerEngine.recorded(sandbox_id)
    )


def remove(sandbox_id: str) -> None:
    """Remove that sandbox wherever it is, as far as that can be done.

    Raises SandboxError that says what is left: on a Docker that does not answer, or here.
    """
    left = None
    try:
        DockerEngine().remove(sandbox_id)
    except SandboxError as error:
        left = error
    VMEngine().stop(sandbox_id)
    if companion.living(sandbox_id):
        raise SandboxError(
            f"The process beside the sandbox {sandbox_id!r} does not end.",
            why=f"it was told to, and killed, and still holds {alive_file(sandbox_id)}",
            fix=f"to see which it is: {shell(f'fuser {alive_file(sandbox_id)}')}; "
            "end it, and run this again",
        )
    if left:
        # The record of what is on that Docker stays.
        raise left
    VMEngine().remove(sandbox_id)
    if state_dir(sandbox_id).exists() and not lives(sandbox_id):
        raise SandboxError(
            f"The folder {state_dir(sandbox_id)} cannot be deleted.",
            fix="make it writable, and run this again",
        )


def choose(sandbox_id: str) -> Engine:
    """The engine for that sandbox: the one on which it runs, else the one that SANDBOX_ENGINE
    names, else a Docker that answers, else the VM.

    Raises SandboxError, with what to install, if none works.
    """
    name = chosen("SANDBOX_ENGINE")
    if (engine := running(sandbox_id)) and name in ("", engine.name):
        return engine
    if engine:
        raise SandboxError(
            f"SANDBOX_ENGINE is {name}, and the sandbox {sandbox_id!r} runs on {engine.name}.",
            fix=f"to remove it: {written('down', sandbox_id)}"
            f"; or, to keep it, {setting('SANDBOX_ENGINE')}",
        )
    lacking = VMEngine.lacks()
    install = shell(f"sudo apt install --no-install-recommends {' '.join(lacking)}")
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
    # Said before anything is built, if SANDBOX_ACCELERATOR asks for what is not there.
    qemu.accelerator()
    return VMEngine()
