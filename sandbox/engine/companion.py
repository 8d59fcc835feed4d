"""The process beside a sandbox: it outlives notebooks, serves the sandbox's unix sockets, and
holds a lock on the file ``alive`` in the sandbox's state folder for as long as it lives. In that
file is the folder of the sockets, so that they are found from every environment."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import json
import os
import random
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

from sandbox.errors import UNSEEN, SandboxError
from sandbox.paths import (
    alive_file,
    full,
    make_private,
    new_run_dir,
    no_room,
    opened,
    run_dir,
    state_dir,
)
from sandbox.steps import Steps

__all__ = [
    "START_SECONDS",
    "STOP_SECONDS",
    "bind",
    "end",
    "fields",
    "hold_alive",
    "launch",
    "living",
    "pids",
    "starting",
    "starts",
    "tell",
    "unreachable",
]

START_SECONDS = 60.0
STOP_SECONDS = 10.0
HOLD_SECONDS = 10.0
# Those that were started here and may still run: they outlive who starts them.
_launched: list[subprocess.Popen[bytes]] = []


@contextmanager
def starting(sandbox_id: str, steps: Steps) -> Iterator[None]:
    """One start of a sandbox at a time. The kernel drops the lock when its holder ends."""
    folder = state_dir(sandbox_id)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in (folder.parent, folder, *folder.iterdir()):
        make_private(path)
    with opened(folder / "start.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            steps.begin("Waiting for another start of this sandbox")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def starts(sandbox_id: str) -> bool:
    """Whether a start of that sandbox is under way."""
    return _held(state_dir(sandbox_id) / "start.lock")


def launch(module: str, sandbox_id: str, settings: Mapping[str, Any]) -> None:
    """Start ``python -m module ID`` and wait until it serves (``tell``).

    settings: handed over as one JSON line.  Raises SandboxError, the process's own if it gave one.
    """
    # Said here, where it is read, if the sockets can have no place.
    new_run_dir(sandbox_id)
    log = state_dir(sandbox_id) / "companion.log"
    with opened(log, "wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", module, sandbox_id],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd="/",
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), UNSEEN: "1"},
            start_new_session=True,
        )
    _reap()
    _launched.append(process)
    assert process.stdin and process.stdout
    with process.stdout:
        # One that has ended already reads nothing, and its log says why.
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(dict(settings)).encode() + b"\n")
            process.stdin.flush()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        if not select.select([process.stdout], [], [], START_SECONDS)[0]:
            process.kill()
            raise SandboxError(
                f"The sandbox did not answer within {START_SECONDS:.0f} s.",
                why=f"its log is {log}",
            )
        reply = json.loads(process.stdout.readline() or b"null")
    if reply is None:
        if living(sandbox_id):
            _await_other(sandbox_id)
            return
        if folder := full():
            raise no_room(folder)
        tail = log.read_text(errors="replace").strip().splitlines()[-1:]
        raise SandboxError(
            "The process beside the sandbox ended at once.",
            why="".join(tail),
            fix=f"look into its log, {log}, and try again",
        )
    if reply:
        raise SandboxError(**reply)


@atexit.register
def _reap() -> None:
    """Take the status of those that have ended."""
    _launched[:] = [it for it in _launched if it.poll() is None]


def _await_other(sandbox_id: str) -> None:
    """Wait until the companion that somebody else started in the same moment serves."""
    deadline = time.monotonic() + START_SECONDS
    while not (run_dir(sandbox_id) / "engine.sock").exists():
        if time.monotonic() > deadline or not living(sandbox_id):
            raise SandboxError(
                "The sandbox was started somewhere else at the same moment, and does not answer.",
                fix="run this again",
            )
        time.sleep(0.02)


def tell(error: SandboxError | None = None) -> None:
    """Tell the process that launched this one that it serves, or why it does not."""
    reply = fields(error) if error else {}
    print(json.dumps(reply), flush=True)
    # The caller reads to the end of the pipe; the log takes what may follow.
    os.dup2(2, 1)


def fields(error: SandboxError) -> dict[str, str]:
    """The error as JSON takes it; ``SandboxError(**fields)`` makes it again."""
    return {"what": error.what, "why": error.why, "fix": error.fix}


def hold_alive(sandbox_id: str) -> None:
    """Lock the file that says that this sandbox's companion lives, and write there where its
    sockets are. Raises BlockingIOError if it has another companion.

    Only the end of this process drops the lock, so that no lock means no process.
    """
    # The disk, the console and the logs that this process and its QEMU make are the owner's alone.
    os.umask(0o077)
    lock = os.open(alive_file(sandbox_id), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(lock)
        os.ftruncate(lock, 0)
        os.write(lock, os.fsencode(new_run_dir(sandbox_id)))
    except BaseException:
        os.close(lock)
        raise


def _take(lock: int) -> None:
    deadline = time.monotonic() + HOLD_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
        # Who asks shares the lock for a moment; a companion shares it with nobody.
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(lock, fcntl.LOCK_UN)
        time.sleep(random.uniform(0, 0.002))


def living(sandbox_id: str) -> bool:
    """Whether that sandbox's companion lives."""
    return _held(alive_file(sandbox_id))


def unreachable(sandbox_id: str) -> bool:
    """Whether that sandbox's companion lives and its sockets are gone.

    Takes up to STOP_SECONDS if so: one that starts has none yet, and one that ends no more.
    """
    deadline = time.monotonic() + STOP_SECONDS
    while living(sandbox_id) and not run_dir(sandbox_id).exists():
        if time.monotonic() > deadline:
            return True
        time.sleep(0.02)
    return False


def _held(path: Path) -> bool:
    """Whether some process holds the lock on that file for itself alone."""
    try:
        with path.open("rb") as lock:
            # Shared, so that two who ask do not take each other for the holder.
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
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
