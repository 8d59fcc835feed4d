"""From what was heard of a probe to its journey.

Sights are told apart by the marks that stay (``Probe``), put in order by the kernel's clock,
which all namespaces share, and by how interfaces are stacked where its time is the same, and
joined with the rules by namespace, interface and order.
"""

from __future__ import annotations

import dataclasses
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_network
from itertools import pairwise

from sandbox.model.firewall.read import option
from sandbox.model.journey import (
    LEGS,
    Change,
    Ending,
    Evidence,
    Hop,
    Passage,
    Probe,
    Sent,
    Sight,
    endpoint,
    taken,
)
from sandbox.model.packet import VXLAN_FLAGS, Flow, Packet
from sandbox.model.state import Interface, InterfaceRef, Namespace, Route, Snapshot
from sandbox.model.trace import (
    CT_GET,
    RTM_GETNEIGH,
    RTM_GETROUTE,
    Match,
    Pass,
    Question,
    ask_connection,
    ask_forwarding,
    ask_route,
    read_connection,
    read_forwarding,
    read_route,
    refusal,
)

__all__ = ["Ask", "follow"]

# Puts netlink questions to the hosts; gives the answers in base64, "" for none.
Ask = Callable[[Sequence[Question]], Sequence[str]]

OTHER_HOST = 3  # linux/if_packet.h
REPLIES, REQUESTS = {0, 129}, {8, 128}
# What an ICMP error means, by protocol, type and code (None: any), for IPv4 (RFC 792, RFC 1812)
# and IPv6 (RFC 4443).
MEANINGS: dict[tuple[str, int, int | None], str] = {
    ("icmp", 3, 3): "port", ("icmp", 3, 4): "size", ("icmp", 11, None): "ttl",
    **{("icmp", 3, code): "route" for code in (0, 1, 5, 6, 7, 11, 12)},
    **{("icmp", 3, code): "forbidden" for code in (9, 10, 13)},
    ("ipv6-icmp", 1, 4): "port", ("ipv6-icmp", 2, None): "size", ("ipv6-icmp", 3, None): "ttl",
    **{("ipv6-icmp", 1, code): "route" for code in (0, 3)},
    **{("ipv6-icmp", 1, code): "forbidden" for code in (1, 5, 6)},
}  # fmt: skip
ARP_REQUEST, ARP_REPLY = 1, 2
SECOND = 10**9  # in nanoseconds
OUTGOING = ("output", "postrouting", "egress")
TO_DESTINATION, TO_SOURCE = ("DNAT", "REDIRECT"), ("MASQUERADE", "SNAT")
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
# Of a TCP or UDP packet the kernel's trace has so much of the payload, with 12 characters of ours.
MARK = 12
# Where a packet should be seen next that goes out by an interface of that kind.
BEYOND = {"bridge": "at none of its ports", "vxlan": "in no packet on the LAN"}
TRACED = ("the kernel's trace",)
ANSWERED = ("connected", "answered")
# What the sender's own kernel says, in words.
REFUSALS = {
    "ENETUNREACH": "has no route to",
    "EHOSTUNREACH": "cannot reach",
    "EACCES": "may not send to",
    "EPERM": "may not send to",
    "EINVAL": "has no way to send to",
}


def follow(probe: Probe, sent: Sent, snapshot: Snapshot, evidence: Evidence, ask: Ask) -> Passage:
    """The passage that the evidence shows."""
    return _Following(probe, sent, snapshot, evidence).journey(ask)


class _Flows:
    """Which flow belongs to which leg, learned from sights in their order."""

    def __init__(self, probe: Probe, sent: Sent) -> None:
        self._probe = probe
        self._of: dict[Flow, str] = {}
        if probe.protocol != "icmp":
            begun = Flow(probe.protocol, sent.address, sent.port, probe.address, probe.port)
            self._of[begun] = "probe"

    def leg(self, packet: Packet) -> str:
        """The leg of a packet, which is remembered; "" if it belongs to none."""
        flow = packet.flow
        if flow is None:
            return ""
        found = self._recognised(packet, flow)
        if found:
            self._of.setdefault(flow, found)
            if packet.outer:
                self._of.setdefault(packet.outer, found)
        return found

    def known(self, flow: Flow | None) -> str:
        return self._of.get(flow, "") if flow else ""

    def _recognised(self, packet: Packet, flow: Flow) -> str:
        probe = self._probe
        cookie = packet.payload[:MARK] == probe.cookie[:MARK]
        if packet.quoted:
            quotes = probe.cookie[:MARK] in packet.payload or (
                probe.protocol == "tcp" and packet.sequence == probe.isn
            )
            # An error about the answer quotes the same.
            return "answer" if quotes and self._between(packet.quoted) != "answer" else ""
        if packet.icmp:
            kind = packet.icmp[0]
            if cookie and kind in REQUESTS | REPLIES:
                return "probe" if kind in REQUESTS else "answer"
            return ""
        if flow.protocol == "tcp":
            return self._of_tcp(packet, flow, cookie)
        return self._of_udp(flow) if cookie and flow.protocol == "udp" else ""

    def _of_tcp(self, packet: Packet, flow: Flow, cookie: bool) -> str:
        isn = self._probe.isn
        if packet.sequence == isn and "S" in packet.flags and "A" not in packet.flags:
            return "probe"
        answers = packet.acknowledgement == (isn + 1) & 0xFFFFFFFF
        if answers and {"S", "R"} & set(packet.flags):
            return "answer"
        # The cookie on a connection that did not begin with the probe: somebody passed it on.
        own = {self.known(flow), self.known(flow.reversed())} - {"proxied", ""}
        echoed = self.known(flow.reversed()) == "proxied"
        return "proxied" if cookie and not own and not echoed else ""

    def _between(self, quoted: Flow) -> str:
        """The leg of a quoted packet, by its addresses; "probe" if both may be."""
        legs = {
            leg
            for known, leg in self._of.items()
            if (known.source, known.destination) == (quoted.source, quoted.destination)
        }
        return "answer" if legs == {"answer"} else "probe"

    def _of_udp(self, flow: Flow) -> str:
        if found := self.known(flow):
            return found
        if self.known(flow.reversed()):
            return "answer" if self.known(flow.reversed()) == "probe" else ""
        # Translation leaves an end, or at least the sender's port, as it is.
        for leg in ("answer", "probe"):
            for known, of in self._of.items():
                if of == leg and (
                    (known.source, known.source_port) == (flow.source, flow.source_port)
                    or (known.destination, known.destination_port)
                    == (flow.destination, flow.destination_port)
                    or (leg == "probe" and known.source_port == flow.source_port)
                ):
                    return leg
        return "proxied"


class _Following:
    def __init__(self, probe: Probe, sent: Sent, snapshot: Snapshot, evidence: Evidence) -> None:
        self.probe, self.sent, self.snapshot, self.evidence = probe, sent, snapshot, evidence
        self.namespaces = {space.id: space for space in snapshot.namespaces()}
        # Interfaces whose frames are for others: ports of a bridge, parents.
        self.carriers = {it.ref for it in snapshot.interfaces() if it.master} | {
            it.parent for it in snapshot.interfaces() if it.parent
        }
        self._heights: dict[InterfaceRef, int] = {}
        self.flows = _Flows(probe, sent)
        self.unseen = [f"Not all could be kept: {it}." for it in evidence.missed]
        # Namespaces whose connection tracking translates the probe.
        self.translating: set[str] = set()

    def journey(self, ask: Ask) -> Passage:
        legs = self.legs()
        self.begun = min((s.time for sights in legs.values() for s in sights), default=0)
        hops: dict[str, list[Hop]] = {}
        after: dict[str, tuple[Pass, ...]] = {}
        for name in LEGS:
            hops[name] = self.first_hops(name, legs[name])
            before, after[name] = self.place(name, taken(hops[name]))
            passes = iter(before)
            hops[name] = [
                hop if hop.copy else dataclasses.replace(hop, passes=next(passes))
                for hop in hops[name]
            ]
        self.looked_up = self.questions(hops, ask)
        for name in LEGS:
            hops[name] = list(self.explained(name, hops[name]))
        self.find_encrypted(hops["probe"])
        ending = self.ending(hops, after)
        told = tuple(hop for name in LEGS for hop in hops[name])
        return Passage(
            self.probe, self.sent, told, ending, tuple(self.unseen), self.begun, self.snapshot
        )

    # Sights

    def legs(self) -> dict[str, list[Sight]]:
        """The sights of each leg in their order, every one once."""
        found: dict[str, list[Sight]] = {name: [] for name in LEGS}
        seen = set()
        for sight in sorted(self.evidence.sights, key=self.order):
            leg = self.flows.leg(sight.packet)
            # What is sent again, as it was not answered, is the same probe.
            key = (leg, sight.namespace, sight.interface, sight.direction, sight.vlan,
                   sight.packet.depth, sight.packet.flow, sight.packet.ttl,
                   sight.packet.destination_mac)  # fmt: skip
            if leg and key not in seen:
                seen.add(key)
                found[leg].append(sight)
        return found

    def order(self, sight: Sight) -> tuple[int, bool, int, int]:
        """The kernel's time; of one time, as a frame climbs what it comes in by.

        A frame is stamped once as it comes in (net/core/dev.c, net_timestamp_check), so a parent
        and its macvlan, a port and its bridge, a tunnel's outside and its inside have one time.
        """
        inward = sight.direction == "in"
        steps = self.height(self.ref(sight))
        depth = sight.packet.depth
        return sight.time, not inward, -depth if inward else depth, steps if inward else -steps

    def height(self, ref: InterfaceRef, above: frozenset[InterfaceRef] = frozenset()) -> int:
        """How many interfaces carry that one, one under the other."""
        if (known := self._heights.get(ref)) is not None:
            return known
        space = self.namespaces.get(ref.namespace)
        found = space.interface(ref.name) if space else None
        under = {found.parent} if found and found.parent else set()
        under |= {it.ref for it in space.interfaces if it.master == ref.name} if space else set()
        # A state that was read while it changed may have a ring.
        seen = above | {ref}
        height = max((1 + self.height(it, seen) for it in under - seen), default=0)
        return self._heights.setdefault(ref, height)

    def first_hops(self, leg: str, sights: list[Sight]) -> list[Hop]:
        copies = self.copies(sights)
        return [
            Hop(
                leg, sight.namespace, sight.interface, sight.direction,
                (sight.time - self.begun) / 1000, sight.vlan, sight.packet, sight.frame,
                number in copies,
            )
            for number, sight in enumerate(sights)
        ]  # fmt: skip

    def copies(self, sights: list[Sight]) -> set[int]:
        """Numbers of the sights of frames that a bridge flooded to those who do not take them."""
        found = {
            number
            for number, sight in enumerate(sights)
            if sight.kind == OTHER_HOST and self.ref(sight) not in self.carriers
        }
        arrived = {(self.ref(sights[n]), sights[n].packet.destination_mac) for n in found}
        taken = {
            (self.ref(sight), sight.packet.destination_mac)
            for sight in sights
            if sight.direction == "in"
        } - arrived
        flooded: dict[tuple[object, ...], list[int]] = defaultdict(list)
        for number, sight in enumerate(sights):
            interface = self.interface(sight.namespace, sight.interface)
            if sight.direction == "out" and interface and interface.master:
                packet = sight.packet
                place = sight.namespace, interface.master, packet.destination_mac, packet.ttl
                flooded[place].append(number)
        for numbers in flooded.values():
            ports = {number: self.interface(sights[number].namespace, sights[number].interface)
                     for number in numbers}  # fmt: skip
            right = {
                number
                for number, port in ports.items()
                if port and (port.peer, sights[number].packet.destination_mac) in taken
            }
            # What nobody here takes is for somebody behind the tunnel.
            right = right or {n for n, port in ports.items() if port and port.kind == "vxlan"}
            if right and len(numbers) > 1:
                found |= set(numbers) - right
        return found

    @staticmethod
    def ref(sight: Sight) -> InterfaceRef:
        return InterfaceRef(sight.namespace, sight.interface)

    def interface(self, namespace: str, name: str) -> Interface | None:
        space = self.namespaces.get(namespace)
        return space.interface(name) if space else None

    # Rules

    def place(self, leg: str, hops: list[Hop]) -> tuple[list[tuple[Pass, ...]], tuple[Pass, ...]]:
        """For each hop the passes since the one before, and those after the last."""
        before: list[list[Pass]] = [[] for _ in hops]
        last: list[Pass] = []
        for space, passes in self.evidence.passes.items():
            own = [number for number, hop in enumerate(hops) if hop.namespace == space]
            at = 0
            for found in passes:
                if self.leg_of(found, hops) != leg:
                    continue
                number = self.slot(found, hops, own, at)
                if own:
                    at = sum(1 for it in own if it < number)
                (before[number] if number < len(hops) else last).append(found)
        return [self.settled(found) for found in before], self.settled(last)

    def slot(self, found: Pass, hops: list[Hop], own: list[int], at: int) -> int:
        """The number of the hop that a pass comes before.

        own: of the hops in its namespace.  at: how many of these it comes after at least.
        """
        outgoing = found.hook in OUTGOING
        if not own:
            return self.tunnel_slot(found, hops, outgoing)
        name = found.egress if outgoing else found.ingress
        place = self.position(hops, own, at, name, outgoing)
        if outgoing and place < len(own):
            return own[place]
        return own[place - 1] + 1 if place else own[0]

    def tunnel_slot(self, found: Pass, hops: list[Hop], outgoing: bool) -> int:
        """Where a pass belongs in whose namespace nothing of the packet can be seen."""
        host = self.namespaces[found.namespace].host
        for number, hop in enumerate(hops):
            if self.namespaces[hop.namespace].host == host and self.is_tunnel(hop):
                if outgoing and hop.direction == "out":
                    return number + 1
                if not outgoing and hop.direction == "in":
                    return number
        return len(hops)

    def is_tunnel(self, hop: Hop) -> bool:
        interface = self.interface(hop.namespace, hop.interface)
        return interface is not None and interface.kind == "vxlan"

    def position(self, hops: list[Hop], own: list[int], at: int, name: str, outgoing: bool) -> int:
        """After how many of its namespace's own hops a pass comes, not fewer than ``at``."""
        direction = "out" if outgoing else "in"
        start = at if outgoing else max(at - 1, 0)
        # The kernel names a bridge where a port of it was seen; and the interface of the route
        # that it had found before a translation changed it.
        tests: list[Callable[[Hop], bool]] = [
            lambda hop: hop.interface == name,
            lambda hop: self.master(hop) == name,
            lambda hop: outgoing,
        ]
        for test in tests:
            for number in range(start, len(own)):
                hop = hops[own[number]]
                if hop.direction == direction and test(hop):
                    return number if outgoing else number + 1
        return len(own) if outgoing else at

    def master(self, hop: Hop) -> str:
        interface = self.interface(hop.namespace, hop.interface)
        return interface.master if interface else ""

    @staticmethod
    def settled(passes: list[Pass]) -> tuple[Pass, ...]:
        """Each once, without those in which nothing but a policy of ACCEPT spoke."""
        seen: dict[tuple[object, ...], Pass] = {}
        for it in passes:
            if it.verdict == "drop" or any(match.rule for match in it.matches):
                seen.setdefault((it.table, it.chain, it.matches), it)
        return tuple(seen.values())

    def leg_of(self, found: Pass, hops: list[Hop]) -> str:
        if known := self.flows.known(found.packet.flow):
            tcp = found.packet.flow and found.packet.flow.protocol == "tcp"
            return self.flows.leg(found.packet) if tcp and known != "proxied" else known
        if found.packet.payload[:4] == VXLAN_FLAGS:
            return self.tunnelled(found, hops)
        return self.flows.leg(found.packet)

    def tunnelled(self, found: Pass, hops: list[Hop]) -> str:
        """The leg of a VXLAN packet whose inside the trace does not show, as ESP hides it."""
        host = self.namespaces[found.namespace].host
        outgoing = found.hook in OUTGOING
        for hop in hops:
            if (
                self.is_tunnel(hop)
                and self.namespaces[hop.namespace].host == host
                and (hop.direction == "out") == outgoing
            ):
                return hop.leg
        return ""

    # Questions to the kernel

    def questions(self, hops: Mapping[str, list[Hop]], ask: Ask) -> dict[Question, str]:
        wanted: dict[Question, None] = {}
        for leg in ("probe", "proxied"):
            earlier = None
            for hop in taken(hops[leg]):
                wanted |= dict.fromkeys(self.about(earlier, hop))
                earlier = hop
            if earlier and earlier.direction == "in":
                wanted |= dict.fromkeys(self.onward(earlier))
        listed = list(wanted)
        return dict(zip(listed, ask(listed), strict=True)) if listed else {}

    def about(self, earlier: Hop | None, hop: Hop) -> Iterator[Question]:
        space = self.namespaces[hop.namespace]
        flow = hop.packet.flow
        if flow and flow.protocol in ("tcp", "udp", "icmp", "ipv6-icmp"):
            yield ask_connection(hop.namespace, flow)
        if routed := self.routed(earlier, hop):
            yield ask_route(space, *routed)
        if hop.direction == "out" and (asked := self.switched(hop)):
            question = ask_forwarding(space, asked, hop.packet.destination_mac)
            if question:
                yield question

    def onward(self, last: Hop) -> Iterator[Question]:
        """Which way it would have gone on from the namespace that it came into last."""
        space = self.namespaces[last.namespace]
        if last.packet.flow and last.packet.flow.destination not in _addresses(space):
            yield ask_route(space, last.packet.flow, last.interface)

    def routed(self, earlier: Hop | None, hop: Hop) -> tuple[Flow, str] | None:
        """The flow that a route was looked up for before this hop, and where it came in."""
        if hop.direction != "out" or hop.packet.flow is None:
            return None
        encapsulated = earlier is not None and hop.packet.depth > earlier.packet.depth
        if encapsulated:
            return (hop.packet.outer, "") if hop.packet.outer else None
        if earlier is None:
            return hop.packet.flow, ""
        same = earlier.namespace == hop.namespace and earlier.direction == "in"
        if same and earlier.packet.ttl == hop.packet.ttl + 1:
            source = earlier.packet.flow or hop.packet.flow
            flow = dataclasses.replace(hop.packet.flow, source=source.source)
            return flow, earlier.interface
        return None

    def switched(self, hop: Hop) -> str:
        """The bridge or VXLAN interface whose forwarding table sent it out here, or ""."""
        interface = self.interface(hop.namespace, hop.interface)
        if interface is None:
            return ""
        return interface.name if interface.kind == "vxlan" else interface.master

    # What changed

    def explained(self, leg: str, hops: list[Hop]) -> Iterator[Hop]:
        earlier: Hop | None = None
        for hop in hops:
            if hop.copy:
                yield hop
                continue
            asked = {} if leg == "answer" else self.answers(earlier, hop)
            if asked.get("entry") and self.flooded(hop, hops):
                # What the table has now it learned from the answer.
                asked["entry"] = None
            told = dataclasses.replace(
                hop,
                changes=tuple(self.changes(leg, earlier, hop)),
                **asked,  # type: ignore[arg-type]
            )
            if told.connection and told.connection.translated:
                self.translating.add(hop.namespace)
            yield told
            earlier = told

    def flooded(self, hop: Hop, hops: list[Hop]) -> bool:
        """Whether the bridge that sent it out here sent copies out elsewhere."""
        return any(
            it.copy
            and (it.namespace, it.direction) == (hop.namespace, "out")
            and self.master(it) == self.master(hop)
            for it in hops
        )

    def answers(self, earlier: Hop | None, hop: Hop) -> dict[str, object]:
        space = self.namespaces[hop.namespace]
        found: dict[str, object] = {}
        for question in self.about(earlier, hop):
            answer = self.looked_up.get(question, "")
            if question.kind == CT_GET and hop.packet.flow:
                found["connection"] = read_connection(answer, hop.packet.flow.protocol)
            elif question.kind == RTM_GETROUTE:
                found["route"] = read_route(answer, space)
            elif question.kind == RTM_GETNEIGH:
                found["entry"] = read_forwarding(answer, space)
        return found

    def changes(self, leg: str, earlier: Hop | None, hop: Hop) -> Iterator[Change]:
        now = hop.packet
        if earlier is None:
            yield from self.first_changes(leg, hop)
            return
        then = earlier.packet
        if now.depth != then.depth:
            yield self.tunnel(earlier, hop)
        elif hop.vlan != earlier.vlan:
            before, after = (str(it.vlan or "") for it in (earlier, hop))
            yield Change("tagging", "VLAN", before, after, "the tag is beside the frame")
        if then.flow and now.flow and then.flow != now.flow and not now.quoted:
            yield from self.translated(earlier.namespace, then.flow, now.flow, hop)
        if then.ttl == now.ttl + 1:
            yield Change("routing", "TTL", str(then.ttl), str(now.ttl), "the TTL is one less")

    def first_changes(self, leg: str, hop: Hop) -> Iterator[Change]:
        if leg == "probe" and self.probe.protocol != "icmp" and hop.packet.flow:
            begun = Flow(
                self.probe.protocol, self.sent.address, self.sent.port,
                self.probe.address, self.probe.port,
            )  # fmt: skip
            if begun != hop.packet.flow:
                yield from self.translated(hop.namespace, begun, hop.packet.flow, hop)
        if leg == "proxied":
            host = self.namespaces[hop.namespace].host
            words = self.proxy(host, hop.packet.flow)
            yield Change(
                "proxy", "connection", endpoint(self.probe.address, self.probe.port),
                _destination(hop.packet.flow) if hop.packet.flow else "",
                "the probe's characters are on a new connection"
                + (f"; {' '.join(words)}" if words else ""),
            )  # fmt: skip

    def proxy(self, host: str, flow: Flow | None) -> tuple[str, ...]:
        """The command line of the userland proxy that opens that flow, or nothing."""
        for words in self.evidence.proxies.get(host, ()):
            options = dict(pairwise(words))
            if flow and (options.get("-container-ip"), options.get("-container-port")) == (
                flow.destination, str(flow.destination_port),
            ):  # fmt: skip
                return words[:-1] if words[-1] == "-use-listen-fd" else words
        return ()

    def tunnel(self, earlier: Hop, hop: Hop) -> Change:
        inside = "the frame inside is the one of the hop before"
        if hop.packet.depth > earlier.packet.depth:
            outer = hop.packet.outer
            way = f"{outer.source} → {outer.destination}" if outer else ""
            return Change("encapsulation", "tunnel", "", f"{hop.packet.tunnel}, {way}", inside)
        return Change("decapsulation", "tunnel", earlier.packet.tunnel, "", inside)

    def translated(self, namespace: str, then: Flow, now: Flow, hop: Hop) -> Iterator[Change]:
        ends = (
            ("destination", TO_DESTINATION, _destination(then), _destination(now)),
            ("source", TO_SOURCE, _source(then), _source(now)),
        )
        for what, targets, before, after in ends:
            if before == after:
                continue
            kind, evidence = self.cause(namespace, targets, hop, then)
            yield Change(kind, what, before, after, evidence)

    def cause(
        self, namespace: str, targets: tuple[str, ...], hop: Hop, then: Flow
    ) -> tuple[str, str]:
        for found in reversed(hop.passes):
            if match := found.rule(*targets):
                assert match.rule
                return match.rule.target, f"{found.table} {match.chain}, rule {match.number}"
        flow = hop.packet.flow
        listed = self.virtual(namespace, then, flow) if flow else ""
        # IPVS exchanges the servers; it is connection tracking that knows the client.
        if listed and (hop.leg == "answer") == (targets == TO_SOURCE):
            return "IPVS", f"IPVS lists {listed}"
        if hop.leg == "answer" and namespace in self.translating:
            return "NAT", "undone for the answer, as it remembers the connection"
        return "", ""

    def virtual(self, namespace: str, then: Flow, now: Flow) -> str:
        """The connection of IPVS in that namespace which translated a flow, or "".

        A line has a client, a virtual and a real server, in hexadecimal.
        """
        known = {end for flow in (then, now) for end in (_source(flow), _destination(flow))}
        for line in self.evidence.virtual.get(namespace, "").splitlines()[1:]:
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

    # What could not be seen

    def find_encrypted(self, hops: list[Hop]) -> None:
        """Tell of the ESP packets between a tunnel's entrance and where it was seen again."""
        for earlier, hop in pairwise([*taken(hops), None]):
            if not earlier or not self.is_tunnel(earlier) or earlier.direction != "out":
                continue
            if hop and not self.is_tunnel(hop):
                continue
            since = self.begun + earlier.microseconds * 1000
            until = self.begun + hop.microseconds * 1000 if hop else since + SECOND
            count = sum(
                1
                for sight in self.evidence.sights
                if sight.packet.flow
                and sight.packet.flow.protocol == "esp"
                and since <= sight.time <= until
                and sight.direction == "out"
            )
            if count:
                after = f"and {hop.interface} of {hop.namespace}" if hop else "and wherever it went"
                self.unseen.append(
                    f"Between {earlier.interface} of {earlier.namespace} {after} it was encrypted: "
                    f"{count} ESP packet{'s' if count > 1 else ''} went out then. "
                    "Which of them holds the probe cannot be seen."
                )

    # Where it ended

    def ending(
        self, hops: Mapping[str, list[Hop]], after: Mapping[str, tuple[Pass, ...]]
    ) -> Ending:
        way = taken(hops["proxied"] or hops["probe"])
        passes = after["proxied" if hops["proxied"] else "probe"]
        if not way:
            return next(self.never_left(passes))
        last = way[-1]
        changes = tuple(self.last_changes(last, passes))
        ending = self.answered(taken(hops["answer"]), last, after)
        ending = ending or next(self.silent(last, passes, changes))
        if self.sent.outcome in ANSWERED and ending.outcome != "answered":
            # What was seen is never all, and the sender's own socket knows.
            why = "the sender got an answer; part of its way back was not seen"
            ending = Ending("answered", last.namespace, why)
        return dataclasses.replace(
            ending, passes=ending.passes or passes, changes=ending.changes or changes
        )

    def last_changes(self, last: Hop, passes: tuple[Pass, ...]) -> Iterator[Change]:
        """What a rule does to a packet that nobody sees any more, as it has arrived."""
        for found in passes:
            if match := found.rule("REDIRECT", "DNAT"):
                assert match.rule
                connection = last.connection
                after = option(match.rule.text, "--to-destination")
                if connection and connection.translated:
                    after = endpoint(connection.reply.source, connection.reply.source_port)
                flow = last.packet.flow
                before = _destination(flow) if flow else ""
                yield Change(
                    match.rule.target, "destination", before, after,
                    f"{found.table} {match.chain}, rule {match.number}",
                )  # fmt: skip

    def never_left(self, passes: tuple[Pass, ...]) -> Iterator[Ending]:
        """What may have ended it before it was seen; the first one counts."""
        probe, sent = self.probe, self.sent
        said = (f"its kernel says: {sent.error}",) if sent.error else ()
        if sent.outcome in ANSWERED:
            yield Ending("answered", probe.source, "the sender was answered, and nothing was seen")
        if dropped := _dropping(passes):
            why = _by_rule(*dropped)
            yield Ending("dropped", probe.source, why, TRACED, dropped[1], passes)
        if sent.outcome == "EMSGSIZE":
            why = (
                f"{probe.source} cannot send {probe.size} bytes in one piece: they do not fit the "
                "MTU of the interface on the way"
            )
            yield Ending("dropped", probe.source, why, said)
        if waiting := self.asked_in_vain(probe.source):
            yield Ending("dropped", probe.source, waiting, (), None, passes)
        if sent.error:
            words = REFUSALS.get(sent.outcome, "cannot send to")
            yield Ending("dropped", probe.source, f"{probe.source} {words} {probe.address}", said)
        why = f"it was seen on no interface of {probe.source}"
        yield Ending("lost", probe.source, why, self.losses(probe.source), None, passes)

    def answered(
        self, answers: list[Hop], last: Hop, after: Mapping[str, tuple[Pass, ...]]
    ) -> Ending | None:
        if not answers:
            return None
        first, newest = answers[0], answers[-1]
        packet = first.packet
        # What is first seen as it comes in began beyond the hosts.
        beyond = packet.flow.source if packet.flow else ""
        who = first.namespace if first.direction == "out" else beyond
        if packet.quoted and packet.icmp:
            return self.reported(first, who, last, after)
        came = newest.namespace == self.probe.source and newest.direction == "in"
        late = newest.microseconds >= 1e6 * self.sent.seconds
        if came and "R" in packet.flags and self.sent.outcome != "silence":
            return self.reset(who, first, last, after["probe"])
        heard = self.sent.outcome in ANSWERED or (self.sent.outcome == "silence" and late)
        if not came or not heard:
            return self.answer_lost(newest, after["answer"])
        what = {"tcp": "SYN-ACK: the port is open", "icmp": "echo reply"}
        evidence = what.get(self.probe.protocol, "a datagram")
        who = last.namespace if last.leg == "proxied" else who
        why = "its answer came back"
        if self.sent.outcome == "silence":
            why += f", after the {self.sent.seconds} s that the sender waits for it"
        return Ending("answered", who, why, (evidence,))

    def reset(self, who: str, first: Hop, last: Hop, passes: tuple[Pass, ...]) -> Ending:
        """What an RST says about the probe. who: sent it."""
        if rejected := _dropping(passes):
            return Ending("refused", who, _by_rule(*rejected), ("RST",), rejected[1])
        why = "the connection was refused"
        if first.direction == "out":
            port = last.packet.flow.destination_port if last.packet.flow else self.probe.port
            why = f"nothing listens on port {port} there"
        return Ending("refused", who, why, ("RST",))

    def answer_lost(self, newest: Hop, passes: tuple[Pass, ...]) -> Ending:
        """Where an answer ended that did not come to the sender."""
        place = newest.namespace
        why = f"the answer came as far as {newest.interface} of {place}"
        if lost := _dropping(passes):
            where = lost[0].namespace
            why = f"{why}, and {_by_rule(*lost)} in {where}"
            return Ending("dropped", where, why, TRACED, lost[1], passes)
        return Ending("lost", place, why, self.losses(place), None, passes)

    def reported(
        self, first: Hop, who: str, last: Hop, after: Mapping[str, tuple[Pass, ...]]
    ) -> Ending:
        """What an ICMP error says about the probe. who: sent it."""
        assert first.packet.icmp and first.packet.flow
        protocol = first.packet.flow.protocol
        kind, code = first.packet.icmp
        # The headers that it quotes come after its own.
        said = next(it.text for it in first.packet.headers if it.protocol.startswith("ICMP"))
        evidence = (f"ICMP from {first.packet.flow.source}: {said}",)
        if rejected := _dropping(after["probe"]):
            return Ending("refused", who, _by_rule(*rejected), evidence, rejected[1])
        flow = last.packet.flow
        address, port = self.probe.address, self.probe.port
        if flow:
            address, port = flow.destination, flow.destination_port
        meaning = MEANINGS.get((protocol, kind, code)) or MEANINGS.get((protocol, kind, None), "")
        outcome, why = {
            "port": ("refused", f"no socket has port {port} there"),
            "size": ("dropped", f"it is larger than the next MTU from {who} on, and is not to be"
                     " cut up"),
            "forbidden": ("refused", "a rule there forbids it"),
            "ttl": ("dropped", "its TTL ran out"),
            "route": ("dropped", f"{who} has no way to {address}"),
        }.get(meaning, ("dropped", f"{who} reports: {said}"))  # fmt: skip
        return Ending(outcome, who, why, evidence)

    def silent(
        self, last: Hop, passes: tuple[Pass, ...], changes: tuple[Change, ...]
    ) -> Iterator[Ending]:
        """What may have ended it where it was seen last, if no answer was; the first one counts."""
        place, flow = last.namespace, last.packet.flow
        if dropped := _dropping(passes):
            yield Ending("dropped", place, _by_rule(*dropped), TRACED, dropped[1])
        if self.sent.outcome in ANSWERED:
            why = "the sender was answered; what answers bears no mark, and was not followed"
            yield Ending("answered", place, why)
        # It may have a new destination that nobody has seen it with.
        destination = flow.destination if flow else ""
        for change in changes:
            destination = change.after.rpartition(":")[0].strip("[]") or change.after
        arrived = last.direction == "in" and destination in _addresses(self.namespaces[place])
        if waiting := self.asked_in_vain(place, last):
            if arrived:
                yield Ending(
                    "unanswered", place, f"it arrived, and its answer cannot leave: {waiting}"
                )
            yield Ending("dropped", place, waiting)
        losses = self.losses(place)
        if last.direction == "out":
            yield self.gone(last, losses)
        if certain := [it for it in losses if any(name in it for name in CERTAIN)]:
            why = f"it came in by {last.interface} and went no further: {certain[0]}"
            yield Ending("dropped", place, why, losses)
        if arrived:
            if self.probe.protocol == "udp" and not losses:
                yield Ending("delivered", place, "it arrived; UDP asks for no answer")
            yield Ending("unanswered", place, "it arrived, and nothing answered", losses)
        yield from self.stuck(last, destination, losses)

    def gone(self, last: Hop, losses: tuple[str, ...]) -> Ending:
        """What is known of a packet that was last seen going out."""
        place, name = last.namespace, last.interface
        interface = self.interface(place, name)
        if interface and interface.peer and interface.peer.namespace in self.evidence.deaf:
            why = f"it went out by {name} to {interface.peer}, where nobody listened"
        elif interface and interface.peer:
            why = f"it went out by {name} and did not come in at {interface.peer}"
        elif interface and interface.kind in BEYOND:
            why = f"it went out by {name} and was seen {BEYOND[interface.kind]}"
        else:
            why = f"it went out by {name}, beyond the hosts, and nothing came back"
            return Ending("left", place, why)
        return Ending("lost", place, why, losses)

    def stuck(self, last: Hop, destination: str, losses: tuple[str, ...]) -> Iterator[Ending]:
        """What is known of a packet that came in where it does not belong, and went no further."""
        place, space = last.namespace, self.namespaces[last.namespace]
        for question in self.onward(last):
            if number := refusal(self.looked_up.get(question, "")):
                route = _route(space, destination)
                why = f"{place} has no route to {destination}"
                if route and route.kind != "unicast":
                    why = f"the route {route} of {place} forbids it"
                said = f"asked for a route, its kernel says: {os.strerror(number)}"
                yield Ending("dropped", place, why, (said, *losses))
        why = f"it came in by {last.interface} and went no further"
        yield Ending("lost", place, why, losses)

    def asked_in_vain(self, place: str, last: Hop | None = None) -> str:
        """Which next hop answered no ARP request of that namespace; "" if none was asked so."""
        space = self.namespaces[place]
        next_hops = {route.gateway for route in space.routes} | {self.probe.address}
        if last and last.packet.flow:
            # What has come in may wait to be passed on, or its answer to leave.
            flow = last.packet.flow
            next_hops |= {flow.destination, flow.source if last.direction == "in" else ""}
        if last and last.connection:
            next_hops.add(last.connection.reply.source)
        asked: dict[str, str] = {}
        for sight in self.evidence.sights:
            interface = self.interface(place, sight.interface)
            # A bridge's port passes on what others ask.
            if (
                sight.namespace != place
                or not sight.packet.arp
                or not interface
                or interface.master
            ):
                continue
            operation, wanted, sender = sight.packet.arp
            if operation == ARP_REQUEST and sight.direction == "out" and wanted in next_hops:
                asked[wanted] = sight.interface
            elif operation == ARP_REPLY:
                asked.pop(sender, None)
        for wanted, name in asked.items():
            return f"nobody on {name} of {place} answers its ARP request for {wanted}"
        return ""

    def losses(self, place: str) -> tuple[str, ...]:
        """What the kernel counted there while the probe was on its way."""
        counted = self.evidence.counters.get(place, {})
        return tuple(
            f"{words}: {name} counted {counted[name]} more there"
            for group in ("ip", self.probe.protocol)
            for name, words in LOSSES[group].items()
            if counted.get(name)
        )


def _source(flow: Flow) -> str:
    # The port of an ICMP echo is its identifier, which is no part of an address.
    return endpoint(flow.source, 0 if "icmp" in flow.protocol else flow.source_port)


def _destination(flow: Flow) -> str:
    return endpoint(flow.destination, flow.destination_port)


def _addresses(space: Namespace) -> set[str]:
    return {
        address.partition("/")[0] for interface in space.interfaces
        for address in interface.addresses
    }  # fmt: skip


def _route(space: Namespace, address: str) -> Route | None:
    """The most specific route of the main table to an address."""
    found = [
        route for route in space.routes
        if (":" in route.destination) == (":" in address) or route.destination == "default"
        if route.destination == "default"
        or ip_address(address) in ip_network(route.destination, strict=False)
    ]  # fmt: skip
    return max(found, key=lambda it: it.destination != "default" and
               ip_network(it.destination, strict=False).prefixlen, default=None)  # fmt: skip


def _dropping(passes: tuple[Pass, ...]) -> tuple[Pass, Match] | None:
    """The pass that a packet did not survive, and the rule or policy that ended it."""
    for found in passes:
        if found.verdict == "drop":
            return found, found.matches[-1]
    return None


def _by_rule(found: Pass, match: Match) -> str:
    if match.policy:
        return f"the policy of {found.table} {found.chain} drops it"
    rule = f"rule {match.number}" if match.number else "a rule that is gone since"
    verb = "refuses" if match.rule and match.rule.target == "REJECT" else "drops"
    return f"{rule} of {found.table} {match.chain} {verb} it"
