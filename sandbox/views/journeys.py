"""Two journeys beside each other: how far they go together, and what parts them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from html import escape

from sandbox.model.journey import Passage, taken
from sandbox.views.journey import Places, ending_text, flow_text, last_notes, notes, title

__all__ = ["Journeys"]


@dataclass(frozen=True, slots=True)
class _Stop:
    """A hop in words. notes: what happened before it.  key: what it is compared by."""

    where: str
    flow: str
    notes: tuple[str, ...]
    key: tuple[str, ...]


class Journeys:
    """Two journeys as one list: A's hops, B's, and those that both have."""

    def __init__(self, first: Passage, second: Passage) -> None:
        self._passages = {"A": first, "B": second}
        self._stops = {name: _stops(it) for name, it in self._passages.items()}

    def __repr__(self) -> str:
        lines = [f"{name}    {title(it)}" for name, it in self._passages.items()]
        for a, b in self._rows():
            lines += _both(a, b)
        lines += [
            f"{name:<4} {line}"
            for name, it in self._passages.items()
            for line in (*(f"     {note}" for note in last_notes(it)), ending_text(it))
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(title(it))}</th>" for it in self._passages.values())
        rows = [f"<tr>{_cell(a)}{_cell(b)}</tr>" for a, b in self._rows()]
        ends = "".join(
            f"<td>{''.join(f'<div>{escape(note)}</div>' for note in last_notes(it))}"
            f"<b>{escape(ending_text(it))}</b></td>"
            for it in self._passages.values()
        )
        return f"<table><tr>{head}</tr>{''.join(rows)}<tr>{ends}</tr></table>"

    def _rows(self) -> Iterator[tuple[_Stop | None, _Stop | None]]:
        a, b = self._stops.values()
        matcher = SequenceMatcher(None, [it.key for it in a], [it.key for it in b], False)
        for kind, from_a, to_a, from_b, to_b in matcher.get_opcodes():
            if kind == "equal":
                yield from zip(a[from_a:to_a], b[from_b:to_b], strict=True)
            else:
                yield from ((it, None) for it in a[from_a:to_a])
                yield from ((None, it) for it in b[from_b:to_b])


def _stops(passage: Passage) -> list[_Stop]:
    places = Places(passage)
    return [
        _Stop(
            f"{' '.join(places.where(hop))} {hop.direction}",
            flow_text(hop),
            tuple(notes(passage, hop)),
            (hop.leg, hop.namespace, hop.interface, hop.direction),
        )
        for hop in taken(passage.hops)
        if hop.leg != "answer"
    ]


def _both(a: _Stop | None, b: _Stop | None) -> Iterator[str]:
    said = {"A": a, "B": b}
    own = {name: it for name, it in said.items() if it}
    flows = {it.flow for it in own.values()}
    shared = set.intersection(*(set(it.notes) for it in own.values()))
    for name, it in own.items():
        for note in it.notes:
            both = note in shared and len(own) == 2
            if not both or name == "A":
                yield f"{'A B' if both else _mark(name)}       {note}"
    mark = "A B" if len(own) == 2 else _mark(*own)
    where = next(iter(own.values())).where
    if len(flows) == 1:
        yield f"{mark}  {where}  {flows.pop()}"
    else:
        yield f"{mark}  {where}"
        yield from (f"{_mark(name)}       {it.flow}" for name, it in own.items())


def _mark(name: str) -> str:
    return "A  " if name == "A" else "  B"


def _cell(stop: _Stop | None) -> str:
    if stop is None:
        return "<td></td>"
    told = "".join(f"<div>{escape(note)}</div>" for note in stop.notes)
    flow = f"<div>{escape(stop.flow)}</div>"
    return f'<td style="text-align: left">{told}<b>{escape(stop.where)}</b>{flow}</td>'
