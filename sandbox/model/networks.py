"""What belongs together in a Docker host's network: wires, bridges, networks, tunnels.

Where a function takes a host and something of it, both are of the same snapshot.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from sandbox.model.state import (
    Container,
    Endpoint,
    HostState,
    Interface,
    InterfaceRef,
    Namespace,
    Network,
    Published,
)

__all__ = [
    "bridge_of",
    "endpoint_of",
    "find_interface",
    "find_namespace",
    "members",
    "namespace_beyond",
    "network_of",
    "on_lan",
    "parent_of",
    "peer_of",
    "published_ports",
    "real_interfaces",
    "remotes",
    "shown_networks",
    "tunnels",
]

# The kernel puts these into every namespace when their module is loaded.
FALLBACK_TUNNELS = frozenset(
    ["tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "sit0", "ip6tnl0", "ip6gre0"]
)


def find_namespace(host: HostState, name: str) -> Namespace | None:
    """The namespace of host with that id, or None."""
    return next((found for found in host.namespaces if found.id == name), None)


def find_interface(host: HostState, ref: InterfaceRef | None) -> Interface | None:
    """The interface of host that ref names, or None."""
    namespace = find_namespace(host, ref.namespace) if ref else None
    return namespace.interface(ref.name) if namespace and ref else None


def real_interfaces(namespace: Namespace) -> list[Interface]:
    """By number, without ``lo`` and the tunnels that are in every namespace."""
    real = (
        found
        for found in namespace.interfaces
        if found.kind != "loopback"
        and found.name != "lo"
        and (found.enabled or found.name not in FALLBACK_TUNNELS)
    )
    return sorted(real, key=lambda interface: interface.index)


def peer_of(host: HostState, interface: Interface) -> Interface | None:
    """The other end of a veth pair; None of another interface, or if the end was not read."""
    return find_interface(host, interface.peer)


def namespace_beyond(host: HostState, interface: Interface) -> Namespace | None:
    """The namespace that a veth pair leads to; None if it does not leave interface's own."""
    if interface.peer is None or interface.peer.namespace == interface.namespace:
        return None
    return find_namespace(host, interface.peer.namespace)


def bridge_of(host: HostState, interface: Interface) -> Interface | None:
    """The bridge that interface is a port of, or None."""
    return find_interface(host, InterfaceRef(interface.namespace, interface.master))


def on_lan(host: HostState, interface: Interface) -> bool:
    """Whether interface is host's own and has its address on the LAN."""
    addresses = {address.partition("/")[0] for address in interface.addresses}
    return interface.namespace == host.name and host.address in addresses


def shown_networks(host: HostState) -> list[Network]:
    """host's networks by name, without Docker's own host and none while nobody uses them."""
    used = {e.network for container in host.containers for e in container.endpoints}
    shown = (n for n in host.networks if n.driver not in {"host", "null"} or n.name in used)
    return sorted(shown, key=lambda network: network.name)


def network_of(host: HostState, interface: Interface) -> Network | None:
    """The Docker network that interface carries, or None.

    On the host itself that is a network's bridge or parent; of several networks with one parent,
    the first is given. In an overlay's namespace every interface carries the overlay.
    """
    kind, _, name = interface.namespace.removeprefix(host.name + "/").partition(":")
    for network in host.networks:
        if network.driver == "overlay" and kind == "overlay" and network.name == name:
            return network
        if interface.namespace == host.name and network.interface == interface.name:
            return network
    return None


def parent_of(network: Network) -> str:
    """Name of the host's interface that a macvlan or ipvlan network uses; "" of another one."""
    return network.interface if network.driver in {"macvlan", "ipvlan"} else ""


def members(host: HostState, network: Network) -> Iterator[tuple[Container, Endpoint]]:
    """The containers on network by name, each with its endpoint there."""
    for container in sorted(host.containers, key=lambda container: container.name):
        for endpoint in container.endpoints:
            if endpoint.network == network.name:
                yield container, endpoint


def endpoint_of(host: HostState, interface: Interface) -> tuple[Container, Endpoint] | None:
    """The container that interface was made for, and its endpoint there; None if there is none.

    Containers that share its namespace are not meant.
    """
    namespace = find_namespace(host, interface.namespace)
    for name in namespace.containers if namespace else ():
        if container := host.container(name):
            for endpoint in container.endpoints:
                if endpoint.interface == interface.name:
                    return container, endpoint
    return None


def published_ports(container: Container) -> Iterator[tuple[Published, ...]]:
    """container's published ports by number; those that differ in the host's address are one."""

    def key(port: Published) -> tuple[int, int, str]:
        return port.host_port, port.container_port, port.protocol

    for _, ports in itertools.groupby(sorted(container.published, key=key), key=key):
        yield tuple(ports)


def remotes(host: HostState, vxlan: Interface) -> list[str]:
    """Addresses of the VTEPs that vxlan, an interface of host, sends to."""
    namespace = find_namespace(host, vxlan.namespace)
    entries = namespace.forwarding if namespace else ()
    found = {entry.destination for entry in entries if entry.interface == vxlan.name}
    network = network_of(host, vxlan)
    return sorted({*found, *(network.peers if network else ())} - {"", host.address, host.node})


def tunnels(one: HostState, other: HostState) -> Iterator[tuple[Interface, Interface]]:
    """The pairs of VXLAN interfaces of two hosts that have the same VNI and send to each other.

    One that sends is enough: the other may not have learned of it yet.
    """
    for here, there in itertools.product(_vxlans(one), _vxlans(other)):
        if here.vni == there.vni and (_sends(one, here, other) or _sends(other, there, one)):
            yield here, there


def _vxlans(host: HostState) -> Iterator[Interface]:
    for namespace in sorted(host.namespaces, key=lambda namespace: namespace.id):
        yield from (found for found in real_interfaces(namespace) if found.vni is not None)


def _sends(host: HostState, vxlan: Interface, other: HostState) -> bool:
    return bool({other.address, other.node} & set(remotes(host, vxlan)))
