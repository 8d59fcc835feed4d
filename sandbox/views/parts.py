"""The nodes and edges that both levels of detail have in a picture."""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.model.networks import find_namespace, published_ports
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
from sandbox.views.nodes import Edge, Node

__all__ = [
    "container_node",
    "endpoints",
    "host_node",
    "interface_node",
    "lan_node",
    "machine_node",
    "namespace_node",
    "network_node",
    "ports",
    "sharing",
    "user_mode",
]

# What is written below the name of a namespace without container.
NAMESPACES = {"lb": "load balancer", "ingress": "ingress"}


def lan_node(snapshot: Snapshot) -> Node:
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


def host_node(host: HostState) -> Node:
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


def network_node(host: HostState, network: Network) -> Node:
    """Of a Docker network, with its driver where the name does not say it, and two subnets."""
    name = network_id(host, network.name)
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


def container_node(host: HostState, container: Container) -> Node:
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


def ports(container: Container) -> Iterator[Node | Edge]:
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


def sharing(host: HostState) -> Iterator[Edge]:
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


def machine_node(machine: VirtualMachine) -> Node:
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


def user_mode(machine: VirtualMachine) -> Iterator[Edge]:
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
