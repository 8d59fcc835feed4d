"""Netlink messages (netlink(7)): hosts ask the kernel with them, and the model reads its answers.

Standard library only: Debian's python3-minimal runs it on the hosts.
"""

import base64
import socket
import struct
from collections.abc import Iterator

__all__ = ["ask", "dump", "messages", "request"]

NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_DUMP_INTR, NLM_F_DUMP = 0x1, 0x10, 0x300
# A message's length, kind, flags, sequence number and port; an attribute's length, kind, value.
HEADER = struct.Struct("=IHHII")
ATTRIBUTE = struct.Struct("=HHI")
TRIES = 3


def request(kind: int, body: bytes, flags: int = 0) -> bytes:
    """A message that asks the kernel. kind: RTM_… and the like.  body: after the header."""
    return HEADER.pack(HEADER.size + len(body), kind, NLM_F_REQUEST | flags, 1, 0) + body


def dump(asked: socket.socket, kind: int, body: bytes) -> bytes:
    """The replies to a dump request, one after the other. Raises OSError if it is refused."""
    for left in reversed(range(TRIES)):
        asked.send(request(kind, body, NLM_F_DUMP))
        replies, whole = bytearray(), True
        done = False
        while not done:
            data = asked.recv(1 << 16)
            for offset, length, reply, flags in messages(data):
                if reply == NLMSG_ERROR:
                    raise OSError(f"netlink refused request {kind}")
                whole = whole and not flags & NLM_F_DUMP_INTR
                done = reply == NLMSG_DONE
                if not done:
                    replies += data[offset : offset + length]
        # The kernel says so when something changed while it wrote.
        if whole or not left:
            return bytes(replies)
    return b""


def messages(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """For each netlink message its offset, length, kind and flags."""
    offset = 0
    while offset + HEADER.size <= len(data):
        length, kind, flags, _, _ = HEADER.unpack_from(data, offset)
        yield offset, length, kind, flags
        offset += (max(length, HEADER.size) + 3) & ~3


def ask(protocol: int, kind: int, body: bytes) -> str:
    """What the kernel answers to one message, an error too, in base64. Raises OSError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as asked:
        asked.settimeout(2)
        asked.bind((0, 0))
        asked.send(request(kind, body))
        return base64.b64encode(asked.recv(1 << 16)).decode()
