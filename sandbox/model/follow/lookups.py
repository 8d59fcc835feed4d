"""What the kernel looks up for a packet: its connection, its route, its forwarding entry."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

from sandbox.model.follow.observation import Observation, addresses, interface_of
from sandbox.model.journey import Hop, taken
from sandbox.model.packet import Flow
from sandbox.model.trace import (
    CT_GET,
    RTM_GETNEIGH,
    RTM_GETROUTE,
    Question,
    ask_connection,
    ask_forwarding,
    ask_route,
    read_connection,
    read_forwarding,
    read_route,
)

__all__ = ["Ask", "look_up", "onward", "with_lookups"]

# Puts netlink questions to the hosts; gives the answers in base64, "" for none.
Ask = Callable[[Sequence[Question]], Sequence[str]]


def look_up(
    observed: Observation, hops: Mapping[str, Sequence[Hop]], ask: Ask
) -> dict[Question, str]:
    """The answers to all questions about the probe's hops, which are put at once."""
    wanted: dict[Question, None] = {}
    for leg in ("probe", "proxied"):
        earlier = None
        for hop in taken(hops[leg]):
            wanted |= dict.fromkeys(_about(observed, earlier, hop))
            earlier = hop
        if earlier and earlier.direction == "in":
            wanted |= dict.fromkeys(onward(observed, earlier))
    listed = list(wanted)
    return dict(zip(listed, ask(listed), strict=True)) if listed else {}


def onward(observed: Observation, last: Hop) -> Iterator[Question]:
    """Which way it would have gone on from the namespace that it came into last."""
    space = observed.namespaces[last.namespace]
    if last.packet.flow and last.packet.flow.destination not in addresses(space):
        yield ask_route(space, last.packet.flow, last.interface)


def with_lookups(
    observed: Observation, answers: Mapping[Question, str], earlier: Hop | None, hop: Hop
) -> Hop:
    """The hop with what the kernel answered about it. earlier: the hop before, if any."""
    space = observed.namespaces[hop.namespace]
    for question in _about(observed, earlier, hop):
        answer = answers.get(question, "")
        if question.kind == CT_GET and hop.packet.flow:
            connection = read_connection(answer, hop.packet.flow.protocol)
            hop = dataclasses.replace(hop, connection=connection)
        elif question.kind == RTM_GETROUTE:
            hop = dataclasses.replace(hop, route=read_route(answer, space))
        elif question.kind == RTM_GETNEIGH:
            hop = dataclasses.replace(hop, entry=read_forwarding(answer, space))
    return hop


def _about(observed: Observation, earlier: Hop | None, hop: Hop) -> Iterator[Question]:
    space = observed.namespaces[hop.namespace]
    flow = hop.packet.flow
    if flow and flow.protocol in ("tcp", "udp", "icmp", "ipv6-icmp"):
        yield ask_connection(hop.namespace, flow)
    if routed := _routed(earlier, hop):
        yield ask_route(space, *routed)
    if hop.direction == "out" and (bridge := _switched(observed, hop)):
        question = ask_forwarding(space, bridge, hop.packet.destination_mac)
        if question:
            yield question


def _routed(earlier: Hop | None, hop: Hop) -> tuple[Flow, str] | None:
    """The flow that a route was looked up for before this hop, and where it came in."""
    if hop.direction != "out" or hop.packet.flow is None:
        return None
    if earlier is None:
        return hop.packet.flow, ""
    if hop.packet.depth > earlier.packet.depth:
        return (hop.packet.outer, "") if hop.packet.outer else None
    same = earlier.namespace == hop.namespace and earlier.direction == "in"
    if same and earlier.packet.ttl == hop.packet.ttl + 1:
        source = earlier.packet.flow or hop.packet.flow
        flow = dataclasses.replace(hop.packet.flow, source=source.source)
        return flow, earlier.interface
    return None


def _switched(observed: Observation, hop: Hop) -> str:
    """The bridge or VXLAN interface whose forwarding table sent it out here, or ""."""
    interface = interface_of(observed, hop)
    if interface is None:
        return ""
    return interface.name if interface.kind == "vxlan" else interface.master
