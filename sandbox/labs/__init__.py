"""Labs that grade themselves: what a lab's author writes with."""

from sandbox.labs.checks import (
    Condition,
    Finding,
    answered,
    built_like,
    firewall_drops,
    has_mac,
    has_route,
    holds,
    in_swarm,
    isolated,
    network,
    nothing_else_changed,
    published,
    reaches,
    resolves,
    runs,
    same_l2,
    shares_parent_mac,
    source_seen,
    spread,
    survives_restart,
)
from sandbox.labs.lab import Lab, Task, load, names
from sandbox.labs.report import Report
from sandbox.labs.scenario import Draw
from sandbox.labs.scene import NotThere, Scene
from sandbox.labs.session import Session

__all__ = [
    "Condition",
    "Draw",
    "Finding",
    "Lab",
    "NotThere",
    "Report",
    "Scene",
    "Session",
    "Task",
    "answered",
    "built_like",
    "check",
    "firewall_drops",
    "has_mac",
    "has_route",
    "holds",
    "in_swarm",
    "isolated",
    "load",
    "names",
    "network",
    "nothing_else_changed",
    "published",
    "reaches",
    "resolves",
    "runs",
    "same_l2",
    "shares_parent_mac",
    "source_seen",
    "spread",
    "survives_restart",
]


def check(title: str, points: int, *conditions: Condition, hints: tuple[str, ...] = ()) -> Task:
    """A task, which earns its points when all conditions hold; see ``Task``."""
    return Task(title, points, conditions, hints)
