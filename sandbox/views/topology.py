"""The picture of a snapshot, in a notebook or as a page of its own."""

from __future__ import annotations

import base64
import functools
import gzip
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sandbox.model.state import Snapshot
from sandbox.views.graph import Mark, check_detail
from sandbox.views.layout import Layout
from sandbox.views.page import FRONTEND, save_page, template
from sandbox.views.picture import Positions, draw

__all__ = ["Drawing", "Topology"]

# In pyvis's folder, by the version of vis-network.
LIBRARY = "templates/lib/vis-*/vis-network.min.js"


class Drawing:
    """Something that a notebook shows as a picture, and a terminal as text.

    title: of its page.  noun: what it is called in a message.
    """

    def __init__(self, title: str, noun: str) -> None:
        self._title, self._noun = title, noun

    @property
    def text(self) -> str:
        """What the picture shows, as text."""
        raise NotImplementedError

    def data(self) -> dict[str, Any]:
        """What the front end draws, JSON-ready."""
        raise NotImplementedError

    def save(self, path: str | Path) -> Path:
        """Write the picture to path as one HTML file that needs no other; return its path.

        Raises SandboxError if it cannot be written.
        """
        return save_page(Path(path), self._title, self._html(carry=True), self._noun)

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/plain": self.text, "text/html": self._html(carry=_carrier.is_due())}

    def _html(self, *, carry: bool) -> str:
        # The text is in the page already, for where no script runs.
        data = {key: value for key, value in self.data().items() if key != "text"}
        scripts = [carried() if carry else "", front_end("wait.js")]
        page: str = template("output.html").render(
            text=self.text, data=to_script(data), scripts=[s for s in scripts if s]
        )
        return page


class Topology(Drawing):
    """The topology of a snapshot, which a notebook shows as a picture.

    detail: what it shows first, "simple" or "full"; a switch in the picture changes it.
    before: an earlier snapshot; what is new, changed or gone since then is marked.
    positions: those of an earlier Topology; what was in it stays where it was.
    marks: what is wrong, drawn in red.

    Raises SandboxError for another detail.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        detail: str = "simple",
        before: Snapshot | None = None,
        positions: Positions | None = None,
        marks: Sequence[Mark] = (),
    ) -> None:
        check_detail(detail)
        self._picture = draw(
            snapshot, detail=detail, before=before, positions=positions, marks=marks
        )
        hosts = ", ".join(sorted(host.name for host in snapshot.hosts))
        super().__init__(f"Topology of {hosts}" if hosts else "Topology", "topology")

    @property
    def text(self) -> str:
        """The topology as an indented text."""
        return str(self._picture.data["text"])

    @property
    def positions(self) -> dict[str, Layout]:
        """Where everything is, by level of detail; for the next Topology."""
        return self._picture.positions

    def data(self) -> dict[str, Any]:
        return self._picture.data


class _Carrier:
    """Which cell of the notebook carries the library: one is enough for a page."""

    def __init__(self) -> None:
        self.carried = False
        self.cell = self.request = ""

    def is_due(self) -> bool:
        """Whether the output that is made now has to carry it.

        The first one of this kernel has to, and when its cell is run again that one anew, as
        its earlier output is then lost.
        """
        cell, request = _running_cell()
        again = bool(cell) and cell == self.cell and request != self.request
        if self.carried and not again:
            return False
        self.carried, self.cell, self.request = True, cell, request
        return True


_carrier = _Carrier()


def _running_cell() -> tuple[str, str]:
    """The ids of the cell that runs, as JupyterLab sends it, and of the request to run it."""
    from IPython import get_ipython

    parent: dict[str, Any] = getattr(get_ipython(), "get_parent", dict)() or {}
    return (
        str(parent.get("metadata", {}).get("cellId", "")),
        str(parent.get("header", {}).get("msg_id", "")),
    )


@functools.cache
def packed_library() -> str:
    """pyvis's copy of vis-network with its licence, as base64 of gzip: 165 kB."""
    import pyvis

    found = Path(pyvis.__file__).parent.glob(LIBRARY)
    source = max(found, key=lambda path: [*map(int, re.findall(r"\d+", path.parent.name))])
    # No time of day: the same library gives the same output.
    return base64.b64encode(gzip.compress(source.read_bytes(), 9, mtime=0)).decode()


@functools.cache
def front_end(name: str) -> str:
    """The text of that file of the front end."""
    return (FRONTEND / name).read_text(encoding="utf-8").strip()


def carried() -> str:
    """The script that draws, for all outputs of a page."""
    library = to_script(packed_library())
    return f"(() => {{\n{drawing_script()}\nshare({to_script(style())}, {library});\n}})();"


def drawing_script() -> str:
    """What draws pictures, and journeys on them."""
    return "\n".join(map(front_end, ("topology.js", "journey.js", "keys.js")))


def style() -> str:
    """The style of both."""
    return "\n".join(map(front_end, ("topology.css", "journey.css")))


def to_script(value: Any) -> str:
    """value as JSON that a script element may hold, whatever its strings are."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    # JSON has these characters only within strings.
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
