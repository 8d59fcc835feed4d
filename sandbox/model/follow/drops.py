"""Why a packet was dropped: one function for each kind of evidence, giving a ``Drop`` or None.

An ending says ``dropped`` only if one of these functions found out why: a packet that is gone
without evidence is ``lost``. From the kinds that know the packet itself to those that hint:

    by_rule             the kernel's trace of the packet through the rules of nftables
    by_icmp             an ICMP error that quotes the packet
    by_size, by_errno   what the kernel told the sender
    by_neighbour        an ARP request for the next hop that nobody answered
    by_counter          what the kernel counted in that namespace at the time
    by_route            what the kernel answers when asked for the packet's route

To add a kind, keep what it reads in ``Evidence``, write its function here, and call it in
``ending.py`` and ``answer.py`` before the kinds that know less.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from sandbox.model.follow.lookups import onward
from sandbox.model.follow.observation import Observation, interface_of
from sandbox.model.journey import Ending, Hop
from sandbox.model.state import Namespace, Route
from sandbox.model.trace import Match, Pass, Question, refusal

__all__ = [
    "Drop",
    "by_counter",
    "by_errno",
    "by_icmp",
    "by_neighbour",
    "by_route",
    "by_rule",
    "by_size",
    "ended_by",
    "losses",
]

ARP_REQUEST, ARP_REPLY = 1, 2
# What an ICMP error means, by protocol, type and code (None: any), for IPv4 (RFC 792, RFC 1812)
# and IPv6 (RFC 4443).
MEANINGS: dict[tuple[str, int, int | None], str] = {
    ("icmp", 3, 3): "port",
    ("icmp", 3, 4): "size",
    ("icmp", 11, None): "ttl",
    **{("icmp", 3, code): "route" for code in (0, 1, 5, 6, 7, 11, 12)},
    **{("icmp", 3, code): "forbidden" for code in (9, 10, 13)},
    ("ipv6-icmp", 1, 4): "port",
    ("ipv6-icmp", 2, None): "size",
    ("ipv6-icmp", 3, None): "ttl",
    **{("ipv6-icmp", 1, code): "route" for code in (0, 3)},
    **{("ipv6-icmp", 1, code): "forbidden" for code in (1, 5, 6)},
}
# Packets that the kernel counts when it gives them up, by protocol
# (Documentation/networking/snmp_counter.rst). They count for a whole namespace, so only those
# that say how a packet ended which did not arrive are taken for more than a hint.
LOSSES = {
    "ip": {
        "TcpExt.IPReversePathFilter": "the reverse path filter: its answer would leave elsewhere",
        "IpExt.InNoRoutes": "no route",
        "Ip.OutNoRoutes": "no route",
        "Ip.FragFails": "larger than the next MTU, and not to be cut up",
        "Ip.InHdrErrors": "its TTL ran out, or its header is broken",
        "Ip.InAddrErrors": "its destination is not an address of that namespace",
    },
    "tcp": {"TcpExt.ListenDrops": "the listening socket's queue was full"},
    "udp": {
        "Udp.NoPorts": "no socket on that port",
        "Udp.RcvbufErrors": "the socket's buffer was full",
    },
    "icmp": {},
}
CERTAIN = ("IPReversePathFilter", "InNoRoutes", "FragFails")
# What the sender's own kernel says, in words.
REFUSALS = {
    "ENETUNREACH": "has no route to",
    "EHOSTUNREACH": "cannot reach",
    "EACCES": "may not send to",
    "EPERM": "may not send to",
    "EINVAL": "has no way to send to",
}


@dataclass(frozen=True, slots=True)
class Drop:
    """That a packet was dropped. namespace: where.  why: in a sentence.

    evidence: how it is known, if why does not say it.  rule: the one that dropped it, or None.
    outcome: ``dropped``; ``refused`` if the sender was told.
    """

    namespace: str
    why: str
    evidence: tuple[str, ...] = ()
    rule: Match | None = None
    outcome: str = "dropped"


def ended_by(drop: Drop, passes: tuple[Pass, ...] = ()) -> Ending:
    """The ending of a packet that was dropped. passes: since its last hop."""
    return Ending(drop.outcome, drop.namespace, drop.why, drop.evidence, drop.rule, passes)


def by_rule(passes: Sequence[Pass]) -> Drop | None:
    """The rule or policy that the kernel's trace of a packet ends with."""
    for found in passes:
        if found.verdict == "drop":
            match = found.matches[-1]
            return Drop(found.namespace, _rule(found, match), ("the kernel's trace",), match)
    return None


def _rule(found: Pass, match: Match) -> str:
    if match.policy:
        return f"the policy of {found.table} {found.chain} drops it"
    rule = f"rule {match.number}" if match.number else "a rule that is gone since"
    verb = "refuses" if match.rule and match.rule.target == "REJECT" else "drops"
    return f"{rule} of {found.table} {match.chain} {verb} it"


def by_icmp(observed: Observation, error: Hop, who: str, last: Hop) -> Drop:
    """What an ICMP error says about the probe. who: sent it.  last: the probe's last hop."""
    packet, flow = error.packet, last.packet.flow
    assert packet.icmp and packet.flow
    kind, code = packet.icmp
    protocol = packet.flow.protocol
    # The headers that it quotes come after its own.
    said = next(it.text for it in packet.headers if it.protocol.startswith("ICMP"))
    address, port = observed.probe.address, observed.probe.port
    if flow:
        address, port = flow.destination, flow.destination_port
    meaning = MEANINGS.get((protocol, kind, code)) or MEANINGS.get((protocol, kind, None), "")
    outcome, why = {
        "port": ("refused", f"no socket has port {port} there"),
        "size": (
            "dropped",
            f"it is larger than the next MTU from {who} on, and is not to be cut up",
        ),
        "forbidden": ("refused", "a rule there forbids it"),
        "ttl": ("dropped", "its TTL ran out"),
        "route": ("dropped", f"{who} has no way to {address}"),
    }.get(meaning, ("dropped", f"{who} reports: {said}"))
    return Drop(who, why, (f"ICMP from {packet.flow.source}: {said}",), None, outcome)


def by_size(observed: Observation) -> Drop | None:
    """That the sender's kernel found the probe too large to be sent."""
    probe = observed.probe
    if observed.sent.outcome != "EMSGSIZE":
        return None
    why = (
        f"{probe.source} cannot send {probe.size} bytes in one piece: they do not fit the "
        "MTU of the interface on the way"
    )
    return Drop(probe.source, why, _said(observed))


def by_errno(observed: Observation) -> Drop | None:
    """The error that the sender's kernel gave for the probe."""
    probe, sent = observed.probe, observed.sent
    if not sent.error:
        return None
    words = REFUSALS.get(sent.outcome, "cannot send to")
    return Drop(probe.source, f"{probe.source} {words} {probe.address}", _said(observed))


def _said(observed: Observation) -> tuple[str, ...]:
    error = observed.sent.error
    return (f"its kernel says: {error}",) if error else ()


def by_neighbour(observed: Observation, place: str, last: Hop | None = None) -> Drop | None:
    """That a next hop answered no ARP request of a namespace. last: the probe's hop there."""
    next_hops = _next_hops(observed, place, last)
    asked: dict[str, str] = {}
    for sight in observed.evidence.sights:
        interface = interface_of(observed, sight)
        # A bridge's port passes on what others ask.
        if sight.namespace != place or not sight.packet.arp or not interface or interface.master:
            continue
        operation, wanted, sender = sight.packet.arp
        if operation == ARP_REQUEST and sight.direction == "out" and wanted in next_hops:
            asked[wanted] = sight.interface
        elif operation == ARP_REPLY:
            asked.pop(sender, None)
    for wanted, name in asked.items():
        return Drop(place, f"nobody on {name} of {place} answers its ARP request for {wanted}")
    return None


def _next_hops(observed: Observation, place: str, last: Hop | None) -> set[str]:
    """The addresses that a namespace may have to find before it can send the probe on."""
    space = observed.namespaces[place]
    found = {route.gateway for route in space.routes} | {observed.probe.address}
    if last and last.packet.flow:
        # What has come in may wait to be passed on, or its answer to leave.
        flow = last.packet.flow
        found |= {flow.destination, flow.source if last.direction == "in" else ""}
    if last and last.connection:
        found.add(last.connection.reply.source)
    return found


def by_counter(observed: Observation, last: Hop) -> Drop | None:
    """What the kernel counted where the probe came in and was not seen again."""
    counted = losses(observed, last.namespace)
    for it in counted:
        if any(name in it for name in CERTAIN):
            why = f"it came in by {last.interface} and went no further: {it}"
            return Drop(last.namespace, why, counted)
    return None


def losses(observed: Observation, place: str) -> tuple[str, ...]:
    """What the kernel counted there while the probe was on its way: hints, of any packet's end."""
    counted = observed.evidence.counters.get(place, {})
    return tuple(
        f"{words}: {name} counted {counted[name]} more there"
        for group in ("ip", observed.probe.protocol)
        for name, words in LOSSES[group].items()
        if counted.get(name)
    )


def by_route(
    observed: Observation, answers: Mapping[Question, str], last: Hop, destination: str
) -> Drop | None:
    """That the kernel knows no way on from where the probe came in.

    answers: what the kernel looked up.  destination: the probe's, translated as it may be.
    """
    place, flow = last.namespace, last.packet.flow
    if flow is None or flow.destination != destination:
        # The kernel was asked about the packet as it was seen, before a rule translated it.
        return None
    for question in onward(observed, last):
        if number := refusal(answers.get(question, "")):
            route = _route(observed.namespaces[place], destination)
            why = f"{place} has no route to {destination}"
            if route and route.kind != "unicast":
                why = f"the route {route} of {place} forbids it"
            said = f"asked for a route, its kernel says: {os.strerror(number)}"
            return Drop(place, why, (said, *losses(observed, place)))
    return None


def _route(space: Namespace, address: str) -> Route | None:
    """The most specific route of the main table to an address."""
    found = [
        route
        for route in space.routes
        if route.destination == "default"
        or (
            (":" in route.destination) == (":" in address)
            and ip_address(address) in ip_network(route.destination, strict=False)
        )
    ]
    return max(found, key=_prefix_length, default=None)


def _prefix_length(route: Route) -> int:
    if route.destination == "default":
        return 0
    return ip_network(route.destination, strict=False).prefixlen
