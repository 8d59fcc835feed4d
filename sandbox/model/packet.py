"""The headers of an Ethernet frame, from the outside in."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scapy.packet import Packet as Layer

__all__ = ["Flow", "Header", "Packet", "dissect", "headers"]

VXLAN_FLAGS = b"\x08\0\0\0"  # only the flag "I" is set (RFC 7348)
# What a packet socket (packet(7)) calls the hardware whose frames begin with an Ethernet header.
ETHERNET, LOOPBACK = 1, 772
# https://www.iana.org/assignments/icmp-parameters
_ICMP = {0: "echo reply", 8: "echo request", 11: "time exceeded"}
_UNREACHABLE = {
    0: "network",
    1: "host",
    2: "protocol",
    3: "port",
    9: "network, forbidden:",
    10: "host, forbidden:",
    13: "forbidden:",
}


@dataclass(frozen=True, slots=True)
class Header:
    """One header of a frame. depth: how many tunnels it is in.  text: its fields in short.

    fields: those that a change on the way is looked for in, by name.
    """

    protocol: str
    text: str
    depth: int
    fields: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Flow:
    """Between whom a packet goes. protocol: ``tcp``, ``udp``, ``icmp``, ``ipv6-icmp``, a number.

    Ports are 0 where the protocol has none; of an ICMP echo the source port is its identifier.
    """

    protocol: str
    source: str
    source_port: int
    destination: str
    destination_port: int

    def reversed(self) -> Flow:
        """The flow of what answers it."""
        if "icmp" in self.protocol:
            return dataclasses.replace(self, source=self.destination, destination=self.source)
        return Flow(
            self.protocol, self.destination, self.destination_port, self.source, self.source_port
        )


@dataclass(frozen=True, slots=True)
class Packet:
    """A frame, taken apart. All but ``headers`` is of the innermost packet, that of no tunnel.

    source_mac, destination_mac: "" where the interface has none.
    flow: None if it is no IP packet.  outer: of the tunnel that it is in.  ttl: or hop limit.
    flags: of TCP, such as ``S``, ``SA``, ``RA``.  sequence, acknowledgement: of TCP.
    icmp: type and code, or None.  quoted: of an ICMP error, the flow that it is about.
    arp: operation, asked address, asking address; None if it is no ARP.
    """

    headers: tuple[Header, ...]
    source_mac: str = ""
    destination_mac: str = ""
    flow: Flow | None = None
    outer: Flow | None = None
    ttl: int = 0
    flags: str = ""
    sequence: int = 0
    acknowledgement: int = 0
    icmp: tuple[int, int] | None = None
    quoted: Flow | None = None
    arp: tuple[int, str, str] | None = None
    payload: bytes = b""

    @property
    def tunnel(self) -> str:
        """What names the innermost tunnel that it is in, ``VNI 4097``; "" if it is in none."""
        found = [header.text for header in self.headers if header.protocol == "VXLAN"]
        return found[-1] if found else ""

    @property
    def depth(self) -> int:
        """How many tunnels its innermost headers are in."""
        return self.headers[-1].depth if self.headers else 0


def headers(frame: bytes, names: Mapping[str, str] | None = None) -> Iterator[Header]:
    """The headers of an Ethernet frame, those within a VXLAN tunnel with it.

    names: who has a MAC address (lower case), such as ``{"02:42:ac:11:00:02": "host-a/web eth0"}``.
    """
    for layer, depth in _layers(frame, ETHERNET):
        yield _header(layer, depth, names or {})


def dissect(frame: bytes, hardware: int = ETHERNET) -> Packet:
    """A frame as a packet socket gave it. hardware: of its interface, as packet(7) has it."""
    found: dict[str, object] = {}
    told = []
    for layer, depth in _layers(frame, hardware):
        name = str(layer.name)
        told.append(_header(layer, depth, {}))
        if name == "Ethernet":
            outer = found.get("flow")
            found = {"source_mac": layer.src, "destination_mac": layer.dst, "outer": outer}
        elif name in ("IP", "IPv6"):
            ttl = layer.ttl if name == "IP" else layer.hlim
            found |= {"flow": Flow(str(_protocol(layer)), layer.src, 0, layer.dst, 0), "ttl": ttl}
        elif name in ("TCP", "UDP"):
            flow = found["flow"]
            assert isinstance(flow, Flow)
            ports = {"source_port": layer.sport, "destination_port": layer.dport}
            found |= {"flow": dataclasses.replace(flow, **ports), "payload": bytes(layer.payload)}
            if name == "TCP":
                found |= {
                    "flags": str(layer.flags),
                    "sequence": layer.seq,
                    "acknowledgement": layer.ack,
                }
        elif name == "ICMP" or name.startswith("ICMPv6"):
            code = getattr(layer, "code", 0)
            # Type, code, checksum and four bytes more; scapy keeps an ICMPv6 echo's content as one.
            found |= {"icmp": (layer.type, code), "payload": bytes(layer)[8:]}
            flow = found["flow"]
            identifier = getattr(layer, "id", 0)
            if isinstance(flow, Flow) and isinstance(identifier, int) and "cho" in _icmp(layer):
                found["flow"] = dataclasses.replace(flow, source_port=identifier)
        elif name in ("IP in ICMP", "IPv6 in ICMPv6"):
            found["quoted"] = Flow(str(_protocol(layer)), layer.src, 0, layer.dst, 0)
        elif name in ("TCP in ICMP", "UDP in ICMP"):
            quoted = found["quoted"]
            assert isinstance(quoted, Flow)
            found["quoted"] = dataclasses.replace(
                quoted, source_port=layer.sport, destination_port=layer.dport
            )
            if name == "TCP in ICMP":
                found["sequence"] = layer.seq
        elif name == "ARP":
            found["arp"] = (layer.op, layer.pdst, layer.psrc)
    return Packet(tuple(told), **found)  # type: ignore[arg-type]


def _layers(frame: bytes, hardware: int) -> Iterator[tuple[Layer, int]]:
    from scapy.layers import inet, inet6, ipsec, l2, vxlan  # noqa: F401  each registers itself

    kind: type[Layer] = l2.Ether
    if hardware not in (ETHERNET, LOOPBACK):
        kind = inet6.IPv6 if frame[:1] >= b"\x60" else inet.IP
    layer: Layer = kind(frame)
    depth = 0
    while layer:
        yield layer, depth
        depth += layer.name == "VXLAN"
        inside = layer.payload
        # Its port is a matter of agreement.
        if layer.name == "UDP" and inside.name != "VXLAN" and bytes(inside)[:4] == VXLAN_FLAGS:
            inside = vxlan.VXLAN(bytes(inside))
        layer = inside


def _protocol(layer: Layer) -> str | int:
    number: int = (
        layer.proto if str(layer.name).startswith("IP ") or layer.name == "IP" else layer.nh
    )
    names = {1: "icmp", 6: "tcp", 17: "udp", 50: "esp", 58: "ipv6-icmp"}
    return names.get(number, number)


def _header(layer: Layer, depth: int, names: _Names) -> Header:
    name = str(layer.name)
    protocol, describe = _SAID.get(name, (name, _length))
    fields = tuple((told, str(getattr(layer, own))) for told, own in _FIELDS.get(name, ()))
    return Header(protocol, describe(layer, names), depth, fields)


_Names = Mapping[str, str]


def _mac(address: str, names: _Names) -> str:
    owner = "everybody" if address == "ff:ff:ff:ff:ff:ff" else names.get(address)
    return f"{address} ({owner})" if owner else address


def _ethernet(layer: Layer, names: _Names) -> str:
    return f"{_mac(layer.src, names)} → {_mac(layer.dst, names)}"


def _arp(layer: Layer, names: _Names) -> str:
    if layer.op == 1:
        return f"who has {layer.pdst}? tell {layer.psrc}"
    return f"{layer.psrc} is at {_mac(layer.hwsrc, names)}"


def _ports(layer: Layer, _names: _Names) -> str:
    return f"port {layer.sport} → port {layer.dport}"


def _icmp(layer: Layer, _names: _Names | None = None) -> str:
    if layer.name != "ICMP":
        return str(layer.name).removeprefix("ICMPv6 ").lower()
    text = _ICMP.get(layer.type, f"type {layer.type}")
    if (layer.type, layer.code) == (3, 4):
        text = f"fragmentation needed, next MTU {layer.nexthopmtu}"
    elif layer.type == 3:
        text = f"{_UNREACHABLE.get(layer.code, f'code {layer.code}')} unreachable"
    return text


def _length(layer: Layer, _names: _Names) -> str:
    return f"{len(layer)} bytes"


# What scapy calls a header: our name of it, and what it says.
_SAID: dict[str, tuple[str, Callable[[Layer, _Names], str]]] = {
    "Ethernet": ("Ethernet", _ethernet),
    "802.1Q": ("802.1Q", lambda layer, _: f"VLAN {layer.vlan}"),
    "ARP": ("ARP", _arp),
    "IP": ("IPv4", lambda it, _: f"{it.src} → {it.dst}, {it.len} bytes, TTL {it.ttl}"),
    "IPv6": ("IPv6", lambda it, _: f"{it.src} → {it.dst}, hop limit {it.hlim}"),
    "UDP": ("UDP", _ports),
    "TCP": ("TCP", lambda layer, names: f"{_ports(layer, names)}, flags {layer.flags}"),
    "VXLAN": ("VXLAN", lambda layer, _: f"VNI {layer.vni}"),
    "ICMP": ("ICMP", _icmp),
    "ESP": ("ESP", lambda layer, _: f"{len(layer)} bytes, encrypted"),
    "Raw": ("payload", _length),
    "Padding": ("padding", _length),
}

_IP = (("source", "src"), ("destination", "dst"))
_PORTS = (("source port", "sport"), ("destination port", "dport"))
# By scapy's name of a header: what a field is called, and scapy's name of it.
_FIELDS: dict[str, tuple[tuple[str, str], ...]] = {
    "Ethernet": _IP,
    "802.1Q": (("VLAN", "vlan"),),
    "IP": (*_IP, ("TTL", "ttl"), ("bytes", "len")),
    "IPv6": (*_IP, ("hop limit", "hlim")),
    "TCP": (*_PORTS, ("flags", "flags")),
    "UDP": _PORTS,
    "VXLAN": (("VNI", "vni"),),
}
