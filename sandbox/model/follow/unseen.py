"""What could not be seen of a probe's way, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from sandbox.model.follow.observation import Observation, is_tunnel
from sandbox.model.journey import Hop, taken

__all__ = ["unseen"]

SECOND = 10**9  # in nanoseconds


def unseen(observed: Observation, hops: Sequence[Hop], began: int) -> Iterator[str]:
    """In a sentence each. hops: the probe's.  began: when it was first seen, ns since 1970."""
    for missed in observed.evidence.missed:
        yield f"Not all could be kept: {missed}."
    for earlier, hop in pairwise([*taken(hops), None]):
        if not earlier or not is_tunnel(observed, earlier) or earlier.direction != "out":
            continue
        if hop and not is_tunnel(observed, hop):
            continue
        since = began + earlier.microseconds * 1000
        until = began + hop.microseconds * 1000 if hop else since + SECOND
        if count := _encrypted(observed, since, until):
            after = f"and {hop.interface} of {hop.namespace}" if hop else "and wherever it went"
            yield (
                f"Between {earlier.interface} of {earlier.namespace} {after} it was encrypted: "
                f"{count} ESP packet{'s' if count > 1 else ''} went out then. "
                "Which of them holds the probe cannot be seen."
            )


def _encrypted(observed: Observation, since: float, until: float) -> int:
    """How many ESP packets went out between two times, in ns since 1970."""
    return sum(
        1
        for sight in observed.evidence.sights
        if sight.packet.flow
        and sight.packet.flow.protocol == "esp"
        and since <= sight.time <= until
        and sight.direction == "out"
    )
