"""The way of one probe through the hosts' namespaces, from what was seen of it there.

A hop is a sight of the probe, or of what answered it, by a packet socket. Nothing else makes
one: what lies between two hops is told by the rules that the kernel traced, and by what it
answers about a connection, a route or a forwarding entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sandbox.model.packet import Packet
from sandbox.model.state import ForwardingEntry, Route, Snapshot, in_brackets
from sandbox.model.trace import Connection, Match, Pass

__all__ = [
    "LEGS",
    "Change",
    "Ending",
    "Evidence",
    "Hop",
    "Passage",
    "Probe",
    "Sent",
    "Sight",
    "endpoint",
    "taken",
]

# The probe itself; the connection that a proxy opens in its place; what answers it.
LEGS = ("probe", "proxied", "answer")
# linux/if_packet.h
OUTGOING = 4


@dataclass(frozen=True, slots=True)
class Probe:
    """What is sent. source: id of the namespace that sends.  target: as it was asked for.

    protocol: ``tcp``, ``udp``, ``icmp``.  size: bytes of payload.
    looked_up: the name that address was the answer to, or "".
    """

    source: str
    target: str
    protocol: str
    address: str
    port: int
    size: int
    cookie: bytes
    isn: int
    looked_up: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """What the sender saw. outcome: ``connected``, ``answered``, ``silence``, an errno's name.

    error: its words, or "".  address, port: the probe was sent from.  seconds: how long it
    waits for an answer.
    """

    outcome: str
    error: str
    address: str
    port: int
    seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class Sight:
    """A frame on an interface. kind: as packet(7) names a packet.  time: ns since 1970.

    vlan: the 802.1q tag that is kept beside the frame, or None.
    """

    namespace: str
    interface: str
    kind: int
    time: int
    vlan: int | None
    frame: bytes
    packet: Packet

    @property
    def direction(self) -> str:
        return "out" if self.kind == OUTGOING else "in"


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that was heard. sights: in each namespace's own order.

    passes: by namespace.  counters: by namespace how many more the kernel counts, by name.
    virtual: by namespace the text of /proc/net/ip_vs_conn.  proxies: by host, the command lines.
    deaf: namespaces that nobody listened in.  missed: of what there was too much to be kept.
    """

    sights: tuple[Sight, ...]
    passes: Mapping[str, tuple[Pass, ...]]
    counters: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    virtual: Mapping[str, str] = field(default_factory=dict)
    proxies: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    deaf: frozenset[str] = frozenset()
    missed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """What is no longer as it was at the hop before.

    kind: ``encapsulation``, ``decapsulation``, ``tagging`` (802.1q), ``routing`` (the TTL is one
        less), ``DNAT``, ``REDIRECT``, ``MASQUERADE``, ``SNAT``, ``IPVS``, ``NAT`` (connection
        tracking undoes one of these for the answer), ``proxy``; "" if nothing tells.
    what: ``source``, ``destination``, ``TTL``, ``VLAN``, ``tunnel``, ``connection``.
    evidence: how it is known.
    """

    kind: str
    what: str
    before: str
    after: str
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Hop:
    """A sight of the packet, with what happened to it since the one before.

    leg: one of LEGS.  microseconds: since the first hop.
    copy: whether a bridge that did not know the way flooded it here, where nobody takes it.
    route, entry, connection: what the kernel looked up on the way here, if it says.
    """

    leg: str
    namespace: str
    interface: str
    direction: str
    microseconds: float
    vlan: int | None
    packet: Packet
    frame: bytes
    copy: bool = False
    passes: tuple[Pass, ...] = ()
    changes: tuple[Change, ...] = ()
    route: Route | None = None
    entry: ForwardingEntry | None = None
    connection: Connection | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """Where it ended.

    outcome: ``answered``, ``delivered`` (nothing is to come back), ``refused``, ``dropped``,
        ``unanswered`` (it arrived), ``left`` (the hosts), ``lost``.
    namespace: where; an address if that is beyond the hosts.  why: in a sentence.
    evidence: how it is known.
    rule: the one that dropped or refused it, or None.
    passes, changes: since the last hop.
    """

    outcome: str
    namespace: str
    why: str
    evidence: tuple[str, ...] = ()
    rule: Match | None = None
    passes: tuple[Pass, ...] = ()
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Passage:
    """The way of one probe.

    hops: of all legs, by leg and time.  unseen: what could not be seen, and why.
    began: when it was first seen, ns since 1970; 0 if it never was.
    snapshot: the hosts as they were just before.
    """

    probe: Probe
    sent: Sent
    hops: tuple[Hop, ...]
    ending: Ending
    unseen: tuple[str, ...]
    began: int
    snapshot: Snapshot

    def leg(self, name: str) -> tuple[Hop, ...]:
        """The hops of that leg."""
        return tuple(hop for hop in self.hops if hop.leg == name)


def taken(hops: Iterable[Hop]) -> list[Hop]:
    """The hops of the way itself, without flooded copies."""
    return [hop for hop in hops if not hop.copy]


def endpoint(address: str, port: int) -> str:
    """``172.17.0.2:80``; without a port the address alone."""
    return f"{in_brackets(address)}:{port}" if port else address
