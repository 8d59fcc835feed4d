"""Tries to reach something from network namespaces of the host that it runs on.

    {"op": "attempt", "namespace": inode, "pid": number, "to": "…",
     "protocol": "tcp" | "icmp" | "name", "port": 80, "seconds": 2.0}
        {"outcome": "…", "error": "…", "addresses": ["…"], "said": "…"}

pid is that of a process there, whose resolv.conf and hosts file are asked when ``to`` is a name;
0 for the host's own. An outcome is "answered", "silence", "unknown name", "no namespace", or an
errno's name, such as "ECONNREFUSED". said: what a TCP server answered to an HTTP request.

It goes by no program of the namespace's container, and needs none there. Standard library only.
"""

from __future__ import annotations

import errno
import os
import socket
import time

try:
    from sandbox.guest import probe, state
except ImportError:  # in a host they stand beside this one, without the package
    import probe  # type: ignore[no-redef]
    import state  # type: ignore[no-redef]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["attempt"]

REQUEST = b"GET / HTTP/1.0\r\n\r\n"
MOST_SAID = 400


def attempt(
    namespace: int, pid: int, to: str, protocol: str, port: int, seconds: float
) -> dict[str, Any]:
    """The answer, as described at the top; the calling thread is in that namespace from then on.

    seconds: how long to wait for it. What cannot be reached is an outcome, not an error.
    """
    answer: dict[str, Any] = {"outcome": "", "error": "", "addresses": [], "said": ""}
    try:
        found = state.find_namespaces(os.stat(state.NAMESPACE))
        handle = os.open(found[namespace]["open"], os.O_RDONLY)
    except (KeyError, OSError):
        return {**answer, "outcome": "no namespace"}
    try:
        looked_up = addresses_of(handle, pid, to)
        if "error" in looked_up:
            return {**answer, "outcome": "unknown name", "error": looked_up["error"]}
        answer["addresses"] = looked_up["addresses"]
        if protocol == "name":
            return {**answer, "outcome": "answered"}
        state.enter(handle)
        try:
            reach = {"tcp": reach_tcp, "icmp": reach_icmp}[protocol]
            answer["said"] = reach(answer["addresses"][0], port, seconds)
        except TimeoutError:
            return {**answer, "outcome": "silence"}
        except OSError as error:
            name = errno.errorcode.get(error.errno or 0, "error")
            return {**answer, "outcome": name, "error": error.strerror or str(error)}
        return {**answer, "outcome": "answered"}
    finally:
        os.close(handle)


def addresses_of(handle: int, pid: int, to: str) -> dict[str, object]:
    """The addresses that an address or a name stands for, or an error, as probe.look_up says."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, to)
        except OSError:
            continue
        return {"addresses": [to]}
    return probe.look_up(handle, pid, to)


def reach_tcp(address: str, port: int, seconds: float) -> str:
    """What a TCP server answers to an HTTP request: its body's beginning, "" if it talks no HTTP.

    seconds: for each wait. Raises OSError, TimeoutError too, if it accepts no connection.
    """
    with socket.create_connection((address, port), seconds) as conn:
        try:
            conn.sendall(REQUEST)
            said = b""
            while len(said) < MOST_SAID and (more := conn.recv(MOST_SAID)):
                said += more
        except OSError:
            # Who accepts a connection need not talk HTTP.
            return ""
    return said.partition(b"\r\n\r\n")[2].decode(errors="replace").strip()


def reach_icmp(address: str, _port: int, seconds: float) -> str:
    """Wait so many seconds for the answer to an echo request, which says nothing: gives "".

    Raises OSError, TimeoutError too.
    """
    six = ":" in address
    family, protocol = (socket.AF_INET6, 58) if six else (socket.AF_INET, socket.IPPROTO_ICMP)
    payload, until = os.urandom(16), time.monotonic() + seconds
    with socket.socket(family, socket.SOCK_RAW, protocol) as conn:
        conn.settimeout(seconds)
        conn.connect((address, 0))
        conn.send(probe.echo_request(family, payload))
        # It hears every ICMP message of that sender, and its own request where that is itself.
        while not probe.is_reply(conn.recv(1 << 16), family, payload):
            conn.settimeout(max(0.001, until - time.monotonic()))
    return ""
