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

import base64
import contextlib
import ctypes
import errno
import functools
import glob
import json
import os
import queue
import selectors
import socket
import struct
import subprocess
import sys
import threading
import time

try:
    from sandbox.guest import agent, state
except ImportError:  # in a host they stand beside this one, without the package
    import agent  # type: ignore[no-redef]
    import state  # type: ignore[no-redef]

__all__ = ["TABLE", "bpf", "converse", "echo_request", "look_up"]

TABLE = "wire-by-wire"
LONGEST_SECONDS = 30.0
RESOLVE_SECONDS = 11  # a resolver's own limit is 5 s for each of two tries (resolv.conf(5))
# Of each kind no more is kept: a host may have much traffic of its own.
KEPT = 500
# A connection stays open until its other end closes it, or for so long, that what was sent on it
# arrives where it goes, be it by a proxy.
OPEN_SECONDS = 1.0
# The probe has come to its end when it was not seen for so long.
QUIET_SECONDS = 0.1
QUIET_AT_LATEST_SECONDS = 1.0

ETH_P_ALL, ETH_P_IP, ETH_P_ARP, ETH_P_IPV6 = 0x0003, 0x0800, 0x0806, 0x86DD
ESP = 50
# include/uapi/asm-generic/socket.h, linux/if_packet.h, linux/netlink.h, linux/tcp.h, linux/in.h
SO_ATTACH_FILTER, SO_TIMESTAMPNS = 26, 35
SOL_PACKET, PACKET_AUXDATA, TP_STATUS_VLAN_VALID = 263, 8, 1 << 4
AUXDATA = struct.Struct("=IIIHHHH")
SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NETLINK_NETFILTER, NFNLGRP_NFTRACE = 270, 1, 12, 9
TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21
TCP_SEND_QUEUE, TCP_REPAIR_OFF_NO_WP = 2, -1
IP_MTU_DISCOVER, IP_RECVERR, IPV6_MTU_DISCOVER, IPV6_RECVERR = 10, 11, 23, 25
# "Don't fragment" is set, and what was learned about the path before is not asked.
PMTUDISC_PROBE = 3
NFT_CTX_OUTPUT_HANDLE = 1 << 3
ICMP_ECHO, ICMPV6_ECHO = 8, 128
ICMP_ECHO_REPLY, ICMPV6_ECHO_REPLY = 0, 129

_one_at_a_time = threading.Lock()


def converse(conn, request):
    """Serve one conversation on conn. However it ends, nothing is left behind."""
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


def watch_probe(conn, watch):
    """Do what is asked until everything is to stop; gives what was heard, None at the end."""
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


def tell(conn, answer):
    data = json.dumps(answer).encode() + b"\n"
    for offset in range(0, len(data), agent.CHUNK):
        agent.send(conn, agent.STDOUT, data[offset : offset + agent.CHUNK])


class Watch:
    """Sockets in every namespace, and what they heard."""

    def __init__(self, cookie, isn):
        self.cookie, self.isn = cookie, isn
        self.marks = (cookie, struct.pack("!I", isn), struct.pack("!I", (isn + 1) & 0xFFFFFFFF))
        self.deadline = time.monotonic() + LONGEST_SECONDS
        self.handles, self.packets, self.events, self.contexts = {}, {}, {}, {}
        self.before, self.frames, self.traces = {}, [], {}
        self.seen = {}

    def __enter__(self):
        self.home = os.open(state.NAMESPACE, os.O_RDONLY)
        self.selector = selectors.DefaultSelector()
        return self

    def __exit__(self, *_):
        self.silence()
        self.selector.close()
        for handle in (*self.handles.values(), self.home):
            os.close(handle)

    @contextlib.contextmanager
    def inside(self, inode):
        os.setns(self.handles[inode], os.CLONE_NEWNET)
        try:
            yield
        finally:
            os.setns(self.home, os.CLONE_NEWNET)

    def listen(self):
        """Hear every frame that may be the probe's, in every namespace."""
        program = bpf(self.cookie, self.isn)
        for inode, found in state.find_namespaces(os.stat(state.NAMESPACE)).items():
            # One that is gone meanwhile hears nothing.
            with contextlib.suppress(OSError):
                self.handles[inode] = os.open(found["open"], os.O_RDONLY)
                with self.inside(inode):
                    heard = socket.socket(
                        socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)
                    )
                attach(heard, program)
                heard.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
                heard.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
                heard.setblocking(False)
                self.packets[inode] = heard
                self.selector.register(heard, selectors.EVENT_READ, (self.take_frames, inode))

    def start(self):
        """Have the kernel trace the probe, everywhere."""
        rules = trace_rules(self.cookie, self.isn).encode()
        for inode in self.packets:
            with self.inside(inode):
                self.before[inode] = read_counters()
                events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
                self.events[inode] = events
                events.bind((0, 0))
                events.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NFNLGRP_NFTRACE)
                events.setblocking(False)
                self.selector.register(events, selectors.EVENT_READ, (self.take_events, inode))
                self.contexts[inode] = new_context()
                run_nft(self.contexts[inode], rules)

    def silence(self):
        """Hear nothing more. Each socket waits for all processors; together they wait once."""
        free = state.libnftables().nft_ctx_free
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

    def next_command(self, conn):
        """The next command; None at the end of the conversation or when it takes too long."""
        self.selector.register(conn, selectors.EVENT_READ, None)
        try:
            while (left := self.deadline - time.monotonic()) > 0:
                for key, _ in self.selector.select(left):
                    if key.data is None:
                        kind, payload = agent.receive(conn) or (agent.STDIN_END, b"")
                        return json.loads(payload) if kind == agent.STDIN else None
                    take, inode = key.data
                    take(key.fileobj, inode)
            return None
        finally:
            self.selector.unregister(conn)

    def hear(self, seconds):
        """Take what comes within so many seconds; whether anything came."""
        ready = self.selector.select(seconds)
        for key, _ in ready:
            take, inode = key.data
            take(key.fileobj, inode)
        return bool(ready)

    def take_frames(self, heard, inode):
        with contextlib.suppress(OSError):  # there is no more, or its interface went down
            for _ in range(KEPT):
                data, extra, _, where = heard.recvmsg(1 << 16, 256)
                self.keep(inode, data, extra, where)

    def keep(self, inode, data, extra, where):
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

    def take_events(self, events, inode):
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

    def do(self, command):
        """The answer to a command. That it failed is an answer too."""
        try:
            given = {name: value for name, value in command.items() if name != "do"}
            return getattr(self, f"do_{command['do']}")(**given)
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}"}

    def do_resolve(self, namespace, pid, name):
        return look_up(self.handles[namespace], pid, name)

    def do_send(self, namespace, **probe):
        if namespace not in self.packets:
            return {"error": "its network namespace is gone"}
        answers = queue.SimpleQueue()

        def act():
            try:
                # A thread has a namespace of its own.
                os.setns(self.handles[namespace], os.CLONE_NEWNET)
                answers.put(send_probe(self.cookie, self.isn, **probe))
            except Exception as error:
                answers.put({"error": f"{type(error).__name__}: {error}"})

        threading.Thread(target=act, daemon=True).start()
        while answers.empty() and time.monotonic() < self.deadline:
            self.hear(0.01)
        return answers.get(timeout=1)

    def do_stop(self):
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
                rules[inode] = list_rules()
        return {
            "frames": self.frames,
            "traces": self.traces,
            "rules": rules,
            "counters": counters,
            "virtual": connections,
            "listened": list(self.packets),
            "missed": [kind for kind in self.seen if kind and self.seen[kind] > most_kept(kind)],
        }

    def do_ask(self, questions):
        answers = []
        for inode, protocol, kind, body in questions:
            with self.inside(inode):
                answers.append(ask(protocol, kind, base64.b64decode(body)))
        return {"answers": answers}

    def do_proxies(self):
        found = []
        for path in glob.glob("/proc/[0-9]*/comm"):
            with contextlib.suppress(OSError):
                if read_text(path).strip() == "docker-proxy":
                    words = read_text(f"{os.path.dirname(path)}/cmdline")
                    found.append(words.rstrip("\0").split("\0"))
        return {"proxies": found}


def most_kept(kind):
    """How many frames of a kind are kept; of events that the kernel could not tell, none."""
    return {"probe": 10 * KEPT, "overrun": 0}.get(kind, KEPT)


def look_up(handle, pid, name):
    """The addresses of a name, or the error, as a program in that process's place is told.

    handle: an open namespace.  pid: of that process; 0 for the host's own place.
    """
    root = f"/proc/{pid}/root" if pid else "/"
    try:
        answer = subprocess.run(
            [sys.executable, "-c", RESOLVE, str(handle), root, name], pass_fds=[handle],
            check=False, capture_output=True, text=True, timeout=RESOLVE_SECONDS,
        )  # fmt: skip
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


def send_probe(cookie, isn, protocol, address, port, size, seconds):
    """Send one probe from the thread's namespace and wait for what becomes of it."""
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
            outcome, number = errno.errorcode.get(error.errno, "error"), error.errno
        source = list(probe.getsockname()[:2])
    return {"outcome": outcome, "error": os.strerror(number) if number else "", "source": source}


def echo_request(family, payload):
    kind = ICMPV6_ECHO if family == socket.AF_INET6 else ICMP_ECHO
    identifier = int.from_bytes(os.urandom(2))
    message = struct.pack("!BBHHH", kind, 0, 0, identifier, 1) + payload
    # The kernel sums up ICMPv6 itself (RFC 3542).
    total = 0 if kind == ICMPV6_ECHO else checksum(message)
    return message[:2] + struct.pack("!H", total) + message[4:]


def is_reply(message, family, cookie):
    """Whether a raw socket heard the answer to our request; an error quotes the cookie, too."""
    if family == socket.AF_INET6:
        return message[:1] == bytes([ICMPV6_ECHO_REPLY]) and cookie in message
    # Here it has its IPv4 header, whose length is counted in words.
    start = 4 * (message[0] & 0xF) if message else 0
    return message[start : start + 1] == bytes([ICMP_ECHO_REPLY]) and cookie in message


def checksum(data):
    """RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def other_kind(frame):
    """What a frame may tell that does not carry the probe: "arp", "esp" or ""."""
    kind = int.from_bytes(frame[12:14])
    if kind == ETH_P_ARP:
        return "arp"
    protocol = {ETH_P_IP: frame[23:24], ETH_P_IPV6: frame[20:21]}.get(kind)
    return "esp" if protocol == bytes([ESP]) else ""


def read_text(path):
    """A file's text; "" if it cannot be read."""
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def read_counters():
    return [read_text(f"/proc/thread-self/net/{name}") for name in ("snmp", "netstat")]


def ask(protocol, kind, body):
    """What the kernel answers to one netlink message, be it an error, in base64."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as netlink:
        netlink.settimeout(2)
        netlink.bind((0, 0))
        length = state.HEADER.size + len(body)
        netlink.send(state.HEADER.pack(length, kind, state.NLM_F_REQUEST, 1, 0) + body)
        return base64.b64encode(netlink.recv(1 << 16)).decode()


def new_context():
    library = state.libnftables()
    context = library.nft_ctx_new(0)
    library.nft_ctx_buffer_output(context)
    library.nft_ctx_buffer_error(context)
    return context


def run_nft(context, commands):
    """Raises OSError with nft's own words."""
    library = state.libnftables()
    if library.nft_run_cmd_from_buffer(context, commands):
        said = library.nft_ctx_get_error_buffer(context).decode(errors="replace")
        raise OSError(f"nft: {said.strip()}")
    return library.nft_ctx_get_output_buffer(context).decode(errors="replace")


def list_rules():
    """The current namespace's rules with their handles."""
    context = new_context()
    try:
        state.libnftables().nft_ctx_output_set_flags(context, NFT_CTX_OUTPUT_HANDLE)
        return run_nft(context, b"list ruleset")
    finally:
        state.libnftables().nft_ctx_free(context)


def trace_rules(cookie, isn):
    """The table that marks the probe, and what answers it, before any other rule is asked.

    @th counts bits from the transport header, @ih from the payload (nft(8), raw payload
    expressions). In a VXLAN packet the inner transport header begins 8 + 8 + 14 + 20 bytes on.
    """
    text = f"0x{cookie.hex()}"
    answer = (isn + 1) & 0xFFFFFFFF
    inner = 8 * (8 + 8 + 14 + 20)
    marks = [
        f"meta l4proto tcp @th,32,32 {isn}",
        f"meta l4proto tcp @th,64,32 {answer}",
        f"meta l4proto tcp @ih,0,128 {text}",
        f"meta l4proto {{ udp, icmp, ipv6-icmp }} @th,64,128 {text}",
        f"meta l4proto udp @th,{inner + 32},32 {isn}",
        f"meta l4proto udp @th,{inner + 64},32 {answer}",
        f"meta l4proto udp @th,{inner + 64},128 {text}",
    ]
    chains = "\n".join(
        f"chain {hook} {{ type filter hook {hook} priority -500;\n"
        + "\n".join(f"{mark} meta nftrace set 1" for mark in marks)
        + "\n}"
        for hook in ("prerouting", "output")
    )
    return f"table inet {TABLE} {{\nflags owner;\n{chains}\n}}"


def attach(heard, program):
    """Have the kernel hand over only those frames that a filter lets pass (socket(7))."""
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    kept = ctypes.create_string_buffer(code, len(code))
    filter = struct.pack("@HP", len(program), ctypes.addressof(kept))
    heard.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, filter)


# Classic BPF (linux/bpf_common.h): what is loaded or tested, and from where.
LOAD_BYTE, LOAD_HALF, LOAD_WORD = 0x30, 0x28, 0x20
LOAD_BYTE_AT_X, LOAD_HALF_AT_X, LOAD_WORD_AT_X = 0x50, 0x48, 0x40
X_IP_HEADER, X_CONSTANT, X_FROM_A = 0xB1, 0x01, 0x07
AND, SHIFT_RIGHT, ADD_X = 0x54, 0x74, 0x0C
EQUAL, ANY_BIT, RETURN = 0x15, 0x45, 0x06
ETHERNET = 14


def bpf(cookie, isn):
    """The filter for the frames that may belong to the probe, as (code, yes, no, value).

    They are those with its marks, whether in a VXLAN tunnel or not, ICMP errors, which quote
    what they are about, and ARP and ESP, which tell why it is not seen further.
    """
    mark, answer = int.from_bytes(cookie[:4]), (isn + 1) & 0xFFFFFFFF

    def transport(prefix, at, tunnel):
        """Tests of the headers that begin ``at`` bytes after X."""
        return [
            f"{prefix}tcp",
            (LOAD_WORD_AT_X, at + 4), (EQUAL, isn, "keep", ""),
            (LOAD_WORD_AT_X, at + 8), (EQUAL, answer, "keep", ""),
            (LOAD_BYTE_AT_X, at + 12), (AND, 0xF0), (SHIFT_RIGHT, 2), (ADD_X, 0), (X_FROM_A, 0),
            (LOAD_WORD_AT_X, at), (EQUAL, mark, "keep", "drop"),
            f"{prefix}icmp",
            (LOAD_BYTE_AT_X, at),
            *((EQUAL, kind, "keep", "") for kind in (3, 11, 12)),
            (LOAD_WORD_AT_X, at + 8), (EQUAL, mark, "keep", "drop"),
            f"{prefix}icmp6",
            (LOAD_BYTE_AT_X, at),
            *((EQUAL, kind, "keep", "") for kind in (1, 2, 3, 4)),
            (LOAD_WORD_AT_X, at + 8), (EQUAL, mark, "keep", "drop"),
            f"{prefix}udp",
            (LOAD_WORD_AT_X, at + 8), (EQUAL, mark, "keep", tunnel),
        ]  # fmt: skip

    def protocols(prefix):
        return [
            (EQUAL, 6, f"{prefix}tcp", ""), (EQUAL, 17, f"{prefix}udp", ""),
            (EQUAL, 1, f"{prefix}icmp", ""), (EQUAL, 58, f"{prefix}icmp6", ""),
        ]  # fmt: skip

    # A VXLAN header has the flag "I", and its frame begins 8 bytes on (RFC 7348).
    frame = ETHERNET + 8 + 8
    lines = [
        (LOAD_HALF, 12), (EQUAL, ETH_P_ARP, "keep", ""),
        (EQUAL, ETH_P_IPV6, "ipv6", ""), (EQUAL, ETH_P_IP, "", "drop"),
        (LOAD_HALF, 20), (ANY_BIT, 0x1FFF, "drop", ""),
        (X_IP_HEADER, ETHERNET), (LOAD_BYTE, 23), *protocols(""), (EQUAL, ESP, "keep", "drop"),
        "ipv6",
        (X_CONSTANT, 40), (LOAD_BYTE, 20), *protocols(""), (EQUAL, ESP, "keep", "drop"),
        *transport("", ETHERNET, "tunnel"),
        "tunnel",
        (EQUAL, 0x08000000, "", "drop"),
        (LOAD_HALF_AT_X, frame + 12), (EQUAL, ETH_P_ARP, "keep", ""),
        (EQUAL, ETH_P_IP, "", "drop"),
        (LOAD_BYTE_AT_X, frame + ETHERNET + 9), *protocols("inner "), (RETURN, 0),
        *transport("inner ", frame + ETHERNET + 20, "drop"),
        "drop", (RETURN, 0),
        "keep", (RETURN, 1 << 18),
    ]  # fmt: skip
    places, program = {}, []
    for line in lines:
        if isinstance(line, str):
            places[line] = len(program)
        else:
            program.append(line)
    return [_assembled(number, line, places) for number, line in enumerate(program)]


def _assembled(number, line, places):
    code, value, *targets = line
    yes, no = (places[it] - number - 1 if it else 0 for it in targets or ("", ""))
    return code, yes, no, value
