"""Names looked up and probes sent as programs of a network namespace do it, without one of its own.

Standard library only: Debian's python3-minimal runs it on the hosts.
"""

import contextlib
import errno
import os
import socket
import struct
import subprocess
import sys
import time

__all__ = ["echo_request", "is_reply", "look_up", "send"]

RESOLVE_SECONDS = 11  # a resolver's own limit is 5 s for each of two tries (resolv.conf(5))
# A connection stays open until its other end closes it, or for so long, that what was sent on it
# arrives where it goes, be it by a proxy.
OPEN_SECONDS = 1.0
# linux/tcp.h, linux/in.h, linux/in6.h
TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21
TCP_SEND_QUEUE, TCP_REPAIR_OFF_NO_WP = 2, -1
IP_MTU_DISCOVER, IP_RECVERR, IPV6_MTU_DISCOVER, IPV6_RECVERR = 10, 11, 23, 25
# "Don't fragment" is set, and what was learned about the path before is not asked.
PMTUDISC_PROBE = 3
ICMP_ECHO, ICMPV6_ECHO = 8, 128
ICMP_ECHO_REPLY, ICMPV6_ECHO_REPLY = 0, 129


def look_up(handle: int, pid: int, name: str) -> dict[str, object]:
    """The addresses of a name, or the error, as a program in that process's place is told.

    handle: an open namespace.  pid: of that process; 0 for the host's own place.
    """
    root = f"/proc/{pid}/root" if pid else "/"
    try:
        answer = subprocess.run(
            [sys.executable, "-c", RESOLVE, str(handle), root, name],
            pass_fds=[handle],
            check=False,
            capture_output=True,
            text=True,
            timeout=RESOLVE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"no name server answered within {RESOLVE_SECONDS} s"}
    if answer.returncode:
        return {"error": (answer.stderr.strip().splitlines() or [""])[-1]}
    return {"addresses": answer.stdout.split()}


# Run with a namespace's handle, a root folder and a name. What it needs is loaded before its root
# changes.
RESOLVE = """
import os, socket, sys
network, root, name = sys.argv[1:]
os.setns(int(network), os.CLONE_NEWNET)
os.chroot(root)
os.chdir("/")
try:
    found = socket.getaddrinfo(name.encode(), None, socket.AF_INET, socket.SOCK_STREAM)
except OSError as error:
    sys.exit(error.strerror)
print(*dict.fromkeys(it[4][0] for it in found))
"""


def send(
    cookie: bytes, isn: int, protocol: str, address: str, port: int, size: int, seconds: float
) -> dict[str, object]:
    """Send one probe from the thread's namespace and wait for what becomes of it.

    cookie: begins its payload, of so many bytes.  isn: a connection's first sequence number.
    protocol: tcp, udp or icmp.  Gives "outcome", "error" and "source" (address and port).
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kinds = {
        "tcp": (socket.SOCK_STREAM, 0),
        "udp": (socket.SOCK_DGRAM, 0),
        "icmp": (socket.SOCK_RAW, 58 if family == socket.AF_INET6 else socket.IPPROTO_ICMP),
    }
    payload = cookie.ljust(size, b"\0")
    with socket.socket(family, *kinds[protocol]) as probe:
        probe.settimeout(seconds)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
            probe.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_PROBE)
        else:
            # An error that a router reports is told at once.
            probe.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
            probe.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_PROBE)
        if protocol == "tcp":
            # connect() keeps a sequence number that is there already (net/ipv4/tcp_ipv4.c).
            probe.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
            probe.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE)
            probe.setsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ, struct.pack("=I", isn))
            probe.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP)
        outcome, number = "answered", 0
        try:
            probe.connect((address, port))
            if protocol == "tcp":
                outcome = "connected"
                probe.sendall(cookie + b"\r\n\r\n")
                with contextlib.suppress(OSError):
                    probe.shutdown(socket.SHUT_WR)
                    probe.settimeout(OPEN_SECONDS)
                    probe.recv(1)
            elif protocol == "udp":
                probe.send(payload)
                probe.recv(1 << 16)
            else:
                probe.send(echo_request(family, payload))
                # It hears every ICMP message of that sender that comes to its namespace.
                until = time.monotonic() + seconds
                while not is_reply(probe.recv(1 << 16), family, cookie):
                    probe.settimeout(max(0.001, until - time.monotonic()))
        except TimeoutError:
            outcome = "silence"
        except OSError as error:
            outcome, number = errno.errorcode.get(error.errno or 0, "error"), error.errno or 0
        source = list(probe.getsockname()[:2])
    return {"outcome": outcome, "error": os.strerror(number) if number else "", "source": source}


def echo_request(family: int, payload: bytes) -> bytes:
    """An ICMP or ICMPv6 echo request, for a raw socket of that family."""
    kind = ICMPV6_ECHO if family == socket.AF_INET6 else ICMP_ECHO
    identifier = int.from_bytes(os.urandom(2))
    message = struct.pack("!BBHHH", kind, 0, 0, identifier, 1) + payload
    # The kernel sums up ICMPv6 itself (RFC 3542).
    total = 0 if kind == ICMPV6_ECHO else checksum(message)
    return message[:2] + struct.pack("!H", total) + message[4:]


def is_reply(message: bytes, family: int, cookie: bytes) -> bool:
    """Whether a raw socket heard the answer to our request; an error quotes the cookie, too."""
    if family == socket.AF_INET6:
        return message[:1] == bytes([ICMPV6_ECHO_REPLY]) and cookie in message
    # Here it has its IPv4 header, whose length is counted in words.
    start = 4 * (message[0] & 0xF) if message else 0
    return message[start : start + 1] == bytes([ICMP_ECHO_REPLY]) and cookie in message


def checksum(data: bytes) -> int:
    """RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
