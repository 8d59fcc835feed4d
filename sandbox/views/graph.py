"""From a snapshot to the nodes and edges of its picture.

A node's id names what it stands for by names that a learner chose, never by a veth's name, an
id or a MAC address, so that the picture of the next snapshot can keep its place:

    host ``host-a``, container ``host-a/web``, other namespace ``host-a/netns:blue``,
    virtual machine ``host-a/machine:vm``,
    network ``host-a/network:shop``, its bridge ``host-a/network:shop:bridge``,
    endpoint ``host-a/web@shop``, interface ``host-a/web:eth0``, its veth's other end
    ``host-a/web:eth0:peer``, published port ``host-a/web:8080→80/tcp``, the LAN ``LAN``.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from sandbox.errors import SandboxError
from sandbox.model.state import (
    Container,
    Endpoint,
    HostState,
    Interface,
    InterfaceRef,
    Namespace,
    Network,
    Published,
    Snapshot,
    VirtualMachine,
)
from sandbox.views import details

__all__ = [
    "DETAILS",
    "Edge",
    "Graph",
    "Mark",
    "Node",
    "build",
    "check_detail",
    "compare",
    "mark",
    "places",
    "port_key",
    "shown_networks",
]

DETAILS = ("simple", "full")
LAN = "LAN"
# Longer names and addresses are cut in the picture; the text on hover has them whole.
NAME, ADDRESS = 18, 26
# The kernel puts these into every namespace when their module is loaded.
FALLBACK_TUNNELS = frozenset(
    ["tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "sit0", "ip6tnl0", "ip6gre0"]
)


@dataclass(frozen=True, slots=True)
class Node:
    """One thing in the picture.

    kind: ``lan``, ``host``, ``nic`` (a host's interface), ``vlan``, ``vxlan``, ``network``,
        ``bridge``, ``veth`` (a host's end), ``interface`` (a namespace's), ``endpoint``,
        ``container``, ``namespace``, ``machine``, ``port``.
    row: where it stands from top to bottom, by the kind that is usual there.
    label: lines of plain text.  title: those shown on hover.
    host: name of its host; "" of the LAN.
    group: id of the nodes that are placed as a whole.  slot: its column there.
    state: all that counts when two pictures are compared.
    change: what became of it since an earlier picture: ``new``, ``changed``, ``gone`` or "";
        or ``wrong``, see Mark.
    """

    id: str
    kind: str
    row: str
    label: str
    title: str
    host: str
    group: str
    slot: int = 0
    state: tuple[object, ...] = ()
    change: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """A line from node source to node target.

    kind: ``cable`` (to the LAN), ``carries`` (a network), ``port`` (of a bridge), ``veth``
        (both ends of a pair), ``parent`` (stands on), ``inside`` (a namespace), ``attached``
        (to a network), ``published``, ``shares`` (a namespace), ``tunnel``, ``check``, see Mark.
    title: text shown on hover.
    """

    source: str
    target: str
    kind: str
    label: str = ""
    change: str = ""
    title: str = ""

    @property
    def id(self) -> str:
        return f"{self.kind} {self.source} {self.target}"


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes and edges; every edge's ends are among the nodes, and no id occurs twice."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that is not as it should be: at one node, or from one to another.

    nodes: one id, or two.  text: what is wrong.
    """

    nodes: tuple[str, ...]
    text: str


def check_detail(detail: str) -> None:
    """Raise SandboxError unless detail is one of DETAILS."""
    if detail not in DETAILS:
        raise SandboxError(
            f"A topology has no level of detail {detail!r}.",
            fix='Write detail="simple" or detail="full".',
        )


def build(snapshot: Snapshot, detail: str) -> Graph:
    """The picture of snapshot at that level of detail ("simple" or "full").

    simple: hosts, LAN, networks, containers with their endpoints, published ports.
    full: every interface but ``lo``, both ends of every veth pair, every bridge.

    Raises SandboxError for another level.
    """
    check_detail(detail)
    drawing = (_Full if detail == "full" else _Simple)(snapshot)
    return Graph(tuple(drawing.nodes.values()), tuple(drawing.edges.values()))


def places(snapshot: Snapshot, detail: str) -> dict[InterfaceRef, str]:
    """For each interface the id of the node that shows it at that level of detail."""
    if detail == "full":
        return _Full(snapshot).ids
    drawing = _Simple(snapshot)
    return {
        interface.ref: node
        for host in snapshot.hosts
        for namespace in host.namespaces
        for interface in namespace.interfaces
        if (node := drawing.place(host, namespace, interface)) in drawing.nodes
    }


def compare(now: Graph, before: Graph) -> Graph:
    """now with what changed since before marked, and what is gone still in it."""
    nodes_then = {node.id: node for node in before.nodes}
    edges_then = {edge.id: edge for edge in before.edges}
    nodes = [replace(n, change=_change(n.state, nodes_then, n.id)) for n in now.nodes]
    edges = [replace(e, change=_change(e.label, edges_then, e.id)) for e in now.edges]
    kept = {node.id for node in nodes} | {edge.id for edge in edges}
    nodes += [replace(n, change="gone") for n in before.nodes if n.id not in kept]
    edges += [replace(e, change="gone") for e in before.edges if e.id not in kept]
    return Graph(tuple(nodes), tuple(edges))


def mark(graph: Graph, marks: Iterable[Mark]) -> Graph:
    """graph with what is wrong marked; a mark of a node that it does not have is left out."""
    nodes = {node.id: node for node in graph.nodes}
    edges = {edge.id: edge for edge in graph.edges}
    for wrong in marks:
        if not nodes.keys() >= {*wrong.nodes}:
            continue
        if len(wrong.nodes) == 1:
            node = nodes[wrong.nodes[0]]
            title = _label(node.title, f"✗ {wrong.text}")
            nodes[node.id] = replace(node, change="wrong", title=title)
        else:
            source, target = wrong.nodes
            new = Edge(source, target, "check", change="wrong", title=f"✗ {wrong.text}")
            if told := edges.get(new.id):
                new = replace(new, title=_label(told.title, new.title))
            edges[new.id] = new
    return Graph(tuple(nodes.values()), tuple(edges.values()))


def _change(state: object, then: dict[str, Node] | dict[str, Edge], name: str) -> str:
    if name not in then:
        return "new"
    old = then[name]
    return "" if state == (old.state if isinstance(old, Node) else old.label) else "changed"


def shown_networks(host: HostState) -> list[Network]:
    """host's networks by name, without Docker's own host and none while nobody uses them."""
    used = {e.network for container in host.containers for e in container.endpoints}
    shown = (n for n in host.networks if n.driver not in {"host", "null"} or n.name in used)
    return sorted(shown, key=lambda network: network.name)


def real_interfaces(namespace: Namespace) -> list[Interface]:
    """By number, without ``lo`` and the tunnels that are in every namespace."""
    shown = (
        found
        for found in namespace.interfaces
        if found.kind != "loopback"
        and found.name != "lo"
        and (found.enabled or found.name not in FALLBACK_TUNNELS)
    )
    return sorted(shown, key=lambda interface: interface.index)


def network_of(host: HostState, bridge: Interface) -> Network | None:
    """The Docker network that bridge, an interface, carries."""
    kind, _, name = bridge.namespace.removeprefix(host.name + "/").partition(":")
    for network in host.networks:
        if network.driver == "overlay" and kind == "overlay" and network.name == name:
            return network
        if bridge.namespace == host.name and network.interface == bridge.name:
            return network
    return None


class _Drawing:
    """The nodes and edges of one snapshot, by id, while they are collected."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.nodes: dict[str, Node] = {}
        self.edges: dict[str, Edge] = {}
        self.namespaces = {found.id: found for found in snapshot.namespaces()}
        self.add(Node(
            LAN, "lan", "lan", f"LAN {snapshot.lan}".strip(), details.lan_title(snapshot), "",
            LAN, state=(snapshot.lan,),
        ))  # fmt: skip
        hosts = sorted(snapshot.hosts, key=lambda host: host.name)
        for host in hosts:
            self.host(host)
            for network in shown_networks(host):
                self.network(host, network)
            for container in sorted(host.containers, key=lambda container: container.name):
                self.container(host, container)
            for namespace in sorted(host.namespaces, key=lambda namespace: namespace.id):
                self.namespace(host, namespace)
            for machine in host.machines:
                name = _machine_id(machine)
                state = (machine.interfaces, machine.user_mode)
                self.add(Node(
                    name, "machine", "container", _label(clip(machine.name), "virtual machine"),
                    details.machine_title(machine), host.name, name, state=state,
                ))  # fmt: skip
        for host in hosts:
            self.wires(host)
            for machine in host.machines:
                if machine.user_mode:
                    self.join(_machine_id(machine), host.name, "attached", "user-mode NAT")
                for ref in machine.interfaces:
                    if interface := self.find(ref):
                        self.plug(host, _machine_id(machine), interface)
            for container in host.containers:
                self.shared(container)
        for one, other in itertools.combinations(hosts, 2):
            self.tunnels(one, other)

    def add(self, node: Node) -> None:
        self.nodes.setdefault(node.id, node)

    def join(self, source: str, target: str, kind: str, label: str = "") -> None:
        if source in self.nodes and target in self.nodes and source != target:
            edge = Edge(source, target, kind, label)
            self.edges.setdefault(edge.id, edge)

    def host(self, host: HostState) -> None:
        state = (host.address, host.engine, host.swarm, host.node, host.manager)
        self.add(Node(
            host.name, "host", "host", _label(clip(host.name), clip(host.address, ADDRESS)),
            details.host_title(host), host.name, host.name,
            state=(*state, _set_routes(host.namespace)),
        ))  # fmt: skip

    def network(self, host: HostState, network: Network) -> None:
        name = _network_id(host, network.name)
        subnets = [clip(subnet.subnet, ADDRESS) for subnet in network.subnets][:2]
        kind = network.driver if network.driver != network.name else ""
        self.add(Node(
            name, "network", "network",
            _label(clip(network.name), clip(kind), *subnets),
            details.network_title(network), host.name, name,
            state=(
                network.driver, network.subnets, tuple(sorted(network.options.items())),
                network.internal, bool(network.interface), network.peers,
                tuple(sorted(network.services.items())),
            ),
        ))  # fmt: skip

    def container(self, host: HostState, container: Container) -> None:
        name = f"{host.name}/{container.name}"
        namespace = self.namespaces.get(container.namespace)
        own = namespace if namespace and namespace.kind != "host" else None
        state = "" if container.state == "running" else f"({container.state})"
        endpoints = sorted(container.endpoints, key=lambda e: (e.interface, e.network))
        self.add(Node(
            name, "container", "container", _label(clip(short_name(container.name)), state),
            details.container_title(container, own), host.name, name,
            state=(
                container.state, container.image, container.network_mode,
                tuple((e.network, e.address, e.address6) for e in endpoints), _set_routes(own),
            ),
        ))  # fmt: skip
        for slot, endpoint in enumerate(endpoints):
            self.endpoint(host, name, slot, endpoint)
        ports = itertools.groupby(sorted(container.published, key=port_key), key=port_key)
        for slot, (port, published) in enumerate(ports):
            self.port(host, name, slot, port, list(published))

    def port(
        self,
        host: HostState,
        container: str,
        slot: int,
        port: tuple[int, int, str],
        published: list[Published],
    ) -> None:
        outside, inside, protocol = port
        address, *_ = str(published[0]).rpartition(f":{outside} → ")
        name = f"{container}:{outside}→{inside}/{protocol}"
        label = _label(f"{clip(address, ADDRESS)}:{outside}", f"→ {inside}/{protocol}")
        title = _label("published port", *map(str, published))
        state = tuple(map(str, published))
        self.add(Node(name, "port", "port", label, title, host.name, container, slot, state))
        self.join(name, container, "published")

    def namespace_node(self, host: HostState, namespace: Namespace) -> None:
        kinds = {"named": "namespace", "lb": "load balancer", "ingress": "ingress"}
        self.add(Node(
            namespace.id, "namespace", "container",
            _label(clip(_short(namespace)), kinds.get(namespace.kind, "namespace")),
            details.namespace_title(namespace), host.name, namespace.id,
            state=(_set_routes(namespace),),
        ))  # fmt: skip

    def owner(self, namespace: Namespace) -> str:
        """The id of the node that namespace's interfaces belong to."""
        names = [f"{namespace.host}/{name}" for name in namespace.containers]
        return namespace.id if namespace.id in names or not names else min(names)

    def far(self, interface: Interface) -> Namespace | None:
        """The namespace at the other end of a veth pair, if it is another one."""
        if interface.peer is None or interface.peer.namespace == interface.namespace:
            return None
        return self.namespaces.get(interface.peer.namespace)

    def shared(self, container: Container) -> None:
        namespace = self.namespaces.get(container.namespace)
        if namespace is not None and namespace.kind not in {"host", "overlay"}:
            self.join(
                f"{container.host}/{container.name}", self.owner(namespace), "shares",
                "same namespace",
            )  # fmt: skip

    def find(self, ref: InterfaceRef) -> Interface | None:
        space = self.namespaces.get(ref.namespace)
        return space.interface(ref.name) if space else None

    def plug(self, host: HostState, machine: str, interface: Interface) -> None:
        """Join a virtual machine to interface, a tap or macvtap of its host."""
        raise NotImplementedError

    def tunnels(self, one: HostState, other: HostState) -> None:
        """Join the VXLAN ends of two hosts that send to each other."""
        for here in _vxlans(one):
            for there in _vxlans(other):
                if here.vni == there.vni and (
                    _sends(one, here, other) or _sends(other, there, one)
                ):
                    ends = self.tunnel_end(one, here), self.tunnel_end(other, there)
                    self.join(*ends, "tunnel", f"VXLAN {here.vni}")

    def endpoint(self, host: HostState, owner: str, slot: int, endpoint: Endpoint) -> None:
        raise NotImplementedError

    def namespace(self, host: HostState, namespace: Namespace) -> None:
        raise NotImplementedError

    def wires(self, host: HostState) -> None:
        raise NotImplementedError

    def tunnel_end(self, host: HostState, vxlan: Interface) -> str:
        raise NotImplementedError


class _Simple(_Drawing):
    def endpoint(self, host: HostState, owner: str, slot: int, endpoint: Endpoint) -> None:
        network = _network_id(host, endpoint.network)
        address = endpoint.address or endpoint.address6
        if not address:
            self.join(owner, network, "attached")
            return
        name = f"{owner}@{endpoint.network}"
        self.add(Node(
            name, "endpoint", "endpoint", clip(address, ADDRESS), details.endpoint_title(endpoint),
            host.name, owner, slot,
            (endpoint.address, endpoint.address6, endpoint.gateway, endpoint.names),
        ))  # fmt: skip
        self.join(name, network, "attached")
        self.join(owner, name, "inside")

    def namespace(self, host: HostState, namespace: Namespace) -> None:
        if namespace.kind == "named":
            self.namespace_node(host, namespace)
        if namespace.kind != "host":
            return
        for interface in real_interfaces(namespace):
            if interface.kind == "bridge" and network_of(host, interface) is None:
                name = f"{host.name}:{interface.name}"
                self.add(_interface_node(interface, name, "bridge", "network", host.name, name))

    def wires(self, host: HostState) -> None:
        self.join(host.name, LAN, "cable")
        for network in shown_networks(host):
            if network.driver in {"macvlan", "ipvlan"} and network.interface:
                label = clip(f"on {network.interface}")
                self.join(_network_id(host, network.name), host.name, "parent", label)
        for namespace in host.namespaces:
            if namespace.kind != "named":
                continue
            for interface in real_interfaces(namespace):
                self.join(namespace.id, self.segment(host, interface), "attached")

    def place(self, host: HostState, namespace: Namespace, interface: Interface) -> str:
        """The id of the node that an interface belongs to."""
        if namespace.kind in {"overlay", "lb"}:
            return _network_id(host, _short(namespace))
        if namespace.kind != "host":
            owner = self.owner(namespace)
            for name in namespace.containers:
                container = host.container(name)
                for endpoint in container.endpoints if container else ():
                    node = f"{host.name}/{name}@{endpoint.network}"
                    if endpoint.interface == interface.name and node in self.nodes:
                        return node
            return owner if namespace.containers or namespace.kind == "named" else host.name
        name = interface.name if interface.kind == "bridge" else interface.master
        bridge = namespace.interface(name)
        return self.bridged(host, bridge) if bridge else host.name

    def plug(self, host: HostState, machine: str, interface: Interface) -> None:
        if interface.parent:
            self.join(machine, host.name, "parent", clip(f"on {interface.parent.name}"))
        elif bridge := self.find(InterfaceRef(interface.namespace, interface.master)):
            self.join(machine, self.bridged(host, bridge), "attached", clip(interface.name))
        else:
            self.join(machine, host.name, "attached", clip(interface.name))

    def bridged(self, host: HostState, bridge: Interface) -> str:
        """The id of the network that a bridge carries, or of the bridge itself."""
        network = network_of(host, bridge)
        if network:
            return _network_id(host, network.name)
        return f"{bridge.namespace}:{bridge.name}"

    def segment(self, host: HostState, interface: Interface) -> str:
        """The id of what a hand-made namespace's interface leads to, or ""."""
        far = self.far(interface)
        end = far.interface(interface.peer.name) if far and interface.peer else None
        if far is None or end is None:
            return ""
        bridge = far.interface(end.master)
        if bridge is None:
            return host.name if far.kind == "host" else self.owner(far)
        return self.bridged(host, bridge)

    def tunnel_end(self, host: HostState, vxlan: Interface) -> str:
        network = network_of(host, vxlan)
        return _network_id(host, network.name) if network else ""


class _Full(_Drawing):
    def __init__(self, snapshot: Snapshot) -> None:
        self.ids: dict[InterfaceRef, str] = {}
        super().__init__(snapshot)

    def endpoint(self, host: HostState, owner: str, slot: int, endpoint: Endpoint) -> None:
        if not endpoint.interface:
            self.join(owner, _network_id(host, endpoint.network), "attached")

    def namespace(self, host: HostState, namespace: Namespace) -> None:
        if namespace.kind == "host":
            # The host's own node stands left of them.
            self.outer(host, namespace, host.name, 1)
        elif namespace.kind == "overlay":
            self.outer(host, namespace, _network_id(host, _short(namespace)), 1)
        else:
            self.inner(host, namespace)

    def outer(self, host: HostState, namespace: Namespace, group: str, slot: int) -> None:
        """The interfaces of a namespace that joins others: the host's or an overlay's."""
        row = "nic" if namespace.kind == "host" else "bridge"
        for interface in real_interfaces(namespace):
            far, network = self.far(interface), None
            if interface.kind == "bridge":
                network = network_of(host, interface)
            if interface.kind == "bridge":
                own = _network_id(host, network.name) if network else ""
                name = f"{own}:bridge" if own else f"{namespace.id}:{interface.name}"
                node = _interface_node(
                    interface, name, "bridge", "bridge", host.name, own or name
                )  # fmt: skip
            elif far is not None and interface.peer is not None and far.kind != "host":
                name = f"{far.id}:{interface.peer.name}:peer"
                place = _slot(far, interface.peer.name)
                node = _interface_node(
                    interface, name, "veth", "veth", host.name, self.owner(far), place
                )
            else:
                name = f"{namespace.id}:{interface.name}"
                # A veth whose other end is outside of the hosts is a cable like any other.
                known = {"vlan", "vxlan"} | ({"veth"} if interface.peer else set())
                kind = interface.kind if interface.kind in known else "nic"
                node = _interface_node(interface, name, kind, row, host.name, group, slot)
                slot += 1
            self.ids[interface.ref] = node.id
            self.add(node)

    def inner(self, host: HostState, namespace: Namespace) -> None:
        """The interfaces of a namespace that uses the network: a container's, a hand-made."""
        owner = self.owner(namespace)
        if not namespace.containers:
            self.namespace_node(host, namespace)
        for slot, interface in enumerate(real_interfaces(namespace)):
            name = f"{namespace.id}:{interface.name}"
            self.ids[interface.ref] = name
            kind = "bridge" if interface.kind == "bridge" else "interface"
            self.add(_interface_node(interface, name, kind, "interface", host.name, owner, slot))
            self.join(owner, name, "inside")

    def wires(self, host: HostState) -> None:
        for network in shown_networks(host):
            name = _network_id(host, network.name)
            self.join(name, f"{name}:bridge", "carries")
            if network.driver in {"macvlan", "ipvlan"}:
                self.join(name, f"{host.name}:{network.interface}", "parent")
        for namespace in host.namespaces:
            for interface in real_interfaces(namespace):
                self.wire(host, namespace, interface)

    def wire(self, host: HostState, namespace: Namespace, interface: Interface) -> None:
        name = self.ids[interface.ref]
        if interface.master:
            self.join(name, self.id_of(namespace.id, interface.master), "port")
        # Each pair is met twice; the end whose id comes first draws it.
        if interface.peer and name < (peer := self.ids.get(interface.peer, "")):
            self.join(name, peer, "veth")
        if any(interface.addresses) and _plugged_into_lan(host, namespace, interface):
            self.join(name, LAN, "cable")
        if interface.parent and interface.kind != "vxlan":
            network = self.network_by_endpoint(host, namespace, interface)
            parent = network or self.ids.get(interface.parent, "")
            self.join(name, parent, "attached" if network else "parent")

    def plug(self, host: HostState, machine: str, interface: Interface) -> None:
        self.join(machine, self.ids.get(interface.ref, ""), "inside")

    def id_of(self, namespace: str, name: str) -> str:
        return self.ids.get(InterfaceRef(namespace, name), "")

    def network_by_endpoint(
        self, host: HostState, namespace: Namespace, interface: Interface
    ) -> str:
        """The id of the Docker network that an interface is a container's endpoint on, or ""."""
        for name in namespace.containers:
            container = host.container(name)
            for endpoint in container.endpoints if container else ():
                if endpoint.interface == interface.name:
                    return _network_id(host, endpoint.network)
        return ""

    def tunnel_end(self, host: HostState, vxlan: Interface) -> str:
        return self.ids.get(vxlan.ref, "")


def _interface_node(
    interface: Interface, name: str, kind: str, row: str, host: str, group: str, slot: int = 0
) -> Node:
    facts = [f"VLAN {interface.vlan}"] if interface.vlan is not None else []
    facts += [f"VNI {interface.vni}"] if interface.vni is not None else []
    facts += [f"{interface.kind} {interface.mode}"] if interface.mode else []
    facts += [clip(address, ADDRESS) for address in interface.assigned[:2]]
    if interface.status != "up":
        facts.append(interface.status)
    title = details.interface_title(interface)
    state = (
        interface.name, interface.mac, interface.mtu, interface.status,
        interface.assigned, interface.master, interface.peer, interface.parent,
        interface.mode, interface.vlan, interface.vni,
    )  # fmt: skip
    label = _label(clip(interface.name), *facts)
    return Node(name, kind, row, label, title, host, group, slot, state)


def short_name(container: str) -> str:
    """A container's name; of a Swarm task ``service.number``, without the task's id."""
    return re.sub(r"(\.\d+)\.[a-z0-9]{25}$", r"\1", container)


def clip(text: str, longest: int = NAME) -> str:
    """text in one line of at most that many characters."""
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def _label(*lines: str) -> str:
    return "\n".join(filter(None, lines))


def _network_id(host: HostState, name: str) -> str:
    return f"{host.name}/network:{name}"


def _machine_id(machine: VirtualMachine) -> str:
    return f"{machine.host}/machine:{machine.name}"


def _short(namespace: Namespace) -> str:
    return namespace.id.removeprefix(namespace.host + "/").rpartition(":")[2]


def port_key(published: Published) -> tuple[int, int, str]:
    return published.host_port, published.container_port, published.protocol


def _slot(namespace: Namespace, name: str) -> int:
    names = [interface.name for interface in real_interfaces(namespace)]
    return names.index(name) if name in names else 0


def _set_routes(namespace: Namespace | None) -> tuple[str, ...]:
    """Routes that somebody set; the kernel's own follow the addresses."""
    routes = namespace.routes if namespace else ()
    return tuple(str(route) for route in routes if route.protocol != "kernel")


def _vxlans(host: HostState) -> Iterable[Interface]:
    for namespace in sorted(host.namespaces, key=lambda namespace: namespace.id):
        yield from (found for found in real_interfaces(namespace) if found.vni is not None)


def remotes(host: HostState, vxlan: Interface) -> list[str]:
    """Addresses of the VTEPs that vxlan, an interface of host, sends to."""
    found: set[str] = set()
    for namespace in host.namespaces:
        if namespace.id == vxlan.namespace:
            found |= {e.destination for e in namespace.forwarding if e.interface == vxlan.name}
    network = network_of(host, vxlan)
    return sorted({*found, *(network.peers if network else ())} - {"", host.address, host.node})


def _sends(host: HostState, vxlan: Interface, other: HostState) -> bool:
    return bool({other.address, other.node} & set(remotes(host, vxlan)))


def _plugged_into_lan(host: HostState, namespace: Namespace, interface: Interface) -> bool:
    addresses = {address.partition("/")[0] for address in interface.addresses}
    return namespace.kind == "host" and host.address in addresses
