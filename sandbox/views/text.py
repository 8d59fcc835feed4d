"""A snapshot's topology as an indented text, for terminals, screen readers and tests."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sandbox.model.networks import (
    find_interface,
    members,
    network_of,
    parent_of,
    peer_of,
    published_ports,
    real_interfaces,
    remotes,
    shown_networks,
)
from sandbox.model.state import (
    Container,
    Endpoint,
    HostState,
    Interface,
    InterfaceRef,
    Namespace,
    Network,
    Snapshot,
    VirtualMachine,
    in_brackets,
)
from sandbox.views.names import short_name

__all__ = ["topology_text"]


@dataclass(slots=True)
class _Branch:
    """A line with those below it.  cells: its parts, aligned with those of its siblings."""

    cells: list[str]
    below: list[_Branch] = field(default_factory=list)


def topology_text(snapshot: Snapshot) -> str:
    """snapshot's hosts, networks, containers, published ports and LAN, one a line.

    Nothing's place depends on the length of a veth's name or of an id.
    """
    lines: list[str] = []
    for host in sorted(snapshot.hosts, key=lambda host: host.name):
        engine = f"Docker Engine {host.engine}" if host.engine else "Engine does not answer"
        lines.append("  ".join(filter(None, [_line(host.name), host.address, engine])))
        lines += _tree(list(_host(host)))
        lines += [f"published  {line}" for line in _published(host)]
    hosts = (f"{host.name} {host.address}" for host in snapshot.hosts)
    lines.append(f"LAN {snapshot.lan}: {', '.join(map(_line, hosts))}")
    return "\n".join(lines)


def _tree(branches: list[_Branch], indent: str = "") -> Iterator[str]:
    widths = _widths(branch.cells for branch in branches if not branch.below)
    for number, branch in enumerate(branches):
        last = number == len(branches) - 1
        padded = widths if not branch.below else []
        cells = [
            cell.ljust(width)
            for cell, width in itertools.zip_longest(branch.cells, padded, fillvalue=0)
            if isinstance(cell, str) and isinstance(width, int)
        ]
        yield f"{indent}{'└─' if last else '├─'} {'  '.join(cells)}".rstrip()
        yield from _tree(branch.below, indent + ("   " if last else "│  "))


def _widths(rows: Iterable[list[str]]) -> list[int]:
    """Of every column but a row's last cell, which may hold a veth's name."""
    columns = itertools.zip_longest(*(row[:-1] for row in rows), fillvalue="")
    return [max(map(len, column)) for column in columns]


def _host(host: HostState) -> Iterator[_Branch]:
    loose = {container.name for container in host.containers}
    for network in shown_networks(host):
        on_it = list(members(host, network))
        loose -= {container.name for container, _ in on_it}
        yield _Branch(
            [_network(network)],
            [_Branch(_member(host, container, endpoint)) for container, endpoint in on_it]
            + [_Branch(cells) for cells in _tunnels(host, network)],
        )
    for container in sorted(host.containers, key=lambda container: container.name):
        if container.name in loose:
            yield _Branch(
                [_line(short_name(container.name)), *filter(None, [_condition(container)])]
            )
    for namespace in sorted(host.namespaces, key=lambda namespace: namespace.id):
        yield from _namespace(host, namespace)
    for machine in host.machines:
        yield _Branch([f"virtual machine {_line(machine.name)}  {_line(_uplinks(host, machine))}"])


def _uplinks(host: HostState, machine: VirtualMachine) -> str:
    """How a virtual machine is connected: ``─ tap0 on docker0``."""
    found = ["─ user-mode NAT"] if machine.user_mode else []
    for ref in machine.interfaces:
        interface = find_interface(host, ref)
        on = interface and (interface.master or (interface.parent and interface.parent.name))
        found.append(f"─ {ref.name}" + (f" on {on}" if on else ""))
    return ", ".join(found)


def _network(network: Network) -> str:
    parts = [f"network {network.name} ({_driver(network)})"]
    parts += [subnet.subnet for subnet in network.subnets]
    parts.append(f"on {parent}" if (parent := parent_of(network)) else network.interface)
    parts += ["internal"] if network.internal else []
    return _line("  ".join(filter(None, parts)))


def _driver(network: Network) -> str:
    mode = network.options.get(f"{network.driver}_mode", "")
    return f"{network.driver} {mode}".strip()


def _member(host: HostState, container: Container, endpoint: Endpoint) -> list[str]:
    interface = find_interface(host, InterfaceRef(container.namespace, endpoint.interface))
    addresses = filter(None, [endpoint.address, endpoint.address6])
    place = " ".join([endpoint.interface, *addresses]).strip()
    wire = _wire(host, interface) if interface else ""
    tail = "  ".join(filter(None, [_condition(container), wire]))
    return [_line(short_name(container.name)), _line(place), tail]


def _condition(container: Container) -> str:
    if container.state != "running":
        return f"({container.state})"
    mode, _, owner = container.network_mode.partition(":")
    if mode == "container":
        return f"in the namespace of {container.namespace.rpartition('/')[2] or owner[:12]}"
    return ""


def _wire(host: HostState, interface: Interface) -> str:
    if interface.peer is not None:
        end = peer_of(host, interface)
        return f"─ {interface.peer.name}" + ("" if end is None or end.enabled else " (off)")
    if interface.parent is not None:
        return f"─ {interface.kind} {interface.mode}".rstrip() + f" on {interface.parent.name}"
    return ""


def _tunnels(host: HostState, network: Network) -> Iterator[list[str]]:
    for namespace in host.namespaces:
        for interface in real_interfaces(namespace):
            if interface.vni is not None and network_of(host, interface) == network:
                to = ", ".join(remotes(host, interface)) or "nobody yet"
                yield [interface.name, f"VXLAN VNI {interface.vni} → {to}", ""]


def _namespace(host: HostState, namespace: Namespace) -> Iterator[_Branch]:
    """What Docker does not know: VLANs and bridges of the host, namespaces without container."""
    if namespace.kind == "host":
        for interface in real_interfaces(namespace):
            if interface.vlan is not None:
                on = f" on {interface.parent.name}" if interface.parent else ""
                yield _Branch([f"vlan {interface.name}  VLAN {interface.vlan}{on}"])
            elif interface.kind == "bridge" and network_of(host, interface) is None:
                yield _Branch(["  ".join([f"bridge {interface.name}", *interface.assigned])])
    elif namespace.kind == "named":
        interfaces = real_interfaces(namespace)
        yield _Branch(
            [f"namespace {_line(namespace.id.rpartition(':')[2])}"],
            [
                _Branch([_line(found.name), " ".join(found.assigned), _hand_wire(host, found)])
                for found in interfaces
            ],
        )


def _hand_wire(host: HostState, interface: Interface) -> str:
    """Where a hand-made interface leads, and the bridge that its other end is a port of."""
    wire = _wire(host, interface)
    end = peer_of(host, interface)
    return f"{wire} on {end.master}" if end is not None and end.master else wire


def _published(host: HostState) -> Iterator[str]:
    """Ports, IPv4's and IPv6's any address as one."""
    for container in sorted(host.containers, key=lambda container: container.name):
        for ports in published_ports(container):
            port, name = ports[0], short_name(container.name)
            addresses = ", ".join(in_brackets(port.host_address) for port in ports)
            inside = f"{name}:{port.container_port}/{port.protocol}"
            yield _line(f"{addresses}:{port.host_port} → {inside}")


def _line(text: str) -> str:
    """text without what would break the line or steer a terminal."""
    return "".join(character if character.isprintable() else "�" for character in text)
