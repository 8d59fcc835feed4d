"""What things are called in a picture: the ids of its nodes, and names short enough to show.

A node's id names what it stands for by names that a learner chose, never by a veth's name, an
id or a MAC address, so that the picture of the next snapshot can keep its place:

    host ``host-a``, container ``host-a/web``, other namespace ``host-a/netns:blue``,
    virtual machine ``host-a/machine:vm``,
    network ``host-a/network:shop``, its bridge ``host-a/network:shop:bridge``,
    endpoint ``host-a/web@shop``, interface ``host-a/web:eth0``, its veth's other end
    ``host-a/web:eth0:peer``, published port ``host-a/web:8080→80/tcp``, the LAN ``LAN``.
"""

from __future__ import annotations

import re

from sandbox.model.state import (
    Container,
    Endpoint,
    InterfaceRef,
    Namespace,
    Published,
    VirtualMachine,
)

__all__ = [
    "ADDRESS",
    "LAN",
    "clip",
    "container_id",
    "endpoint_id",
    "interface_id",
    "lines",
    "machine_id",
    "network_id",
    "owner_id",
    "port_id",
    "short_name",
    "short_namespace",
]

LAN = "LAN"
# Longer names and addresses are cut in the picture; the text on hover has them whole.
NAME, ADDRESS = 18, 26


def network_id(host: str, network: str) -> str:
    """Of the Docker network of that name on the host of that name."""
    return f"{host}/network:{network}"


def container_id(container: Container) -> str:
    """Of a container."""
    return f"{container.host}/{container.name}"


def endpoint_id(container: Container, endpoint: Endpoint) -> str:
    """Of a container's place on a network."""
    return f"{container_id(container)}@{endpoint.network}"


def port_id(container: Container, port: Published) -> str:
    """Of a published port, whatever the host's address."""
    outside, inside = port.host_port, port.container_port
    return f"{container_id(container)}:{outside}→{inside}/{port.protocol}"


def machine_id(machine: VirtualMachine) -> str:
    """Of a virtual machine."""
    return f"{machine.host}/machine:{machine.name}"


def interface_id(interface: InterfaceRef) -> str:
    """Of an interface whose name does not change, unlike that of a veth's end on the host."""
    return f"{interface.namespace}:{interface.name}"


def owner_id(namespace: Namespace) -> str:
    """Of the node that a namespace's interfaces belong to: a container's, or its own."""
    names = [f"{namespace.host}/{name}" for name in namespace.containers]
    return namespace.id if namespace.id in names or not names else min(names)


def short_name(container: str) -> str:
    """A container's name; of a Swarm task ``service.number``, without the task's id."""
    return re.sub(r"(\.\d+)\.[a-z0-9]{25}$", r"\1", container)


def short_namespace(namespace: Namespace) -> str:
    """A namespace's name without its host and kind: ``blue``, and an overlay's network."""
    return namespace.id.removeprefix(namespace.host + "/").rpartition(":")[2]


def clip(text: str, longest: int = NAME) -> str:
    """text in one line of at most that many characters."""
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def lines(*parts: str) -> str:
    """Those parts that are not empty, one a line."""
    return "\n".join(filter(None, parts))
