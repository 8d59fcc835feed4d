"""Which traced passes belong to which leg, and between which of its hops."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

from sandbox.model.follow.flows import Flows, recognise
from sandbox.model.follow.observation import Observation, bridge_of, is_tunnel
from sandbox.model.journey import LEGS, Hop, taken
from sandbox.model.packet import VXLAN_FLAGS
from sandbox.model.trace import Pass

__all__ = ["place"]


def place(
    observed: Observation, flows: Flows, hops: Mapping[str, Sequence[Hop]]
) -> tuple[dict[str, list[Hop]], dict[str, tuple[Pass, ...]]]:
    """The hops of each leg, each with the passes since the one before; those after the last."""
    placed, after = {}, {}
    for leg in LEGS:
        way = taken(hops[leg])
        passes, flows = _passes_of(observed, flows, leg, way)
        before, after[leg] = _between(observed, way, passes)
        each = iter(before)
        placed[leg] = [
            hop if hop.copy else dataclasses.replace(hop, passes=next(each)) for hop in hops[leg]
        ]
    return placed, after


def _passes_of(
    observed: Observation, flows: Flows, leg: str, way: Sequence[Hop]
) -> tuple[dict[str, list[Pass]], Flows]:
    """The passes of a leg by namespace, and the flows known after them. way: its hops."""
    found: dict[str, list[Pass]] = {}
    for space, passes in observed.evidence.passes.items():
        found[space] = []
        for it in passes:
            of, flows = _leg_of(observed, flows, it, way)
            if of == leg:
                found[space].append(it)
    return found, flows


def _leg_of(
    observed: Observation, flows: Flows, found: Pass, way: Sequence[Hop]
) -> tuple[str, Flows]:
    flow = found.packet.flow
    if known := flows.leg(flow):
        # Of a TCP connection only what opens it, or refuses to, is followed.
        opens = flow is not None and flow.protocol == "tcp" and known != "proxied"
        return recognise(flows, found.packet) if opens else (known, flows)
    if found.packet.payload[:4] == VXLAN_FLAGS:
        return _tunnelled(observed, found, way), flows
    return recognise(flows, found.packet)


def _tunnelled(observed: Observation, found: Pass, way: Sequence[Hop]) -> str:
    """The leg of a VXLAN packet whose inside the trace does not show, as ESP hides it."""
    return next((hop.leg for hop in way if _is_inside(observed, hop, found)), "")


def _is_inside(observed: Observation, hop: Hop, found: Pass) -> bool:
    """Whether a hop is the inner end of a tunnel on the host of a pass, and goes the same way."""
    hosts = {observed.namespaces[it].host for it in (hop.namespace, found.namespace)}
    return len(hosts) == 1 and is_tunnel(observed, hop) and hop.direction == _direction(found)


def _direction(found: Pass) -> str:
    return "out" if found.hook in ("output", "postrouting", "egress") else "in"


def _between(
    observed: Observation, way: Sequence[Hop], passes: Mapping[str, Sequence[Pass]]
) -> tuple[list[tuple[Pass, ...]], tuple[Pass, ...]]:
    """For each hop the passes since the one before, and those after the last."""
    before: list[list[Pass]] = [[] for _ in range(len(way) + 1)]
    for space, of_space in passes.items():
        own = [number for number, hop in enumerate(way) if hop.namespace == space]
        passed = 0
        for found in of_space:
            number = _slot(observed, found, way, own, passed)
            passed = sum(1 for it in own if it < number)
            before[number].append(found)
    *each, last = map(_settled, before)
    return each, last


def _slot(
    observed: Observation, found: Pass, way: Sequence[Hop], own: Sequence[int], passed: int
) -> int:
    """The number of the hop that a pass comes before.

    own: of the hops in its namespace.  passed: how many of these it comes after at least.
    """
    if not own:
        return _tunnel_slot(observed, found, way)
    place = _position(observed, found, [way[number] for number in own], passed)
    if _direction(found) == "out" and place < len(own):
        return own[place]
    return own[place - 1] + 1 if place else own[0]


def _tunnel_slot(observed: Observation, found: Pass, way: Sequence[Hop]) -> int:
    """Where a pass belongs in whose namespace nothing of the packet can be seen."""
    for number, hop in enumerate(way):
        if _is_inside(observed, hop, found):
            return number + 1 if hop.direction == "out" else number
    return len(way)


def _position(observed: Observation, found: Pass, own: Sequence[Hop], passed: int) -> int:
    """After how many of its namespace's own hops a pass comes, not fewer than ``passed``."""
    direction = _direction(found)
    outgoing = direction == "out"
    name = found.egress if outgoing else found.ingress
    start = passed if outgoing else max(passed - 1, 0)
    # The kernel names a bridge where a port of it was seen; and the interface of the route
    # that it had found before a translation changed it.
    tests: list[Callable[[Hop], bool]] = [
        lambda hop: hop.interface == name,
        lambda hop: bridge_of(observed, hop) == name,
        lambda hop: outgoing,
    ]
    for test in tests:
        for number, hop in enumerate(own[start:], start):
            if hop.direction == direction and test(hop):
                return number if outgoing else number + 1
    return len(own) if outgoing else passed


def _settled(passes: Iterable[Pass]) -> tuple[Pass, ...]:
    """Each once, without those in which nothing but a policy of ACCEPT spoke."""
    seen: dict[tuple[object, ...], Pass] = {}
    for it in passes:
        if it.verdict == "drop" or any(match.rule for match in it.matches):
            seen.setdefault((it.table, it.chain, it.matches), it)
    return tuple(seen.values())
