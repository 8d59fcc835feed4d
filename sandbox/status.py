"""What runs, and what this machine can do: the facts behind ``status`` and ``doctor``."""

from __future__ import annotations

import contextlib
import os
import platform
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sandbox import memory, paths
from sandbox.engine import assets, daemon, qemu, versions
from sandbox.engine.choose import choose, running
from sandbox.engine.docker import DockerEngine
from sandbox.errors import SandboxError, course, setting, shell, written
from sandbox.hosts import capabilities
from sandbox.hosts.host import Host
from sandbox.hosts.sandbox import find

__all__ = ["doctor", "status"]

# A host that takes longer has a problem; an emulated one that is busy may take some.
ANSWER_SECONDS = 10


def status(sandbox_id: str) -> dict[str, Any]:
    """That sandbox: ``{"id", "running", "engine", "detail", "memory", "problem", "hosts": [...]}``.

    memory: MiB resident.  problem: what keeps the whole sandbox from answering, and what to do
    about it; "" if nothing does.
    Each host: ``{"name", "address", "engine", "containers", "problem"}``.
    """
    sandbox = find(sandbox_id)
    if sandbox is None:
        return {"id": sandbox_id, "running": False, "problem": "", "hosts": []}
    engine = running(sandbox_id)
    state = engine.state(sandbox_id) if engine else None
    problem = state.problem if state else None
    with ThreadPoolExecutor() as pool:
        rows = list(pool.map(lambda name: _row(sandbox.host(name), problem), sandbox.hosts))
    return {
        "id": sandbox_id,
        "running": True,
        "engine": sandbox.engine,
        "detail": state.detail if state else "",
        "memory": memory.resident(state.pid) >> 20 if state else 0,
        "problem": str(problem or ""),
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


def _reason(engine: str, docker: dict[str, Any]) -> str:
    if os.environ.get("SANDBOX_ENGINE"):
        return f"SANDBOX_ENGINE={engine}"
    if engine == "docker":
        return str(docker["why"])
    return "no Docker can be used" if not docker["works"] else "the sandbox runs on it already"


def doctor(sandbox_id: str) -> dict[str, Any]:
    """This machine: ``{"ok", "engine", "why", "docker", "vm", "drivers", "problem", "advice"}``.

    problem: what is wrong with the sandbox that runs, and what to do about it; "" if nothing is.
    """
    advice = []
    lacking = assets.lacks()
    vm: dict[str, Any] = {"works": not lacking, "missing": lacking}
    if not lacking:
        built = assets.status()
        name, why = qemu.accelerator(built.path if built.ready else None)
        vm |= {"qemu": qemu.version(), "accelerator": name, "because": why}
        vm["assets"] = {"ready": built.ready, "state": built.why, "megabytes": built.size >> 20}
        listed = versions.read(built.path)
        vm |= {
            "versions": versions.summary(listed),
            "packages": listed,
            "differs": versions.notice(built.path),
        }
        if not built.ready:
            advice.append(f"build the VM's files, in 2 to 4 minutes: {course('build')}")
    else:
        advice.append(shell(f"sudo apt install --no-install-recommends {' '.join(lacking)}"))
    docker = DockerEngine.report()
    if not docker["works"] and os.environ.get("SANDBOX_ENGINE") != "vm" and daemon.expected():
        advice.append(docker["fix"])
    if docker["works"] and docker["privileged"].startswith("refused"):
        advice.append(
            f"your Docker allows no privileged containers; {setting('SANDBOX_ENGINE', 'vm')}"
        )
    report: dict[str, Any] = {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "cache": str(paths.cache_dir()),
        "docker": docker,
        "vm": vm,
    }
    try:
        engine = choose(sandbox_id)
        report |= {"ok": True, "engine": engine.name, "why": _reason(engine.name, docker)}
    except SandboxError as error:
        report |= {"ok": False, "engine": "", "why": str(error)}
    report |= {"drivers": {}, "problem": ""}
    sandbox = find(sandbox_id)
    if sandbox:
        try:
            with ThreadPoolExecutor() as pool:
                list(pool.map(lambda name: sandbox.host(name).look(ANSWER_SECONDS), sandbox.hosts))
            found = capabilities.probe(sandbox.host("a"))
            report["drivers"] = {
                driver: "; ".join(found[need] for need in needs if found[need])
                for driver, needs in capabilities.DRIVERS.items()
            }
        except SandboxError as error:
            report |= {"ok": False, "problem": str(error)}
    else:
        advice.append(
            "have each network driver tried on a host: "
            f"{written('up', sandbox_id)}, and doctor again"
        )
    report["advice"] = advice
    return report
