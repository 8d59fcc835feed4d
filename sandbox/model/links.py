"""Decodes netlink dumps (rtnetlink(7)) into records that speak of one namespace.

The words are those of ``ip -j``: what the kernel numbers is named where iproute2 names it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from sandbox.guest.state import HEADER, messages
from sandbox.model.state import ForwardingEntry, Neighbour, Route

__all__ = ["Link", "Undecodable", "addresses", "forwarding", "links", "neighbours", "routes"]

AF_INET, AF_INET6, AF_BRIDGE = 2, 10, 7
IFF_UP = 1
ARPHRD_LOOPBACK = 772
RT_TABLE_MAIN = 254
# linux/rtnetlink.h and linux/neighbour.h; words as iproute2 prints them.
ROUTE_TYPES = {
    1: "unicast", 2: "local", 3: "broadcast", 4: "anycast", 5: "multicast", 6: "blackhole",
    7: "unreachable", 8: "prohibit", 9: "throw",
}  # fmt: skip
PROTOCOLS = {1: "redirect", 2: "kernel", 3: "boot", 4: "static", 9: "ra", 16: "dhcp"}
SCOPES = {0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere"}
NEIGHBOUR_STATES = {
    0x01: "INCOMPLETE", 0x02: "REACHABLE", 0x04: "STALE", 0x08: "DELAY", 0x10: "PROBE",
    0x20: "FAILED", 0x40: "NOARP", 0x80: "PERMANENT",
}  # fmt: skip
PERMANENT = 0x80
MACVLAN_MODES = {1: "private", 2: "vepa", 4: "bridge", 8: "passthru", 16: "source"}
IPVLAN_MODES = {0: "l2", 1: "l3", 2: "l3s"}


class Undecodable(ValueError):
    """A dump that is no netlink messages."""


@dataclass(frozen=True, slots=True)
class Link:
    """An interface as its own namespace tells it.

    link: index of its peer or parent; 0 if there is none.
    link_namespace: the kernel's id for the namespace that one is in; None for its own.
    master: index of its bridge, or 0.  Other fields: see ``state.Interface``.
    """

    index: int
    name: str
    kind: str
    mac: str
    mtu: int
    state: str
    enabled: bool
    carrier: bool
    master: int
    link: int
    link_namespace: int | None
    mode: str
    vlan: int | None
    vni: int | None
    port: int | None


def links(dump: str) -> list[Link]:
    """The interfaces of a dump in base64, by index. Raises Undecodable."""
    found = [_link(message) for message in _decoded(ifinfmsg, dump)]
    return sorted(found, key=lambda link: link.index)


def _link(message: Any) -> Link:
    info: Any = message.get_attr("IFLA_LINKINFO")
    kind = (info and info.get_attr("IFLA_INFO_KIND")) or ""
    data = info and info.get_attr("IFLA_INFO_DATA")

    def option(name: str) -> Any:
        return data.get_attr(name) if hasattr(data, "get_attr") else None

    if message["ifi_type"] == ARPHRD_LOOPBACK and not kind:
        kind = "loopback"
    link = option("IFLA_VXLAN_LINK") if kind == "vxlan" else message.get_attr("IFLA_LINK")
    mode = _mode(kind, option)
    return Link(
        index=message["index"],
        name=message.get_attr("IFLA_IFNAME") or f"if{message['index']}",
        kind=kind,
        mac=message.get_attr("IFLA_ADDRESS") or "",
        mtu=message.get_attr("IFLA_MTU") or 0,
        state=str(message.get_attr("IFLA_OPERSTATE") or "UNKNOWN"),
        enabled=bool(message["flags"] & IFF_UP),
        carrier=bool(message.get_attr("IFLA_CARRIER")),
        master=message.get_attr("IFLA_MASTER") or 0,
        link=link or 0,
        link_namespace=message.get_attr("IFLA_LINK_NETNSID"),
        mode=mode,
        vlan=option("IFLA_VLAN_ID") if kind == "vlan" else None,
        vni=option("IFLA_VXLAN_ID") if kind == "vxlan" else None,
        port=option("IFLA_VXLAN_PORT") if kind == "vxlan" else None,
    )


def _mode(kind: str, option: Any) -> str:
    names = {"macvlan": MACVLAN_MODES, "ipvlan": IPVLAN_MODES}.get(kind)
    if names is None:
        return ""
    value = option(f"IFLA_{kind.upper()}_MODE")
    # pyroute2 names the modes of some kinds itself.
    return names.get(value, "") if isinstance(value, int) else str(value or "")


def addresses(dump: str) -> dict[int, tuple[str, ...]]:
    """By the index of the interface its addresses, IPv4 first. Raises Undecodable."""
    found: dict[int, list[tuple[int, str]]] = {}
    for message in _decoded(ifaddrmsg, dump):
        address = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
        if address:
            text = f"{address}/{message['prefixlen']}"
            found.setdefault(message["index"], []).append((message["family"], text))
    return {
        index: tuple(text for _, text in sorted(listed, key=lambda one: one[0]))
        for index, listed in found.items()
    }


def routes(dump: str, names: dict[int, str]) -> tuple[Route, ...]:
    """The main table's routes. names: of interfaces, by index. Raises Undecodable."""
    found = []
    for message in _decoded(rtmsg, dump):
        table = message.get_attr("RTA_TABLE") or message["table"]
        if table != RT_TABLE_MAIN or message["family"] not in (AF_INET, AF_INET6):
            continue
        destination = message.get_attr("RTA_DST")
        found.append(
            Route(
                destination=f"{destination}/{message['dst_len']}" if destination else "default",
                gateway=_gateway(message),
                interface=names.get(message.get_attr("RTA_OIF") or 0, ""),
                source=message.get_attr("RTA_PREFSRC") or "",
                kind=ROUTE_TYPES.get(message["type"], str(message["type"])),
                protocol=PROTOCOLS.get(message["proto"], str(message["proto"])),
                scope=SCOPES.get(message["scope"], str(message["scope"])),
                metric=message.get_attr("RTA_PRIORITY") or 0,
            )
        )
    return tuple(found)


def _gateway(message: Any) -> str:
    if gateway := message.get_attr("RTA_GATEWAY"):
        return gateway
    if via := message.get_attr("RTA_VIA"):
        return str(via.get("addr", "")) if isinstance(via, dict) else str(via)
    hops = message.get_attr("RTA_MULTIPATH") or []
    return ", ".join(filter(None, (hop.get_attr("RTA_GATEWAY") for hop in hops)))


def neighbours(dump: str, names: dict[int, str]) -> tuple[Neighbour, ...]:
    """The neighbour table, without entries that name nobody. Raises Undecodable."""
    return tuple(
        Neighbour(
            address=message.get_attr("NDA_DST") or "",
            mac=message.get_attr("NDA_LLADDR") or "",
            interface=names.get(message["ifindex"], ""),
            state=NEIGHBOUR_STATES.get(message["state"], str(message["state"])),
        )
        for message in _decoded(ndmsg, dump)
        if message["family"] in (AF_INET, AF_INET6)
    )


def forwarding(dump: str, names: dict[int, str]) -> tuple[ForwardingEntry, ...]:
    """The forwarding tables of bridges and VXLAN interfaces. Raises Undecodable."""
    return tuple(
        ForwardingEntry(
            mac=message.get_attr("NDA_LLADDR") or "",
            interface=names.get(message["ifindex"], ""),
            master=names.get(message.get_attr("NDA_MASTER") or 0, ""),
            destination=message.get_attr("NDA_DST") or "",
            vlan=message.get_attr("NDA_VLAN"),
            permanent=bool(message["state"] & PERMANENT),
        )
        for message in _decoded(ndmsg, dump)
        if message["family"] == AF_BRIDGE
    )


def _decoded(kind: Any, dump: str) -> Iterator[Any]:
    try:
        raw = base64.b64decode(dump, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Undecodable(str(error)) from error
    for offset, length, _, _ in messages(raw):
        if length < HEADER.size or offset + length > len(raw):
            raise Undecodable(f"a message of {length} bytes at {offset} of {len(raw)}")
        message = kind(raw[offset : offset + length])
        try:
            message.decode()
            # Attributes are decoded when they are asked for; a broken one shows here.
            message["attrs"]
        except Exception as error:
            # pyroute2 raises whatever struct, socket or its own parser does.
            raise Undecodable(f"{kind.__name__}: {error}") from error
        yield message
