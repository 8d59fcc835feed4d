"""A graph with its places as a pyvis network, and that as JSON for the front end."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.model.state import Snapshot
from sandbox.views.graph import DETAILS, Mark, build, compare, mark
from sandbox.views.layout import Layout, arrange, box
from sandbox.views.nodes import Graph
from sandbox.views.text import topology_text

if TYPE_CHECKING:
    import pyvis.network

__all__ = ["KINDS", "Picture", "Positions", "draw"]

Positions = Mapping[str, Layout]

# What each kind of node looks like and is called; its colours are in topology.css. The shapes
# cable, tab, pill, bar, octagon and frame are topology.js's own, the others vis-network's.
KINDS = {
    "lan": ("cable", "LAN"),
    "host": ("tab", "Docker host"),
    "nic": ("square", "host's interface"),
    "vlan": ("diamond", "VLAN interface"),
    "vxlan": ("star", "VXLAN interface (VTEP)"),
    "network": ("pill", "Docker network"),
    "bridge": ("bar", "bridge"),
    "veth": ("dot", "veth, host's end"),
    "interface": ("triangleDown", "interface in a namespace"),
    "endpoint": ("text", "address of an endpoint"),
    "container": ("box", "container"),
    "namespace": ("frame", "namespace without container"),
    "machine": ("octagon", "virtual machine"),
    "port": ("triangle", "published port"),
}
OPTIONS = {
    "physics": {"enabled": False},
    "layout": {"improvedLayout": False},
    "interaction": {"hover": True, "tooltipDelay": 150, "dragNodes": True},
    # Labels stay when a wide picture is made small.
    "nodes": {"labelHighlightBold": False, "scaling": {"label": {"drawThreshold": 1}}},
    "edges": {"selectionWidth": 1, "arrows": {"to": {"scaleFactor": 0.5}}},
}
MARGIN = 10


@dataclass(frozen=True, slots=True)
class Picture:
    """data: what the front end draws, JSON-ready.  positions: where, by level of detail."""

    data: dict[str, Any]
    positions: dict[str, Layout]


def draw(
    snapshot: Snapshot,
    *,
    detail: str,
    before: Snapshot | None = None,
    positions: Positions | None = None,
    marks: Sequence[Mark] = (),
) -> Picture:
    """The picture of snapshot at both levels, with its changes since before marked.

    positions: of an earlier picture, which are kept.  marks: what is wrong there.
    """
    views: dict[str, Any] = {}
    layouts: dict[str, Layout] = {}
    options: object = {}
    for level in DETAILS:
        graph, known = build(snapshot, level), (positions or {}).get(level)
        if before is not None:
            earlier = build(before, level)
            # Without an earlier picture, what is gone stands where that would have had it.
            known = known or arrange(earlier, level)
            graph = compare(graph, earlier)
        layouts[level] = arrange(graph, level, known)
        graph = mark(graph, marks)
        network = to_pyvis(graph, layouts[level])
        options = network.options
        views[level] = _view(network, graph, layouts[level])
    used = {node["group"] for view in views.values() for node in view["nodes"]}
    # Both levels show most things with the same text on hover.
    titles = {n["id"]: n.pop("title") for view in views.values() for n in view["nodes"]}
    data = {
        "detail": detail,
        "summary": _summary(snapshot),
        "text": topology_text(snapshot),
        "options": options,
        "kinds": {kind: shape for kind, shape in KINDS.items() if kind in used},
        "titles": titles,
        "views": views,
    }
    return Picture(data, layouts)


def to_pyvis(graph: Graph, layout: Layout) -> pyvis.network.Network:
    """graph as a pyvis network: physics off, each node at its place."""
    import pyvis.network

    # pyvis drops a second edge between two nodes unless the network is directed.
    network = pyvis.network.Network(directed=True, cdn_resources="in_line")
    network.set_options(json.dumps(OPTIONS))
    for node in graph.nodes:
        x, y = layout.places[node.id]
        more: dict[str, Any] = {"host": node.host} if node.host else {}
        more |= {"change": node.change} if node.change else {}
        if node.kind == "lan" and layout.frames:
            frames = layout.frames.values()
            more |= {"reach": [min(f[0] for f in frames), max(f[2] for f in frames)]}
        network.add_node(
            node.id,
            node.label,
            KINDS[node.kind][0],
            group=node.kind,
            title=node.title,
            x=x,
            y=y,
            **more,
        )
    for edge in graph.edges:
        more = {"label": edge.label} if edge.label else {}
        more |= {"change": edge.change} if edge.change else {}
        more |= {"title": edge.title} if edge.title else {}
        arrows = "to" if edge.kind in {"published", "check"} else ""
        network.add_edge(edge.source, edge.target, kind=edge.kind, arrows=arrows, **more)
    return network


def _view(network: pyvis.network.Network, graph: Graph, layout: Layout) -> dict[str, Any]:
    boxes = [box(node, layout.places[node.id]) for node in graph.nodes]
    boxes += list(layout.frames.values())
    changes = {node.id: node.change for node in graph.nodes if node.kind == "host"}
    return {
        "nodes": network.nodes,
        "edges": [{k: v for k, v in e.items() if k != "id" and v} for e in network.edges],
        "frames": [
            {"box": list(frame), "change": changes.get(host, "")}
            for host, frame in layout.frames.items()
        ],
        "bounds": [
            min(b[0] for b in boxes) - MARGIN,
            min(b[1] for b in boxes) - MARGIN,
            max(b[2] for b in boxes) + MARGIN,
            max(b[3] for b in boxes) + MARGIN,
        ],
    }


def _summary(snapshot: Snapshot) -> str:
    containers = list(snapshot.containers())
    published = sum(len({(p.host_port, p.protocol) for p in c.published}) for c in containers)
    hosts = " and ".join(host.name for host in snapshot.hosts) or "no host"
    return (
        f"Topology of {hosts}: {_count(len(containers), 'container')}, "
        f"{_count(published, 'published port')}. The text below the picture says the same."
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
