"""Follows one probe through every network namespace of the host that it runs on.

A conversation on the agent's socket (agent.py). Its request has "cookie" and "isn"; the answer
comes as lines of JSON: {} when nobody else uses the host so, the host's state (state.py), {}
when everything listens. Then every STDIN frame is a command, JSON, answered by such a line:

    {"do": "resolve", "namespace": inode, "pid": number, "name": "db"}
        {"addresses": ["…"]}        as a program in that process's place is told
    {"do": "send", "namespace": inode, "protocol": "tcp" | "udp" | "icmp", "address": "…",
     "port": 80, "size": 16, "seconds": 0.9}
        {"outcome": "…", "source": ["…", port]}     once it has ended
    {"do": "stop"}
        {"frames": […], "traces": {…}, …}           from now on nothing listens
    {"do": "ask", "questions": [[inode, protocol, kind, body], …]}
        {"answers": ["…", …]}       netlink messages in base64, as the kernel wrote them
    {"do": "proxies"}
        {"proxies": [["…", …], …]}  the words that Docker's userland proxies were started with

The probe is known by the cookie, 16 bytes in its payload, or, as a TCP connection begins without
one, by isn, its initial sequence number: both stay what they are through NAT and in a tunnel.
A table of nftables marks it for the kernel's own trace (nft(8), "meta nftrace"). That table
belongs to a socket of ours ("flags owner"), so the kernel removes it when we end in any way.

Standard library only: Debian's python3-minimal runs it.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import functools
import glob
import json
import os
import queue
import selectors
import socket
import struct
import threading
import time

try:
    from sandbox.guest import bpf, netlink, nftables, probe, state, wire
except ImportError:  # in a host they stand beside this one, without the package
    import bpf  # type: ignore[no-redef]
    import netlink  # type: ignore[no-redef]
    import nftables  # type: ignore[no-redef]
    import probe  # type: ignore[no-redef]
    import state  # type: ignore[no-redef]
    import wire  # type: ignore[no-redef]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["converse"]

LONGEST_SECONDS = 30.0
# Of each kind no more is kept: a host may have much traffic of its own.
KEPT = 500
# The probe has come to its end when it was not seen for so long.
QUIET_SECONDS = 0.1
QUIET_AT_LATEST_SECONDS = 1.0

ETH_P_ALL = 0x0003
# include/uapi/asm-generic/socket.h, linux/if_packet.h, linux/netlink.h
SO_TIMESTAMPNS = 35
SOL_PACKET, PACKET_AUXDATA, TP_STATUS_VLAN_VALID = 263, 8, 1 << 4
AUXDATA = struct.Struct("=IIIHHHH")
SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NETLINK_NETFILTER, NFNLGRP_NFTRACE = 270, 1, 12, 9

_one_at_a_time = threading.Lock()


def converse(conn: socket.socket, request: dict[str, Any]) -> None:
    """Serve one conversation on conn. However it ends, nothing is left behind.

    request: with "cookie", 16 characters, and "isn", below 2 ** 32. Raises OSError.
    """
    # One who no longer reads, or stops in the middle of a command, ends it too.
    conn.settimeout(LONGEST_SECONDS)
    with _one_at_a_time:
        # Whoever asks several hosts waits for each, so that no two wait for each other.
        tell(conn, {})
        with Watch(request["cookie"].encode(), request["isn"]) as watch:
            watch.listen()
            tell(conn, {"state": state.read()})
            heard = watch_probe(conn, watch)
            if heard is not None:
                tell(conn, heard)
                while command := watch.next_command(conn):
                    tell(conn, watch.do(command))


def watch_probe(conn: socket.socket, watch: Watch) -> dict[str, Any] | None:
    """Do what is asked until everything is to stop; gives what was heard, None at the end.

    Raises OSError.
    """
    # Who reads the state meanwhile waits: the table that marks the probe is no part of it.
    with state.one_at_a_time:
        try:
            watch.start()
            tell(conn, {})
            while command := watch.next_command(conn):
                answer = watch.do(command)
                if command["do"] == "stop":
                    return answer
                tell(conn, answer)
        finally:
            watch.silence()
    return None


def tell(conn: socket.socket, answer: object) -> None:
    """Write answer as a line of JSON, in frames. Raises OSError."""
    data = json.dumps(answer).encode() + b"\n"
    for offset in range(0, len(data), wire.CHUNK):
        wire.send(conn, wire.STDOUT, data[offset : offset + wire.CHUNK])


class Watch:
    """Sockets in every namespace, and what they heard; to be used in a with statement.

    cookie: 16 bytes.  isn: below 2 ** 32. They tell the probe, see the top.
    """

    def __init__(self, cookie: bytes, isn: int) -> None:
        self.cookie, self.isn = cookie, isn
        self.marks = (cookie, struct.pack("!I", isn), struct.pack("!I", (isn + 1) & 0xFFFFFFFF))
        self.deadline = time.monotonic() + LONGEST_SECONDS
        # By inode of a namespace.
        self.handles: dict[int, int] = {}
        self.packets: dict[int, socket.socket] = {}
        self.events: dict[int, socket.socket] = {}
        self.contexts: dict[int, int] = {}
        self.before: dict[int, list[str]] = {}
        self.traces: dict[int, list[str]] = {}
        # As (inode, interface, direction, kind of hardware, nanoseconds, VLAN, base64).
        self.frames: list[list[Any]] = []
        # How many of each kind.
        self.seen: dict[str, int] = {}

    def __enter__(self) -> Watch:
        self.home = os.open(state.NAMESPACE, os.O_RDONLY)
        self.selector = selectors.DefaultSelector()
        return self

    def __exit__(self, *_: object) -> None:
        self.silence()
        self.selector.close()
        for handle in (*self.handles.values(), self.home):
            os.close(handle)

    @contextlib.contextmanager
    def inside(self, inode: int) -> Iterator[None]:
        """Be in that namespace. Raises KeyError if it was not there, OSError."""
        state.enter(self.handles[inode])
        try:
            yield
        finally:
            state.enter(self.home)

    def listen(self) -> None:
        """Hear every frame that may be the probe's, in every namespace. Raises OSError."""
        program = bpf.program(self.cookie, self.isn)
        for inode, found in state.find_namespaces(os.stat(state.NAMESPACE)).items():
            # One that is gone meanwhile hears nothing.
            with contextlib.suppress(OSError):
                self.handles[inode] = os.open(found["open"], os.O_RDONLY)
                with self.inside(inode):
                    heard = socket.socket(
                        socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)
                    )
                bpf.attach(heard, program)
                heard.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
                heard.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
                heard.setblocking(False)
                self.packets[inode] = heard
                self.selector.register(heard, selectors.EVENT_READ, (self.take_frames, inode))

    def start(self) -> None:
        """Have the kernel trace the probe, everywhere. Raises OSError."""
        rules = nftables.trace_rules(self.cookie, self.isn).encode()
        for inode in self.packets:
            with self.inside(inode):
                self.before[inode] = read_counters()
                events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
                self.events[inode] = events
                events.bind((0, 0))
                events.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NFNLGRP_NFTRACE)
                events.setblocking(False)
                self.selector.register(events, selectors.EVENT_READ, (self.take_events, inode))
                self.contexts[inode] = nftables.new_context()
                nftables.run(self.contexts[inode], rules)

    def silence(self) -> None:
        """Hear nothing more. Each socket waits for all processors; together they wait once."""
        free = nftables.library().nft_ctx_free
        acts = [heard.close for heard in (*self.packets.values(), *self.events.values())]
        acts += [functools.partial(free, context) for context in self.contexts.values()]
        for heard in (*self.packets.values(), *self.events.values()):
            with contextlib.suppress(KeyError):
                self.selector.unregister(heard)
        workers = [threading.Thread(target=act) for act in acts]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        self.packets, self.events, self.contexts = {}, {}, {}

    def next_command(self, conn: socket.socket) -> dict[str, Any] | None:
        """The next command; None at the end of the conversation or when it takes too long.

        Raises OSError, or ValueError for what is no JSON.
        """
        self.selector.register(conn, selectors.EVENT_READ, None)
        try:
            while (left := self.deadline - time.monotonic()) > 0:
                for key, _ in self.selector.select(left):
                    if key.data is None:
                        kind, payload = wire.receive(conn) or (wire.STDIN_END, b"")
                        command: dict[str, Any] | None = None
                        if kind == wire.STDIN:
                            command = json.loads(payload)
                        return command
                    take, inode = key.data
                    take(key.fileobj, inode)
            return None
        finally:
            self.selector.unregister(conn)

    def hear(self, seconds: float) -> bool:
        """Take what comes within so many seconds; whether anything came."""
        ready = self.selector.select(seconds)
        for key, _ in ready:
            take, inode = key.data
            take(key.fileobj, inode)
        return bool(ready)

    def take_frames(self, heard: socket.socket, inode: int) -> None:
        """Keep the frames that wait at a socket of that namespace."""
        with contextlib.suppress(OSError):  # there is no more, or its interface went down
            for _ in range(KEPT):
                data, extra, _, where = heard.recvmsg(1 << 16, 256)
                self.keep(inode, data, extra, where)

    def keep(
        self, inode: int, data: bytes, extra: list[tuple[int, int, bytes]], where: tuple[Any, ...]
    ) -> None:
        """Keep a frame, if it tells of the probe. extra, where: see socket.recvmsg, packet(7)."""
        kind = "probe" if any(mark in data for mark in self.marks) else other_kind(data)
        self.seen[kind] = self.seen.get(kind, 0) + 1
        if not kind or self.seen[kind] > most_kept(kind):
            return
        stamp, vlan = time.time_ns(), None
        for level, option, value in extra:
            if (level, option) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                seconds, nanoseconds = struct.unpack("=qq", value)
                stamp = seconds * 1_000_000_000 + nanoseconds
            elif (level, option) == (SOL_PACKET, PACKET_AUXDATA):
                status, *_, tag, _ = AUXDATA.unpack(value)
                vlan = tag & 0xFFF if status & TP_STATUS_VLAN_VALID else None
        name, _, direction, hardware, _ = where
        self.frames.append(
            [inode, name, direction, hardware, stamp, vlan, base64.b64encode(data).decode()]
        )

    def take_events(self, events: socket.socket, inode: int) -> None:
        """Keep the trace events that wait at a socket of that namespace. Raises OSError."""
        with contextlib.suppress(BlockingIOError):
            for _ in range(KEPT):
                try:
                    data = events.recv(1 << 16)
                except OSError as error:
                    if error.errno != errno.ENOBUFS:
                        raise
                    self.seen["overrun"] = self.seen.get("overrun", 0) + 1
                    continue
                self.traces.setdefault(inode, []).append(base64.b64encode(data).decode())

    def do(self, command: dict[str, Any]) -> dict[str, Any]:
        """The answer to a command, see the top. That it failed is an answer too: "error"."""
        try:
            given = {name: value for name, value in command.items() if name != "do"}
            answer: dict[str, Any] = getattr(self, f"do_{command['do']}")(**given)
            return answer
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}"}

    def do_resolve(self, namespace: int, pid: int, name: str) -> dict[str, object]:
        """What a name stands for, as probe.look_up says."""
        return probe.look_up(self.handles[namespace], pid, name)

    def do_send(self, namespace: int, **wanted: Any) -> dict[str, object]:
        """What became of a probe from that namespace. wanted: see probe.send."""
        if namespace not in self.packets:
            return {"error": "its network namespace is gone"}
        answers: queue.SimpleQueue[dict[str, object]] = queue.SimpleQueue()

        def act() -> None:
            try:
                # A thread has a namespace of its own.
                state.enter(self.handles[namespace])
                answers.put(probe.send(self.cookie, self.isn, **wanted))
            except Exception as error:
                answers.put({"error": f"{type(error).__name__}: {error}"})

        threading.Thread(target=act, daemon=True).start()
        while answers.empty() and time.monotonic() < self.deadline:
            self.hear(0.01)
        return answers.get(timeout=1)

    def do_stop(self) -> dict[str, object]:
        """All that was heard, when there was nothing to hear for QUIET_SECONDS.

        Frames as in ``frames``; by inode: trace events in base64, rules with their handles, the
        texts of /proc/net/snmp and netstat before and now, and that of ip_vs_conn. listened: to
        which inodes.  missed: kinds of which there was more than is kept.
        """
        latest = min(self.deadline, time.monotonic() + QUIET_AT_LATEST_SECONDS)
        while self.hear(QUIET_SECONDS) and time.monotonic() < latest:
            pass
        counters, connections, rules = {}, {}, {}
        for inode in {frame[0] for frame in self.frames}:
            with contextlib.suppress(KeyError), self.inside(inode):
                counters[inode] = [self.before[inode], read_counters()]
                connections[inode] = read_text("/proc/thread-self/net/ip_vs_conn")
        for inode in self.traces:
            with self.inside(inode):
                rules[inode] = nftables.rules_with_handles()
        return {
            "frames": self.frames,
            "traces": self.traces,
            "rules": rules,
            "counters": counters,
            "virtual": connections,
            "listened": list(self.packets),
            "missed": [kind for kind in self.seen if kind and self.seen[kind] > most_kept(kind)],
        }

    def do_ask(self, questions: list[tuple[int, int, int, str]]) -> dict[str, object]:
        """What kernels answer to netlink messages, see netlink.ask and the top."""
        answers = []
        for inode, protocol, kind, body in questions:
            with self.inside(inode):
                answers.append(netlink.ask(protocol, kind, base64.b64decode(body)))
        return {"answers": answers}

    def do_proxies(self) -> dict[str, object]:
        """The words of each of Docker's userland proxies."""
        found = []
        for path in glob.glob("/proc/[0-9]*/comm"):
            with contextlib.suppress(OSError):
                if read_text(path).strip() == "docker-proxy":
                    words = read_text(f"{os.path.dirname(path)}/cmdline")
                    found.append(words.rstrip("\0").split("\0"))
        return {"proxies": found}


def most_kept(kind: str) -> int:
    """How many frames of a kind are kept; of events that the kernel could not tell, none."""
    return {"probe": 10 * KEPT, "overrun": 0}.get(kind, KEPT)


def other_kind(frame: bytes) -> str:
    """What a frame may tell that does not carry the probe: "arp", "esp" or ""."""
    kind = int.from_bytes(frame[12:14])
    if kind == bpf.ETH_P_ARP:
        return "arp"
    protocol = {bpf.ETH_P_IP: frame[23:24], bpf.ETH_P_IPV6: frame[20:21]}.get(kind)
    return "esp" if protocol == bytes([bpf.ESP]) else ""


def read_text(path: str) -> str:
    """A file's text; "" if it cannot be read."""
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def read_counters() -> list[str]:
    """The texts of /proc/net/snmp and netstat of the thread's namespace; "" if it has none."""
    return [read_text(f"/proc/thread-self/net/{name}") for name in ("snmp", "netstat")]
