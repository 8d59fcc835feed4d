"""Decodes netlink dumps (rtnetlink(7)) into records that speak of one namespace.

The words are those of ``ip -j``: what the kernel numbers is named where iproute2 names it.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from sandbox.guest.netlink import messages
from sandbox.model.state import ForwardingEntry, Neighbour, Route

__all__ = ["Link", "addresses", "forwarding", "links", "neighbours", "routes"]

T = TypeVar("T")

# It would log a traceback for what problems tells in a sentence.
logging.getLogger("pyroute2.netlink").setLevel(logging.CRITICAL + 1)

AF_INET, AF_INET6, AF_BRIDGE = 2, 10, 7
IFF_UP = 1
ARPHRD_LOOPBACK = 772
RT_TABLE_MAIN = 254
# linux/rtnetlink.h and linux/neighbour.h; words as iproute2 prints them.
ROUTE_TYPES = {
    1: "unicast",
    2: "local",
    3: "broadcast",
    4: "anycast",
    5: "multicast",
    6: "blackhole",
    7: "unreachable",
    8: "prohibit",
    9: "throw",
}
PROTOCOLS = {1: "redirect", 2: "kernel", 3: "boot", 4: "static", 9: "ra", 16: "dhcp"}
SCOPES = {0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere"}
NEIGHBOUR_STATES = {
    0x01: "INCOMPLETE",
    0x02: "REACHABLE",
    0x04: "STALE",
    0x08: "DELAY",
    0x10: "PROBE",
    0x20: "FAILED",
    0x40: "NOARP",
    0x80: "PERMANENT",
}
PERMANENT = 0x80
MACVLAN_MODES = {1: "private", 2: "vepa", 4: "bridge", 8: "passthru", 16: "source"}
IPVLAN_MODES = {0: "l2", 1: "l3", 2: "l3s"}


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


def links(dump: str, problems: list[str]) -> list[Link]:
    """The interfaces of a dump in base64, by index.

    What cannot be decoded is left out, here and below, and a sentence on it added to problems.
    """
    return sorted(_each(ifinfmsg, dump, _link, problems), key=lambda link: link.index)


def _link(message: Any) -> Link:
    info: Any = message.get_attr("IFLA_LINKINFO")
    kind = _text(info, "IFLA_INFO_KIND") if info else ""
    data = info and info.get_attr("IFLA_INFO_DATA")

    def option(name: str) -> Any:
        return data.get_attr(name) if hasattr(data, "get_attr") else None

    if message["ifi_type"] == ARPHRD_LOOPBACK and not kind:
        kind = "loopback"
    link = option("IFLA_VXLAN_LINK") if kind == "vxlan" else _number(message, "IFLA_LINK")
    mode = _mode(kind, option)
    return Link(
        index=message["index"],
        name=_text(message, "IFLA_IFNAME") or f"if{message['index']}",
        kind=kind,
        mac=_text(message, "IFLA_ADDRESS"),
        mtu=_number(message, "IFLA_MTU"),
        state=_text(message, "IFLA_OPERSTATE") or "UNKNOWN",
        enabled=bool(message["flags"] & IFF_UP),
        carrier=bool(message.get_attr("IFLA_CARRIER")),
        master=_number(message, "IFLA_MASTER"),
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


def addresses(dump: str, problems: list[str]) -> dict[int, tuple[str, ...]]:
    """By the index of the interface its addresses, IPv4 first."""
    found: dict[int, list[tuple[int, str]]] = {}
    for index, family, text in _each(ifaddrmsg, dump, _address, problems):
        found.setdefault(index, []).append((family, text))
    return {
        index: tuple(text for _, text in sorted(listed, key=lambda one: one[0]))
        for index, listed in found.items()
    }


def _address(message: Any) -> tuple[int, int, str] | None:
    address = _text(message, "IFA_LOCAL") or _text(message, "IFA_ADDRESS")
    text = f"{address}/{message['prefixlen']}"
    return (message["index"], message["family"], text) if address else None


def routes(dump: str, names: dict[int, str], problems: list[str]) -> tuple[Route, ...]:
    """The main table's routes. names: of interfaces, by index."""

    def route(message: Any) -> Route | None:
        table = _number(message, "RTA_TABLE") or message["table"]
        if table != RT_TABLE_MAIN or message["family"] not in (AF_INET, AF_INET6):
            return None
        destination = _text(message, "RTA_DST")
        return Route(
            destination=f"{destination}/{message['dst_len']}" if destination else "default",
            gateway=_gateway(message),
            interface=names.get(_number(message, "RTA_OIF"), ""),
            source=_text(message, "RTA_PREFSRC"),
            kind=ROUTE_TYPES.get(message["type"], str(message["type"])),
            protocol=PROTOCOLS.get(message["proto"], str(message["proto"])),
            scope=SCOPES.get(message["scope"], str(message["scope"])),
            metric=_number(message, "RTA_PRIORITY"),
        )

    return tuple(_each(rtmsg, dump, route, problems))


def _gateway(message: Any) -> str:
    if gateway := _text(message, "RTA_GATEWAY"):
        return gateway
    if via := message.get_attr("RTA_VIA"):
        return str(via.get("addr", "")) if isinstance(via, dict) else str(via)
    hops = message.get_attr("RTA_MULTIPATH") or []
    return ", ".join(filter(None, (hop.get_attr("RTA_GATEWAY") for hop in hops)))


def neighbours(dump: str, names: dict[int, str], problems: list[str]) -> tuple[Neighbour, ...]:
    """The neighbour tables of IPv4 and IPv6."""

    def neighbour(message: Any) -> Neighbour | None:
        if message["family"] not in (AF_INET, AF_INET6):
            return None
        return Neighbour(
            address=_text(message, "NDA_DST"),
            mac=_text(message, "NDA_LLADDR"),
            interface=names.get(message["ifindex"], ""),
            state=NEIGHBOUR_STATES.get(message["state"], str(message["state"])),
        )

    return tuple(_each(ndmsg, dump, neighbour, problems))


def forwarding(
    dump: str, names: dict[int, str], problems: list[str]
) -> tuple[ForwardingEntry, ...]:
    """The forwarding tables of bridges and VXLAN interfaces."""

    def entry(message: Any) -> ForwardingEntry | None:
        if message["family"] != AF_BRIDGE:
            return None
        return ForwardingEntry(
            mac=_text(message, "NDA_LLADDR"),
            interface=names.get(message["ifindex"], ""),
            master=names.get(_number(message, "NDA_MASTER"), ""),
            destination=_text(message, "NDA_DST"),
            vlan=message.get_attr("NDA_VLAN"),
            permanent=bool(message["state"] & PERMANENT),
        )

    return tuple(_each(ndmsg, dump, entry, problems))


def _text(message: Any, name: str) -> str:
    """An attribute that is text; "" if it is not there. Raises TypeError if it is none."""
    value = message.get_attr(name)
    if not isinstance(value, str | None):
        raise TypeError(f"{name} is {value!r}")
    return value or ""


def _number(message: Any, name: str) -> int:
    """An attribute that is a number; 0 if it is not there. Raises TypeError if it is none."""
    value = message.get_attr(name)
    if not isinstance(value, int | None):
        raise TypeError(f"{name} is {value!r}")
    return value or 0


def _each(
    kind: Any, dump: str, convert: Callable[[Any], T | None], problems: list[str]
) -> Iterator[T]:
    """What convert makes of each message, unless it is None."""
    try:
        raw = base64.b64decode(dump, validate=True)
    except ValueError as error:
        problems.append(f"{kind.__name__}: {error}")
        return
    for offset, length, _, _ in messages(raw):
        try:
            message = kind(raw[offset : offset + length])
            message.decode()
            made = convert(message)
        except Exception as error:
            # pyroute2 raises whatever struct, socket or its own parser does, and an attribute of
            # another type than it has today may be anything.
            problems.append(f"{kind.__name__} at {offset}: {type(error).__name__}: {error}")
            continue
        if made is not None:
            yield made
