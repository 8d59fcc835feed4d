"""The process beside a sandbox: it outlives notebooks, serves the sandbox's unix sockets, and
holds a lock on the file ``alive`` in the sandbox's state folder for as long as it lives."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox.errors import SandboxError
from sandbox.paths import state_dir
from sandbox.progress import Progress

__all__ = [
    "START_SECONDS",
    "STOP_SECONDS",
    "bind",
    "end",
    "hold_alive",
    "launch",
    "living",
    "pids",
    "starting",
    "tell",
]

START_SECONDS = 60.0
STOP_SECONDS = 10.0


@contextmanager
def starting(sandbox_id: str, progress: Progress) -> Iterator[None]:
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


def launch(module: str, sandbox_id: str, settings: Mapping[str, Any]) -> None:
    """Start ``python -m module ID`` and wait until it serves (``tell``).

    settings: handed over as one JSON line.  Raises SandboxError, the process's own if it gave one.
    """
    log = state_dir(sandbox_id) / "companion.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", module, sandbox_id],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd="/",
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            start_new_session=True,
        )
    assert process.stdin and process.stdout
    with process.stdout:
        process.stdin.write(json.dumps(dict(settings)).encode() + b"\n")
        process.stdin.close()
        if not select.select([process.stdout], [], [], START_SECONDS)[0]:
            process.kill()
            raise SandboxError(
                f"The sandbox did not answer within {START_SECONDS:.0f} s.",
                why=f"its log is {log}",
            )
        reply = json.loads(process.stdout.readline() or b"null")
    if reply is None:
        tail = log.read_text(errors="replace").strip().splitlines()[-1:]
        raise SandboxError("The process beside the sandbox ended at once.", why="".join(tail))
    if reply:
        raise SandboxError(reply["what"], why=reply["why"], fix=reply["fix"])


def tell(error: SandboxError | None = None) -> None:
    """Tell the process that launched this one that it serves, or why it does not."""
    reply = {"what": error.what, "why": error.why, "fix": error.fix} if error else {}
    print(json.dumps(reply), flush=True)
    # The caller reads to the end of the pipe; the log takes what may follow.
    os.dup2(2, 1)


def hold_alive(sandbox_id: str) -> None:
    """Lock the file that says that this sandbox's companion lives. Raises BlockingIOError.

    Only the end of this process drops the lock, so that no lock means no process.
    """
    lock = os.open(state_dir(sandbox_id) / "alive", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    # Who asks whether we live holds the lock for a moment.
    for left in range(20, -1, -1):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if not left:
                os.close(lock)
                raise
            time.sleep(0.05)


def living(sandbox_id: str) -> bool:
    """Whether that sandbox's companion lives."""
    try:
        with (state_dir(sandbox_id) / "alive").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False


def end(module: str, sandbox_id: str) -> None:
    """Wait until the companion has ended; kill it if it takes longer than STOP_SECONDS."""
    for _ in range(2):
        deadline = time.monotonic() + STOP_SECONDS
        while living(sandbox_id) and time.monotonic() < deadline:
            time.sleep(0.02)
        if not living(sandbox_id):
            return
        for pid in pids(module, sandbox_id):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def pids(module: str, sandbox_id: str) -> list[int]:
    """Process ids of that sandbox's companion, of those of this account."""
    import psutil

    wanted = ["-m", module, sandbox_id]
    return [
        it.pid
        for it in psutil.process_iter(["cmdline", "uids"])
        # Those that this account may not look at are without either.
        if (it.info["cmdline"] or [])[1:4] == wanted
        and it.info["uids"]
        and it.info["uids"].real == os.getuid()
    ]


def bind(path: Path) -> socket.socket:
    """A unix socket (mode 0600) that listens at path."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    listener = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(mask)
    listener.listen(64)
    return listener
