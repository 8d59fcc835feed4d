"""The network state of Docker hosts at one moment, as frozen dataclasses.

Everything is named by strings that stay the same from one snapshot to the next, so that two
snapshots can be compared and a picture can stay put:

    host        ``host-a``
    namespace   ``host-a`` (the host's own), ``host-a/web`` (a container's),
                ``host-a/overlay:shop``, ``host-a/lb:shop``, ``host-a/ingress`` (Swarm's),
                ``host-a/netns:blue`` (made by ip netns), ``host-a/pid:42`` (anything else)
    interface   its namespace and its name there
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = [
    "Chain",
    "Container",
    "Endpoint",
    "ForwardingEntry",
    "HostState",
    "Interface",
    "InterfaceRef",
    "Listener",
    "Namespace",
    "Neighbour",
    "Network",
    "Published",
    "Route",
    "Rule",
    "Snapshot",
    "Subnet",
    "VirtualMachine",
    "in_brackets",
]


def in_brackets(address: str) -> str:
    """An address as it stands before a port: IPv6's in brackets (RFC 3986)."""
    return f"[{address}]" if ":" in address else address


@dataclass(frozen=True, slots=True)
class InterfaceRef:
    """Names an interface: the id of its namespace, and its name there."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.name} of {self.namespace}"


@dataclass(frozen=True, slots=True)
class Interface:
    """One network interface.

    kind: as ``ip -d link`` names it: ``veth``, ``bridge``, ``vlan``, ``macvlan``, ``ipvlan``,
        ``vxlan``, ``dummy`` …; ``loopback``; "" for a device.
    state: the kernel's operational state: ``UP``, ``DOWN``, ``LOWERLAYERDOWN``, ``UNKNOWN`` …
        The kernel writes it down up to a second after the carrier came or went.
    enabled: whether it is switched on (``ip link set … up``).
    addresses: with prefix length, IPv4 before IPv6: ``("172.18.0.2/24",)``.
    master: name of the bridge of the same namespace that it is a port of, or "".
    peer: a veth's other end; None if that is outside of the hosts that were read.
    parent: what a vlan, macvlan or ipvlan interface stands on, or a vxlan sends by.
    mode: of macvlan or ipvlan: ``bridge``, ``l2``, ``l3s`` …; else "".
    carrier: whether the other end of the wire is there and switched on.
    vlan: 802.1q id.  vni: VXLAN network identifier.  port: VXLAN's UDP port.
    """

    namespace: str
    name: str
    index: int
    kind: str
    mac: str
    mtu: int
    state: str
    enabled: bool
    addresses: tuple[str, ...] = ()
    master: str = ""
    peer: InterfaceRef | None = None
    parent: InterfaceRef | None = None
    mode: str = ""
    vlan: int | None = None
    vni: int | None = None
    port: int | None = None
    carrier: bool = True

    @property
    def status(self) -> str:
        """``up``, ``no carrier`` or ``switched off``, without the delay that state has."""
        if not self.enabled:
            return "switched off"
        return "up" if self.carrier else "no carrier"

    @property
    def assigned(self) -> tuple[str, ...]:
        """The addresses that somebody assigned: a link-local one follows from the MAC."""
        return tuple(it for it in self.addresses if not it.startswith("fe80:"))

    @property
    def ref(self) -> InterfaceRef:
        return InterfaceRef(self.namespace, self.name)


@dataclass(frozen=True, slots=True)
class Route:
    """An entry of the main routing table. destination: ``default`` or a subnet.

    gateway, source: addresses or "".  kind: ``unicast``, ``blackhole``, ``unreachable`` …
    """

    destination: str
    gateway: str
    interface: str
    source: str
    kind: str
    protocol: str
    scope: str
    metric: int

    def __str__(self) -> str:
        """As ``ip route`` writes it, as far as it says where packets go."""
        words = ["" if self.kind == "unicast" else self.kind, self.destination]
        words += ["via", self.gateway] if self.gateway else []
        words += ["dev", self.interface] if self.interface else []
        return " ".join(filter(None, words))


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An entry of the neighbour (ARP or ND) table. state: ``REACHABLE``, ``PERMANENT`` …"""

    address: str
    mac: str
    interface: str
    state: str


@dataclass(frozen=True, slots=True)
class ForwardingEntry:
    """An entry of a bridge's or VXLAN interface's forwarding table.

    interface: the port.  master: the bridge, or "".  destination: a VXLAN's remote VTEP, or "".
    permanent: whether it was set rather than learned.
    """

    mac: str
    interface: str
    master: str
    destination: str
    vlan: int | None
    permanent: bool


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of packet filter rules. family: ``ip`` or ``ip6`` (or another of nft's).

    policy: ``ACCEPT`` or ``DROP`` of a built-in chain; "" of the others.
    """

    family: str
    table: str
    name: str
    policy: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A packet filter rule, with the packets and bytes that it has matched.

    text: the rule without its chain, as iptables-save writes it; as nft does in a table that
        iptables does not know, and in every namespace but the host's own.
    target: what it does: ``DNAT``, ``MASQUERADE``, ``DROP``, the name of a chain …; "" if that
        is not known.
    packets, bytes: None if the rule does not count.
    """

    family: str
    table: str
    chain: str
    text: str
    target: str
    packets: int | None = None
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that listens in the host's own namespace. protocol: ``tcp`` or ``udp``."""

    protocol: str
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Namespace:
    """A network namespace. containers: names of those in it.

    kind: ``host``, ``container``, ``overlay``, ``lb`` (a service's load balancer),
        ``ingress``, ``named`` (ip netns), ``other``.
    rules_unread: why chains and rules, or some of them, could not be read; "" if they could be.
    unread: why something of it could not be read, or "".
    """

    id: str
    host: str
    kind: str
    inode: int
    containers: tuple[str, ...]
    interfaces: tuple[Interface, ...] = ()
    routes: tuple[Route, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    forwarding: tuple[ForwardingEntry, ...] = ()
    chains: tuple[Chain, ...] = ()
    rules: tuple[Rule, ...] = ()
    listeners: tuple[Listener, ...] = ()
    rules_unread: str = ""
    unread: str = ""

    def interface(self, name: str) -> Interface | None:
        """The interface of that name, or None."""
        return next((found for found in self.interfaces if found.name == name), None)


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet of a network. gateway, ip_range: or ""."""

    subnet: str
    gateway: str = ""
    ip_range: str = ""


@dataclass(frozen=True, slots=True)
class Network:
    """A Docker network as one host's Engine has it.

    interface: the host's interface that carries it: its bridge, or a macvlan's or ipvlan's
        parent; "" if it has none or none yet.
    peers: addresses of an overlay's other hosts.  services: of an overlay, virtual address by
        service name.
    """

    host: str
    id: str
    name: str
    driver: str
    scope: str
    subnets: tuple[Subnet, ...]
    options: dict[str, str]
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    ipv6: bool = False
    interface: str = ""
    peers: tuple[str, ...] = ()
    services: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A container's place on a network.

    address, address6: with prefix length, or "".
    aliases: what the user named it.  names: all that the embedded DNS server answers to.
    interface: its name in the container's namespace, or "".
    """

    network: str
    id: str
    address: str
    address6: str
    mac: str
    gateway: str
    aliases: tuple[str, ...]
    names: tuple[str, ...]
    interface: str = ""


@dataclass(frozen=True, slots=True)
class Published:
    """A published port. host_address: ``0.0.0.0``, ``127.0.0.1``, ``::`` …"""

    protocol: str
    host_address: str
    host_port: int
    container_port: int

    def __str__(self) -> str:
        outside = f"{in_brackets(self.host_address)}:{self.host_port}"
        return f"{outside} → {self.container_port}/{self.protocol}"


@dataclass(frozen=True, slots=True)
class Container:
    """A container. state: ``running``, ``exited``, ``created``, ``paused`` …

    namespace: the id of its namespace; "" while it does not run.
    network_mode: as docker inspect has it: ``bridge``, ``host``, ``none``, ``container:…``, a
        network's name.
    started: when it was started last, as docker inspect has it.
    """

    host: str
    id: str
    name: str
    image: str
    command: str
    state: str
    hostname: str
    network_mode: str
    namespace: str
    endpoints: tuple[Endpoint, ...] = ()
    published: tuple[Published, ...] = ()
    started: str = ""


@dataclass(frozen=True, slots=True)
class VirtualMachine:
    """A virtual machine: a process of QEMU.

    name: what it was started with (``-name``), or ``pid:42``.  command: its words.
    interfaces: the host's ends of its own ones, taps and macvtaps.
    user_mode: whether QEMU itself does its networking (``-netdev user``).
    """

    host: str
    name: str
    pid: int
    command: tuple[str, ...]
    interfaces: tuple[InterfaceRef, ...] = ()
    user_mode: bool = False


@dataclass(frozen=True, slots=True)
class HostState:
    """A Docker host. engine: its Engine's version; "" if that does not answer.

    swarm: ``inactive``, ``active`` …  node: its address in the swarm, or "".
    manager: whether it manages the swarm.  unread: what could not be read and why, or "".
    """

    name: str
    address: str
    engine: str
    swarm: str
    node: str
    manager: bool
    networks: tuple[Network, ...]
    containers: tuple[Container, ...]
    namespaces: tuple[Namespace, ...]
    unread: str = ""
    machines: tuple[VirtualMachine, ...] = ()

    @property
    def namespace(self) -> Namespace | None:
        """The host's own namespace, or None if it could not be read."""
        return next((found for found in self.namespaces if found.kind == "host"), None)

    def container(self, name: str) -> Container | None:
        """The container of that name, or None."""
        return next((found for found in self.containers if found.name == name), None)

    def network(self, name: str) -> Network | None:
        """The network of that name, or None."""
        return next((found for found in self.networks if found.name == name), None)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The hosts of a sandbox as they were at one moment.

    taken: seconds since 1970.  lan: the subnet that the hosts share.
    """

    taken: float
    lan: str
    hosts: tuple[HostState, ...]

    def host(self, name: str) -> HostState | None:
        """The host of that name, or None."""
        return next((found for found in self.hosts if found.name == name), None)

    def namespaces(self) -> Iterator[Namespace]:
        """Every namespace of every host."""
        for host in self.hosts:
            yield from host.namespaces

    def interfaces(self) -> Iterator[Interface]:
        """Every interface of every namespace."""
        for namespace in self.namespaces():
            yield from namespace.interfaces

    def containers(self) -> Iterator[Container]:
        """Every container of every host."""
        for host in self.hosts:
            yield from host.containers

    def to_dict(self) -> dict[str, object]:
        """All of it as JSON-ready values; field names as here."""
        return dataclasses.asdict(self)
