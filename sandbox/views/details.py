"""The plain text that the picture shows of one thing on hover, one fact a line."""

from __future__ import annotations

from sandbox.model.state import (
    Container,
    Endpoint,
    HostState,
    Interface,
    Namespace,
    Network,
    Snapshot,
    VirtualMachine,
)
from sandbox.views.names import lines

__all__ = [
    "container_title",
    "endpoint_title",
    "host_title",
    "interface_title",
    "lan_title",
    "machine_title",
    "namespace_title",
    "network_title",
]


def lan_title(snapshot: Snapshot) -> str:
    """Of the subnet that the hosts share."""
    hosts = sorted(snapshot.hosts, key=lambda host: host.name)
    return lines("LAN", snapshot.lan, *(f"{host.name} {host.address}" for host in hosts))


def host_title(host: HostState) -> str:
    """Of a Docker host: Engine, swarm, routes."""
    swarm = ""
    if host.swarm not in {"", "inactive"}:
        role = "manager" if host.manager else "worker"
        swarm = _fact("Swarm", f"{role}, {host.swarm}" + (f", {host.node}" if host.node else ""))
    return lines(
        f"host {host.name}",
        _fact("address", host.address),
        _fact("Docker Engine", host.engine or "does not answer"),
        swarm,
        _fact("not read", host.unread),
        *_routes(host.namespace),
    )


def network_title(network: Network) -> str:
    """Of a Docker network: driver, subnets, options, services."""
    flags = ("internal", "attachable", "ingress", "ipv6")
    return lines(
        f"network {network.name}",
        _fact("driver", network.driver),
        _fact("scope", network.scope),
        *(
            f"subnet {subnet.subnet}"
            + (f", gateway {subnet.gateway}" if subnet.gateway else "")
            + (f", range {subnet.ip_range}" if subnet.ip_range else "")
            for subnet in network.subnets
        ),
        _fact("interface", network.interface),
        _fact("flags", ", ".join(flag for flag in flags if getattr(network, flag))),
        _fact("peers", ", ".join(network.peers)),
        *(f"service {name} {address}" for name, address in sorted(network.services.items())),
        *(f"{key}={value}" for key, value in sorted(network.options.items())),
        _fact("id", network.id[:12]),
    )


def container_title(container: Container, namespace: Namespace | None) -> str:
    """Of a container, with the routes of its own network namespace."""
    return lines(
        f"container {container.name}",
        _fact("image", container.image),
        _fact("state", container.state),
        _fact("command", container.command),
        _fact("hostname", container.hostname),
        _fact("network mode", container.network_mode),
        _fact("namespace", container.namespace),
        *_routes(namespace),
        _fact("id", container.id[:12]),
    )


def endpoint_title(endpoint: Endpoint) -> str:
    """Of a container's place on a network: addresses, gateway, names."""
    return lines(
        f"endpoint on {endpoint.network}",
        _fact("interface", endpoint.interface),
        _fact("address", endpoint.address),
        _fact("address", endpoint.address6),
        _fact("MAC", endpoint.mac),
        _fact("gateway", endpoint.gateway),
        _fact("names", ", ".join(endpoint.names)),
    )


def namespace_title(namespace: Namespace) -> str:
    """Of a network namespace that is not a container's."""
    return lines(
        f"network namespace {namespace.id}",
        _fact("not read", namespace.unread),
        *_routes(namespace),
    )


def machine_title(machine: VirtualMachine) -> str:
    """Of a virtual machine: its process, its networks."""
    return lines(
        f"virtual machine {machine.name}",
        _fact("process", f"{machine.pid}, {machine.command[0]}" if machine.command else ""),
        *(_fact("network", str(ref)) for ref in machine.interfaces),
        _fact("network", "user-mode NAT" if machine.user_mode else ""),
    )


def interface_title(interface: Interface) -> str:
    """Of an interface: MAC, MTU, state, addresses, what it is tied to."""
    return lines(
        f"{interface.kind or 'device'} {interface.name}",
        _fact("namespace", interface.namespace),
        _fact("state", interface.status),
        *(_fact("address", address) for address in interface.assigned),
        _fact("MAC", interface.mac),
        _fact("MTU", str(interface.mtu)),
        _fact("port of", interface.master),
        _fact("other end", str(interface.peer or "")),
        _fact("stands on", str(interface.parent or "")),
        _fact("mode", interface.mode),
        _number("VLAN", interface.vlan),
        _number("VNI", interface.vni),
        _number("UDP port", interface.port),
        f"interface number @if{interface.index}",
    )


def _routes(namespace: Namespace | None) -> list[str]:
    return [f"route {route}" for route in namespace.routes] if namespace else []


def _fact(name: str, value: str) -> str:
    return f"{name} {value}" if value else ""


def _number(name: str, value: int | None) -> str:
    return "" if value is None else f"{name} {value}"
