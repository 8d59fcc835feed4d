"""The engines that there are, and which one a sandbox runs on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from operator import methodcaller
from pathlib import Path

from sandbox import settings
from sandbox.engine import assets, companion
from sandbox.engine.base import Engine, EngineState, Report
from sandbox.engine.docker import DockerEngine
from sandbox.engine.vm import VMEngine
from sandbox.errors import SandboxError, chosen, setting, shell, written
from sandbox.paths import alive_file, run_dir, state_dir

__all__ = [
    "ENGINES",
    "choose",
    "clear",
    "ended",
    "lives",
    "reason",
    "remove",
    "reports",
    "running",
]

# In order of preference: where none is named, the first that works here is taken.
ENGINES: dict[str, Engine] = {engine.name: engine for engine in (DockerEngine(), VMEngine())}


def running(sandbox_id: str) -> tuple[Engine, EngineState] | None:
    """The engine on which that sandbox runs already, and its state there; None if it does not."""
    # A Docker may take seconds to answer, the VM takes none.
    for engine in reversed(ENGINES.values()):
        if state := engine.state(sandbox_id):
            return engine, state
    return None


def ended(sandbox_id: str) -> tuple[Engine, int, bool] | None:
    """A sandbox that ended though nobody removed it: its engine, how many hosts, whether internet.

    On a Docker that already runs, hosts end with it and come back with it.
    """
    for engine in ENGINES.values():
        if last := engine.ended(sandbox_id):
            return engine, *last
    return None


def lives(sandbox_id: str) -> bool:
    """Whether anything of that sandbox runs, starts, or is on some engine, as far as is known."""
    return (
        companion.living(sandbox_id)
        or companion.starts(sandbox_id)
        or any(engine.recorded(sandbox_id) for engine in ENGINES.values())
    )


def remove(sandbox_id: str) -> None:
    """Remove that sandbox wherever it is, as far as that can be done.

    Raises SandboxError that says what is left: on an engine, such as a Docker that does not answer,
    or here.
    """
    left = None
    for engine in ENGINES.values():
        try:
            engine.remove(sandbox_id)
        except SandboxError as error:
            left = left or error
    if left:
        # The engine's record of what is there stays.
        raise left
    if companion.living(sandbox_id):
        raise SandboxError(
            f"The process beside the sandbox {sandbox_id!r} does not end.",
            why=f"it was told to, and killed, and still holds {alive_file(sandbox_id)}",
            fix=f"to see which it is: {shell(f'fuser {alive_file(sandbox_id)}')}; "
            "end it, and run this again",
        )
    shutil.rmtree(run_dir(sandbox_id), ignore_errors=True)
    shutil.rmtree(state_dir(sandbox_id), ignore_errors=True)
    if state_dir(sandbox_id).exists() and not lives(sandbox_id):
        raise SandboxError(
            f"The folder {state_dir(sandbox_id)} cannot be deleted.",
            fix="make it writable, and run this again",
        )


def clear(keep: Collection[str] = ()) -> list[Path]:
    """Delete what the course made in its cache; see ``assets.clear``."""
    return assets.clear(keep)


def reports() -> dict[str, Report]:
    """What ``doctor`` says of each engine, by its name. Raises SandboxError."""
    return {name: engine.report() for name, engine in ENGINES.items()}


def choose(
    sandbox_id: str,
    runs_on: str = "",
    problem: Callable[[Engine], SandboxError | None] = methodcaller("problem"),
) -> Engine:
    """The engine for that sandbox: the one on which it runs, else the one that SANDBOX_ENGINE
    names, else the first of the table that works here.

    runs_on: the engine's name, if it runs.  problem: why an engine cannot be used, if that is
    known already.

    Raises SandboxError, with what to install, if none works.
    """
    name = chosen("SANDBOX_ENGINE", among=ENGINES)
    if runs_on and name not in ("", runs_on):
        raise SandboxError(
            f"SANDBOX_ENGINE is {name}, and the sandbox {sandbox_id!r} runs on {runs_on}.",
            fix=f"to remove it: {written('down', sandbox_id)}"
            f"; or, to keep it, {setting('SANDBOX_ENGINE')}",
        )
    if runs_on:
        return ENGINES[runs_on]
    problems = []
    for engine in [ENGINES[name]] if name else ENGINES.values():
        found = problem(engine)
        if found is None:
            return engine
        problems.append(found)
    raise SandboxError(
        f"SANDBOX_ENGINE is {name}, and {_clauses(problems)}."
        if name
        else f"No engine works here: {_clauses(problems)}.",
        # What is preferred takes more to have.
        why="; ".join(found.why for found in reversed(problems)),
        fix="; or ".join(found.fix for found in reversed(problems)),
    )


def reason(engine: Engine, reports: dict[str, Report]) -> str:
    """Why ``choose`` gives that engine, in a few words. reports: see ``reports``."""
    if settings.read("SANDBOX_ENGINE"):
        return f"SANDBOX_ENGINE={engine.name}"
    names = [*ENGINES]
    before = [reports[name].problem for name in names[: names.index(engine.name)]]
    problems = [problem for problem in before if problem]
    if reports[engine.name].problem or problems != before:
        return "the sandbox runs on it already"
    return _clauses(problems) or reports[engine.name].why


def _clauses(problems: list[SandboxError]) -> str:
    """Those problems in one sentence, without its end."""
    return ", and ".join(f"{it.what[:1].lower()}{it.what[1:]}".rstrip(".") for it in problems)
