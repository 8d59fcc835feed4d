"""Reads the network state of the host that it runs on, without starting a process a namespace.

Under an emulated processor a process costs 60 ms, a netlink dump one. So the dumps leave as
the kernel wrote them (rtnetlink(7)), and whoever asked decodes them; rules come from
libnftables, which reads and prints those of the calling thread's namespace.

Standard library only: Debian's python3-minimal runs it.
"""

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

__all__ = ["ask_engine", "one_at_a_time", "read"]

RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE, RTM_GETNEIGH, RTM_GETNSID = 18, 22, 26, 30, 90
AF_BRIDGE = 7
IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS = 29, 8
IFLA_LINK_NETNSID = 37
NETNSA_NSID, NETNSA_FD = 1, 3
IFINFO_SIZE = 16
# What is dumped of each namespace: the message and its body, up to its attributes.
DUMPS = {
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


def read():
    """All of it, JSON-ready; netlink dumps are in base64."""
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
        found = {"engine": read_engine(), "namespaces": read_namespaces()}
        for name, process in saving.items():
            out, err = process.communicate()
            found[name] = {"text": out, "error": err, "status": process.returncode}
        found["listeners"] = read_listeners()
        found["machines"] = read_machines()
        return found


def ask_engine(path):
    """The body of the answer to GET path of the Engine's API. Raises OSError."""
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


def read_engine():
    try:
        info = json.loads(ask_engine("/info"))
        networks = json.loads(ask_engine("/networks"))
        found = {
            "info": {name: info[name] for name in INFO if name in info},
            "networks": [read_network(network) for network in networks],
            "containers": [],
        }
        for listed in json.loads(ask_engine("/containers/json?all=1")):
            # One that is removed meanwhile is no longer part of the state.
            with contextlib.suppress(OSError):
                found["containers"].append(
                    json.loads(ask_engine(f"/containers/{listed['Id']}/json"))
                )
    except (OSError, ValueError) as error:
        return {"error": str(error) or type(error).__name__}
    return found


def read_network(network):
    if network.get("Scope") == "swarm":
        # Only this answer has the peers and services of an overlay.
        with contextlib.suppress(OSError):
            return json.loads(ask_engine(f"/networks/{network['Id']}?verbose=true"))
    return network


def read_listeners():
    found = {}
    for name in ("tcp", "tcp6", "udp", "udp6"):
        with contextlib.suppress(OSError), open(f"/proc/thread-self/net/{name}") as file:
            found[name] = file.read()
    return found


def read_machines():
    """Processes of QEMU, with the tap and macvtap interfaces that each holds open."""
    found = []
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


def read_taps(folder):
    """Names of the taps and indexes of the macvtaps whose files a process has open."""
    taps, macvtaps = [], []
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


def read_namespaces():
    own = os.stat(NAMESPACE)
    found = find_namespaces(own)
    home = os.open(NAMESPACE, os.O_RDONLY)
    try:
        # The host's own first, then those with names: that is where peers are looked for.
        order = sorted(found.values(), key=lambda it: (it["inode"] != own.st_ino, not it["paths"]))
        handles = {}
        for namespace in order:
            namespace["own"] = namespace["inode"] == own.st_ino
            with contextlib.suppress(OSError):
                handles[namespace["inode"]] = os.open(namespace["open"], os.O_RDONLY)
        for namespace in order:
            read_namespace(namespace, handles)
        return order
    finally:
        os.setns(home, os.CLONE_NEWNET)
        for handle in (home, *handles.values()):
            os.close(handle)


def find_namespaces(own):
    """By inode: every network namespace that has a name or a process here."""
    found = {}

    def add(path):
        try:
            info = os.stat(path)
        except OSError:
            return None
        # A name whose namespace is gone is an empty file elsewhere.
        if info.st_dev != own.st_dev:
            return None
        return found.setdefault(
            info.st_ino, {"inode": info.st_ino, "open": path, "paths": [], "pids": []}
        )

    for folder in NAMED:
        for path in sorted(glob.glob(f"{folder}/*")):
            if namespace := add(path):
                namespace["paths"].append(path)
    for name in os.listdir("/proc"):
        if name.isdigit() and (namespace := add(f"/proc/{name}/ns/net")):
            namespace["pids"].append(int(name))
    return found


def read_namespace(namespace, handles):
    """Fill in what there is in that namespace. handles: a file descriptor of each, by inode."""
    try:
        os.setns(handles[namespace["inode"]], os.CLONE_NEWNET)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as asked:
            asked.settimeout(5)
            asked.bind((0, 0))
            dumps = {name: netlink.dump(asked, *request) for name, request in DUMPS.items()}
            namespace["nsids"] = resolve(asked, peer_ids(dumps["links"]), handles)
        for name, raw in dumps.items():
            namespace[name] = base64.b64encode(raw).decode()
    except (OSError, KeyError) as error:
        namespace["error"] = namespace["rules_error"] = str(error)
        return
    try:
        namespace["rules"] = nftables.read_rules()
    except OSError as error:
        namespace["rules_error"] = str(error)


def peer_ids(links):
    """Ids of other namespaces that interfaces of this one have their peer or parent in."""
    found = set()
    for start, length, _, _ in netlink.messages(links):
        offset, end = start + netlink.HEADER.size + IFINFO_SIZE, start + length
        while offset + 4 <= end:
            size, kind = struct.unpack_from("=HH", links, offset)
            if kind == IFLA_LINK_NETNSID and size >= 8:
                found.add(struct.unpack_from("=i", links, offset + 4)[0])
            offset += (max(size, 4) + 3) & ~3
    return found


def resolve(asked, wanted, handles):
    """Which namespace, by inode, an id of the current one stands for (RTM_GETNSID)."""
    found = {}
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
