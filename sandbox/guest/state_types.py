"""What a host's agent reads of it (``state.py``), as JSON brings it to ``sandbox/model/read.py``.

Types only: mypy holds both sides to them, and a unit test the stored states. No host has this
file: an emulated processor would need a long time to import ``typing``.

Keys that begin with a capital letter are the Docker Engine's own (API 1.51); it has more of them
in each place than are named here, and leaves out or has null for what does not apply.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

__all__ = [
    "Container",
    "Dump",
    "Endpoint",
    "Engine",
    "Machine",
    "Namespace",
    "Network",
    "Saved",
    "State",
]

Dump = Literal["links", "addresses", "routes", "neighbours", "forwarding"]


class State(TypedDict):
    """A host's state."""

    engine: Engine
    namespaces: list[Namespace]
    iptables: Saved
    ip6tables: Saved
    # The text of /proc/net/NAME in the host's own namespace (proc(5)).
    listeners: dict[str, str]
    machines: list[Machine]


class Saved(TypedDict):
    """What iptables-save, or ip6tables-save, printed, and its exit status."""

    text: str
    error: str
    status: int


class Machine(TypedDict):
    """A process of QEMU.

    command: its words.  inode: of its network namespace.  taps: names of tap interfaces, macvtaps:
    indexes of macvtap interfaces that it holds open, in that namespace.
    """

    pid: int
    command: list[str]
    inode: int
    taps: list[str]
    macvtaps: list[int]


class Namespace(TypedDict):
    """A network namespace, by its inode.

    open: a path that setns(2) takes.  paths: its names.  pids: of processes in it.
    own: whether it is the host's own.  nsids: the inode of each namespace that its links name, by
    their number for it, in decimal.
    links, …: netlink dumps in base64 (netlink(7)).  rules: as nft prints them.
    error: why there are no dumps.  rules_error: why there are no rules.
    """

    inode: int
    open: str
    paths: list[str]
    pids: list[int]
    own: bool
    nsids: NotRequired[dict[str, int]]
    links: NotRequired[str]
    addresses: NotRequired[str]
    routes: NotRequired[str]
    neighbours: NotRequired[str]
    forwarding: NotRequired[str]
    rules: NotRequired[str]
    error: NotRequired[str]
    rules_error: NotRequired[str]


class Engine(TypedDict, total=False):
    """What the Docker Engine tells; or else error: why it tells nothing."""

    error: str
    info: Info
    networks: list[Network]
    containers: list[Container]


class Info(TypedDict, total=False):
    """Of GET /info."""

    ServerVersion: str
    Swarm: SwarmInfo | None
    FirewallBackend: dict[str, object]


class SwarmInfo(TypedDict, total=False):
    LocalNodeState: str
    NodeAddr: str
    ControlAvailable: bool


class Network(TypedDict):
    """Of GET /networks; for one of a swarm, of GET /networks/ID?verbose=true."""

    Id: str
    Name: str
    Driver: str
    Scope: NotRequired[str]
    Options: NotRequired[dict[str, str] | None]
    IPAM: NotRequired[Pools | None]
    Internal: NotRequired[bool]
    Attachable: NotRequired[bool]
    Ingress: NotRequired[bool]
    EnableIPv6: NotRequired[bool]
    Peers: NotRequired[list[Peer] | None]
    Services: NotRequired[dict[str, Service] | None]


class Pools(TypedDict, total=False):
    Config: list[Pool] | None


class Pool(TypedDict, total=False):
    Subnet: str
    Gateway: str
    IPRange: str


class Peer(TypedDict, total=False):
    IP: str


class Service(TypedDict, total=False):
    VIP: str


class Container(TypedDict):
    """Of GET /containers/ID/json."""

    Id: str
    # It begins with a slash.
    Name: str
    State: ContainerState
    Config: ContainerConfig
    NetworkSettings: ContainerNetworks
    HostConfig: NotRequired[ContainerHostConfig | None]
    Path: NotRequired[str]
    Args: NotRequired[list[str] | None]


class ContainerState(TypedDict, total=False):
    """Pid is 0 where none runs."""

    Pid: int
    Status: str
    StartedAt: str


class ContainerConfig(TypedDict, total=False):
    Image: str
    Hostname: str


class ContainerHostConfig(TypedDict, total=False):
    NetworkMode: str


class ContainerNetworks(TypedDict, total=False):
    """Networks: by name.  Ports: by port and protocol, as "80/tcp"."""

    SandboxKey: str
    Networks: dict[str, Endpoint] | None
    Ports: dict[str, list[Binding] | None] | None


class Endpoint(TypedDict, total=False):
    EndpointID: str
    IPAddress: str
    IPPrefixLen: int
    GlobalIPv6Address: str
    GlobalIPv6PrefixLen: int
    MacAddress: str
    Gateway: str
    Aliases: list[str] | None
    DNSNames: list[str] | None


class Binding(TypedDict, total=False):
    HostIp: str
    HostPort: str
