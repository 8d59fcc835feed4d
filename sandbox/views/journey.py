"""A probe's way through the hosts: as text, as a table, and step by step on the topology."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sandbox.model.firewall.words import describe
from sandbox.model.journey import Change, Hop, Passage, endpoint, taken
from sandbox.model.networks import network_of
from sandbox.model.packet import Flow
from sandbox.model.state import HostState, InterfaceRef, Rule, Snapshot
from sandbox.model.trace import Pass
from sandbox.views.graph import DETAILS, places
from sandbox.views.names import short_name
from sandbox.views.page import unwritable
from sandbox.views.picture import draw
from sandbox.views.topology import Drawing

__all__ = ["Journey", "Places", "acted"]

# Verdicts of rules that only lead on to others, or back.
LEADS_ON = ("jump", "goto", "return", "")
GOOD = ("answered", "delivered")
# The hooks that a packet passes before its route is looked up, and those after it.
BEFORE_ROUTING = ("ingress", "prerouting", "output")
AFTER_ROUTING = ("input", "forward", "postrouting", "egress")
TOLD_ELSEWHERE = ("routing", "encapsulation", "decapsulation")


class Journey(Drawing):
    """What ``sandbox.journey`` gives. passage: all of it, as data.

    A notebook shows it step by step, a terminal as text.
    """

    def __init__(self, passage: Passage) -> None:
        super().__init__(title(passage), "journey")
        self.passage = passage

    def data(self) -> dict[str, Any]:
        shown = on_the_way(self.passage)
        picture = draw(shown, detail="full")
        return {**picture.data, "text": self.text, "journey": steps(self.passage, shown)}

    @property
    def hops(self) -> tuple[Hop, ...]:
        """Where the probe was seen, then where its answer was."""
        return self.passage.hops

    @property
    def outcome(self) -> str:
        """``answered``, ``delivered``, ``refused``, ``dropped`` …, see ``model.journey.Ending``."""
        return self.passage.ending.outcome

    @property
    def text(self) -> str:
        """The journey as lines of text."""
        return "\n".join(_lines(self.passage))

    def to_dict(self) -> dict[str, Any]:
        """All of it but the snapshot as JSON-ready values; bytes are in hexadecimal."""
        told = dataclasses.asdict(dataclasses.replace(self.passage, snapshot=None))  # type: ignore[arg-type]
        del told["snapshot"]
        found: dict[str, Any] = _ready(told)
        return found

    def to_pcap(self, path: str | Path) -> Path:
        """Write the frames of every hop to path, in pcapng, as Wireshark reads it; return its path.

        Each is on an interface named after its place, and has its hop's number as comment.
        Raises SandboxError if it cannot be written.
        """
        from scapy.layers.l2 import Dot1Q, Ether
        from scapy.utils import PcapNgWriter

        path = Path(path)
        try:
            with PcapNgWriter(str(path)) as out:
                for number, hop in enumerate(self.passage.hops, 1):
                    frame = Ether(hop.frame)
                    if hop.vlan is not None:
                        # The kernel keeps the tag beside the frame.
                        tag = Dot1Q(vlan=hop.vlan, type=frame.type)
                        frame = Ether(src=frame.src, dst=frame.dst) / tag / frame.payload
                    frame.time = (self.passage.began + hop.microseconds * 1000) / 1e9
                    frame.sniffed_on = f"{hop.namespace} {hop.interface}"
                    frame.comment = f"{hop.leg}, hop {number}, {hop.direction}".encode()
                    out.write(frame)
        except OSError as error:
            raise unwritable(f"The capture could not be saved as {path}.", error) from None
        return path


def _ready(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _ready(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_ready(inner) for inner in value]
    return value.hex() if isinstance(value, bytes) else value


def title(passage: Passage) -> str:
    """Who sent what to whom, in one line."""
    probe = passage.probe
    to = endpoint(probe.address, probe.port)
    named = f"{probe.target} ({to})" if probe.target != probe.address else to
    named += ", looked up there" if probe.looked_up else ""
    return f"{probe.protocol} {probe.source} → {named}"


def _lines(passage: Passage) -> Iterator[str]:
    yield title(passage)
    places = Places(passage)
    own = taken(hop for hop in passage.hops if hop.leg != "answer")
    widths = [
        max((len(cell) for cell in column), default=0)
        for column in zip(*(places.where(hop) for hop in own), strict=True)
    ] or [0, 0]
    earlier = ""
    for number, hop in enumerate(own, 1):
        yield from (f"      {note}" for note in notes(passage, hop))
        told = flow_text(hop)
        where = "  ".join(
            cell.ljust(width) for cell, width in zip(places.where(hop), widths, strict=True)
        )
        shown = "" if told == earlier else told
        when = f"{hop.direction:<3} {hop.microseconds:6.0f} µs"
        yield f"{number:2}  {where}  {when}  {shown}".rstrip()
        earlier = told
    yield from (f"      {note}" for note in last_notes(passage))
    yield ending_text(passage)
    if answer := taken(passage.leg("answer")):
        yield from _answer_lines(passage, answer, places)
    yield from _asides(passage, places)


def _asides(passage: Passage, places: Places) -> Iterator[str]:
    """What is beside the way: flooded copies, and what could not be seen."""
    copies = dict.fromkeys(
        " ".join(places.where(hop))
        for hop in passage.leg("probe")
        if hop.copy and hop.direction == "in"
    )
    if copies:
        yield f"a bridge flooded it also to {', '.join(copies)}, where nobody takes it"
    yield from passage.unseen


def _answer_lines(passage: Passage, answer: list[Hop], places: Places) -> Iterator[str]:
    first, last = answer[0], answer[-1]
    yield (
        f"back: {' '.join(places.where(first))} {first.direction} …"
        f" {' '.join(places.where(last))} {last.direction},"
        f" {len(answer)} hop{'s' if len(answer) > 1 else ''}, at {last.microseconds:.0f} µs"
    )
    for hop in answer:
        yield from (f"      in {_short(hop.namespace)}: {note}" for note in notes(passage, hop))


class Places:
    """What the interfaces are called, and whose those are whose names nobody chose."""

    def __init__(self, passage: Passage) -> None:
        self._names = dict(_names(passage))

    def where(self, hop: Hop) -> tuple[str, str]:
        """The namespace and the interface of a hop."""
        named = self._names.get(InterfaceRef(hop.namespace, hop.interface), "")
        return _short(hop.namespace), f"{hop.interface}{f' ({named})' if named else ''}"


def _names(passage: Passage) -> Iterator[tuple[InterfaceRef, str]]:
    """For a veth who has its other end, for a bridge the network that it carries."""
    for host in passage.snapshot.hosts:
        for space in host.namespaces:
            for it in space.interfaces:
                if it.kind == "veth" and it.peer and it.peer.namespace != space.id:
                    if space.kind in ("host", "overlay"):
                        yield it.ref, _short(it.peer.namespace).partition("/")[2]
                elif it.kind == "bridge" and space.kind == "host" and it.name.startswith("br-"):
                    network = network_of(host, it)
                    yield it.ref, network.name if network else ""


def _short(namespace: str) -> str:
    host, separator, name = namespace.partition("/")
    return f"{host}{separator}{short_name(name)}"


def flow_text(hop: Hop) -> str:
    """Between whom the packet goes at this hop, a tunnel's ends before what is in it."""
    packet = hop.packet
    if packet.flow is None:
        return ""
    inner = _flow(hop.leg, packet.flow)
    if packet.flags and hop.leg != "probe":
        inner = f"{inner} [{packet.flags}]"
    vlan = f"VLAN {hop.vlan}  " if hop.vlan is not None else ""
    if packet.outer is None:
        return vlan + inner
    return f"{vlan}{packet.outer.source} → {packet.outer.destination}, {packet.tunnel} [{inner}]"


def _flow(leg: str, flow: Flow) -> str:
    """A flow without the port that its sender happened to get."""
    icmp = "icmp" in flow.protocol
    ports = [0 if icmp else flow.source_port, 0 if icmp else flow.destination_port]
    ports[leg == "answer"] = 0
    return f"{endpoint(flow.source, ports[0])} → {endpoint(flow.destination, ports[1])}"


def notes(passage: Passage, hop: Hop) -> list[str]:
    """What happened to the packet between the hop before and this one, in the kernel's order."""
    told = _passes(passage, hop.passes, hop.changes, BEFORE_ROUTING)
    first = [it for it in hop.changes if it.kind == "encapsulation"]
    last = [it for it in hop.changes if it.kind == "decapsulation"]
    rest = [it for it in hop.changes if it.kind not in TOLD_ELSEWHERE and not _by_rule(hop, it)]
    lines = [change_text(passage, it) for it in first] + told
    lines += [change_text(passage, it) for it in rest]
    if hop.route:
        lines.append(f"route: {hop.route}")
    lines += _passes(passage, hop.passes, hop.changes, AFTER_ROUTING)
    lines += [change_text(passage, it) for it in last]
    if hop.entry:
        entry = hop.entry
        where = f"to {entry.destination}" if entry.destination else f"by {entry.interface}"
        how = "permanent" if entry.permanent else "learned"
        lines.append(f"forwarding entry: {entry.mac} {where} ({how})")
    return lines


def _by_rule(hop: Hop, change: Change) -> bool:
    """Whether a rule made a change, which is then told with the rule."""
    return any(found.rule(change.kind) for found in hop.passes)


def _passes(
    passage: Passage, passes: Iterable[Pass], changes: Iterable[Change], hooks: tuple[str, ...]
) -> list[str]:
    """The rules that acted at those hooks, each with what it changed."""
    told = []
    for found in passes:
        if found.hook in hooks:
            lines = acted(found)
            for change in changes:
                if lines and found.rule(change.kind):
                    lines[-1] += f": {_became(passage, change)}"
            told += lines
    return told


def last_notes(passage: Passage) -> list[str]:
    """What happened to it after the last hop."""
    ending = passage.ending
    return _passes(passage, ending.passes, ending.changes, BEFORE_ROUTING + AFTER_ROUTING)


def change_text(passage: Passage, change: Change) -> str:
    """A change in a line."""
    by = f" ({change.evidence})" if change.evidence else ""
    if change.kind == "encapsulation":
        return f"put into a VXLAN packet: {change.after}"
    if change.kind == "decapsulation":
        return f"taken out of the VXLAN packet, {change.before}"
    if change.kind == "tagging":
        return f"tagged with VLAN {change.after}" if change.after else "its VLAN tag is taken off"
    if change.kind == "proxy":
        return f"a proxy took the connection, and opens its own to {change.after}{by}"
    what = {"NAT": "connection tracking", "": "nothing says who"}.get(change.kind, change.kind)
    return f"{what}: {_became(passage, change)}{by}"


def _became(passage: Passage, change: Change) -> str:
    before, after = (_chosen(passage, it) for it in (change.before, change.after))
    return f"{change.what} {before} becomes {after}"


def _chosen(passage: Passage, end: str) -> str:
    """An end without the port that the sender got by chance."""
    return end.removesuffix(f":{passage.sent.port}") if passage.sent.port else end


def acted(found: Pass) -> list[str]:
    """The rules of a pass that did something, each with the chains that led to it."""
    told, path = [], [found.chain]
    for match in found.matches:
        if match.chain in path:
            del path[path.index(match.chain) + 1 :]
        else:
            path.append(match.chain)
        if match.verdict in ("jump", "goto") and match.rule:
            path.append(match.rule.target)
            continue
        if match.policy and match.verdict == "drop":
            told.append(f"{found.table} {found.chain}: policy DROP")
        if match.rule and (match.verdict not in LEADS_ON):
            chains = " › ".join(path)
            told.append(f"{found.table} {chains} rule {match.number}: {_rule(match.rule)}")
    return told


def _rule(rule: Rule) -> str:
    text = describe(rule)
    return text if len(text) <= 100 else text[:99] + "…"


def ending_text(passage: Passage) -> str:
    """Where it ended and why, in one line."""
    ending = passage.ending
    evidence = f" ({'; '.join(ending.evidence)})" if ending.evidence else ""
    at = f" at {_short(ending.namespace)}" if ending.namespace else ""
    outcome = "out of sight" if ending.outcome == "left" else ending.outcome
    return f"{outcome}{at}: {ending.why}{evidence}"


def passage_refs(passage: Passage) -> set[InterfaceRef]:
    """The interfaces of all hops but flooded copies."""
    return {InterfaceRef(hop.namespace, hop.interface) for hop in taken(passage.hops)}


def on_the_way(passage: Passage) -> Snapshot:
    """The snapshot without what has no part in the journey."""
    snapshot = passage.snapshot
    interfaces = {it.ref: it for it in snapshot.interfaces()}
    used = passage_refs(passage)
    ends = {passage.probe.source, passage.ending.namespace} - {it.name for it in snapshot.hosts}
    addresses = {passage.probe.address, *(host.address for host in snapshot.hosts)}
    used |= {
        it.ref
        for it in interfaces.values()
        if it.kind != "loopback"
        and (it.namespace in ends or addresses & {a.partition("/")[0] for a in it.addresses})
    }
    # What these are plugged into, and what they stand on.
    for _ in range(2):
        found = [interfaces[ref] for ref in used if ref in interfaces]
        used |= {it.peer for it in found if it.peer} | {it.parent for it in found if it.parent}
        used |= {InterfaceRef(it.namespace, it.master) for it in found if it.master}
    named = {ref.namespace.partition("/")[0] for ref in passage_refs(passage)}
    named |= {passage.probe.source.partition("/")[0], passage.ending.namespace.partition("/")[0]}
    return dataclasses.replace(
        snapshot, hosts=tuple(_reduced(it, used) for it in snapshot.hosts if it.name in named)
    )


def _reduced(host: HostState, used: set[InterfaceRef]) -> HostState:
    kept = []
    for space in host.namespaces:
        own = tuple(it for it in space.interfaces if it.ref in used)
        if own or space.kind == "host":
            kept.append(dataclasses.replace(space, interfaces=own))
    names = {space.id for space in kept if space.interfaces}
    containers = tuple(
        dataclasses.replace(
            it,
            endpoints=tuple(
                e for e in it.endpoints if InterfaceRef(it.namespace, e.interface) in used
            ),
        )
        for it in host.containers
        if it.namespace in names and it.namespace != host.name
    )
    attached = {e.network for it in containers for e in it.endpoints}
    networks = tuple(
        it
        for it in host.networks
        if it.name in attached
        or (it.driver == "bridge" and InterfaceRef(host.name, it.interface) in used)
        or f"{host.name}/overlay:{it.name}" in names
    )
    machines = tuple(it for it in host.machines if used & set(it.interfaces))
    return dataclasses.replace(
        host, namespaces=tuple(kept), containers=containers, networks=networks, machines=machines
    )


def steps(passage: Passage, shown: Snapshot) -> dict[str, Any]:
    """What the front end shows of a journey, JSON-ready. shown: the snapshot that it draws."""
    nodes = {detail: places(shown, detail) for detail in DETAILS}
    named = Places(passage)
    told = []
    earlier: Hop | None = None
    own = taken(passage.hops)
    for hop in own:
        where, interface = named.where(hop)
        ref = InterfaceRef(hop.namespace, hop.interface)
        told.append(
            {
                "leg": hop.leg,
                "where": where,
                "interface": interface,
                "direction": hop.direction,
                "time": f"{hop.microseconds:.0f}",
                "flow": flow_text(hop),
                "notes": notes(passage, hop),
                "headers": _headers(hop, earlier),
                "node": {detail: found[ref] for detail, found in nodes.items() if ref in found},
            }
        )
        earlier = hop
    ending = passage.ending
    last = [hop for hop in own if hop.namespace == ending.namespace][-1:]
    last = last or [hop for hop in own if hop.leg != "answer"][-1:]
    end = {
        "text": ending_text(passage),
        "good": ending.outcome in GOOD,
        "notes": last_notes(passage),
        "unseen": list(_asides(passage, named)),
        "node": {
            detail: found[ref]
            for detail, found in nodes.items()
            for ref in (InterfaceRef(hop.namespace, hop.interface) for hop in last)
            if ref in found
        },
    }
    return {"title": title(passage), "steps": told, "ending": end}


def _headers(hop: Hop, earlier: Hop | None) -> list[dict[str, Any]]:
    """The headers of a hop, with the fields that differ from the hop before marked."""
    then: dict[tuple[str, int], dict[str, str]] = {}
    if earlier and earlier.leg == hop.leg:
        # Seen from the innermost packet, a tunnel's headers are those that come and go.
        depth = earlier.packet.depth
        then = {(it.protocol, depth - it.depth): dict(it.fields) for it in earlier.packet.headers}
    told = []
    for header in hop.packet.headers:
        key = header.protocol, hop.packet.depth - header.depth
        before = then.get(key)
        fields = [
            [name, value, bool(then) and (before is None or before.get(name) != value)]
            for name, value in header.fields
        ]
        told.append(
            {
                "protocol": header.protocol,
                "depth": header.depth,
                "text": header.text,
                "fields": fields,
            }
        )
    if hop.vlan is not None:
        new = earlier is not None and earlier.vlan != hop.vlan
        fields = [["VLAN", str(hop.vlan), new]]
        told.insert(1, {"protocol": "802.1Q", "depth": 0, "text": "", "fields": fields})
    return told
