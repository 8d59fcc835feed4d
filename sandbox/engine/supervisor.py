"""The process that owns one sandbox's VM: it outlives notebooks, and QEMU never outlives it.

    python -m sandbox.engine.supervisor ID      settings as one JSON line on standard input

Prints one JSON line when the VM answers, or why it does not, and serves in the sandbox's
run folder, all unix sockets with mode 0600:

    engine.sock            the outer Engine API
    host-a.sock            that host's Engine API
    host-a.agent.sock      that host's agent
    control.sock           one JSON line in, one out: {"do": "status" | "reset" | "stop"}

A VM that nobody uses is paused, and goes on at the next connection: emulated, its idle kernel alone
keeps a part of a processor busy.

QEMU stops a VM whose disk file cannot grow. Every connection is closed then, so that whoever waits
asks why; new ones are refused, and the VM goes on when there is room.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sandbox.engine import assets, companion, disk, link, qemu
from sandbox.engine.control import CONTROL, Settings
from sandbox.errors import SandboxError, written
from sandbox.guest.mux import Loop, Mux
from sandbox.paths import ROOM_BYTES, free, no_room, run_dir, state_dir

__all__: list[str] = []

# A VM that was stopped by a failed write is tried again so often, and runs again when no write has
# failed for so long.
RETRY_SECONDS = 2.0
TRIAL_SECONDS = 0.5
# The longest order, and how many may be under way at once.
ORDER_BYTES = 4096
ASKING = 32


class Supervisor:
    """One VM, its sockets and its disk."""

    def __init__(self, sandbox_id: str, settings: Settings) -> None:
        self._settings = settings
        self._agents = {link.host_agent(host) for host in settings.hosts}
        self._run, self._state = run_dir(sandbox_id), state_dir(sandbox_id)
        self._loop = Loop()
        self._mux: Mux | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._monitor: qemu.Monitor | None = None
        self._running = True
        self._stopping: list[socket.socket] = []
        self._resetting = False
        self._paused = False
        # What QEMU said of the write that stopped the VM; when to look again; whether it runs to
        # see if it fails again.
        self._failed: dict[str, object] | None = None
        self._look, self._trial = 0.0, False
        self._frames, self._used = 0, time.monotonic()

    def start(self) -> None:
        """Resume the VM and serve its sockets. Raises SandboxError."""
        shutil.rmtree(self._run, ignore_errors=True)
        self._run.mkdir(mode=0o700)
        self._resume()
        targets = {"engine.sock": link.ENGINE}
        for host in self._settings.hosts:
            targets[f"{host}.sock"] = link.host_engine(host)
            targets[f"{host}.agent.sock"] = link.host_agent(host)
        for name, target in targets.items():
            link.listen(self._loop, self._awake, self._run / name, target)
        self._listen_control()

    def serve(self) -> None:
        """Carry on until told to stop or the VM ends."""
        while self._running:
            # A link that waits is no use of the VM, but what comes over one is.
            self._loop.step(self._left())
            if self._running and self._failed is not None:
                self._retry()
            elif self._running and self._settings.idle:
                self._rest()

    def _left(self) -> float | None:
        """Seconds until there is something to do: to pause the VM, or to try it again."""
        if self._failed is not None:
            return max(0.0, self._look - time.monotonic())
        if self._paused or not self._settings.idle:
            return None
        return max(0.0, self._used + self._settings.idle - time.monotonic())

    def _rest(self) -> None:
        """Pause a VM that is not used, and let one that is used go on."""
        if self._mux is None or self._monitor is None:
            return
        # A command that is silent is still at work, and so is a capture.
        at_work = any(target in self._agents for target in self._mux.targets())
        if at_work or self._mux.frames != self._frames:
            self._wake()
            self._frames, self._used = self._mux.frames, time.monotonic()
        elif not self._paused and self._left() == 0:
            # A QEMU that does not answer now may stop later.
            self._paused = True
            try:
                self._execute("stop")
            except SandboxError as error:
                _log(error)

    def _awake(self) -> Mux | None:
        self._wake()
        return self._mux if self._failed is None else None

    def _wake(self) -> None:
        if not self._paused or self._monitor is None or self._failed is not None:
            return
        try:
            self._execute("cont")
            self._paused = False
            # The guest's clock stood still.
            self._resumed(internet=False)
        except SandboxError as error:
            _log(error)

    def _execute(self, command: str) -> Any:
        assert self._monitor
        try:
            return self._monitor.execute(command)
        finally:
            self._loop.call(self._hear)

    def _hear(self, _events: int = 0) -> None:
        """Take what QEMU says of its own accord."""
        if self._monitor is None:
            return
        events = self._monitor.events()
        if events is None:
            self._loop.watch(self._monitor.sock, 0, self._hear)
            self._running = False
            return
        for event in events:
            said = event.get("data", {})
            if event["event"] == "BLOCK_IO_ERROR" and said.get("action") == "stop":
                self._stopped(said)
            elif event["event"] == "STOP" and (self._failed is None or self._trial):
                # QEMU 10 holds back errors that come one after the other; or it is our own pause.
                with contextlib.suppress(SandboxError):
                    if self._execute("query-status")["status"] == "io-error":
                        self._stopped(said)

    def _stopped(self, said: dict[str, object]) -> None:
        """Have everyone who waits for the VM ask why. said: QEMU's BLOCK_IO_ERROR."""
        first, self._failed, self._trial = self._failed is None, said, False
        self._look = time.monotonic() + RETRY_SECONDS
        if first:
            _log(self._problem())
        if self._mux:
            self._mux.reset()

    def _problem(self) -> SandboxError | None:
        """Why the VM stands still though nobody paused it, as of now; None if it does not."""
        if self._failed is None:
            return None
        happened = "the sandbox has stopped"
        fix = (
            ". The sandbox continues by itself a few seconds later; then rerun what was "
            "interrupted. To discard what the hosts have written instead: "
            + written("reset", self._run.name)
        )
        if self._failed.get("nospace") or free(self._state) < ROOM_BYTES:
            return no_room(self._state, happened, fix)
        return disk.unwritable(self._state, str(self._failed.get("reason", "")), happened, fix)

    def _retry(self) -> None:
        """Let a stopped VM go on if it can: QEMU repeats the write that failed."""
        if time.monotonic() < self._look:
            return
        if self._trial:
            self._failed, self._trial = None, False
            self._frames, self._used = self._mux.frames if self._mux else 0, time.monotonic()
            try:
                self._resumed(internet=False)
            except SandboxError as error:
                _log(error)
            return
        self._look = time.monotonic() + RETRY_SECONDS
        if free(self._state) < ROOM_BYTES:
            return
        try:
            self._execute("cont")
            self._paused, self._trial = False, True
            self._look = time.monotonic() + TRIAL_SECONDS
        except SandboxError as error:
            _log(error)

    def clean(self) -> None:
        """End the VM and remove what is this sandbox's alone."""
        self._end_vm()
        shutil.rmtree(self._run, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            (self._state / "disk").unlink()
        for conn in self._stopping:
            with conn, contextlib.suppress(OSError):
                conn.sendall(b"{}\n")

    def _resume(self) -> None:
        data = self._state / "disk"
        snapshot = Path(self._settings.snapshot)
        with contextlib.suppress(FileNotFoundError):
            data.unlink()
        with disk.told(self._state, "the sandbox cannot start"):
            subprocess.run(
                [
                    "qemu-img",
                    "create",
                    "-q",
                    "-f",
                    "qcow2",
                    "-F",
                    "raw",
                    "-b",
                    snapshot / "data",
                    data,
                ],
                check=True,
                capture_output=True,
            )
        base = Path(self._settings.base)
        spec = qemu.VMSpec(
            kernel=base / "vmlinuz",
            initrd=base / "initrd",
            root=base / "root",
            data=data,
            data_format="qcow2",
            ram=snapshot / "ram",
            ram_shared=False,
            memory=self._settings.memory,
            incoming=True,
            console=self._state / "console",
            internet=self._settings.internet,
        )
        log = self._state / "qemu.log"
        self._process, monitor, port = qemu.spawn(spec, self._settings.accelerator, log)
        self._monitor, self._paused, self._failed, self._trial = monitor, False, None, False
        self._mux = Mux(self._loop, port, ended=self._vm_ended)
        monitor.load(snapshot / "state")
        self._loop.watch(monitor.sock, selectors.EVENT_READ, self._hear)
        self._execute("cont")
        self._mux.hello()
        try:
            self._resumed(internet=self._settings.internet)
        except SandboxError as error:
            raise self._problem() or error from error
        self._frames, self._used = self._mux.frames, time.monotonic()

    def _resumed(self, *, internet: bool) -> None:
        """Tell the guest what time it is. internet: whether to open the way out, too."""
        assert self._mux
        ours, theirs = socket.socketpair()
        self._mux.open(theirs, link.VM_AGENT)
        request = {
            "op": "resume",
            "time": time.time(),
            "seed": os.urandom(64).hex(),
            "internet": internet,
        }
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(link.ask, ours, json.dumps(request).encode(), 20)
            asked.add_done_callback(lambda _: self._loop.call(lambda: None))
            try:
                while not asked.done():
                    self._loop.step(1)
            except BaseException:
                # Told to end: nobody serves the thread any more.
                with contextlib.suppress(OSError):
                    ours.shutdown(socket.SHUT_RDWR)
                raise
            asked.result()

    def _vm_ended(self) -> None:
        self._running = False

    def _end_vm(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._monitor:
            self._loop.watch(self._monitor.sock, 0, self._hear)
            self._monitor.close()
            self._monitor = None
        if self._mux:
            self._mux.close()
            self._mux = None

    def _reset(self) -> None:
        if self._resetting:
            raise SandboxError("The sandbox is being reset already.")
        self._resetting = True
        try:
            self._end_vm()
            self._running = True
            self._resume()
        except (SandboxError, OSError) as error:
            self._running = False
            if isinstance(error, SandboxError):
                raise
            raise SandboxError("The VM did not start again.", why=str(error)) from error
        finally:
            self._resetting = False

    def _status(self) -> dict[str, object]:
        pid = self._process.pid if self._process else 0
        problem = self._problem()
        return {
            "pid": pid,
            "supervisor": os.getpid(),
            "problem": problem and companion.fields(problem),
            **dataclasses.asdict(self._settings),
        }

    def _listen_control(self) -> None:
        control = companion.bind(self._run / CONTROL)
        control.setblocking(False)
        asking: list[socket.socket] = []

        def accept(_events: int) -> None:
            # A callback of this round may have run the loop, and served it there.
            with contextlib.suppress(OSError):
                conn, _ = control.accept()
                conn.setblocking(False)
                heard = bytearray()
                self._loop.watch(conn, selectors.EVENT_READ, lambda _events: take(conn, heard))
                asking.append(conn)
            if len(asking) > ASKING:
                oldest = asking[0]
                forget(oldest)
                oldest.close()

        def take(conn: socket.socket, heard: bytearray) -> None:
            try:
                data = conn.recv(ORDER_BYTES)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            heard += data
            if data and b"\n" not in heard and len(heard) < ORDER_BYTES:
                return
            forget(conn)
            conn.settimeout(1)
            order = _order(bytes(heard))
            if order == "stop":
                self._running = False
                self._stopping.append(conn)
                return
            with contextlib.suppress(OSError):
                conn.sendall(json.dumps(self._obey(order)).encode() + b"\n")
            conn.close()

        def forget(conn: socket.socket) -> None:
            asking.remove(conn)
            self._loop.watch(conn, 0, accept)

        self._loop.watch(control, selectors.EVENT_READ, accept)

    def _obey(self, order: object) -> dict[str, object]:
        """What to answer to an order: the status, or the fields of a SandboxError."""
        try:
            if order == "reset":
                self._reset()
            elif order != "status":
                raise SandboxError(
                    "A sandbox's supervisor takes the orders status, reset and stop.",
                    fix='send one line such as {"do": "status"}',
                )
        except SandboxError as error:
            return dict(companion.fields(error))
        return self._status()


def _order(line: bytes) -> object:
    """What a line on the control socket asks for; None if it asks for nothing."""
    with contextlib.suppress(ValueError, RecursionError):
        said = json.loads(line)
        if isinstance(said, dict):
            return said.get("do")
    return None


def _log(said: object) -> None:
    # The log is on the disk that may be full.
    with contextlib.suppress(OSError):
        print(said, file=sys.stderr)


def main(sandbox_id: str) -> int:
    """Run one sandbox's VM to its end."""
    settings = Settings(**json.loads(sys.stdin.readline()))
    companion.hold_alive(sandbox_id)
    with assets.hold(Path(settings.snapshot)), assets.hold(Path(settings.base)):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: sys.exit(0))
        supervisor = Supervisor(sandbox_id, settings)
        try:
            supervisor.start()
            companion.tell()
            supervisor.serve()
        except SandboxError as error:
            companion.tell(error)
            return 1
        finally:
            supervisor.clean()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
