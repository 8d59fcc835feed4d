"""Where the nodes of a picture stand.

Rows from top to bottom: the LAN, then in each host's frame its own interfaces, its networks and
their bridges, and a column for each container with its interfaces. Places follow from names
and the order of interfaces alone, and a node that an earlier picture had stays where it was.
Units are those of the canvas: pixels at a scale of 1, y growing downwards.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from sandbox.views.nodes import Graph, Node

__all__ = ["Box", "Layout", "Place", "arrange", "box"]

Place = tuple[int, int]
Box = tuple[int, int, int, int]

ROWS = {
    "simple": {
        "lan": 0,
        "host": 88,
        "network": 168,
        "endpoint": 246,
        "container": 300,
        "port": 362,
    },
    "full": {
        "lan": 0,
        "host": 92,
        "nic": 92,
        "network": 196,
        "bridge": 272,
        "veth": 352,
        "interface": 432,
        "container": 526,
        "port": 592,
    },
}
# What a container's or namespace's column holds one beside the other, aligned by interface.
WIRES = {"veth", "interface", "endpoint"}
COLUMN = {*WIRES, "container", "port"}
UPLINK = {"host", "nic"}
# Kinds whose label stands below a symbol of that radius.  The others have it inside.
SYMBOLS = {"nic": 11, "vlan": 12, "vxlan": 13, "veth": 6, "interface": 9, "port": 8}
CHARACTER, LINE, GAP = 7, 15, 14
FRAME_TOP, PADDING, BETWEEN_HOSTS = 52, 18, 44
LEAST_COLUMNS, MOST_COLUMNS = 3, 9


@dataclass(frozen=True, slots=True)
class Layout:
    """places: a node's centre by its id.  frames: left, top, right, bottom by host."""

    places: Mapping[str, Place] = field(default_factory=dict)
    frames: Mapping[str, Box] = field(default_factory=dict)


def box(node: Node, place: Place) -> Box:
    """left, top, right, bottom of node, its label included, at that place."""
    lines = node.label.split("\n")
    x, y = place
    # A change is marked by a sign before the label.
    longest = max(map(len, lines)) + (2 if node.change else 0)
    if node.kind in SYMBOLS:
        radius = SYMBOLS[node.kind]
        half = max(radius, longest * CHARACTER // 2)
        return x - half, y - radius, x + half, y + radius + 6 + LINE * len(lines)
    margin = 3 if node.kind == "endpoint" else 12
    half, height = longest * CHARACTER // 2 + margin, LINE * len(lines) // 2 + 7
    return x - half, y - height, x + half, y + height


def arrange(graph: Graph, detail: str, known: Layout | None = None) -> Layout:
    """Places for every node of graph; those that known has are kept exactly.

    No two boxes of nodes overlap, unless they do in known.
    """
    known = known or Layout()
    wanted = _Wanted(graph, ROWS[detail])
    places = {node.id: known.places[node.id] for node in graph.nodes if node.id in known.places}
    free = _Free(node_box for node_box in _boxes(graph.nodes, places))
    spans = _spans(wanted, known)
    for nodes in wanted.groups():
        missing = [node for node in nodes if node.id not in places]
        for part in _disjoint(missing, wanted.places):
            host = part[0].host
            start = _start(nodes, wanted, places, spans.get(host))
            found = free.find(part, wanted.places, start, spans.get(host), wanted.pitch)
            places.update(found)
            free.take(_boxes(part, found))
    frames = _frames(graph, places, known, wanted, spans)
    return Layout(places, frames)


@dataclass(frozen=True, slots=True)
class _Span:
    """The x range of a host, and how far it is from where it was wanted."""

    left: int
    right: int
    moved: int


class _Wanted:
    """Where nodes would stand if none had a place yet."""

    def __init__(self, graph: Graph, rows: Mapping[str, int]) -> None:
        self.graph, self.rows = graph, rows
        self.places: dict[str, Place] = {}
        self.spans: dict[str, tuple[int, int]] = {}
        self.members: dict[str, list[Node]] = {}
        for node in graph.nodes:
            self.members.setdefault(node.group, []).append(node)
        widths = (
            _width(node) + GAP
            for node in graph.nodes
            if node.row in COLUMN or self._shares_a_row(node)
        )
        self.pitch = max([92, *widths])
        self.neighbours = _neighbours(graph)
        self.by_id = {node.id: node for node in graph.nodes}
        self.tunnelled = self._groups_with("tunnel")
        self.standing = self._groups_with("parent")
        self.hosts = sorted({node.host for node in graph.nodes} - {""})
        left = 0
        for host in self.hosts:
            right = self._host(host, left)
            self.spans[host] = left, right
            left = right + 2 * PADDING + BETWEEN_HOSTS
        middle = (left - 2 * PADDING - BETWEEN_HOSTS) // 2 if self.spans else 0
        for node in graph.nodes:
            if not node.host:
                self.places[node.id] = middle, rows[node.row]

    def groups(self) -> Iterator[list[Node]]:
        """What is placed as a whole, from the top to the bottom of the picture."""
        return iter(sorted(self.members.values(), key=lambda nodes: self.rows[nodes[0].row]))

    def _groups_with(self, kind: str) -> set[str]:
        edges = [edge for edge in self.graph.edges if edge.kind == kind]
        return {self.by_id[end].group for edge in edges for end in (edge.source, edge.target)}

    def _shares_a_row(self, node: Node) -> bool:
        return node.row not in UPLINK and any(n.slot for n in self.members[node.group])

    def _host(self, host: str, left: int) -> int:
        groups = [nodes for nodes in self.members.values() if nodes[0].host == host]
        uplink = [nodes for nodes in groups if nodes[0].row in UPLINK]
        columns = [nodes for nodes in groups if nodes[0].row in COLUMN]
        upper = [nodes for nodes in groups if nodes not in uplink and nodes not in columns]
        mirrored = host == self.hosts[-1] != self.hosts[0]
        order = self._column_order(upper, columns, mirrored)
        columns.sort(key=lambda nodes: order[nodes[0].group])
        width = max(
            LEAST_COLUMNS * self.pitch,
            sum(_columns(nodes) for nodes in columns) * self.pitch,
            sum(self._upper_width(nodes) for nodes in upper),
            sum(_width(node) + GAP for nodes in uplink for node in nodes),
        )
        self._place_columns(columns, left, width)
        self._place_upper(upper, left, width, mirrored)
        for nodes in uplink:
            self._place_uplink(nodes, left)
        return left + width

    def _column_order(
        self, upper: list[list[Node]], columns: list[list[Node]], mirrored: bool
    ) -> dict[str, int]:
        """Containers of one network side by side, and those of two networks between the two."""
        links = {nodes[0].group: self._linked(nodes) for nodes in [*upper, *columns]}
        names = {nodes[0].group for nodes in columns}
        roots = self._roots(upper, mirrored)
        order: dict[str, int] = {}
        waiting = [*sorted(names, reverse=True), *reversed(roots)]
        seen: set[str] = set()
        while waiting:
            group = waiting.pop()
            if group in seen:
                continue
            seen.add(group)
            if group in names:
                order[group] = len(order)
            # Those that lead nowhere else first, so that the others stand next to where they lead.
            inward = [name for name in links[group] if name in links]
            waiting += sorted(inward, key=lambda name: (len(links[name]), name), reverse=True)
        return order

    def _linked(self, nodes: list[Node]) -> set[str]:
        own = nodes[0].group
        found = {
            self.by_id[name].group
            for node in nodes
            for name, row in self.neighbours.get(node.id, ())
            if row not in {*UPLINK, "lan"}
        }
        return found - {own}

    def _roots(self, upper: list[list[Node]], mirrored: bool) -> list[str]:
        """Networks by name, but tunnels on the side of the other hosts, and what stands on an
        interface of the host near that.

        The last host has the tunnels in the reverse order, so that they do not cross.
        """
        names = sorted(nodes[0].group for nodes in upper)
        tunnels = [name for name in names if name in self.tunnelled]
        rest = [name for name in names if name not in self.tunnelled]
        rest.sort(key=lambda name: name not in self.standing)
        return [*reversed(tunnels), *rest] if mirrored else [*rest, *tunnels]

    def _place_columns(self, columns: list[list[Node]], left: int, width: int) -> None:
        x = left + (width - sum(map(_columns, columns)) * self.pitch) // 2
        for nodes in columns:
            wires = _wires(nodes)
            for node in nodes:
                used = wires if node.row in WIRES else _row_length(nodes, node.row)
                offset = (_columns(nodes) - used) * self.pitch // 2
                centre = x + offset + node.slot * self.pitch + self.pitch // 2
                self.places[node.id] = centre, self.rows[node.row]
            x += _columns(nodes) * self.pitch

    def _upper_width(self, nodes: list[Node]) -> int:
        slots = max(node.slot for node in nodes) + 1
        return slots * self.pitch if slots > 1 else max(map(_width, nodes)) + GAP

    def _place_upper(self, groups: list[list[Node]], left: int, width: int, mirrored: bool) -> None:
        """Networks above the middle of what is on them, as far as they have room."""
        default = left if mirrored else left + width
        roots = self._roots(groups, mirrored)

        def order(nodes: list[Node]) -> tuple[int, int, str]:
            name = nodes[0].group
            if name in self.tunnelled:
                return (-1 if mirrored else 1), roots.index(name), name
            return 0, self._middle(nodes, left + width), name

        groups = sorted(groups, key=order)
        widths = [self._upper_width(nodes) for nodes in groups]
        starts, free = [], left
        for nodes, wide in zip(groups, widths, strict=True):
            free = max(free, self._middle(nodes, default) - wide // 2)
            starts.append(free)
            free += wide
        end = left + width
        for number in reversed(range(len(groups))):
            starts[number] = min(starts[number], end - widths[number])
            end = starts[number]
        for nodes, start, wide in zip(groups, starts, widths, strict=True):
            slots = max(node.slot for node in nodes) + 1
            for node in nodes:
                slot = slots - 1 - node.slot if mirrored else node.slot
                x = start + wide * (2 * slot + 1) // (2 * slots)
                self.places[node.id] = x, self.rows[node.row]

    def _middle(self, nodes: list[Node], default: int) -> int:
        below = [
            self.places[name][0]
            for node in nodes
            for name, row in self.neighbours.get(node.id, ())
            if row in COLUMN and name in self.places
        ]
        return sum(below) // len(below) if below else default

    def _place_uplink(self, nodes: list[Node], left: int) -> None:
        for node in sorted(nodes, key=lambda node: node.slot):
            self.places[node.id] = left + _width(node) // 2, self.rows[node.row]
            left += _width(node) + GAP


class _Free:
    """The boxes that are taken."""

    def __init__(self, boxes: Iterable[Box]) -> None:
        self.boxes = list(boxes)

    def take(self, boxes: Iterable[Box]) -> None:
        self.boxes.extend(boxes)

    def find(
        self,
        nodes: list[Node],
        wanted: Mapping[str, Place],
        start: Place,
        span: _Span | None,
        pitch: int,
    ) -> dict[str, Place]:
        """The free places for nodes that are nearest to start from where they are wanted."""
        extent = [box(node, wanted[node.id]) for node in nodes]
        left, right = min(b[0] for b in extent) + start[0], max(b[2] for b in extent) + start[0]
        steps = [0]
        if span is not None:
            reach = range(1, 2 * MOST_COLUMNS + 1)
            steps = [step * sign * pitch // 2 for step in reach for sign in (1, -1)]
            inside = [0, *steps]
            steps = [s for s in inside if left + s >= span.left and right + s <= span.right]
            steps = steps or [span.left - left]
        for down in itertools.count(0, 60):
            for aside in steps:
                dx, dy = start[0] + aside, start[1] + down
                if all(self._fits((b[0] + dx, b[1] + dy, b[2] + dx, b[3] + dy)) for b in extent):
                    return {n.id: (wanted[n.id][0] + dx, wanted[n.id][1] + dy) for n in nodes}
        raise AssertionError("a place that is low enough is free")

    def _fits(self, one: Box) -> bool:
        return not any(_overlap(one, other) for other in self.boxes)


def _start(
    nodes: list[Node], wanted: _Wanted, places: Mapping[str, Place], span: _Span | None
) -> Place:
    """How far from the wanted places the search starts: beside the rest of the group."""
    for node in nodes:
        if node.id in places:
            (x, y), (from_x, from_y) = places[node.id], wanted.places[node.id]
            return x - from_x, y - from_y
    return (span.moved if span else 0), 0


def _spans(wanted: _Wanted, known: Layout) -> dict[str, _Span]:
    """The x range of every host: what it has, and for those at the sides room to grow."""
    spans: dict[str, _Span] = {}
    lefts = sorted(frame[0] for frame in known.frames.values())
    after = max((frame[2] for frame in known.frames.values()), default=-PADDING - BETWEEN_HOSTS)
    for host, (left, right) in wanted.spans.items():
        if host in known.frames:
            start = known.frames[host][0] + PADDING
            limit = next((x for x in lefts if x > known.frames[host][0]), None)
            grown = start + max(MOST_COLUMNS * wanted.pitch, right - left)
            end = grown if limit is None else limit - BETWEEN_HOSTS - PADDING
            first = known.frames[host][0] == lefts[0] and limit is not None
            room = end - MOST_COLUMNS * wanted.pitch
            spans[host] = _Span(min(start, room) if first else start, end, start - left)
        else:
            start = after + BETWEEN_HOSTS + PADDING
            end = start + right - left
            after = end + PADDING
            spans[host] = _Span(start, end, start - left)
    return spans


def _frames(
    graph: Graph,
    places: Mapping[str, Place],
    known: Layout,
    wanted: _Wanted,
    spans: Mapping[str, _Span],
) -> dict[str, Box]:
    """A frame around the nodes of each host; all end at the same height."""
    frames: dict[str, Box] = {}
    for host, span in spans.items():
        boxes = [box(node, places[node.id]) for node in graph.nodes if node.host == host]
        left, right = wanted.spans[host]
        frame = known.frames.get(
            host,
            (left + span.moved - PADDING, FRAME_TOP, right + span.moved + PADDING, FRAME_TOP),
        )
        frames[host] = (
            min(frame[0], *(b[0] - PADDING for b in boxes)),
            min(frame[1], *(b[1] - PADDING for b in boxes)),
            max(frame[2], *(b[2] + PADDING for b in boxes)),
            max(frame[3], *(b[3] + PADDING for b in boxes)),
        )
    bottom = max((frame[3] for frame in frames.values()), default=0)
    return {host: (*frame[:3], bottom) for host, frame in frames.items()}


def _boxes(nodes: Iterable[Node], places: Mapping[str, Place]) -> list[Box]:
    return [box(node, places[node.id]) for node in nodes if node.id in places]


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _disjoint(nodes: list[Node], places: Mapping[str, Place]) -> list[list[Node]]:
    """nodes as one group, or one by one if they would overlap each other."""
    boxes = _boxes(nodes, places)
    if any(_overlap(one, other) for one, other in itertools.combinations(boxes, 2)):
        return [[node] for node in nodes]
    return [nodes] if nodes else []


def _neighbours(graph: Graph) -> dict[str, list[tuple[str, str]]]:
    """Ids and rows of the nodes that each node has an edge to."""
    rows = {node.id: node.row for node in graph.nodes}
    found: dict[str, list[tuple[str, str]]] = {}
    for edge in graph.edges:
        found.setdefault(edge.source, []).append((edge.target, rows[edge.target]))
        found.setdefault(edge.target, []).append((edge.source, rows[edge.source]))
    return found


def _width(node: Node) -> int:
    left, _, right, _ = box(node, (0, 0))
    return right - left


def _row_length(nodes: list[Node], row: str) -> int:
    return max((node.slot + 1 for node in nodes if node.row == row), default=0)


def _wires(nodes: list[Node]) -> int:
    return max(_row_length(nodes, row) for row in WIRES)


def _columns(nodes: list[Node]) -> int:
    return max(1, _wires(nodes), _row_length(nodes, "port"))
