"""What notebooks show of a running sandbox: its topology, captured frames, the panel, a lab."""

from __future__ import annotations

from collections import defaultdict
from types import NoneType
from typing import TYPE_CHECKING

from sandbox import record
from sandbox.errors import SandboxError, expect
from sandbox.guest import wire
from sandbox.hosts.sandbox import default_id, resets, running, settled, snapshot
from sandbox.model.state import Snapshot

if TYPE_CHECKING:
    from sandbox.labs.session import Session
    from sandbox.views.packet import Dissection
    from sandbox.views.ruleset import Ruleset
    from sandbox.views.table import Table
    from sandbox.views.topology import Topology
    from sandbox.widgets.follow import Follow
    from sandbox.widgets.panel import Panel
    from sandbox.widgets.practice import Practice

__all__ = [
    "compare_bridges",
    "dissect",
    "firewall",
    "follow",
    "lab",
    "panel",
    "practice",
    "topology",
    "topology_text",
]

# The last picture of each sandbox, with the count of resets at that time.
_last: dict[str, tuple[int, Snapshot, Topology]] = {}


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
    _require_snapshot(state, since)
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

    _require_snapshot(state)
    return topology_text(state or settled(id=id))


def _require_snapshot(*given: object) -> None:
    for it in given:
        expect(it, (Snapshot, NoneType), "a snapshot", "before = sandbox.snapshot()")


def panel(*, detail: str = "simple", id: str | None = None) -> Panel:
    """Controls for the running sandbox beside its topology, which follows live.

    A kernel has one of each sandbox: an earlier one is closed. Raises SandboxError if no sandbox
    runs.
    """
    from sandbox.widgets.panel import Panel
    from sandbox.widgets.registry import replace

    sandbox = running(id)
    return replace(Panel, sandbox.id, lambda: Panel(sandbox, detail=detail))


def practice(*, id: str | None = None) -> Practice:
    """Break things in the shop at random, to be found and repaired; see ``sandbox.lessons.shop``.

    A kernel has one of each sandbox: an earlier one is closed. Raises SandboxError if no sandbox
    runs.
    """
    from sandbox.widgets.practice import Practice
    from sandbox.widgets.registry import replace

    sandbox = running(id)
    return replace(Practice, sandbox.id, lambda: Practice(sandbox))


def follow(*, id: str | None = None) -> Follow:
    """Controls for a probe: pick source, destination and protocol, send it, watch its journey.

    A kernel has one of each sandbox: an earlier one is closed. Raises SandboxError if no sandbox
    runs.
    """
    from sandbox.widgets.follow import Follow
    from sandbox.widgets.registry import replace

    sandbox = running(id)
    return replace(Follow, sandbox.id, lambda: Follow(sandbox))


def dissect(host: str, path: str, *, frames: int = 1, id: str | None = None) -> Dissection:
    """The headers of the first frames of a capture file, from the outside in.

    host: the one that has the file, such as ``a``.  path: what ``tcpdump -w`` wrote there.
    frames: how many.

    A MAC address that an interface of the sandbox has at this moment is followed by whose it is.

    Raises SandboxError if there is no such file, it is no capture of Ethernet frames, or it has
    fewer frames.
    """
    from sandbox.views.packet import FILE_HEADERS, LONGEST_FRAME, Dissection, read_frames

    if not isinstance(frames, int) or frames < 1:
        raise SandboxError(f"{frames!r} is not a number of frames.", fix="Take 1 or more.")
    where = running(id).host(host)
    parts: dict[int, list[bytes]] = defaultdict(list)
    # A capture may be large, and is read from its beginning.
    length = FILE_HEADERS + frames * LONGEST_FRAME
    code = where.stream(
        ["head", "-c", str(length), "--", path],
        lambda kind, data: parts[kind].append(data),
        timeout=30,
    )
    if code:
        raise SandboxError(
            f"There is no capture to read on {where.name}.",
            why=b"".join(parts[wire.STDERR]).decode(errors="replace").strip(),
            fix=f"capture them on {where.name}: tcpdump -i eth0 -c {frames} -w {path}",
        )
    owners: dict[str, set[str]] = defaultdict(set)
    for interface in snapshot(id=id).interfaces():
        owners[interface.mac].add(interface.namespace)
    names = {mac: ", ".join(sorted(found)) for mac, found in owners.items()}
    return Dissection(read_frames(b"".join(parts[wire.STDOUT]), frames), names)


def compare_bridges(name: str, *bridges: str, id: str | None = None) -> Table:
    """What makes the network on each of some bridges of a host, part by part, as a table.

    name: of the host, ``a`` or ``host-a``.  bridges: names of bridges, or of Docker networks on
    one. In a rule the bridge's own name is written as ``BRIDGE``.

    Raises SandboxError if the host has no such bridge, or could not be read.
    """
    from sandbox.model.bridged import bridged, parts
    from sandbox.views.table import Table

    if not bridges:
        raise SandboxError("No bridge is named.", fix='sandbox.compare_bridges("a", "docker0")')
    [host] = settled(name, id=id).hosts
    if host.namespace is None:
        raise SandboxError(f"{host.name} could not be read.", why=host.unread, fix="Try again.")
    facts = {}
    for bridge in bridges:
        found = bridged(host, bridge)
        if found is None:
            known = ", ".join(it.name for it in host.namespace.interfaces if it.kind == "bridge")
            raise SandboxError(
                f"{host.name} has no bridge {bridge!r}, and no Docker network of that name on one.",
                fix=f"Its bridges are {known or 'none'}.",
            )
        facts[bridge] = parts(found)
    return Table(facts)


def firewall(
    name: str, *, since: Snapshot | None = None, family: str = "ip", id: str | None = None
) -> Ruleset:
    """The packet filter rules of a host, in the order in which the kernel asks them.

    name: of the host, ``a`` or ``host-a``.  since: a snapshot; the rules that packets matched
    after it are then lit, and in text the others are left out.  family: ``ip`` or ``ip6``.

    Raises SandboxError if the host's rules could not be read, or ``since`` has no such host.
    """
    from sandbox.model.firewall.hooks import ruleset
    from sandbox.views.ruleset import Ruleset

    if family not in ("ip", "ip6"):
        raise SandboxError(f"There is no family {family!r}.", fix="It is ip or ip6.")
    _require_snapshot(since)
    [host] = settled(name, id=id).hosts
    earlier = since.host(host.name) if since else None
    if host.namespace is None or (since and (earlier is None or earlier.namespace is None)):
        raise SandboxError(
            f"The rules of {host.name} are not known.",
            why=host.unread or "the snapshot is without that host",
            fix="Take the snapshot again: sandbox.snapshot()",
        )
    title = f"{host.name}, {family}: " + ("rules that matched" if since else "all rules")
    starts = ruleset(host.namespace, earlier.namespace if earlier else None, family)
    unread = host.namespace.rules_unread or (
        earlier.namespace.rules_unread if earlier and earlier.namespace else ""
    )
    return Ruleset(title, starts, matched=since is not None, unread=unread)


def lab(name: str | None = None, learner: str | None = None, *, id: str | None = None) -> Session:
    """A lab to do here; in a notebook it shows its story, its tasks, and buttons.

    name: such as ``01-two-tiers``; None for the one of the notebook's folder.
    learner: your name in your class, as your teacher wrote it; what you build (names, subnets,
    ports) follows from it. None for the one given before, or for somebody who learns alone.

    Raises SandboxError if there is no such lab.
    """
    from sandbox.labs.lab import load
    from sandbox.labs.session import Session
    from sandbox.widgets.lab import panel_of

    return Session(load(name, record.learner(learner)), id or default_id(), panel_of)
