"""The simple level of detail: networks, and the addresses that containers have on them."""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.model.networks import (
    bridge_of,
    endpoint_of,
    find_interface,
    namespace_beyond,
    network_of,
    parent_of,
    peer_of,
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
from sandbox.views import details
from sandbox.views.names import (
    ADDRESS,
    LAN,
    clip,
    container_id,
    endpoint_id,
    interface_id,
    machine_id,
    network_id,
    owner_id,
    short_namespace,
)
from sandbox.views.nodes import Edge, Graph, Node
from sandbox.views.parts import compose, endpoints, interface_node, namespace_node

__all__ = ["simple", "simple_places"]


def simple(snapshot: Snapshot) -> Graph:
    """Hosts, LAN, networks, containers with their endpoints, published ports."""
    return compose(
        snapshot,
        container=_endpoints,
        namespace=_namespace,
        edges=_edges,
        plugs=_plugs,
        end=_carried_id,
    )


def simple_places(snapshot: Snapshot) -> dict[InterfaceRef, str]:
    """For each interface the id of the node that it belongs to, if there is one."""
    nodes = {node.id for node in simple(snapshot).nodes}
    return {
        interface.ref: node
        for host in snapshot.hosts
        for namespace in host.namespaces
        for interface in namespace.interfaces
        if (node := _place(host, namespace, interface)) in nodes
    }


def _endpoints(host: HostState, container: Container) -> Iterator[Node | Edge]:
    """The addresses of a container; without one, it is on the network itself."""
    owner = container_id(container)
    for slot, endpoint in enumerate(endpoints(container)):
        network = network_id(host.name, endpoint.network)
        if not (address := endpoint.address or endpoint.address6):
            yield Edge(owner, network, "attached")
            continue
        name = endpoint_id(container, endpoint)
        yield Node(
            id=name,
            kind="endpoint",
            row="endpoint",
            label=clip(address, ADDRESS),
            title=details.endpoint_title(endpoint),
            host=host.name,
            group=owner,
            slot=slot,
            state=(endpoint.address, endpoint.address6, endpoint.gateway, endpoint.names),
        )
        yield Edge(name, network, "attached")
        yield Edge(owner, name, "inside")


def _namespace(host: HostState, namespace: Namespace) -> Iterator[Node]:
    """What Docker does not know: a namespace made by hand, and the host's own bridges."""
    if namespace.kind == "named":
        yield namespace_node(namespace)
    if namespace.kind != "host":
        return
    for interface in real_interfaces(namespace):
        if interface.kind == "bridge" and network_of(host, interface) is None:
            name = interface_id(interface.ref)
            yield interface_node(
                interface, id=name, kind="bridge", row="network", host=host.name, group=name
            )


def _edges(host: HostState) -> Iterator[Edge]:
    yield Edge(host.name, LAN, "cable")
    for network in shown_networks(host):
        if parent := parent_of(network):
            name = network_id(host.name, network.name)
            yield Edge(name, host.name, "parent", clip(f"on {parent}"))
    for namespace in host.namespaces:
        if namespace.kind == "named":
            for interface in real_interfaces(namespace):
                yield Edge(namespace.id, _beyond(host, interface), "attached")


def _plugs(host: HostState, machine: VirtualMachine) -> Iterator[Edge]:
    """From a virtual machine to what its taps and macvtaps are plugged into."""
    name = machine_id(machine)
    for ref in machine.interfaces:
        interface = find_interface(host, ref)
        if interface is None:
            continue
        if interface.parent:
            yield Edge(name, host.name, "parent", clip(f"on {interface.parent.name}"))
        elif bridge := bridge_of(host, interface):
            yield Edge(name, _carried_id(host, bridge), "attached", clip(interface.name))
        else:
            yield Edge(name, host.name, "attached", clip(interface.name))


def _carried_id(host: HostState, interface: Interface) -> str:
    """The id of the network that an interface carries, or of the interface itself."""
    network = network_of(host, interface)
    return network_id(host.name, network.name) if network else interface_id(interface.ref)


def _beyond(host: HostState, interface: Interface) -> str:
    """The id of what the interface of a namespace made by hand leads to, or ""."""
    end, namespace = peer_of(host, interface), namespace_beyond(host, interface)
    if end is None or namespace is None:
        return ""
    if bridge := bridge_of(host, end):
        return _carried_id(host, bridge)
    return host.name if namespace.kind == "host" else owner_id(namespace)


def _place(host: HostState, namespace: Namespace, interface: Interface) -> str:
    """The id of the node that an interface belongs to."""
    if namespace.kind in {"overlay", "lb"}:
        return network_id(host.name, short_namespace(namespace))
    if namespace.kind == "host":
        bridge = interface if interface.kind == "bridge" else bridge_of(host, interface)
        return _carried_id(host, bridge) if bridge else host.name
    if (found := endpoint_of(host, interface)) and (found[1].address or found[1].address6):
        return endpoint_id(*found)
    return owner_id(namespace) if namespace.containers or namespace.kind == "named" else host.name
