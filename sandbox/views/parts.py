"""What both levels of detail have in a picture, and how it is put together."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator

from sandbox.model.networks import find_namespace, published_ports, shown_networks, tunnels
from sandbox.model.state import (
    Container,
    Endpoint,
    HostState,
    Interface,
    Namespace,
    Network,
    Published,
    Snapshot,
    VirtualMachine,
    in_brackets,
)
from sandbox.views import details
from sandbox.views.names import (
    ADDRESS,
    LAN,
    clip,
    container_id,
    lines,
    machine_id,
    network_id,
    owner_id,
    port_id,
    short_name,
    short_namespace,
)
from sandbox.views.nodes import Edge, Graph, Node, assemble

__all__ = ["compose", "endpoints", "interface_node", "namespace_node"]

# What is written below the name of a namespace without container.
NAMESPACES = {"lb": "load balancer", "ingress": "ingress"}


def compose(
    snapshot: Snapshot,
    *,
    container: Callable[[HostState, Container], Iterable[Node | Edge]],
    namespace: Callable[[HostState, Namespace], Iterable[Node | Edge]],
    edges: Callable[[HostState], Iterable[Edge]],
    plugs: Callable[[HostState, VirtualMachine], Iterable[Edge]],
    end: Callable[[HostState, Interface], str],
) -> Graph:
    """The picture of snapshot; the functions add what a level of detail has of its own.

    container, namespace: what belongs to one.  edges: a host's own.  plugs: from a virtual
    machine to what it is plugged into.  end: the id of the node that a tunnel ends at.
    """

    def nodes_of(host: HostState) -> Iterator[Node | Edge]:
        yield _host_node(host)
        yield from (_network_node(host, network) for network in shown_networks(host))
        for own in sorted(host.containers, key=lambda own: own.name):
            yield _container_node(host, own)
            yield from container(host, own)
            yield from _ports(own)
        for space in sorted(host.namespaces, key=lambda space: space.id):
            yield from namespace(host, space)
        yield from map(_machine_node, host.machines)

    def edges_of(host: HostState) -> Iterator[Edge]:
        yield from edges(host)
        for machine in host.machines:
            yield from _user_mode(machine)
            yield from plugs(host, machine)
        yield from _sharing(host)

    hosts = sorted(snapshot.hosts, key=lambda host: host.name)
    return assemble(
        [
            _lan_node(snapshot),
            *(part for host in hosts for part in nodes_of(host)),
            *(edge for host in hosts for edge in edges_of(host)),
            *(
                Edge(end(one, here), end(other, there), "tunnel", f"VXLAN {here.vni}")
                for one, other in itertools.combinations(hosts, 2)
                for here, there in tunnels(one, other)
            ),
        ]
    )


def _lan_node(snapshot: Snapshot) -> Node:
    """Of the subnet that the hosts share."""
    return Node(
        id=LAN,
        kind="lan",
        row="lan",
        label=f"LAN {snapshot.lan}".strip(),
        title=details.lan_title(snapshot),
        host="",
        group=LAN,
        state=(snapshot.lan,),
    )


def _host_node(host: HostState) -> Node:
    """Of a Docker host, with its address."""
    return Node(
        id=host.name,
        kind="host",
        row="host",
        label=lines(clip(host.name), clip(host.address, ADDRESS)),
        title=details.host_title(host),
        host=host.name,
        group=host.name,
        state=(
            host.address,
            host.engine,
            host.swarm,
            host.node,
            host.manager,
            _set_routes(host.namespace),
        ),
    )


def _network_node(host: HostState, network: Network) -> Node:
    """Of a Docker network, with its driver where the name does not say it, and two subnets."""
    name = network_id(host.name, network.name)
    driver = network.driver if network.driver != network.name else ""
    subnets = [clip(subnet.subnet, ADDRESS) for subnet in network.subnets][:2]
    return Node(
        id=name,
        kind="network",
        row="network",
        label=lines(clip(network.name), clip(driver), *subnets),
        title=details.network_title(network),
        host=host.name,
        group=name,
        state=(
            network.driver,
            network.subnets,
            tuple(sorted(network.options.items())),
            network.internal,
            bool(network.interface),
            network.peers,
            tuple(sorted(network.services.items())),
        ),
    )


def _container_node(host: HostState, container: Container) -> Node:
    """Of a container, with its state unless it runs."""
    name = container_id(container)
    namespace = find_namespace(host, container.namespace)
    own = namespace if namespace and namespace.kind != "host" else None
    return Node(
        id=name,
        kind="container",
        row="container",
        label=lines(
            clip(short_name(container.name)),
            "" if container.state == "running" else f"({container.state})",
        ),
        title=details.container_title(container, own),
        host=host.name,
        group=name,
        state=(
            container.state,
            container.image,
            container.network_mode,
            tuple((e.network, e.address, e.address6) for e in endpoints(container)),
            _set_routes(own),
        ),
    )


def endpoints(container: Container) -> list[Endpoint]:
    """A container's endpoints by interface, as they stand side by side."""
    return sorted(container.endpoints, key=lambda e: (e.interface, e.network))


def _ports(container: Container) -> Iterator[Node | Edge]:
    """A container's published ports, side by side."""
    for slot, published in enumerate(published_ports(container)):
        node = _port_node(container, published, slot)
        yield node
        yield Edge(node.id, container_id(container), "published")


def _port_node(container: Container, published: tuple[Published, ...], slot: int) -> Node:
    port = published[0]
    address = clip(in_brackets(port.host_address), ADDRESS)
    said = tuple(map(str, published))
    return Node(
        id=port_id(container, port),
        kind="port",
        row="port",
        label=lines(f"{address}:{port.host_port}", f"→ {port.container_port}/{port.protocol}"),
        title=lines("published port", *said),
        host=container.host,
        group=container_id(container),
        slot=slot,
        state=said,
    )


def _sharing(host: HostState) -> Iterator[Edge]:
    """From each container to the one whose namespace it is in."""
    for container in host.containers:
        namespace = find_namespace(host, container.namespace)
        if namespace is not None and namespace.kind not in {"host", "overlay"}:
            yield Edge(container_id(container), owner_id(namespace), "shares", "same namespace")


def namespace_node(namespace: Namespace) -> Node:
    """Of a network namespace without container."""
    return Node(
        id=namespace.id,
        kind="namespace",
        row="container",
        label=lines(clip(short_namespace(namespace)), NAMESPACES.get(namespace.kind, "namespace")),
        title=details.namespace_title(namespace),
        host=namespace.host,
        group=namespace.id,
        state=(_set_routes(namespace),),
    )


def _machine_node(machine: VirtualMachine) -> Node:
    """Of a virtual machine."""
    name = machine_id(machine)
    return Node(
        id=name,
        kind="machine",
        row="container",
        label=lines(clip(machine.name), "virtual machine"),
        title=details.machine_title(machine),
        host=machine.host,
        group=name,
        state=(machine.interfaces, machine.user_mode),
    )


def _user_mode(machine: VirtualMachine) -> Iterator[Edge]:
    """To its host, if QEMU itself does a virtual machine's networking."""
    if machine.user_mode:
        yield Edge(machine_id(machine), machine.host, "attached", "user-mode NAT")


def interface_node(
    interface: Interface, *, id: str, kind: str, row: str, host: str, group: str, slot: int = 0
) -> Node:
    """Of an interface, with its VLAN, VNI or mode, two addresses, its status unless it is up."""
    facts = [f"VLAN {interface.vlan}"] if interface.vlan is not None else []
    facts += [f"VNI {interface.vni}"] if interface.vni is not None else []
    facts += [f"{interface.kind} {interface.mode}"] if interface.mode else []
    facts += [clip(address, ADDRESS) for address in interface.assigned[:2]]
    if interface.status != "up":
        facts.append(interface.status)
    return Node(
        id=id,
        kind=kind,
        row=row,
        label=lines(clip(interface.name), *facts),
        title=details.interface_title(interface),
        host=host,
        group=group,
        slot=slot,
        state=(
            interface.name,
            interface.mac,
            interface.mtu,
            interface.status,
            interface.assigned,
            interface.master,
            interface.peer,
            interface.parent,
            interface.mode,
            interface.vlan,
            interface.vni,
        ),
    )


def _set_routes(namespace: Namespace | None) -> tuple[str, ...]:
    """Routes that somebody set; the kernel's own follow the addresses."""
    routes = namespace.routes if namespace else ()
    return tuple(str(route) for route in routes if route.protocol != "kernel")
