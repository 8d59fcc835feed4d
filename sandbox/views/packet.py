"""The headers of captured frames, from the outside in, as text and as nested boxes."""

from __future__ import annotations

import html
import io
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.errors import SandboxError

if TYPE_CHECKING:
    from scapy.packet import Packet

__all__ = ["Dissection", "Header", "headers", "read_frames"]

ETHERNET = 1  # https://www.tcpdump.org/linktypes.html
# https://www.iana.org/assignments/icmp-parameters
_ICMP = {0: "echo reply", 8: "echo request", 11: "time exceeded"}
_UNREACHABLE = {0: "network", 1: "host", 2: "protocol", 3: "port"}


@dataclass(frozen=True, slots=True)
class Header:
    """One header of a frame. depth: how many tunnels it is in.  text: its fields in short."""

    protocol: str
    text: str
    depth: int


class Dissection:
    """Frames with their headers. names: who has a MAC address, for those that are known."""

    def __init__(self, frames: list[bytes], names: Mapping[str, str]) -> None:
        self.frames = [list(headers(frame, names)) for frame in frames]

    def __repr__(self) -> str:
        lines = []
        for number, frame in enumerate(self.frames, 1):
            lines.append(f"frame {number}")
            lines += [f"{'   ' * (h.depth + 1)}{h.protocol:<9} {h.text}" for h in frame]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return "".join(_box(frame) for frame in self.frames)


def _box(frame: list[Header]) -> str:
    style = (
        "border: 1px solid var(--jp-border-color1, #bbb); border-radius: 4px; "
        "padding: 4px 8px; margin: 4px 0; width: fit-content"
    )
    parts, depth = [f'<div style="{style}">'], 0
    for header in frame:
        parts += [f'<div style="{style}">'] * (header.depth - depth)
        depth = header.depth
        parts.append(
            f"<div><b>{html.escape(header.protocol)}</b>&ensp;{html.escape(header.text)}</div>"
        )
    return "".join(parts) + "</div>" * (depth + 1)


def read_frames(capture: bytes, first: int) -> list[bytes]:
    """The first frames of a capture file, pcap or pcapng, as the wire had them.

    Raises SandboxError if it is no capture of Ethernet frames or has fewer.
    """
    from scapy.error import Scapy_Exception
    from scapy.utils import RawPcapReader

    try:
        # The class gives the reader of whatever form the file has; a stub says it takes a name.
        reader: Any = RawPcapReader(io.BytesIO(capture))  # type: ignore[arg-type]
        with reader:
            found = list(itertools.islice(reader, first))
    except (Scapy_Exception, EOFError) as error:
        raise SandboxError(
            "This is no capture file.", why=str(error), fix="tcpdump -i eth0 -w FILE writes one"
        ) from None
    # A pcap has one link type, a pcapng one of each interface.
    links = {getattr(reader, "linktype", None) or seen.linktype for _, seen in found}
    if link := next((link for link in links if link != ETHERNET), None):
        raise SandboxError(
            f"The capture has no Ethernet headers (link type {link}).",
            fix="Capture on one interface: tcpdump -i eth0 -w FILE, not -i any.",
        )
    # The last one is cut off while tcpdump still writes.
    frames = [frame for frame, seen in found if len(frame) == getattr(seen, "caplen", len(frame))]
    if len(frames) < first:
        raise SandboxError(
            f"The capture has {len(frames)} of {first} frames.",
            fix="tcpdump -c N ends when it has seen N; look at its filter if nothing came.",
        )
    return frames


def headers(frame: bytes, names: Mapping[str, str] | None = None) -> Iterator[Header]:
    """The headers of an Ethernet frame, those within a VXLAN tunnel with it.

    names: who has a MAC address (lower case), such as ``{"02:42:ac:11:00:02": "host-a/web eth0"}``.
    """
    from scapy.layers import inet, ipsec, l2, vxlan  # noqa: F401  each registers what is in it

    layer: Packet = l2.Ether(frame)
    depth = 0
    while layer:
        name = str(layer.name)
        protocol, describe = _SAID.get(name, (name, _length))
        yield Header(protocol, describe(layer, names or {}), depth)
        depth += name == "VXLAN"
        layer = layer.payload


_Names = Mapping[str, str]


def _mac(address: str, names: _Names) -> str:
    owner = "everybody" if address == "ff:ff:ff:ff:ff:ff" else names.get(address)
    return f"{address} ({owner})" if owner else address


def _ethernet(layer: Packet, names: _Names) -> str:
    return f"{_mac(layer.src, names)} → {_mac(layer.dst, names)}"


def _arp(layer: Packet, names: _Names) -> str:
    if layer.op == 1:
        return f"who has {layer.pdst}? tell {layer.psrc}"
    return f"{layer.psrc} is at {_mac(layer.hwsrc, names)}"


def _ports(layer: Packet, _names: _Names) -> str:
    return f"port {layer.sport} → port {layer.dport}"


def _icmp(layer: Packet, _names: _Names) -> str:
    text = _ICMP.get(layer.type, f"type {layer.type}")
    if (layer.type, layer.code) == (3, 4):
        text = f"fragmentation needed, next MTU {layer.nexthopmtu}"
    elif layer.type == 3:
        text = f"{_UNREACHABLE.get(layer.code, f'code {layer.code}')} unreachable"
    return text


def _length(layer: Packet, _names: _Names) -> str:
    return f"{len(layer)} bytes"


# What scapy calls a header: our name of it, and what it says.
_SAID: dict[str, tuple[str, Callable[[Packet, _Names], str]]] = {
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
