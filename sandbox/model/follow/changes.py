"""What changed from one hop to the next, and what changed it."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from ipaddress import ip_address
from itertools import pairwise

from sandbox.model.firewall.read import new_destination
from sandbox.model.follow.flows import destination_of, first_flow, source_of
from sandbox.model.follow.lookups import with_lookups
from sandbox.model.follow.observation import Observation, bridge_of
from sandbox.model.journey import LEGS, Change, Hop, endpoint
from sandbox.model.packet import Flow
from sandbox.model.trace import Match, Pass, Question

__all__ = ["explain", "translations"]

TO_DESTINATION, TO_SOURCE = ("DNAT", "REDIRECT"), ("MASQUERADE", "SNAT")


def explain(
    observed: Observation, answers: Mapping[Question, str], hops: Mapping[str, Sequence[Hop]]
) -> dict[str, list[Hop]]:
    """The hops of each leg, with what changed and what the kernel looked up since the one before.

    answers: what the kernel looked up.
    """
    told: dict[str, list[Hop]] = {}
    for leg in LEGS:
        # Namespaces whose connection tracking translates the probe.
        translating = {
            hop.namespace
            for of in told.values()
            for hop in of
            if hop.connection and hop.connection.translated
        }
        told[leg] = list(_explained(observed, answers, leg, hops[leg], translating))
    return told


def _explained(
    observed: Observation,
    answers: Mapping[Question, str],
    leg: str,
    hops: Sequence[Hop],
    translating: Collection[str],
) -> Iterator[Hop]:
    earlier: Hop | None = None
    for hop in hops:
        if hop.copy:
            yield hop
            continue
        told = hop if leg == "answer" else with_lookups(observed, answers, earlier, hop)
        if told.entry and _flooded(observed, hop, hops):
            # What the table has now it learned from the answer.
            told = dataclasses.replace(told, entry=None)
        changes = tuple(_changes(observed, translating, earlier, hop))
        yield (earlier := dataclasses.replace(told, changes=changes))


def _flooded(observed: Observation, hop: Hop, hops: Sequence[Hop]) -> bool:
    """Whether the bridge that sent it out here sent copies out elsewhere."""
    bridge = bridge_of(observed, hop)
    return any(
        it.copy
        and (it.namespace, it.direction) == (hop.namespace, "out")
        and bridge_of(observed, it) == bridge
        for it in hops
    )


def _changes(
    observed: Observation, translating: Collection[str], earlier: Hop | None, hop: Hop
) -> Iterator[Change]:
    if earlier is None:
        yield from _first_changes(observed, translating, hop)
        return
    then, now = earlier.packet, hop.packet
    if now.depth != then.depth:
        yield _tunnel(earlier, hop)
    elif hop.vlan != earlier.vlan:
        before, after = (str(it.vlan or "") for it in (earlier, hop))
        yield Change("tagging", "VLAN", before, after, "the tag is beside the frame")
    if then.flow and now.flow and then.flow != now.flow and not now.quoted:
        yield from _translated(observed, translating, earlier.namespace, then.flow, now.flow, hop)
    if then.ttl == now.ttl + 1:
        yield Change("routing", "TTL", str(then.ttl), str(now.ttl), "the TTL is one less")


def _first_changes(
    observed: Observation, translating: Collection[str], hop: Hop
) -> Iterator[Change]:
    """What changed before anything was seen of a leg."""
    flow = hop.packet.flow
    begun = first_flow(observed.probe, observed.sent)
    if hop.leg == "probe" and begun and flow and begun != flow:
        yield from _translated(observed, translating, hop.namespace, begun, flow, hop)
    if hop.leg == "proxied":
        words = _proxy(observed, hop)
        yield Change(
            "proxy",
            "connection",
            endpoint(observed.probe.address, observed.probe.port),
            destination_of(flow) if flow else "",
            "the probe's characters are on a new connection"
            + (f"; {' '.join(words)}" if words else ""),
        )


def _proxy(observed: Observation, hop: Hop) -> tuple[str, ...]:
    """The command line of the userland proxy that opened that connection, or nothing."""
    host, flow = observed.namespaces[hop.namespace].host, hop.packet.flow
    if flow is None:
        return ()
    container = flow.destination, str(flow.destination_port)
    for words in observed.evidence.proxies.get(host, ()):
        options = dict(pairwise(words))
        if (options.get("-container-ip"), options.get("-container-port")) == container:
            return words[:-1] if words[-1] == "-use-listen-fd" else words
    return ()


def _tunnel(earlier: Hop, hop: Hop) -> Change:
    inside = "the frame inside is the one of the hop before"
    if hop.packet.depth > earlier.packet.depth:
        outer = hop.packet.outer
        way = f"{outer.source} → {outer.destination}" if outer else ""
        return Change("encapsulation", "tunnel", "", f"{hop.packet.tunnel}, {way}", inside)
    return Change("decapsulation", "tunnel", earlier.packet.tunnel, "", inside)


def _translated(
    observed: Observation,
    translating: Collection[str],
    namespace: str,
    then: Flow,
    now: Flow,
    hop: Hop,
) -> Iterator[Change]:
    """What was translated in a namespace. hop: the one with the flow as it is now."""
    ends = (
        ("destination", TO_DESTINATION, destination_of(then), destination_of(now)),
        ("source", TO_SOURCE, source_of(then), source_of(now)),
    )
    for what, targets, before, after in ends:
        if before != after:
            kind, evidence = (
                _by_rule(hop.passes, targets)
                or _by_ipvs(observed, namespace, then, now, hop.leg, targets)
                or _by_conntrack(translating, namespace, hop.leg)
                or ("", "")
            )
            yield Change(kind, what, before, after, evidence)


def _by_rule(passes: Sequence[Pass], targets: Sequence[str]) -> tuple[str, str] | None:
    for found in reversed(passes):
        if match := found.rule(*targets):
            assert match.rule
            return match.rule.target, _place(found, match)
    return None


def _place(found: Pass, match: Match) -> str:
    return f"{found.table} {match.chain}, rule {match.number}"


def _by_ipvs(
    observed: Observation, namespace: str, then: Flow, now: Flow, leg: str, targets: Sequence[str]
) -> tuple[str, str] | None:
    # IPVS exchanges the servers; it is connection tracking that knows the client.
    if (leg == "answer") != (targets == TO_SOURCE):
        return None
    listed = _virtual(observed.evidence.virtual.get(namespace, ""), then, now)
    return ("IPVS", f"IPVS lists {listed}") if listed else None


def _virtual(listing: str, then: Flow, now: Flow) -> str:
    """The connection of IPVS which translated a flow, or "". listing: /proc/net/ip_vs_conn.

    A line has a client, a virtual and a real server, in hexadecimal.
    """
    known = {end for flow in (then, now) for end in (source_of(flow), destination_of(flow))}
    for line in listing.splitlines()[1:]:
        words = line.split()
        ends = [
            endpoint(str(ip_address(int(words[at], 16))), int(words[at + 1], 16))
            for at in (1, 3, 5)
            if len(words) > 6 and len(words[at]) == 8
        ]
        if ends and known >= set(ends):
            client, *servers = ends
            return " → ".join((client.rpartition(":")[0], *servers))
    return ""


def _by_conntrack(translating: Collection[str], namespace: str, leg: str) -> tuple[str, str] | None:
    if leg == "answer" and namespace in translating:
        return "NAT", "undone for the answer, as it remembers the connection"
    return None


def translations(last: Hop, passes: Sequence[Pass]) -> Iterator[Change]:
    """What rules did to the destination of a packet after its last hop. passes: since then."""
    for found in passes:
        if match := found.rule("REDIRECT", "DNAT"):
            assert match.rule
            connection, flow = last.connection, last.packet.flow
            after = new_destination(match.rule.text)
            if connection and connection.translated:
                after = endpoint(connection.reply.source, connection.reply.source_port)
            before = destination_of(flow) if flow else ""
            if after:
                yield Change(match.rule.target, "destination", before, after, _place(found, match))
