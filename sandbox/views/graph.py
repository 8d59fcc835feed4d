"""From a snapshot to the nodes and edges of its picture, at one of two levels of detail."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sandbox.errors import SandboxError
from sandbox.model.state import InterfaceRef, Snapshot
from sandbox.views.full import full, full_places
from sandbox.views.names import lines
from sandbox.views.nodes import Edge, Graph, Node
from sandbox.views.simple import simple, simple_places

__all__ = ["DETAILS", "Mark", "build", "check_detail", "compare", "mark", "places"]

DETAILS = ("simple", "full")


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that is not as it should be: at one node, or from one to another.

    nodes: one id, or two.  text: what is wrong.
    """

    nodes: tuple[str, ...]
    text: str


def check_detail(detail: str) -> None:
    """Raise SandboxError unless detail is one of DETAILS."""
    if detail not in DETAILS:
        raise SandboxError(
            f"A topology has no level of detail {detail!r}.",
            fix='Write detail="simple" or detail="full".',
        )


def build(snapshot: Snapshot, detail: str) -> Graph:
    """The picture of snapshot at that level of detail ("simple" or "full").

    simple: hosts, LAN, networks, containers with their endpoints, published ports.
    full: every interface but ``lo``, both ends of every veth pair, every bridge.

    Raises SandboxError for another level.
    """
    check_detail(detail)
    return full(snapshot) if detail == "full" else simple(snapshot)


def places(snapshot: Snapshot, detail: str) -> dict[InterfaceRef, str]:
    """For each interface the id of the node that shows it at that level of detail."""
    return full_places(snapshot) if detail == "full" else simple_places(snapshot)


def compare(now: Graph, before: Graph) -> Graph:
    """now with what changed since before marked, and what is gone still in it."""
    nodes_then = {node.id: node for node in before.nodes}
    edges_then = {edge.id: edge for edge in before.edges}
    nodes = [replace(n, change=_change(n.state, nodes_then, n.id)) for n in now.nodes]
    edges = [replace(e, change=_change(e.label, edges_then, e.id)) for e in now.edges]
    kept = {node.id for node in nodes} | {edge.id for edge in edges}
    nodes += [replace(n, change="gone") for n in before.nodes if n.id not in kept]
    edges += [replace(e, change="gone") for e in before.edges if e.id not in kept]
    return Graph(tuple(nodes), tuple(edges))


def mark(graph: Graph, marks: Iterable[Mark]) -> Graph:
    """graph with what is wrong marked; a mark of a node that it does not have is left out."""
    nodes = {node.id: node for node in graph.nodes}
    edges = {edge.id: edge for edge in graph.edges}
    for wrong in marks:
        if not nodes.keys() >= {*wrong.nodes}:
            continue
        if len(wrong.nodes) == 1:
            node = nodes[wrong.nodes[0]]
            title = lines(node.title, f"✗ {wrong.text}")
            nodes[node.id] = replace(node, change="wrong", title=title)
        else:
            source, target = wrong.nodes
            new = Edge(source, target, "check", change="wrong", title=f"✗ {wrong.text}")
            if told := edges.get(new.id):
                new = replace(new, title=lines(told.title, new.title))
            edges[new.id] = new
    return Graph(tuple(nodes.values()), tuple(edges.values()))


def _change(state: object, then: dict[str, Node] | dict[str, Edge], name: str) -> str:
    if name not in then:
        return "new"
    old = then[name]
    return "" if state == (old.state if isinstance(old, Node) else old.label) else "changed"
