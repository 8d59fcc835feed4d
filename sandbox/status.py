"""What runs, and what this machine can do: the facts behind ``status`` and ``doctor``."""

from __future__ import annotations

import contextlib
import os
import platform
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from sandbox import memory, paths, settings
from sandbox.engine import choose as engines
from sandbox.errors import SandboxError, written
from sandbox.hosts import capabilities
from sandbox.hosts.host import Host
from sandbox.hosts.sandbox import find, find_with_state

if TYPE_CHECKING:
    from sandbox.engine.base import Report

__all__ = ["doctor", "status"]

# A host that takes longer has a problem; an emulated one that is busy may take some.
ANSWER_SECONDS = 10


def status(sandbox_id: str) -> dict[str, Any]:
    """That sandbox: ``{"id", "running", "engine", "detail", "memory", "problem", "hosts": [...]}``.

    memory: MiB resident.  problem: what keeps the whole sandbox from answering, and what to do
    about it; "" if nothing does.
    Each host: ``{"name", "address", "engine", "containers", "problem"}``.
    """
    found = find_with_state(sandbox_id)
    if found is None:
        return {"id": sandbox_id, "running": False, "problem": "", "hosts": []}
    sandbox, state = found
    with ThreadPoolExecutor() as pool:
        rows = list(pool.map(lambda name: _row(sandbox.host(name), state.problem), sandbox.hosts))
    return {
        "id": sandbox_id,
        "running": True,
        "engine": sandbox.engine,
        "detail": state.detail,
        "memory": memory.resident(state.pid) >> 20,
        "problem": str(state.problem or ""),
        "internet": sandbox.internet,
        "hosts": rows,
    }


def _row(host: Host, problem: SandboxError | None) -> dict[str, Any]:
    row = {"name": host.name, "address": host.address, "engine": "", "containers": 0, "problem": ""}
    try:
        if problem:
            raise problem
        host.look(ANSWER_SECONDS)
        with contextlib.closing(host.connect(ANSWER_SECONDS)) as client:
            info = client.info()
        row |= {"engine": info["ServerVersion"], "containers": info["ContainersRunning"]}
    except SandboxError as error:
        row["problem"] = error.what
    except Exception as error:
        row["problem"] = f"The Docker Engine of {host.name} does not answer: {error}"
    return row


def doctor(sandbox_id: str, reports: dict[str, Report] | None = None) -> dict[str, Any]:
    """This machine: ``{"ok", "engine", "why", "drivers", "problem", "advice"}``, and for each
    engine, by its name, what it says of itself.

    settings: the environment variables of the course that are set.
    problem: what is wrong with the sandbox that runs, and what to do about it; "" if nothing is.
    reports: what ``choose.reports`` gave, if it was asked already.
    """
    reports = reports or engines.reports()
    sandbox = find(sandbox_id)
    facts: dict[str, Any] = {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "cache": str(paths.cache_dir()),
        "settings": settings.given(),
        **{name: dict(said.facts) for name, said in reports.items()},
    }
    try:
        engine = engines.choose(
            sandbox_id, sandbox.engine if sandbox else "", lambda it: reports[it.name].problem
        )
        why = engines.reason(engine, reports)
        facts |= {"ok": True, "engine": engine.name, "why": why}
    except SandboxError as error:
        facts |= {"ok": False, "engine": "", "why": str(error)}
    facts |= {"drivers": {}, "problem": ""}
    # What is preferred takes more to have.
    advice = [line for said in reversed(reports.values()) for line in said.advice]
    if sandbox:
        try:
            with ThreadPoolExecutor() as pool:
                list(pool.map(lambda name: sandbox.host(name).look(ANSWER_SECONDS), sandbox.hosts))
            found = capabilities.probe(sandbox.host("a"))
            facts["drivers"] = {
                driver: "; ".join(found[need] for need in needs if found[need])
                for driver, needs in capabilities.DRIVERS.items()
            }
        except SandboxError as error:
            facts |= {"ok": False, "problem": str(error)}
    else:
        advice.append(
            "have each network driver tried on a host: "
            f"{written('up', sandbox_id)}, and doctor again"
        )
    facts["advice"] = advice
    return facts
