"""The headers of captured frames as text and as nested boxes."""

from __future__ import annotations

import html
import io
import itertools
from collections.abc import Mapping
from typing import Any

from sandbox.errors import SandboxError
from sandbox.model.packet import Header, headers

__all__ = ["FILE_HEADERS", "LONGEST_FRAME", "Dissection", "read_frames"]

ETHERNET = 1  # https://www.tcpdump.org/linktypes.html
# Bytes: tcpdump keeps at most 262144 of a frame (tcpdump(8), -s) and has a header before each; the
# file's own headers name the capture's interfaces.
LONGEST_FRAME, FILE_HEADERS = 262_144 + 64, 65_536


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
