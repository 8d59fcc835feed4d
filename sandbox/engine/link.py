"""The way from this machine's unix sockets through the VM's serial port to sockets inside."""

from __future__ import annotations

import contextlib
import selectors
import socket
from collections.abc import Callable
from pathlib import Path

from sandbox.engine import companion
from sandbox.errors import SandboxError
from sandbox.guest import wire
from sandbox.guest.mux import Loop, Mux

__all__ = [
    "ENGINE",
    "VM_AGENT",
    "ask",
    "connect",
    "host_agent",
    "host_engine",
    "listen",
]

# Targets, as guest/agent.py dials them.
ENGINE = "unix:/run/docker.sock"
VM_AGENT = f"unix:{wire.RUN}/agent.sock"


def host_engine(host: str) -> str:
    """The target of that host's Engine API."""
    return f"host:{host}:/run/docker.sock"


def host_agent(host: str) -> str:
    """The target of that host's agent."""
    return f"host:{host}:{wire.RUN}/agent.sock"


def listen(loop: Loop, mux: Callable[[], Mux | None], path: Path, target: str) -> socket.socket:
    """Serve a unix socket (mode 0600) at path whose connections go to target.

    mux: gives the link of the moment; None refuses the connection.
    """
    listener = companion.bind(path)
    listener.setblocking(False)

    def accept(_events: int) -> None:
        with contextlib.suppress(BlockingIOError):
            conn, _ = listener.accept()
            link = mux()
            if link is None:
                conn.close()
            else:
                link.open(conn, target)

    loop.watch(listener, selectors.EVENT_READ, accept)
    return listener


def connect(path: str, timeout: float = 5.0) -> socket.socket:
    """A socket connected to the unix socket at path. Raises OSError."""
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.settimeout(timeout)
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return sock


def ask(sock: socket.socket, request: bytes, timeout: float = 30.0) -> None:
    """Have an agent do one request (JSON, see guest/agent.py) and wait until it is done.

    Raises SandboxError if the agent refuses, goes away or takes longer than timeout seconds.
    """
    said = b""
    with sock:
        sock.settimeout(timeout)
        try:
            wire.send(sock, wire.REQUEST, request)
            while frame := wire.receive(sock):
                kind, payload = frame
                if kind == wire.STDERR:
                    said += payload
                elif kind == wire.EXIT:
                    if payload != b"0":
                        raise SandboxError("The VM's agent failed.", why=said.decode().strip())
                    return
        except OSError as error:
            raise SandboxError("The VM's agent does not answer.", why=str(error)) from error
    raise SandboxError("The VM's agent went away.")
