"""Which leg of the passage a packet belongs to, by the marks that stay on its way (``Probe``).

Addresses and ports may be translated anywhere. Which flows belong to which leg is learned from
one recognised packet after the other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.model.journey import Probe, Sent, endpoint
from sandbox.model.packet import Flow, Packet

__all__ = ["Flows", "destination_of", "first_flow", "initial_flows", "recognise", "source_of"]

REPLIES, REQUESTS = {0, 129}, {8, 128}
# Of a TCP or UDP packet the kernel's trace has so much of the payload, with 12 characters of ours.
MARK = 12


@dataclass(frozen=True, slots=True)
class Flows:
    """The flows that are known so far. legs: one of LEGS by flow."""

    probe: Probe
    legs: Mapping[Flow, str]

    def leg(self, flow: Flow | None) -> str:
        """The leg of a flow, or "" if it is not known."""
        return self.legs.get(flow, "") if flow else ""


def first_flow(probe: Probe, sent: Sent) -> Flow | None:
    """The probe's flow as its sender's socket has it; None of a ping, which has no ports."""
    if probe.protocol == "icmp":
        return None
    return Flow(probe.protocol, sent.address, sent.port, probe.address, probe.port)


def initial_flows(probe: Probe, sent: Sent) -> Flows:
    """What is known before any packet was looked at."""
    flow = first_flow(probe, sent)
    return Flows(probe, {flow: "probe"} if flow else {})


def recognise(flows: Flows, packet: Packet) -> tuple[str, Flows]:
    """The leg of a packet, "" if it belongs to none, and the flows known after it."""
    flow = packet.flow
    leg = _leg(flows, packet, flow) if flow else ""
    if not flow or not leg:
        return "", flows
    seen = {it: leg for it in (flow, packet.outer) if it and it not in flows.legs}
    return leg, dataclasses.replace(flows, legs={**flows.legs, **seen}) if seen else flows


def _leg(flows: Flows, packet: Packet, flow: Flow) -> str:
    marked = packet.payload[:MARK] == flows.probe.cookie[:MARK]
    if packet.quoted:
        return _leg_of_error(flows, packet, packet.quoted)
    if packet.icmp:
        kind = packet.icmp[0]
        if marked and kind in REQUESTS | REPLIES:
            return "probe" if kind in REQUESTS else "answer"
        return ""
    if flow.protocol == "tcp":
        return _leg_of_tcp(flows, packet, flow, marked)
    return _leg_of_udp(flows, flow) if marked and flow.protocol == "udp" else ""


def _leg_of_error(flows: Flows, packet: Packet, quoted: Flow) -> str:
    """The leg of an ICMP error, by the packet that it quotes."""
    probe = flows.probe
    quotes = probe.cookie[:MARK] in packet.payload or (
        probe.protocol == "tcp" and packet.sequence == probe.isn
    )
    # An error about the answer quotes the same.
    return "answer" if quotes and _leg_between(flows, quoted) != "answer" else ""


def _leg_between(flows: Flows, quoted: Flow) -> str:
    """The leg of a quoted packet, by its addresses; "probe" if both may be."""
    legs = {
        leg
        for known, leg in flows.legs.items()
        if (known.source, known.destination) == (quoted.source, quoted.destination)
    }
    return "answer" if legs == {"answer"} else "probe"


def _leg_of_tcp(flows: Flows, packet: Packet, flow: Flow, marked: bool) -> str:
    isn = flows.probe.isn
    if packet.sequence == isn and "S" in packet.flags and "A" not in packet.flags:
        return "probe"
    answers = packet.acknowledgement == (isn + 1) & 0xFFFFFFFF
    if answers and {"S", "R"} & set(packet.flags):
        return "answer"
    # The cookie on a connection that did not begin with the probe: somebody passed it on.
    own = {flows.leg(flow), flows.leg(flow.reversed())} - {"proxied", ""}
    echoed = flows.leg(flow.reversed()) == "proxied"
    return "proxied" if marked and not own and not echoed else ""


def _leg_of_udp(flows: Flows, flow: Flow) -> str:
    if found := flows.leg(flow):
        return found
    if answered := flows.leg(flow.reversed()):
        return "answer" if answered == "probe" else ""
    # Translation leaves an end, or at least the sender's port, as it is.
    for leg in ("answer", "probe"):
        for known, of in flows.legs.items():
            if of == leg and (
                (known.source, known.source_port) == (flow.source, flow.source_port)
                or (known.destination, known.destination_port)
                == (flow.destination, flow.destination_port)
                or (leg == "probe" and known.source_port == flow.source_port)
            ):
                return leg
    return "proxied"


def source_of(flow: Flow) -> str:
    """``172.17.0.2:80``, without the identifier of an ICMP echo, which is no part of an address."""
    return endpoint(flow.source, 0 if "icmp" in flow.protocol else flow.source_port)


def destination_of(flow: Flow) -> str:
    """``172.17.0.2:80``, or the address alone."""
    return endpoint(flow.destination, flow.destination_port)
