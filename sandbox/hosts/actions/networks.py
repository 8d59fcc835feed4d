"""Networks: ``docker network`` create, rm, connect, disconnect."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

from sandbox.hosts.actions.action import Action
from sandbox.hosts.actions.refusals import Refused, chosen

if TYPE_CHECKING:
    from docker import DockerClient

__all__ = ["DRIVERS", "MODES", "connect", "create_network", "disconnect", "remove_network"]

# Drivers that make networks, and the modes that some have, the default first
# (https://docs.docker.com/engine/network/drivers/).
DRIVERS = ("bridge", "overlay", "macvlan", "ipvlan")
MODES = {
    "macvlan": ("bridge", "private", "vepa", "passthru"),
    "ipvlan": ("l2", "l3", "l3s"),
}


def create_network(
    name: str,
    driver: str = "bridge",
    *,
    subnet: str = "",
    gateway: str = "",
    parent: str = "",
    vlan: int | None = None,
    mode: str = "",
    internal: bool = False,
    ipv6: bool = False,
) -> Action:
    """``docker network create``.

    parent, mode: of macvlan and ipvlan.  vlan: 802.1q id; the parent is then ``eth0.10``.
    Raises Refused for what no Engine would take.
    """
    if not name.strip():
        raise Refused("name", "A network needs a name.")
    _check_subnet(subnet, gateway)
    options = {}
    if vlan is not None and not 1 <= vlan <= 4094:
        raise Refused("vlan", f"{vlan} is no VLAN id.", fix="IEEE 802.1Q has 1 to 4094.")
    if vlan is not None and not parent:
        raise Refused("parent", "A VLAN needs a parent interface.", fix="Write one such as eth0.")
    if parent and driver in MODES:
        options["parent"] = f"{parent}.{vlan}" if vlan is not None else parent
    if mode and driver in MODES:
        options[f"{driver}_mode"] = mode
    argv = ["docker", "network", "create", "-d", driver]
    argv += ["--subnet", subnet] if subnet else []
    argv += ["--gateway", gateway] if gateway else []
    argv += ["--internal"] if internal else []
    argv += ["--ipv6"] if ipv6 else []
    argv += ["--attachable"] if driver == "overlay" else []
    for key, value in options.items():
        argv += ["-o", f"{key}={value}"]

    def act(client: DockerClient) -> str:
        from docker.types import IPAMConfig, IPAMPool

        pools = [IPAMPool(subnet=subnet, gateway=gateway or None)] if subnet else []
        network = client.networks.create(
            name,
            driver=driver,
            options=options or None,
            ipam=IPAMConfig(pool_configs=pools) if pools else None,
            internal=internal,
            enable_ipv6=ipv6,
            attachable=driver == "overlay",
        )
        return network.id or ""

    return Action((*argv, *_operands(name)), act)


def _operands(*names: str) -> tuple[str, ...]:
    """Names as a command takes them, also where one begins as an option does."""
    return ("--", *names) if any(name.startswith("-") for name in names) else names


def _check_subnet(subnet: str, gateway: str) -> None:
    if gateway and not subnet:
        raise Refused(
            "subnet", "A gateway needs a subnet around it.", fix="Write one such as 10.5.0.0/24."
        )
    if not subnet:
        return
    try:
        around = ip_network(subnet)
    except ValueError as error:
        raise Refused("subnet", f"{error}.", fix="Write one such as 10.5.0.0/24.") from error
    try:
        if gateway and ip_address(gateway) not in around:
            raise Refused("gateway", f"{gateway} is not in {subnet}.")
    except ValueError as error:
        raise Refused("gateway", f"{error}.", fix="Write an address of the subnet.") from error


def remove_network(name: str) -> Action:
    """``docker network rm``."""
    return _to_network(("rm",), name, (), lambda network: network.remove())


def connect(network: str, container: str) -> Action:
    """``docker network connect``."""
    chosen("container", container)
    return _to_network(("connect",), network, (container,), lambda it: it.connect(container))


def disconnect(network: str, container: str) -> Action:
    """``docker network disconnect``."""
    chosen("container", container)
    return _to_network(("disconnect",), network, (container,), lambda it: it.disconnect(container))


def _to_network(
    words: tuple[str, ...], name: str, rest: tuple[str, ...], call: Callable[[Any], object]
) -> Action:
    chosen("network", name)

    def act(client: DockerClient) -> str:
        call(client.networks.get(name))
        return ""

    return Action(("docker", "network", *words, *_operands(name, *rest)), act)
