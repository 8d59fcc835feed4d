"""One probe and what was heard of it: what every step of following it reads and none changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.model.journey import Evidence, Hop, Probe, Sent, Sight
from sandbox.model.state import Interface, Namespace

__all__ = ["Observation", "addresses", "bridge_of", "interface_of", "is_tunnel"]


@dataclass(frozen=True, slots=True)
class Observation:
    """A probe and all that was heard of it. namespaces: by id, as they were just before."""

    probe: Probe
    sent: Sent
    evidence: Evidence
    namespaces: Mapping[str, Namespace]

    @property
    def answered(self) -> bool:
        """Whether the sender's own socket got an answer."""
        return self.sent.outcome in ("connected", "answered")


def interface_of(observed: Observation, seen: Sight | Hop) -> Interface | None:
    """The interface that a packet was seen on; None if the snapshot does not have it."""
    space = observed.namespaces.get(seen.namespace)
    return space.interface(seen.interface) if space else None


def bridge_of(observed: Observation, seen: Sight | Hop) -> str:
    """The bridge whose port a packet was seen on, or ""."""
    interface = interface_of(observed, seen)
    return interface.master if interface else ""


def is_tunnel(observed: Observation, hop: Hop) -> bool:
    """Whether the interface is a VXLAN tunnel's inner end."""
    interface = interface_of(observed, hop)
    return interface is not None and interface.kind == "vxlan"


def addresses(space: Namespace) -> set[str]:
    """The addresses of all interfaces of a namespace, without prefix lengths."""
    return {it.partition("/")[0] for interface in space.interfaces for it in interface.addresses}
