"""What notebooks show of a running sandbox: its topology, in two forms, and the panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.model.state import Snapshot
from sandbox.sandbox import default_id, resets, running, settled

if TYPE_CHECKING:
    from sandbox.views.topology import Topology
    from sandbox.widgets.panel import Panel

__all__ = ["panel", "topology", "topology_text"]

# The last picture of each sandbox, with the count of resets at that time.
_last: dict[str, tuple[int, Snapshot, Topology]] = {}
_panels: dict[str, Panel] = {}


def topology(
    state: Snapshot | None = None,
    *,
    since: Snapshot | None = None,
    detail: str = "simple",
    id: str | None = None,
) -> Topology:
    """A picture of the running sandbox at this moment.

    What is in two pictures is at the same place in both, and what changed since the one before
    is marked.

    state: a snapshot to draw instead.  since: mark what changed since this one instead.
    detail: ``simple`` or ``full``, every interface; a switch in the picture changes it.

    ``.save("x.html")`` writes it as a page. Raises SandboxError if no sandbox runs.
    """
    from sandbox.views.topology import Topology

    sandbox_id = id or default_id()
    now = state or settled(id=id)
    count, before, drawn = _last.get(sandbox_id, (0, None, None))
    if count != resets[sandbox_id]:
        before = drawn = None
    picture = Topology(
        now, detail=detail, before=since or before, positions=drawn.positions if drawn else None
    )
    _last[sandbox_id] = (resets[sandbox_id], now, picture)
    return picture


def topology_text(state: Snapshot | None = None, *, id: str | None = None) -> str:
    """The topology of the running sandbox, or of a snapshot, as indented text."""
    from sandbox.views.text import topology_text

    return topology_text(state or settled(id=id))


def panel(*, detail: str = "simple", id: str | None = None) -> Panel:
    """Controls for the running sandbox beside its topology, which follows live.

    A kernel has one of each sandbox: an earlier one is closed. Raises SandboxError if no sandbox
    runs.
    """
    from sandbox.widgets.panel import Panel

    sandbox = running(id)
    if earlier := _panels.pop(sandbox.id, None):
        earlier.close()
    _panels[sandbox.id] = Panel(sandbox, detail=detail)
    return _panels[sandbox.id]
