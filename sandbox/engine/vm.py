"""The engine that needs no Docker and no privileges: a micro-VM of our own under QEMU."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox.engine import assets, link, qemu, snapshot
from sandbox.engine.base import EngineState, Recipe
from sandbox.engine.supervisor import CONTROL, Settings
from sandbox.errors import SandboxError
from sandbox.paths import cache_dir, run_dir, state_dir
from sandbox.progress import Progress

__all__ = ["VMEngine"]

START_SECONDS = 60.0
STOP_SECONDS = 10.0


class VMEngine:
    """Sandboxes whose outer Engine runs in a QEMU VM; see ``sandbox.engine.base.Engine``."""

    name = "vm"

    @staticmethod
    def lacks() -> list[str]:
        """Debian packages that are missing here; [] when it can run."""
        return assets.lacks()

    def build(self, recipe: Recipe, progress: Progress) -> Path:
        """Make the assets and that recipe's snapshot, or take them from the cache."""
        base = assets.base(progress)
        accelerator, _ = qemu.accelerator(base)
        return snapshot.take(recipe, base, accelerator, progress)

    def start(
        self, sandbox_id: str, recipe: Recipe, *, internet: bool, progress: Progress
    ) -> EngineState:
        """See ``Engine.start``."""
        with _starting(sandbox_id, progress):
            told = _control(sandbox_id, "status")
            if told and told["recipe"] == recipe.key and told["internet"] == internet:
                return _state(sandbox_id, told)
            self.stop(sandbox_id)
            folder = self.build(recipe, progress)
            base = assets.base(progress)
            accelerator, _ = qemu.accelerator(base)
            progress.step("Resuming the VM", left=2)
            settings = Settings(
                base=str(base),
                snapshot=str(folder),
                memory=snapshot.memory(recipe),
                accelerator=accelerator,
                hosts=list(recipe.hosts),
                internet=internet,
                recipe=recipe.key,
            )
            _launch(sandbox_id, settings)
            told = _control(sandbox_id, "status")
            if told is None:
                raise SandboxError(
                    "The sandbox's VM ended right after its start.",
                    why=f"its log is {state_dir(sandbox_id)}/supervisor.log",
                    fix="python -m sandbox up",
                )
            return _state(sandbox_id, told)

    def reset(
        self, sandbox_id: str, recipe: Recipe, *, internet: bool, progress: Progress
    ) -> EngineState:
        """See ``Engine.reset``."""
        with _starting(sandbox_id, progress):
            told = _control(sandbox_id, "status")
            if told and told["recipe"] == recipe.key and told["internet"] == internet:
                progress.step("Resuming the VM", left=2)
                told = _control(sandbox_id, "reset", timeout=START_SECONDS)
                if told and "pid" in told:
                    return _state(sandbox_id, told)
            self.stop(sandbox_id)
        return self.start(sandbox_id, recipe, internet=internet, progress=progress)

    def stop(self, sandbox_id: str) -> None:
        """End the VM. What is left is small: its logs and locks."""
        folder = state_dir(sandbox_id)
        told = _control(sandbox_id, "status")
        if told:
            _control(sandbox_id, "stop", timeout=STOP_SECONDS)
            with contextlib.suppress(ProcessLookupError):
                ended = os.pidfd_open(told["supervisor"])
                select.select([ended], [], [], STOP_SECONDS)
                os.close(ended)
        if not _await_end(folder):
            for pid in _supervisors(sandbox_id):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            _await_end(folder)
        shutil.rmtree(run_dir(sandbox_id), ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            (folder / "disk").unlink()

    def remove(self, sandbox_id: str) -> None:
        """See ``Engine.remove``."""
        self.stop(sandbox_id)
        shutil.rmtree(state_dir(sandbox_id), ignore_errors=True)

    def state(self, sandbox_id: str) -> EngineState | None:
        """See ``Engine.state``."""
        told = _control(sandbox_id, "status")
        return _state(sandbox_id, told) if told else None

    def host_url(self, sandbox_id: str, host: str) -> str:
        """See ``Engine.host_url``."""
        return f"unix://{run_dir(sandbox_id)}/{host}.sock"

    def agent_path(self, sandbox_id: str, host: str) -> str:
        """See ``Engine.agent_path``."""
        return f"{run_dir(sandbox_id)}/{host}.agent.sock"

    @staticmethod
    def ids() -> list[str]:
        """Ids of all sandboxes that run or left something."""
        return sorted(path.name for path in (cache_dir() / "sandboxes").glob("*"))


def _state(sandbox_id: str, told: dict[str, Any]) -> EngineState:
    detail = f"QEMU {qemu.version()}, {told['accelerator'].upper()}, {told['memory']} MiB"
    url = f"unix://{run_dir(sandbox_id)}/engine.sock"
    return EngineState(
        url, snapshot.SITE, detail, told["pid"], tuple(told["hosts"]), told["internet"]
    )


def _control(sandbox_id: str, order: str, timeout: float = 15.0) -> dict[str, Any] | None:
    """The supervisor's answer, or None if none runs."""
    try:
        with link.connect(str(run_dir(sandbox_id) / CONTROL), timeout) as sock:
            sock.sendall(json.dumps({"do": order}).encode() + b"\n")
            line = sock.makefile().readline()
            return json.loads(line) if line else None
    except (OSError, ValueError):
        return None


@contextmanager
def _starting(sandbox_id: str, progress: Progress) -> Iterator[None]:
    """One start of a sandbox at a time. The kernel drops the lock when its holder ends."""
    folder = state_dir(sandbox_id)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "start.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.step("Waiting for another start of this sandbox")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _launch(sandbox_id: str, settings: Settings) -> None:
    log = state_dir(sandbox_id) / "supervisor.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox.engine.supervisor", sandbox_id],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd="/",
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            start_new_session=True,
        )
    assert process.stdin and process.stdout
    with process.stdout:
        process.stdin.write(json.dumps(dataclasses.asdict(settings)).encode() + b"\n")
        process.stdin.close()
        if not select.select([process.stdout], [], [], START_SECONDS)[0]:
            process.kill()
            raise SandboxError(
                f"The VM did not resume within {START_SECONDS:.0f} s.",
                why=f"its log is {log}",
            )
        reply = json.loads(process.stdout.readline() or b"null")
    if reply is None:
        tail = log.read_text(errors="replace").strip().splitlines()[-1:]
        raise SandboxError("The VM's supervisor ended at once.", why="".join(tail))
    if reply:
        raise SandboxError(reply["what"], why=reply["why"], fix=reply["fix"])


def _await_end(folder: Path) -> bool:
    """Whether no supervisor holds that folder, within STOP_SECONDS."""
    deadline = time.monotonic() + STOP_SECONDS
    while True:
        try:
            with (folder / "alive").open("r+") as alive:
                fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
        except FileNotFoundError:
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)


def _supervisors(sandbox_id: str) -> list[int]:
    """Process ids of that sandbox's supervisor, from /proc."""
    wanted = [b"-m", b"sandbox.engine.supervisor", sandbox_id.encode()]
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes().split(b"\0")[1:4] == wanted and path.stat().st_uid == os.getuid():
                found.append(int(path.parent.name))
    return found
