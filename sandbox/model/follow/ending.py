"""Where the probe ended and why: the first of what may have ended it that is known counts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from sandbox.model.firewall.read import address_of
from sandbox.model.follow.answer import ending_by_answer
from sandbox.model.follow.changes import translations
from sandbox.model.follow.drops import (
    by_counter,
    by_errno,
    by_neighbour,
    by_route,
    by_rule,
    by_size,
    ended_by,
    losses,
)
from sandbox.model.follow.observation import Observation, addresses, interface_of
from sandbox.model.journey import Change, Ending, Hop, taken
from sandbox.model.trace import Pass, Question

__all__ = ["find_ending"]

# Where a packet should be seen next that goes out by an interface of that kind.
BEYOND = {"bridge": "at none of its ports", "vxlan": "in no packet on the LAN"}


def find_ending(
    observed: Observation,
    hops: Mapping[str, Sequence[Hop]],
    after: Mapping[str, tuple[Pass, ...]],
    answers: Mapping[Question, str],
) -> Ending:
    """Where the probe ended, why, and how that is known.

    hops: of each leg.  after: of each leg the passes after its last hop.
    answers: what the kernel looked up.
    """
    leg = "proxied" if hops["proxied"] else "probe"
    way, passes = taken(hops[leg]), after[leg]
    if not way:
        return _never_seen(observed, passes)
    last = way[-1]
    changes = tuple(translations(last, passes))
    if answer := taken(hops["answer"]):
        ending = ending_by_answer(observed, answer, last, after)
    else:
        ending = _silent(observed, last, passes, changes, answers)
    if observed.answered and ending.outcome != "answered":
        # What was seen is never all, and the sender's own socket knows.
        why = "the sender got an answer; part of its way back was not seen"
        ending = Ending("answered", last.namespace, why)
    return dataclasses.replace(ending, passes=ending.passes or passes, changes=changes)


def _never_seen(observed: Observation, passes: tuple[Pass, ...]) -> Ending:
    """What may have ended it before it was seen on any interface."""
    source = observed.probe.source
    if observed.answered:
        return Ending("answered", source, "the sender was answered, and nothing was seen")
    if drop := by_rule(passes):
        return ended_by(dataclasses.replace(drop, namespace=source), passes)
    if drop := by_size(observed):
        return ended_by(drop)
    if drop := by_neighbour(observed, source):
        return ended_by(drop, passes)
    if drop := by_errno(observed):
        return ended_by(drop)
    why = f"it was seen on no interface of {source}"
    return Ending("lost", source, why, losses(observed, source), None, passes)


def _silent(
    observed: Observation,
    last: Hop,
    passes: tuple[Pass, ...],
    changes: Sequence[Change],
    answers: Mapping[Question, str],
) -> Ending:
    """What may have ended it where it was seen last, if no answer was."""
    place = last.namespace
    if drop := by_rule(passes):
        return ended_by(dataclasses.replace(drop, namespace=place))
    if observed.answered:
        why = "the sender was answered; what answers bears no mark, and was not followed"
        return Ending("answered", place, why)
    destination = _destination(last, changes)
    if drop := by_neighbour(observed, place, last):
        if _arrived(observed, last, destination):
            why = f"it arrived, and its answer cannot leave: {drop.why}"
            return Ending("unanswered", place, why)
        return ended_by(drop)
    if last.direction == "out":
        return _went_out(observed, last)
    return _came_in(observed, last, destination, answers)


def _destination(last: Hop, changes: Sequence[Change]) -> str:
    """The address that it goes to: it may have a new one that nobody has seen it with."""
    after = changes[-1].after if changes else ""
    # A rule may change the port alone.
    return address_of(after) or (last.packet.flow.destination if last.packet.flow else "")


def _arrived(observed: Observation, last: Hop, destination: str) -> bool:
    """Whether it was last seen where its destination is."""
    return last.direction == "in" and destination in addresses(observed.namespaces[last.namespace])


def _went_out(observed: Observation, last: Hop) -> Ending:
    """What is known of a packet that was last seen going out."""
    place, name = last.namespace, last.interface
    interface = interface_of(observed, last)
    if interface and interface.peer and interface.peer.namespace in observed.evidence.deaf:
        why = f"it went out by {name} to {interface.peer}, where nobody listened"
    elif interface and interface.peer:
        why = f"it went out by {name} and did not come in at {interface.peer}"
    elif interface and interface.kind in BEYOND:
        why = f"it went out by {name} and was seen {BEYOND[interface.kind]}"
    else:
        why = f"it went out by {name}, beyond the hosts, and nothing came back"
        return Ending("left", place, why)
    return Ending("lost", place, why, losses(observed, place))


def _came_in(
    observed: Observation, last: Hop, destination: str, answers: Mapping[Question, str]
) -> Ending:
    """What is known of a packet that was last seen coming in."""
    place = last.namespace
    counted = losses(observed, place)
    if drop := by_counter(observed, last):
        return ended_by(drop)
    if _arrived(observed, last, destination):
        if observed.probe.protocol == "udp" and not counted:
            return Ending("delivered", place, "it arrived; UDP asks for no answer")
        return Ending("unanswered", place, "it arrived, and nothing answered", counted)
    if drop := by_route(observed, answers, last, destination):
        return ended_by(drop)
    return Ending("lost", place, f"it came in by {last.interface} and went no further", counted)
