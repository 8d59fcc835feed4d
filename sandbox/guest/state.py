"""Reads the network state of the host that it runs on, without starting a process a namespace.

Under an emulated processor a process costs 60 ms, a netlink dump one. So the dumps leave as
the kernel wrote them (rtnetlink(7)), and whoever asked decodes them; rules come from
libnftables, which reads and prints those of the calling thread's namespace.

Standard library only: Debian's python3-minimal runs it.
"""

from __future__ import annotations

import base64
import contextlib
import glob
import json
import os
import socket
import struct
import subprocess
import threading

try:
    from sandbox.guest import netlink, nftables
except ImportError:  # in a host they stand beside this one, without the package
    import netlink  # type: ignore[no-redef]
    import nftables  # type: ignore[no-redef]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sandbox.guest.state_types import (
        Container,
        Dump,
        Engine,
        Machine,
        Namespace,
        Network,
        Saved,
        State,
    )

__all__ = ["ask_engine", "enter", "find_namespaces", "one_at_a_time", "read"]

RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE, RTM_GETNEIGH, RTM_GETNSID = 18, 22, 26, 30, 90
AF_BRIDGE = 7
IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS = 29, 8
IFLA_LINK_NETNSID = 37
NETNSA_NSID, NETNSA_FD = 1, 3
IFINFO_SIZE = 16
# What is dumped of each namespace: the message and its body, up to its attributes.
DUMPS: dict[Dump, tuple[int, bytes]] = {
    "links": (
        RTM_GETLINK,
        bytes(IFINFO_SIZE) + netlink.ATTRIBUTE.pack(8, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS),
    ),
    "addresses": (RTM_GETADDR, bytes(8)),
    "routes": (RTM_GETROUTE, bytes(12)),
    "neighbours": (RTM_GETNEIGH, bytes(12)),
    "forwarding": (RTM_GETNEIGH, bytes([AF_BRIDGE]) + bytes(11)),
}
# What is kept of GET /info.
INFO = ("ServerVersion", "Swarm", "FirewallBackend")
# Where namespaces without a process have their names: Docker's, and those of ip-netns(8).
NAMED = ("/run/docker/netns", "/run/netns")
NAMESPACE = "/proc/thread-self/ns/net"

one_at_a_time = threading.Lock()


def read() -> State:
    """The host's network state, JSON-ready; it never raises for a part that cannot be read.

    One thread at a time reads; it is in the host's own namespace again when it has done.
    Raises OSError if iptables-save does not start or the host's own namespace is not there.
    """
    with one_at_a_time, contextlib.ExitStack() as ending:
        saving = {
            name: ending.enter_context(
                subprocess.Popen(
                    [f"{name}-save", "-c"],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            for name in ("iptables", "ip6tables")
        }
        engine, namespaces = read_engine(), read_namespaces()
        return {
            "engine": engine,
            "namespaces": namespaces,
            "iptables": read_saved(saving["iptables"]),
            "ip6tables": read_saved(saving["ip6tables"]),
            "listeners": read_listeners(),
            "machines": read_machines(),
        }


def read_saved(saving: subprocess.Popen[str]) -> Saved:
    """What became of iptables-save, when it has ended."""
    text, error = saving.communicate()
    return {"text": text, "error": error, "status": saving.returncode}


def ask_engine(path: str) -> bytes:
    """The body of the answer to GET path of the Engine's API.

    Raises OSError if there is none within 10 s, or its status is not 200.
    """
    with socket.socket(socket.AF_UNIX) as engine:
        engine.settimeout(10)
        engine.connect("/run/docker.sock")
        # A reply to HTTP/1.0 is not chunked, and ends with the connection.
        engine.sendall(f"GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
        reply = bytearray()
        while more := engine.recv(1 << 16):
            reply += more
    head, _, body = bytes(reply).partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    if status != [b"200"]:
        raise OSError(f"the Engine answers {path} with {head[:60]!r}")
    return body


def read_engine() -> Engine:
    """What the Docker Engine tells of itself, its networks and containers; or "error" alone."""
    try:
        info = json.loads(ask_engine("/info"))
        networks = json.loads(ask_engine("/networks"))
        containers: list[Container] = []
        found: Engine = {
            "info": {name: info[name] for name in INFO if name in info},  # type: ignore[typeddict-item]
            "networks": [read_network(network) for network in networks],
            "containers": containers,
        }
        for listed in json.loads(ask_engine("/containers/json?all=1")):
            # One that is removed meanwhile is no longer part of the state.
            with contextlib.suppress(OSError):
                containers.append(json.loads(ask_engine(f"/containers/{listed['Id']}/json")))
    except (OSError, ValueError) as error:
        return {"error": str(error) or type(error).__name__}
    return found


def read_network(network: Network) -> Network:
    """A network of the Engine's list, with all that the Engine tells of it."""
    if network.get("Scope") == "swarm":
        # Only this answer has the peers and services of an overlay.
        with contextlib.suppress(OSError):
            told: Network = json.loads(ask_engine(f"/networks/{network['Id']}?verbose=true"))
            return told
    return network


def read_listeners() -> dict[str, str]:
    """The texts of /proc/net/tcp and the like, by name (proc(5)); those that can be read."""
    found = {}
    for name in ("tcp", "tcp6", "udp", "udp6"):
        with contextlib.suppress(OSError), open(f"/proc/thread-self/net/{name}") as file:
            found[name] = file.read()
    return found


def read_machines() -> list[Machine]:
    """Processes of QEMU, with the tap and macvtap interfaces that each holds open."""
    found: list[Machine] = []
    for path in glob.glob("/proc/[0-9]*/comm"):
        folder = os.path.dirname(path)
        # One that ended meanwhile is no longer part of the state.
        with contextlib.suppress(OSError):
            # The kernel cuts a name after 15 bytes, within a character if it comes so.
            with open(path, errors="replace") as file:
                if not file.read().startswith("qemu-system"):
                    continue
            with open(f"{folder}/cmdline", errors="replace") as file:
                words = file.read().rstrip("\0").split("\0")
            taps, macvtaps = read_taps(folder)
            found.append(
                {
                    "pid": int(os.path.basename(folder)),
                    "command": words,
                    "inode": os.stat(f"{folder}/ns/net").st_ino,
                    "taps": taps,
                    "macvtaps": macvtaps,
                }
            )
    return found


def read_taps(folder: str) -> tuple[list[str], list[int]]:
    """Names of the taps and indexes of the macvtaps whose files a process has open.

    folder: of the process, as /proc/42.
    """
    taps: list[str] = []
    macvtaps: list[int] = []
    for opened in glob.glob(f"{folder}/fd/*"):
        # It may be closed meanwhile.
        with contextlib.suppress(OSError):
            device = os.readlink(opened)
            if device == "/dev/net/tun":
                with open(f"{folder}/fdinfo/{os.path.basename(opened)}") as file:
                    # No name follows once the interface is gone.
                    taps += [
                        it for line in file if line.startswith("iff:") for it in line.split()[1:]
                    ]
            elif device.startswith("/dev/tap") and device[8:].isdigit():
                macvtaps.append(int(device[8:]))
    return taps, macvtaps


def enter(handle: int) -> None:
    """Have the calling thread be in the network namespace of that descriptor (setns(2)).

    Raises OSError.
    """
    # The course's own Python may be older than the hosts'.
    os.setns(handle, os.CLONE_NEWNET)  # type: ignore[attr-defined,unused-ignore]


def read_namespaces() -> list[Namespace]:
    """Every network namespace of the host, its own first, with what there is in it.

    The calling thread goes through them all, and back to the host's own. Raises OSError if that one
    cannot be opened.
    """
    own = os.stat(NAMESPACE)
    found = find_namespaces(own)
    home = os.open(NAMESPACE, os.O_RDONLY)
    try:
        # The host's own first, then those with names: that is where peers are looked for.
        order = sorted(found.values(), key=lambda it: (not it["own"], not it["paths"]))
        handles: dict[int, int] = {}
        for namespace in order:
            with contextlib.suppress(OSError):
                handles[namespace["inode"]] = os.open(namespace["open"], os.O_RDONLY)
        for namespace in order:
            read_namespace(namespace, handles)
        return order
    finally:
        enter(home)
        for handle in (home, *handles.values()):
            os.close(handle)


def find_namespaces(own: os.stat_result) -> dict[int, Namespace]:
    """By inode: every network namespace that has a name or a process here, without its contents.

    own: of the host's own namespace.
    """
    found: dict[int, Namespace] = {}

    def add(path: str) -> Namespace | None:
        try:
            info = os.stat(path)
        except OSError:
            return None
        # A name whose namespace is gone is an empty file elsewhere.
        if info.st_dev != own.st_dev:
            return None
        here = info.st_ino == own.st_ino
        return found.setdefault(
            info.st_ino, {"inode": info.st_ino, "open": path, "paths": [], "pids": [], "own": here}
        )

    for folder in NAMED:
        for path in sorted(glob.glob(f"{folder}/*")):
            if namespace := add(path):
                namespace["paths"].append(path)
    for name in os.listdir("/proc"):
        if name.isdigit() and (namespace := add(f"/proc/{name}/ns/net")):
            namespace["pids"].append(int(name))
    return found


def read_namespace(namespace: Namespace, handles: dict[int, int]) -> None:
    """Fill in what there is in that namespace, or why it cannot be read.

    handles: a file descriptor of each namespace, by inode. The calling thread stays in this one.
    """
    try:
        enter(handles[namespace["inode"]])
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as asked:
            asked.settimeout(5)
            asked.bind((0, 0))
            dumps = {name: netlink.dump(asked, *request) for name, request in DUMPS.items()}
            found = resolve(asked, peer_ids(dumps["links"]), handles)
        namespace["nsids"] = {str(number): inode for number, inode in found.items()}
        for name, raw in dumps.items():
            namespace[name] = base64.b64encode(raw).decode()
    except (OSError, KeyError) as error:
        namespace["error"] = namespace["rules_error"] = str(error)
        return
    try:
        namespace["rules"] = nftables.read_rules()
    except OSError as error:
        namespace["rules_error"] = str(error)


def peer_ids(links: bytes) -> set[int]:
    """Ids of other namespaces that interfaces of this one have their peer or parent in.

    links: the dump of this one's interfaces.
    """
    found: set[int] = set()
    for start, length, _, _ in netlink.messages(links):
        offset, end = start + netlink.HEADER.size + IFINFO_SIZE, start + length
        while offset + 4 <= end:
            size, kind = struct.unpack_from("=HH", links, offset)
            if kind == IFLA_LINK_NETNSID and size >= 8:
                found.add(struct.unpack_from("=i", links, offset + 4)[0])
            offset += (max(size, 4) + 3) & ~3
    return found


def resolve(asked: socket.socket, wanted: set[int], handles: dict[int, int]) -> dict[int, int]:
    """By id, as the current namespace knows others, the inode of that namespace (RTM_GETNSID).

    asked: a netlink socket of the current one.  wanted: ids; there may be more in the answer.
    handles: see read_namespace. Raises OSError.
    """
    found: dict[int, int] = {}
    for inode, handle in handles.items():
        if not wanted - found.keys():
            break
        body = bytes(4) + netlink.ATTRIBUTE.pack(8, NETNSA_FD, handle)
        asked.send(netlink.request(RTM_GETNSID, body))
        data = asked.recv(4096)
        for offset, _, kind, _ in netlink.messages(data):
            if kind == netlink.NLMSG_ERROR:
                continue
            _, name, number = struct.unpack_from("=HHi", data, offset + netlink.HEADER.size + 4)
            if name == NETNSA_NSID and number >= 0:
                found[number] = inode
    return found
