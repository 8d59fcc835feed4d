"""The engine that needs no Docker and no privileges: a micro-VM of our own under QEMU."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import select
import shutil
import time
from pathlib import Path
from typing import Any

from sandbox.engine import archive, assets, companion, control, disk, qemu, snapshot, versions
from sandbox.engine.base import Engine, EngineState, OtherSandbox, Recipe, Report
from sandbox.errors import SandboxError, chosen, course, shell
from sandbox.paths import cache_dir, opened, run_dir, state_dir
from sandbox.steps import Steps

__all__ = ["VMEngine"]

END_SECONDS = 1.0
# What a sandbox was started with, in its state folder.
LAST = "last.json"
# A learner who reads for longer than this gets the processor back.
IDLE_SECONDS = 120.0


class VMEngine(Engine):
    """Sandboxes whose outer Engine runs in a QEMU VM; see ``sandbox.engine.base.Engine``."""

    name = "vm"
    logs = ("qemu.log", "console")

    def problem(self) -> SandboxError | None:
        """See ``Engine.problem``."""
        missing = assets.lacks()
        return _misses(missing) if missing else None

    def report(self) -> Report:
        """See ``Engine.report``."""
        if missing := assets.lacks():
            problem = _misses(missing)
            line = f"Embedded VM: misses {', '.join(missing)}"
            return Report(
                problem,
                problem.why,
                {"works": False, "missing": missing},
                (line,),
                (problem.fix,),
            )
        facts = _facts()
        advice = f"build the VM's files, in 2 to 4 minutes: {course('build')}"
        ready = facts["assets"]["ready"]
        why = "its programs are installed"
        return Report(None, why, facts, _lines(facts), () if ready else (advice,))

    def packages(self) -> list[str]:
        """See ``Engine.packages``: what it has, and what differs from what was proved."""
        found = versions.read(assets.base_path())
        shown = [f"{name}: {version}" for name, version in versions.summary(found).items()]
        return [*shown, *versions.changes(versions.proved(), found)]

    def build(self, recipe: Recipe, steps: Steps) -> str:
        """See ``Engine.build``: the assets and that recipe's snapshot, in the cache."""
        return str(self._snapshot(recipe, steps))

    def pack(self, recipe: Recipe, folder: Path, steps: Steps) -> str:
        """See ``Engine.pack``."""
        built = self._snapshot(recipe, steps)
        steps.begin("Packing them")
        file = archive.pack(folder, built)
        return f"{file} ({_listed(versions.summary(versions.read(assets.base_path())))})"

    def _snapshot(self, recipe: Recipe, steps: Steps) -> Path:
        # Said before anything is built, if SANDBOX_ACCELERATOR asks for what is not there.
        qemu.accelerator()
        archive.unpack(steps)
        base = assets.base(steps)
        accelerator, _ = qemu.accelerator(base)
        return snapshot.take(recipe, base, accelerator, steps)

    def start(
        self, sandbox_id: str, recipe: Recipe, *, internet: bool, steps: Steps
    ) -> EngineState:
        """See ``Engine.start``."""
        idle = _idle()
        with (
            disk.told(cache_dir(), "the sandbox cannot start"),
            companion.starting(sandbox_id, steps),
        ):
            told = control.ask(sandbox_id, "status")
            if told and _matches(told, recipe, internet):
                found = _state(sandbox_id, told)
                if found.problem:
                    raise found.problem
                return found
            if told:
                raise OtherSandbox("")
            self.stop(sandbox_id)
            folder = self._snapshot(recipe, steps)
            base = assets.base(steps)
            accelerator, _ = qemu.accelerator(base)
            steps.begin("Resuming the VM", left=2)
            settings = control.Settings(
                base=str(base),
                snapshot=str(folder),
                memory=snapshot.memory(recipe),
                accelerator=accelerator,
                hosts=list(recipe.hosts),
                internet=internet,
                recipe=recipe.key,
                idle=idle,
            )
            with opened(state_dir(sandbox_id) / LAST, "w") as last:
                json.dump({"hosts": len(recipe.hosts), "internet": internet}, last)
            companion.launch(control.SUPERVISOR, sandbox_id, dataclasses.asdict(settings))
            told = control.ask(sandbox_id, "status")
            if told is None:
                raise SandboxError(
                    "The sandbox's VM ended right after its start.",
                    why=f"its log is {state_dir(sandbox_id)}/companion.log",
                    fix="try again",
                )
            return _state(sandbox_id, told)

    def reset(
        self, sandbox_id: str, recipe: Recipe, *, internet: bool, steps: Steps
    ) -> EngineState:
        """See ``Engine.reset``."""
        with companion.starting(sandbox_id, steps):
            told = control.ask(sandbox_id, "status")
            if told and _matches(told, recipe, internet):
                steps.begin("Resuming the VM", left=2)
                told = control.ask(sandbox_id, "reset", timeout=companion.START_SECONDS)
                if told and "pid" in told:
                    return _state(sandbox_id, told)
            self.stop(sandbox_id)
        return self.start(sandbox_id, recipe, internet=internet, steps=steps)

    def stop(self, sandbox_id: str) -> None:
        """End the VM. What is left is small: its logs and locks."""
        folder = state_dir(sandbox_id)
        told = control.ask(sandbox_id, "status")
        if told:
            control.ask(sandbox_id, "stop", timeout=companion.STOP_SECONDS)
            with contextlib.suppress(ProcessLookupError):
                ended = os.pidfd_open(told["supervisor"])
                select.select([ended], [], [], companion.STOP_SECONDS)
                os.close(ended)
        companion.end(control.SUPERVISOR, sandbox_id)
        shutil.rmtree(run_dir(sandbox_id), ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            (folder / "disk").unlink()

    def remove(self, sandbox_id: str) -> None:
        """See ``Engine.remove``."""
        self.stop(sandbox_id)
        with contextlib.suppress(OSError):
            (state_dir(sandbox_id) / LAST).unlink()

    def state(self, sandbox_id: str) -> EngineState | None:
        """See ``Engine.state``."""
        told = control.ask(sandbox_id, "status")
        return _state(sandbox_id, told) if told else None

    def ended(self, sandbox_id: str) -> tuple[int, bool] | None:
        """See ``Engine.ended``."""
        if companion.living(sandbox_id):
            return None
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            last = json.loads((state_dir(sandbox_id) / LAST).read_text())
            return int(last["hosts"]), bool(last["internet"])
        return None

    def last_words(self, sandbox_id: str) -> str:
        """See ``Engine.last_words``."""
        folder = state_dir(sandbox_id)
        if (found := self.state(sandbox_id)) and found.problem:
            raise found.problem
        deadline = time.monotonic() + END_SECONDS
        while companion.living(sandbox_id):
            # A connection that breaks is noticed before the supervisor has ended.
            if time.monotonic() > deadline:
                return ""
            time.sleep(0.05)
        if not folder.exists():
            return ""
        return f"its VM ended: {qemu.last_words(folder / 'qemu.log', folder / 'console')}"

    def host_url(self, sandbox_id: str, host: str) -> str:
        """See ``Engine.host_url``."""
        return f"unix://{run_dir(sandbox_id)}/{host}.sock"

    def agent_path(self, sandbox_id: str, host: str) -> str:
        """See ``Engine.agent_path``."""
        return f"{run_dir(sandbox_id)}/{host}.agent.sock"


def _misses(packages: list[str]) -> SandboxError:
    return SandboxError(
        "The embedded VM misses programs.",
        why=f"missing: {', '.join(packages)}",
        fix=shell(f"sudo apt install --no-install-recommends {' '.join(packages)}"),
    )


def _facts() -> dict[str, Any]:
    built = assets.status()
    accelerator, because = qemu.accelerator(built.path if built.ready else None)
    packages = versions.read(built.path)
    return {
        "works": True,
        "missing": [],
        "qemu": qemu.version(),
        "accelerator": accelerator,
        "because": because,
        "assets": {"ready": built.ready, "state": built.why, "megabytes": built.size >> 20},
        "versions": versions.summary(packages),
        "packages": packages,
        "differs": versions.notice(built.path),
    }


def _lines(facts: dict[str, Any]) -> tuple[str, ...]:
    built = facts["assets"]
    lines = [
        f"Embedded VM: QEMU {facts['qemu']}, {facts['accelerator'].upper()} ({facts['because']})",
        f"Its files: {built['state']}, {built['megabytes']} MiB in {cache_dir()}",
    ]
    if facts["versions"]:
        lines.append(f"Its hosts have: {_listed(facts['versions'])}")
    if facts["differs"]:
        lines.append(f"Note: {facts['differs']}")
    return tuple(lines)


def _listed(shown: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in shown.items())


def _idle() -> float:
    """Seconds without use after which a VM is paused, 0 for never: ``SANDBOX_IDLE_SECONDS``."""
    return float(chosen("SANDBOX_IDLE_SECONDS") or IDLE_SECONDS)


def _matches(told: dict[str, Any], recipe: Recipe, internet: bool) -> bool:
    """Whether the VM that runs is the one that this version of the course would start."""
    return (told["recipe"], told["internet"], Path(told["base"]).name) == (
        recipe.key,
        internet,
        assets.base_path().name,
    )


def _state(sandbox_id: str, told: dict[str, Any]) -> EngineState:
    detail = f"QEMU {qemu.version()}, {told['accelerator'].upper()}, {told['memory']} MiB"
    url = f"unix://{run_dir(sandbox_id)}/engine.sock"
    # A supervisor of an earlier version may still run.
    problem = told.get("problem")
    return EngineState(
        url,
        snapshot.SITE,
        detail,
        told["pid"],
        tuple(told["hosts"]),
        told["internet"],
        SandboxError(**problem) if problem else None,
    )
