"""The companion of a sandbox on an Engine that already runs.

    python -m sandbox.engine.relay ID      on standard input one JSON line:
        {"daemon": the fields of daemon.Daemon, "scope": "wbw-ID-", "hosts": ["host-a", ...]}

Hosts open no port. Each connection to one of these sockets (mode 0600) in the sandbox's run
folder goes through an exec of ``agent.py dial`` in the host's container:

    engine.sock            the outer Engine API
    host-a.sock            that host's Engine API
    host-a.agent.sock      that host's agent

It ends when it is told to (SIGTERM), or when the sandbox or its Engine is gone.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, cast
from urllib.parse import urlsplit

from docker import APIClient
from docker.errors import DockerException

from sandbox.engine import assets, companion
from sandbox.engine.base import LABEL
from sandbox.engine.daemon import Daemon
from sandbox.errors import SandboxError
from sandbox.guest import wire
from sandbox.paths import run_dir

__all__: list[str] = []

LOOK_SECONDS = 20.0
CHUNK = 65536
FRAME_HEADER = 8  # Engine API, "Stream format" of attach: kind, three zeroes, length


class _Stream(Protocol):
    """The far end of a connection."""

    def receive(self) -> bytes: ...
    def send(self, data: bytes) -> None: ...
    def end_sending(self) -> None: ...
    def close(self) -> None: ...


class _Exec:
    """A program's standard input and output in a container."""

    def __init__(self, daemon: Daemon, version: str, container: str, path: str) -> None:
        self._api = APIClient(base_url=daemon.url, tls=daemon.tls() or False, version=version)
        command = ["python3", f"{assets.LIB}/agent.py", "dial", path]
        created = self._api.exec_create(container, command, stdin=True)
        stream = self._api.exec_start(created["Id"], socket=True)
        # For a unix socket docker-py gives the file object around it, which only reads.
        self._sock: socket.socket = cast("socket.socket", getattr(stream, "_sock", stream))
        self._stream = stream
        self._sock.settimeout(None)

    def receive(self) -> bytes:
        while header := wire.read_exactly(self._sock, FRAME_HEADER):
            data = wire.read_exactly(self._sock, int.from_bytes(header[4:]))
            if data is None:
                break
            if header[0] == 1:
                return bytes(data)
            print(f"a host's relay says: {data.decode(errors='replace')}", file=sys.stderr)
        return b""

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)

    def end_sending(self) -> None:
        self._sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._stream.close()
        # With TLS it is the response that keeps the socket's descriptor.
        response = getattr(self._stream, "_response", None)
        if response is not None:
            response.close()
        self._api.close()


class _Direct:
    """The outer Engine's own socket."""

    def __init__(self, daemon: Daemon) -> None:
        parts = urlsplit(daemon.url)
        if parts.scheme in ("unix", "http+unix"):
            self._sock = socket.socket(socket.AF_UNIX)
            self._sock.connect(parts.path)
            return
        tls = daemon.tls()
        assert tls is not None and parts.hostname
        import ssl

        context = ssl.create_default_context(cafile=tls.ca_cert)
        if tls.cert:
            context.load_cert_chain(*tls.cert)
        plain = socket.create_connection((parts.hostname, parts.port or 2376), timeout=10)
        plain.settimeout(None)
        self._sock = context.wrap_socket(plain, server_hostname=parts.hostname)

    def receive(self) -> bytes:
        return self._sock.recv(CHUNK)

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)

    def end_sending(self) -> None:
        self._sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()


def _serve(listener: socket.socket, dial: Callable[[], _Stream]) -> None:
    while True:
        try:
            conn, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_carry, args=(conn, dial), daemon=True).start()


def _carry(conn: socket.socket, dial: Callable[[], _Stream]) -> None:
    """Join one connection to what dial gives, until either side ends."""
    with conn:
        try:
            far = dial()
        except (DockerException, OSError) as error:
            print(error, file=sys.stderr)
            return

        def upward() -> None:
            with contextlib.suppress(OSError):
                while data := conn.recv(CHUNK):
                    far.send(data)
                far.end_sending()

        threading.Thread(target=upward, daemon=True).start()
        with contextlib.suppress(OSError):
            while data := far.receive():
                conn.sendall(data)
        with contextlib.suppress(OSError):
            conn.shutdown(socket.SHUT_RDWR)
        far.close()


def _watch(daemon: Daemon, sandbox_id: str) -> None:
    """Return when the sandbox has been gone for a while, or its Engine does not answer."""
    missing = 0
    while missing < 3:
        time.sleep(LOOK_SECONDS)
        try:
            client = daemon.connect()
            label = f"{LABEL}={sandbox_id}"
            there = client.containers.list(all=True, filters={"label": label})
            missing = 0 if there else missing + 1
            client.close()
        except (SandboxError, DockerException, OSError):
            return
        if not run_dir(sandbox_id).exists():
            return


def main(sandbox_id: str) -> int:
    """Serve one sandbox's sockets."""
    settings = json.loads(sys.stdin.readline())
    daemon = Daemon(**settings["daemon"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    companion.hold_alive(sandbox_id)
    run = run_dir(sandbox_id)
    try:
        client = daemon.connect()
        version = client.api.api_version
        client.close()
        shutil.rmtree(run, ignore_errors=True)
        run.mkdir(mode=0o700)
        dials: dict[str, Callable[[], _Stream]] = {"engine.sock": lambda: _Direct(daemon)}
        for host in settings["hosts"]:
            for name, path in (
                (f"{host}.sock", "/run/docker.sock"),
                (f"{host}.agent.sock", f"{wire.RUN}/agent.sock"),
            ):
                dials[name] = _dial(daemon, version, settings["scope"] + host, path)
        for name, dial in dials.items():
            listener = companion.bind(run / name)
            threading.Thread(target=_serve, args=(listener, dial), daemon=True).start()
        companion.tell()
        _watch(daemon, sandbox_id)
    except SandboxError as error:
        companion.tell(error)
        return 1
    finally:
        shutil.rmtree(Path(run), ignore_errors=True)
    return 0


def _dial(daemon: Daemon, version: str, container: str, path: str) -> Callable[[], _Stream]:
    return lambda: _Exec(daemon, version, container, path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
