"""Real Docker hosts for the course's notebooks.

import sandbox
sb = sandbox.up(hosts=2)
sb.host("a").run("docker network ls")
"""

from sandbox.advice import choose_driver
from sandbox.capacity import Density, density
from sandbox.comparison import Comparison, compare_drivers
from sandbox.errors import CellFailed, SandboxError
from sandbox.faults import break_shop, calls, decision_tree, shop
from sandbox.host import Host, Result
from sandbox.journey import compare_journeys, journey
from sandbox.labs.course import my_progress, restore_progress
from sandbox.labs.session import lab
from sandbox.magic import load_ipython_extension
from sandbox.model.difference import Difference, diff
from sandbox.model.state import Snapshot
from sandbox.questions import Outcome, outcome, predict, quiz
from sandbox.sandbox import Sandbox, down, find, host, reset, snapshot, up
from sandbox.share import share_progress, stop_sharing
from sandbox.show import (
    compare_bridges,
    dissect,
    firewall,
    follow,
    panel,
    practice,
    topology,
    topology_text,
)

__all__ = [
    "CellFailed",
    "Comparison",
    "Density",
    "Difference",
    "Host",
    "Outcome",
    "Result",
    "Sandbox",
    "SandboxError",
    "Snapshot",
    "break_shop",
    "calls",
    "choose_driver",
    "compare_bridges",
    "compare_drivers",
    "compare_journeys",
    "decision_tree",
    "density",
    "diff",
    "dissect",
    "down",
    "find",
    "firewall",
    "follow",
    "host",
    "journey",
    "lab",
    "my_progress",
    "outcome",
    "panel",
    "practice",
    "predict",
    "quiz",
    "reset",
    "restore_progress",
    "share_progress",
    "shop",
    "snapshot",
    "stop_sharing",
    "topology",
    "topology_text",
    "up",
]

load_ipython_extension()
