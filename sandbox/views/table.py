"""A comparison of network drivers, as a table in Markdown and as a chart."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Chart", "Lines", "Table", "table"]


def table(facts: Mapping[str, Mapping[str, str]]) -> str:
    """A Markdown table with a column for each driver and a row for each property.

    facts: by driver, by property.
    """
    properties = list(next(iter(facts.values()), {}))
    rows = [["", *facts], ["---"] * (len(facts) + 1)]
    rows += [[name, *(found[name] for found in facts.values())] for name in properties]
    return "\n".join(f"| {' | '.join(map(_cell, row))} |" for row in rows)


def _cell(text: str) -> str:
    """It as the text of one cell (GitHub Flavored Markdown, "Tables (extension)")."""
    return " ".join(text.split()).replace("|", "\\|")


class Table:
    """A Markdown table, which a notebook shows as one. facts: as ``table`` takes them."""

    def __init__(self, facts: Mapping[str, Mapping[str, str]]) -> None:
        self._facts = facts

    def __repr__(self) -> str:
        return table(self._facts)

    _repr_markdown_ = __repr__


class Chart:
    """Bars in groups, side by side, which a notebook shows as a picture.

    panels: by title, by group (a driver), by series (where the caller was), a number.
    A title ends with its unit, after a comma.
    """

    def __init__(self, panels: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
        self._panels = panels

    def __repr__(self) -> str:
        lines = []
        for title, groups in self._panels.items():
            name, _, unit = title.rpartition(", ")
            lines.append(f"{name}:")
            for group, numbers in groups.items():
                said = ", ".join(f"{series} {value} {unit}" for series, value in numbers.items())
                lines.append(f"  {group}: {said or 'no connection'}")
        return "\n".join(lines)

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        return {"text/plain": repr(self), "image/png": self._png()}

    def _png(self) -> bytes:
        figure, axes = _panels(len(self._panels))
        for axis, (title, groups) in zip(axes, self._panels.items(), strict=True):
            series = _series(groups)
            height = 0.8 / len(series)
            for number, name in enumerate(series):
                found = [
                    (row, numbers[name])
                    for row, numbers in enumerate(groups.values())
                    if name in numbers
                ]
                axis.barh(
                    [row + (number - (len(series) - 1) / 2) * height for row, _ in found],
                    [value for _, value in found],
                    height,
                    label=name,
                )
            axis.set_yticks(range(len(groups)), list(groups))
            axis.invert_yaxis()
            axis.set_title(title, fontsize="medium")
        axes[0].legend(fontsize="small")
        return _picture(figure)


class Lines:
    """One line in each of several panels, side by side, which a notebook shows as a picture.

    panels: by title, which ends with its unit after a comma, a number for each of 1, 2, 3 …
    along: what these count.
    """

    def __init__(self, panels: Mapping[str, Sequence[float]], along: str) -> None:
        self._panels, self._along = panels, along

    def __repr__(self) -> str:
        lines = []
        for title, values in self._panels.items():
            name, _, unit = title.rpartition(", ")
            steps = sorted({1, len(values) // 2 or 1, len(values)})
            said = ", ".join(f"{values[at - 1]:.1f} {unit} at {at}" for at in steps)
            lines.append(f"{name} by {self._along}: {said}")
        return "\n".join(lines)

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        return {"text/plain": repr(self), "image/png": self._png()}

    def _png(self) -> bytes:
        figure, axes = _panels(len(self._panels))
        for axis, (title, values) in zip(axes, self._panels.items(), strict=True):
            axis.plot(range(1, len(values) + 1), values, marker=".", markersize=4, linewidth=1)
            axis.set_ylim(bottom=0)
            axis.set_xlabel(self._along)
            axis.set_title(title, fontsize="medium")
        return _picture(figure)


def _panels(count: int) -> tuple[Figure, Sequence[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * count, 3.2), layout="constrained")
    axes = figure.subplots(1, count, squeeze=False)[0]
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _picture(figure: Figure) -> bytes:
    picture = io.BytesIO()
    figure.savefig(picture, dpi=90)
    return picture.getvalue()


def _series(groups: Mapping[str, Mapping[str, float]]) -> Sequence[str]:
    return list(dict.fromkeys(name for numbers in groups.values() for name in numbers)) or [""]
