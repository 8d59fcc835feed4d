"""From what was heard of a probe to its journey.

Sights are told apart by the marks that stay (``Probe``), put in order by the kernel's clock,
which all namespaces share, and by how interfaces are stacked where its time is the same, and
joined with the rules by namespace, interface and order.
"""

from __future__ import annotations

from sandbox.model.follow.changes import explain
from sandbox.model.follow.ending import find_ending
from sandbox.model.follow.lookups import Ask, look_up
from sandbox.model.follow.observation import Observation
from sandbox.model.follow.passes import place
from sandbox.model.follow.sights import hops_of, sights_by_leg
from sandbox.model.follow.unseen import unseen
from sandbox.model.journey import LEGS, Evidence, Passage, Probe, Sent
from sandbox.model.state import Snapshot

__all__ = ["Ask", "follow"]


def follow(probe: Probe, sent: Sent, snapshot: Snapshot, evidence: Evidence, ask: Ask) -> Passage:
    """The passage that the evidence shows. ask: puts questions to the hosts' kernels, once."""
    namespaces = {space.id: space for space in snapshot.namespaces()}
    observed = Observation(probe, sent, evidence, namespaces)
    sights, flows = sights_by_leg(observed)
    began = min((it.time for found in sights.values() for it in found), default=0)
    seen = {leg: hops_of(observed, leg, sights[leg], began) for leg in LEGS}
    placed, after = place(observed, flows, seen)
    answers = look_up(observed, placed, ask)
    hops = explain(observed, answers, placed)
    return Passage(
        probe,
        sent,
        tuple(hop for leg in LEGS for hop in hops[leg]),
        find_ending(observed, hops, after, answers),
        tuple(unseen(observed, hops["probe"], began)),
        began,
        snapshot,
    )
