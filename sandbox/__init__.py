"""Real Docker hosts for the course's notebooks.

import sandbox
sb = sandbox.up(hosts=2)
sb.host("a").run("docker network ls")
"""

from sandbox.course import my_progress, restore_progress
from sandbox.errors import CellFailed, SandboxError
from sandbox.hosts.host import Host
from sandbox.hosts.journey import compare_journeys, journey
from sandbox.hosts.sandbox import Sandbox, down, find, host, reset, snapshot, up
from sandbox.lessons.questions import outcome, predict, quiz
from sandbox.magic import load_ipython_extension
from sandbox.model.difference import diff
from sandbox.model.state import Snapshot
from sandbox.room.share import share_progress, stop_sharing
from sandbox.show import (
    compare_bridges,
    dissect,
    firewall,
    follow,
    lab,
    panel,
    practice,
    topology,
    topology_text,
)

__all__ = [
    "CellFailed",
    "Host",
    "Sandbox",
    "SandboxError",
    "Snapshot",
    "compare_bridges",
    "compare_journeys",
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
    "snapshot",
    "stop_sharing",
    "topology",
    "topology_text",
    "up",
]

load_ipython_extension()
