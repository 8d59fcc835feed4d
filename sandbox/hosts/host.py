"""One Docker host: run commands on it as if logged in there, or use its Engine API."""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import reprlib
import select
import signal
import socket
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sandbox import settings
from sandbox.engine import link
from sandbox.errors import SandboxError, advice, default_id, expect, written
from sandbox.guest import wire

if TYPE_CHECKING:
    from docker import DockerClient

    from sandbox.guest.state_types import State

__all__ = ["Conversation", "Host", "Result"]

INTERRUPT_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended. code: its exit status, 128 + n after signal n."""

    code: int
    stdout: str
    stderr: str


class Host:
    """A Docker host of a sandbox.

    name: such as ``host-a``.  address: its IPv4 address on the LAN.
    last_words: gives why the sandbox ended, "" if it did not, and raises SandboxError if there is
        a problem to be solved first; asked when the host is silent.
    sandbox_id: of its sandbox; None for the default one.
    """

    def __init__(
        self,
        name: str,
        address: str,
        engine_url: str,
        agent_path: str,
        last_words: Callable[[], str] = str,
        *,
        sandbox_id: str | None = None,
    ) -> None:
        self.name, self.address = name, address
        self._engine_url, self._agent_path = engine_url, agent_path
        self._last_words = last_words
        self.sandbox_id = sandbox_id or default_id()

    def __repr__(self) -> str:
        return f"<Host {self.name} {self.address}>"

    @cached_property
    def client(self) -> DockerClient:
        """This host's Engine API. Raises SandboxError if its dockerd does not answer.

        A call that waits in silence (``wait``) keeps no VM from being paused; a command does.
        """
        # urllib3 closes its connections when nobody has this host any more.
        return self.connect(60)

    def connect(self, timeout: int) -> DockerClient:
        """A client of this host's Engine API that waits that many seconds for an answer.

        Raises SandboxError if its dockerd does not answer, and from any call if the sandbox ends
        or stops during it; other failures are docker's own.
        """
        from docker import DockerClient
        from docker.errors import DockerException

        try:
            client = DockerClient(base_url=self._engine_url, timeout=timeout)
        except DockerException as error:
            raise self._silent(f"The Docker Engine of {self.name}", error) from error
        send = client.api.send

        def told(*request: Any, **options: Any) -> Any:
            try:
                return send(*request, **options)
            except OSError as error:  # what requests raises
                if words := self._last_words():
                    raise self._unreachable(words) from error
                raise

        client.api.send = told  # type: ignore[method-assign]
        return client

    def run(self, command: str | Sequence[str], *, timeout: float = 120.0) -> Result:
        """Run a command and wait for it.

        command: a line for bash, or an argument list.  timeout: seconds; the command is
        killed when they have passed.

        Raises SandboxError if the host cannot be reached or the time is over.
        """
        expect(command, (str, list, tuple), "a command", 'write it in quotes: "docker ps"')
        expect(timeout, (int, float), "a number of seconds", "write one such as 120")
        argv = ["bash", "-c", command] if isinstance(command, str) else list(command)
        taken = _Taken()
        code = self.stream(argv, taken, timeout=timeout)
        return Result(code, taken.text(wire.STDOUT), taken.text(wire.STDERR))

    def look(self, timeout: float) -> None:
        """Raises SandboxError if the host does not run a command within timeout seconds."""
        self._ask({"op": "exec", "argv": ["echo", "{}"]}, "a command", timeout)

    def read_state(self, *, timeout: float = 30.0) -> State:
        """The host's network state as ``guest/state.py`` reads it, in one round trip.

        Raises SandboxError if the host cannot be reached or timeout seconds are over.
        """
        state: State = self._ask({"op": "state"}, "its state", timeout)
        return state

    def attempt(self, wanted: dict[str, object], *, timeout: float = 30.0) -> dict[str, Any]:
        """What became of an attempt to reach something from a namespace of this host.

        Its form and the answer's is that of ``guest/attempt.py``. Raises SandboxError if the host
        cannot be reached or timeout seconds are over.
        """
        return dict(self._ask({**wanted, "op": "attempt"}, "to try that", timeout))

    def _ask(self, request: dict[str, object], what: str, timeout: float) -> Any:
        taken = _Taken()
        with self._request(request) as conn:
            try:
                code = self._follow(conn, taken, time.monotonic() + timeout)
            except TimeoutError:
                raise self._unreachable(f"{what} took longer than {timeout:.0f} s") from None
            except OSError as error:
                raise self._unreachable(error) from error
        if code:
            raise self._unreachable(taken.text(wire.STDERR).strip())
        return json.loads(taken.text(wire.STDOUT))

    @contextlib.contextmanager
    def converse(self, request: dict[str, object]) -> Iterator[Conversation]:
        """A conversation with the host's agent, as ``guest/capture.py`` holds one.

        Raises SandboxError if the host cannot be reached.
        """
        with self._request(request) as conn:
            try:
                yield Conversation(conn, self._unreachable)
            finally:
                # Another thread may wait for an answer.
                with contextlib.suppress(OSError):
                    conn.shutdown(socket.SHUT_RDWR)

    def stream(
        self,
        argv: list[str],
        output: Callable[[int, bytes], None],
        *,
        stdin: bytes = b"",
        timeout: float | None = None,
    ) -> int:
        """Run argv, calling output(wire.STDOUT or wire.STDERR, bytes) as output comes.

        Returns the exit status. Interrupting it (KeyboardInterrupt) interrupts the command
        too. Raises SandboxError if the host cannot be reached or timeout seconds are over.
        """
        for word in argv:
            expect(word, str, "a word of a command", 'write each in quotes: ["docker", "ps"]')
            if "\0" in word:
                raise SandboxError(f"{reprlib.repr(word)} cannot be run: it has a NUL character.")
        if not argv:
            raise SandboxError("There is no command to run.", fix='write one: ["docker", "ps"]')
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._request({"op": "exec", "argv": argv}) as conn:
            unsent = memoryview(stdin)

            def feed(room: int) -> None:
                nonlocal unsent
                # A command that has ended takes no more, and its status is still to be read.
                with contextlib.suppress(ConnectionError):
                    if room:
                        wire.send(conn, wire.STDIN, bytes(unsent[:room]))
                        unsent = unsent[room:]
                    if not unsent:
                        wire.send(conn, wire.STDIN_END)

            def take(kind: int, data: bytes) -> None:
                if kind != wire.TAKEN:
                    output(kind, data)
                elif unsent:
                    feed(int(data))

            try:
                feed(min(len(unsent), wire.WINDOW))
                return self._follow(conn, take, deadline)
            except KeyboardInterrupt:
                with contextlib.suppress(OSError, SandboxError):
                    wire.send(conn, wire.SIGNAL, str(int(signal.SIGINT)).encode())
                    self._follow(conn, take, time.monotonic() + INTERRUPT_SECONDS)
                raise
            except TimeoutError:
                raise SandboxError(
                    f"A command on {self.name} took longer than {timeout:.0f} s.",
                    fix="give it more time, or find out what it waits for",
                ) from None
            except OSError as error:
                raise self._unreachable(error) from error

    def _follow(
        self,
        conn: socket.socket,
        output: Callable[[int, bytes], None],
        deadline: float | None,
    ) -> int:
        while True:
            if deadline is not None:
                conn.settimeout(max(0.001, deadline - time.monotonic()))
            frame = wire.receive(conn)
            if frame is None:
                raise self._unreachable("the connection broke")
            kind, payload = frame
            if kind == wire.EXIT:
                return int(payload)
            output(kind, payload)

    def _request(self, request: dict[str, object]) -> socket.socket:
        try:
            conn = link.connect(self._agent_path)
        except OSError as error:
            raise self._unreachable(error) from error
        try:
            conn.settimeout(None)
            wire.send(conn, wire.REQUEST, json.dumps(request).encode())
        except OSError as error:
            conn.close()
            raise self._unreachable(error) from error
        return conn

    def _unreachable(self, cause: object) -> SandboxError:
        return self._silent(self.name, cause)

    def _silent(self, who: str, cause: object) -> SandboxError:
        """The error for who does not answer. Raises the sandbox's own problem if it has one."""
        last, reset = self._last_words(), written("reset", self.sandbox_id)
        return SandboxError(
            f"{who} does not answer.",
            why="; ".join(dict.fromkeys(filter(None, (str(cause), last)))),
            # Its agent begins again when it was killed.
            fix=reset if last else f"try again in a few seconds; if that does not help: {reset}",
        )

    def shell(self, container: str = "") -> int:
        """Join this terminal to a shell; returns its exit status.

        container: the name of one that the shell runs in; "" for a login shell on the host.
        Raises SandboxError if this is no terminal.
        """
        if not sys.stdin.isatty():
            raise SandboxError(
                "A shell needs a terminal.",
                fix=advice(f"%%host {self.name.removeprefix('host-')}", "run it in a terminal"),
            )
        size = os.get_terminal_size()
        request: dict[str, object] = {
            "op": "exec",
            "argv": ["docker", "exec", "-it", container, "sh"] if container else ["bash", "-l"],
            "env": {"TERM": settings.read("TERM") or "xterm"},
            "tty": [size.lines, size.columns],
        }
        before = termios.tcgetattr(0)
        with self._request(request) as conn:

            def resized(*_: object) -> None:
                now = os.get_terminal_size()
                wire.send(conn, wire.RESIZE, f"{now.lines} {now.columns}".encode())

            signal.signal(signal.SIGWINCH, resized)
            try:
                tty.setraw(0)
                return self._join(conn)
            except OSError as error:
                raise self._unreachable(error) from error
            finally:
                signal.signal(signal.SIGWINCH, signal.SIG_DFL)
                termios.tcsetattr(0, termios.TCSADRAIN, before)

    def _join(self, conn: socket.socket) -> int:
        watched: list[int | socket.socket] = [0, conn]
        while True:
            ready, _, _ = select.select(watched, [], [])
            if 0 in ready:
                data = os.read(0, 4096)
                if data:
                    wire.send(conn, wire.STDIN, data)
                else:
                    watched.remove(0)
            if conn in ready:
                frame = wire.receive(conn)
                if frame is None:
                    raise self._unreachable("the connection broke")
                if frame[0] == wire.EXIT:
                    return int(frame[1])
                if frame[0] != wire.TAKEN:
                    os.write(1, frame[1])


class Conversation:
    """Commands to a host's agent and its answers, one after the other, each JSON.

    failed: makes the error for a cause.
    """

    def __init__(self, conn: socket.socket, failed: Callable[[object], SandboxError]) -> None:
        self._conn, self._failed, self._heard = conn, failed, b""

    def ask(self, command: dict[str, object], timeout: float) -> dict[str, Any]:
        """The answer to a command. Raises SandboxError if none comes in that many seconds."""
        try:
            wire.send(self._conn, wire.STDIN, json.dumps(command).encode())
        except OSError as error:
            raise self._failed(error) from error
        return self.hear(timeout)

    def hear(self, timeout: float) -> dict[str, Any]:
        """The next answer. Raises SandboxError if none comes in that many seconds."""
        deadline = time.monotonic() + timeout
        while b"\n" not in self._heard:
            try:
                self._conn.settimeout(max(0.001, deadline - time.monotonic()))
                frame = wire.receive(self._conn)
            except TimeoutError:
                raise self._failed(f"it took longer than {timeout:.0f} s") from None
            except OSError as error:
                raise self._failed(error) from error
            if frame is None:
                raise self._failed("the connection broke")
            kind, payload = frame
            if kind != wire.STDOUT:
                raise self._failed(payload.decode(errors="replace").strip())
            self._heard += payload
        line, _, self._heard = self._heard.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer


class _Taken:
    """Keeps what a command writes, by kind."""

    def __init__(self) -> None:
        self._parts: dict[int, list[bytes]] = {wire.STDOUT: [], wire.STDERR: []}

    def __call__(self, kind: int, data: bytes) -> None:
        self._parts[kind].append(data)

    def text(self, kind: int) -> str:
        return b"".join(self._parts[kind]).decode(errors="replace")


def text_writer(write: Callable[[str], object]) -> Callable[[bytes], None]:
    """A function that takes bytes as they come and writes whole characters."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def take(data: bytes) -> None:
        if text := decoder.decode(data):
            write(text)

    return take
