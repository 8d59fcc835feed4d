"""The sights of the probe in the order in which it came by, and the hops that they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from sandbox.model.follow.flows import Flows, initial_flows, recognise
from sandbox.model.follow.observation import Observation, interface_of
from sandbox.model.journey import LEGS, Hop, Sight
from sandbox.model.state import Interface, InterfaceRef, Namespace

__all__ = ["hops_of", "sights_by_leg"]

OTHER_HOST = 3  # linux/if_packet.h


def sights_by_leg(observed: Observation) -> tuple[dict[str, list[Sight]], Flows]:
    """The sights of each leg in their order, every one once, and the flows learned from them."""
    flows = initial_flows(observed.probe, observed.sent)
    found: dict[str, list[Sight]] = {name: [] for name in LEGS}
    seen = set()
    for sight in _in_order(observed):
        leg, flows = recognise(flows, sight.packet)
        # What is sent again, as it was not answered, is the same probe.
        key = (
            *(leg, sight.namespace, sight.interface, sight.direction, sight.vlan),
            *(sight.packet.depth, sight.packet.flow, sight.packet.ttl),
            sight.packet.destination_mac,
        )
        if leg and key not in seen:
            seen.add(key)
            found[leg].append(sight)
    return found, flows


def _in_order(observed: Observation) -> list[Sight]:
    """By the kernel's time; of one time, as a frame climbs what it comes in by.

    A frame is stamped once as it comes in (net/core/dev.c, net_timestamp_check), so a parent
    and its macvlan, a port and its bridge, a tunnel's outside and its inside have one time.
    """
    sights = observed.evidence.sights
    heights = {ref: _height(ref, observed.namespaces) for ref in {_ref(it) for it in sights}}

    def order(sight: Sight) -> tuple[int, bool, int, int]:
        inward = sight.direction == "in"
        steps = heights[_ref(sight)]
        depth = sight.packet.depth
        return sight.time, not inward, -depth if inward else depth, steps if inward else -steps

    return sorted(sights, key=order)


def _height(
    ref: InterfaceRef,
    namespaces: Mapping[str, Namespace],
    above: frozenset[InterfaceRef] = frozenset(),
) -> int:
    """How many interfaces carry that one, one under the other."""
    space = namespaces.get(ref.namespace)
    found = space.interface(ref.name) if space else None
    under = {found.parent} if found and found.parent else set()
    under |= {it.ref for it in space.interfaces if it.master == ref.name} if space else set()
    # A state that was read while it changed may have a ring.
    seen = above | {ref}
    return max((1 + _height(it, namespaces, seen) for it in under - seen), default=0)


def _ref(sight: Sight) -> InterfaceRef:
    return InterfaceRef(sight.namespace, sight.interface)


def hops_of(observed: Observation, leg: str, sights: Sequence[Sight], began: int) -> list[Hop]:
    """The hops of a leg, with nothing but what was seen. began: ns since 1970."""
    copies = _copies(observed, sights)
    return [
        Hop(
            leg,
            sight.namespace,
            sight.interface,
            sight.direction,
            (sight.time - began) / 1000,
            sight.vlan,
            sight.packet,
            sight.frame,
            number in copies,
        )
        for number, sight in enumerate(sights)
    ]


def _copies(observed: Observation, sights: Sequence[Sight]) -> set[int]:
    """Numbers of the sights of frames that a bridge flooded to those who do not take them."""
    carriers = _carriers(observed)
    found = {
        number
        for number, sight in enumerate(sights)
        if sight.kind == OTHER_HOST and _ref(sight) not in carriers
    }
    refused = {(_ref(sights[n]), sights[n].packet.destination_mac) for n in found}
    accepted = {
        (_ref(it), it.packet.destination_mac) for it in sights if it.direction == "in"
    } - refused
    for ports in _floods(observed, sights):
        right = {
            number
            for number, port in ports.items()
            if (port.peer, sights[number].packet.destination_mac) in accepted
        }
        # What nobody here takes is for somebody behind the tunnel.
        right = right or {number for number, port in ports.items() if port.kind == "vxlan"}
        if right and len(ports) > 1:
            found |= ports.keys() - right
    return found


def _carriers(observed: Observation) -> set[InterfaceRef]:
    """Interfaces whose frames are for others: ports of a bridge, parents."""
    interfaces = [it for space in observed.namespaces.values() for it in space.interfaces]
    return {it.ref for it in interfaces if it.master} | {
        it.parent for it in interfaces if it.parent
    }


def _floods(observed: Observation, sights: Sequence[Sight]) -> Iterable[dict[int, Interface]]:
    """For each frame that went out by a bridge's ports: these, by the number of the sight."""
    found: dict[tuple[object, ...], dict[int, Interface]] = defaultdict(dict)
    for number, sight in enumerate(sights):
        port = interface_of(observed, sight)
        if sight.direction == "out" and port and port.master:
            packet = sight.packet
            frame = sight.namespace, port.master, packet.destination_mac, packet.ttl
            found[frame][number] = port
    return found.values()
