"""The full level of detail: every interface, every wire."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from sandbox.model.networks import (
    endpoint_of,
    find_interface,
    find_namespace,
    namespace_beyond,
    network_of,
    on_lan,
    parent_of,
    real_interfaces,
    shown_networks,
)
from sandbox.model.state import (
    Container,
    HostState,
    Interface,
    InterfaceRef,
    Namespace,
    Snapshot,
    VirtualMachine,
)
from sandbox.views.names import (
    LAN,
    container_id,
    interface_id,
    machine_id,
    network_id,
    owner_id,
    short_namespace,
)
from sandbox.views.nodes import Edge, Graph, Node
from sandbox.views.parts import compose, endpoints, interface_node, namespace_node

__all__ = ["full", "full_places"]

# Of namespaces that join others: the host's own, an overlay network's.
JOINING = {"host", "overlay"}


def full(snapshot: Snapshot) -> Graph:
    """Every interface but ``lo``, both ends of every veth pair, every bridge."""
    return compose(
        snapshot,
        container=_unwired,
        namespace=_namespace,
        edges=_edges,
        plugs=_plugs,
        end=lambda host, interface: _id(host, interface.ref),
    )


def full_places(snapshot: Snapshot) -> dict[InterfaceRef, str]:
    """For each interface that the picture has the id of its node."""
    return {
        interface.ref: _id(host, interface.ref)
        for host in snapshot.hosts
        for namespace in host.namespaces
        for interface in real_interfaces(namespace)
    }


def _id(host: HostState, ref: InterfaceRef | None) -> str:
    """The id of the node that shows an interface, or "" if the host does not have it."""
    interface = find_interface(host, ref)
    namespace = find_namespace(host, interface.namespace) if interface else None
    if interface is None or namespace is None:
        return ""
    if namespace.kind in JOINING:
        if interface.kind == "bridge" and (network := network_of(host, interface)):
            return f"{network_id(host.name, network.name)}:bridge"
        if interface.peer and _joined(host, interface):
            return f"{interface_id(interface.peer)}:peer"
    return interface_id(interface.ref)


def _joined(host: HostState, interface: Interface) -> Namespace | None:
    """The namespace that a host's or overlay's interface is the outer end of a veth pair for."""
    far = namespace_beyond(host, interface) if interface.kind != "bridge" else None
    return far if far and far.kind != "host" else None


def _unwired(host: HostState, container: Container) -> Iterator[Edge]:
    """From a container to the networks that it has no interface on, as it does not run."""
    for endpoint in endpoints(container):
        if not endpoint.interface:
            name = network_id(host.name, endpoint.network)
            yield Edge(container_id(container), name, "attached")


def _namespace(host: HostState, namespace: Namespace) -> Iterator[Node | Edge]:
    if namespace.kind == "host":
        yield from _outer(host, namespace, host.name)
    elif namespace.kind == "overlay":
        yield from _outer(host, namespace, network_id(host.name, short_namespace(namespace)))
    else:
        yield from _inner(host, namespace)


def _outer(host: HostState, namespace: Namespace, group: str) -> Iterator[Node]:
    """The interfaces of a namespace that joins others. group: where those stand that join none."""
    row = "nic" if namespace.kind == "host" else "bridge"
    # The node of the host or of the network stands left of them.
    slots = itertools.count(1)
    for interface in real_interfaces(namespace):
        name = _id(host, interface.ref)
        if interface.kind == "bridge":
            network = network_of(host, interface)
            own = network_id(host.name, network.name) if network else name
            yield interface_node(
                interface, id=name, kind="bridge", row="bridge", host=host.name, group=own
            )
        elif far := _joined(host, interface):
            yield interface_node(
                interface,
                id=name,
                kind="veth",
                row="veth",
                host=host.name,
                group=owner_id(far),
                slot=_slot(far, interface.peer),
            )
        else:
            # A veth whose other end is outside of the hosts is a cable like any other.
            known = {"vlan", "vxlan"} | ({"veth"} if interface.peer else set())
            kind = interface.kind if interface.kind in known else "nic"
            yield interface_node(
                interface,
                id=name,
                kind=kind,
                row=row,
                host=host.name,
                group=group,
                slot=next(slots),
            )


def _inner(host: HostState, namespace: Namespace) -> Iterator[Node | Edge]:
    """The interfaces of a namespace that uses the network: a container's, a hand-made."""
    owner = owner_id(namespace)
    if not namespace.containers:
        yield namespace_node(namespace)
    for slot, interface in enumerate(real_interfaces(namespace)):
        name = _id(host, interface.ref)
        yield interface_node(
            interface,
            id=name,
            kind="bridge" if interface.kind == "bridge" else "interface",
            row="interface",
            host=host.name,
            group=owner,
            slot=slot,
        )
        yield Edge(owner, name, "inside")


def _slot(namespace: Namespace, ref: InterfaceRef | None) -> int:
    """The column of an interface in its namespace, or 0."""
    slots = enumerate(real_interfaces(namespace))
    return next((slot for slot, interface in slots if interface.ref == ref), 0)


def _edges(host: HostState) -> Iterator[Edge]:
    for network in shown_networks(host):
        name = network_id(host.name, network.name)
        yield Edge(name, f"{name}:bridge", "carries")
        if parent := parent_of(network):
            yield Edge(name, interface_id(InterfaceRef(host.name, parent)), "parent")
    for namespace in host.namespaces:
        for interface in real_interfaces(namespace):
            yield from _wires(host, interface)


def _plugs(host: HostState, machine: VirtualMachine) -> Iterator[Edge]:
    """From a virtual machine to its taps and macvtaps."""
    for ref in machine.interfaces:
        yield Edge(machine_id(machine), _id(host, ref), "inside")


def _wires(host: HostState, interface: Interface) -> Iterator[Edge]:
    """From an interface to its bridge, its peer, its parent and the LAN."""
    name = _id(host, interface.ref)
    if interface.master:
        yield Edge(name, _id(host, InterfaceRef(interface.namespace, interface.master)), "port")
    # Each pair is met twice; the end whose id comes first draws it.
    if name < (peer := _id(host, interface.peer)):
        yield Edge(name, peer, "veth")
    if on_lan(host, interface):
        yield Edge(name, LAN, "cable")
    if interface.parent and interface.kind != "vxlan":
        if found := endpoint_of(host, interface):
            yield Edge(name, network_id(host.name, found[1].network), "attached")
        else:
            yield Edge(name, _id(host, interface.parent), "parent")
