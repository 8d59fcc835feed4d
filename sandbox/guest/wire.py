"""Frames on an agent's socket: those who ask and the agent both run this file.

A frame is one byte of kind, four bytes of length (network byte order), and the payload.

Standard library only: Debian's python3-minimal runs it on the hosts.
"""

import socket
import struct

__all__ = ["read_exactly", "receive", "send"]

# Where the agent of a host, or of the VM, has its socket.
RUN = "/run/wire-by-wire"
FRAME = struct.Struct("!BI")
REQUEST, STDIN, STDIN_END, SIGNAL, RESIZE, STDOUT, STDERR, EXIT, TAKEN = range(9)
# At most this much in a frame of output.
CHUNK = 65536
# It fits into a unix socket's buffer, so that whoever sends it can go on to read.
WINDOW = 65536


def send(conn: socket.socket, kind: int, payload: bytes = b"") -> None:
    """Write one frame. Raises OSError."""
    conn.sendall(FRAME.pack(kind, len(payload)) + payload)


def receive(conn: socket.socket) -> tuple[int, bytes] | None:
    """The next frame as (kind, payload), or None at the end. Raises OSError."""
    header = read_exactly(conn, FRAME.size)
    if header is None:
        return None
    kind, length = FRAME.unpack(header)
    payload = read_exactly(conn, length)
    return None if payload is None else (kind, payload)


def read_exactly(conn: socket.socket, count: int) -> bytes | None:
    """The next count bytes, or None if it ends before. Raises OSError."""
    data = bytearray()
    while len(data) < count:
        more = conn.recv(count - len(data))
        if not more:
            return None
        data += more
    return bytes(data)
