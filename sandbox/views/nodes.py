"""What a picture is made of: nodes, and edges between them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Edge", "Graph", "Node", "assemble"]


@dataclass(frozen=True, slots=True)
class Node:
    """One thing in the picture.

    id: see ``names``.
    kind: ``lan``, ``host``, ``nic`` (a host's interface), ``vlan``, ``vxlan``, ``network``,
        ``bridge``, ``veth`` (a host's end), ``interface`` (a namespace's), ``endpoint``,
        ``container``, ``namespace``, ``machine``, ``port``.
    row: where it stands from top to bottom, by the kind that is usual there.
    label: lines of plain text.  title: those shown on hover.
    host: name of its host; "" of the LAN.
    group: id of the nodes that are placed as a whole.  slot: its column there.
    state: all that counts when two pictures are compared.
    change: what became of it since an earlier picture: ``new``, ``changed``, ``gone`` or "";
        or ``wrong``, see ``graph.Mark``.
    """

    id: str
    kind: str
    row: str
    label: str
    title: str
    host: str
    group: str
    slot: int = 0
    state: tuple[object, ...] = ()
    change: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """A line from node source to node target.

    kind: ``cable`` (to the LAN), ``carries`` (a network), ``port`` (of a bridge), ``veth``
        (both ends of a pair), ``parent`` (stands on), ``inside`` (a namespace), ``attached``
        (to a network), ``published``, ``shares`` (a namespace), ``tunnel``, ``check``, see
        ``graph.Mark``.
    title: text shown on hover.
    """

    source: str
    target: str
    kind: str
    label: str = ""
    change: str = ""
    title: str = ""

    @property
    def id(self) -> str:
        return f"{self.kind} {self.source} {self.target}"


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes and edges; every edge's ends are among the nodes, and no id occurs twice."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def assemble(parts: Iterable[Node | Edge]) -> Graph:
    """The graph of parts, in their order.

    Of several with one id the first counts. An edge is left out if one of its ends is not in the
    picture, or both are the same.
    """
    nodes: dict[str, Node] = {}
    edges: dict[str, Edge] = {}
    for part in parts:
        if isinstance(part, Node):
            nodes.setdefault(part.id, part)
        else:
            edges.setdefault(part.id, part)
    drawn = (
        edge
        for edge in edges.values()
        if edge.source in nodes and edge.target in nodes and edge.source != edge.target
    )
    return Graph(tuple(nodes.values()), tuple(drawn))
