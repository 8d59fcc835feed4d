"""What an answer that was seen says of where the probe ended."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from sandbox.model.follow.drops import by_icmp, by_rule, ended_by, losses
from sandbox.model.follow.observation import Observation
from sandbox.model.journey import Ending, Hop
from sandbox.model.trace import Pass

__all__ = ["ending_by_answer"]


def ending_by_answer(
    observed: Observation,
    answer: Sequence[Hop],
    last: Hop,
    after: Mapping[str, tuple[Pass, ...]],
) -> Ending:
    """Where the probe ended, or what answers it.

    answer: its hops, one at least.  last: the probe's last hop.
    after: by leg the passes after its last hop.
    """
    first, newest = answer[0], answer[-1]
    packet, sent = first.packet, observed.sent
    # What is first seen as it comes in began beyond the hosts.
    beyond = packet.flow.source if packet.flow else ""
    who = first.namespace if first.direction == "out" else beyond
    if packet.quoted and packet.icmp:
        return _reported(observed, first, who, last, after["probe"])
    came = newest.namespace == observed.probe.source and newest.direction == "in"
    late = sent.outcome == "silence" and newest.microseconds >= 1e6 * sent.seconds
    if came and "R" in packet.flags and sent.outcome != "silence":
        return _reset(observed, first, who, last, after["probe"])
    if not came or not (observed.answered or late):
        return _answer_lost(observed, newest, after["answer"])
    what = {"tcp": "SYN-ACK: the port is open", "icmp": "echo reply"}
    why = "its answer came back"
    if late:
        why += f", after the {sent.seconds} s that the sender waits for it"
    evidence = what.get(observed.probe.protocol, "a datagram")
    return Ending("answered", last.namespace if last.leg == "proxied" else who, why, (evidence,))


def _reported(
    observed: Observation, error: Hop, who: str, last: Hop, passes: tuple[Pass, ...]
) -> Ending:
    """What an ICMP error says about the probe. who: sent it.  passes: the probe's last."""
    drop = by_icmp(observed, error, who, last)
    if rejected := by_rule(passes):
        drop = dataclasses.replace(drop, why=rejected.why, rule=rejected.rule, outcome="refused")
    return ended_by(drop)


def _reset(
    observed: Observation, first: Hop, who: str, last: Hop, passes: tuple[Pass, ...]
) -> Ending:
    """What an RST says about the probe. who: sent it.  passes: the probe's last."""
    if rejected := by_rule(passes):
        return Ending("refused", who, rejected.why, ("RST",), rejected.rule)
    why = "the connection was refused"
    if first.direction == "out":
        port = last.packet.flow.destination_port if last.packet.flow else observed.probe.port
        why = f"nothing listens on port {port} there"
    return Ending("refused", who, why, ("RST",))


def _answer_lost(observed: Observation, newest: Hop, passes: tuple[Pass, ...]) -> Ending:
    """Where an answer ended that did not come to the sender. passes: its last."""
    place = newest.namespace
    why = f"the answer came as far as {newest.interface} of {place}"
    if drop := by_rule(passes):
        why = f"{why}, and {drop.why} in {drop.namespace}"
        return ended_by(dataclasses.replace(drop, why=why), passes)
    return Ending("lost", place, why, losses(observed, place), None, passes)
