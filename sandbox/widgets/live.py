"""The topology as a widget that follows the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anywidget
import traitlets

from sandbox.model.state import Snapshot
from sandbox.views.graph import Mark, check_detail
from sandbox.views.journey import Journey
from sandbox.views.layout import Layout
from sandbox.views.picture import draw
from sandbox.views.topology import (
    drawing_script,
    front_end,
    packed_library,
    style,
    to_script,
)

__all__ = ["LiveTopology"]


def _module() -> str:
    packed = f"const PACKED = {to_script(packed_library())};"
    return "\n".join([drawing_script(), packed, front_end("live.js")])


class LiveTopology(anywidget.AnyWidget):
    """A picture that show() brings up to date in place.

    picture: what is drawn, JSON-ready.
    detail: "simple" or "full", which the switch in the picture changes too.
    selected: id of the node that was clicked, ``host-a/web`` say, or "".

    Raises SandboxError for another detail.
    """

    _esm = _module()
    _css = style()
    picture = traitlets.Dict().tag(sync=True)
    detail = traitlets.Enum(["simple", "full"], default_value="simple").tag(sync=True)
    selected = traitlets.Unicode("").tag(sync=True)

    def __init__(self, snapshot: Snapshot | None = None, *, detail: str = "simple") -> None:
        check_detail(detail)
        self._shown: Snapshot | None = None
        self.positions: dict[str, Layout] = {}
        first = draw(snapshot or Snapshot(0, "", ()), detail=detail)
        super().__init__(detail=detail, picture=first.data)
        if snapshot is not None:
            self._shown, self.positions = snapshot, first.positions

    def _repr_mimebundle_(self, **options: Any) -> Any:
        shown = super()._repr_mimebundle_(**options)
        if shown is not None:
            # What is seen where no widget is drawn, on GitHub say.
            shown[0]["text/plain"] = self.picture["text"]
        return shown

    def show(
        self, snapshot: Snapshot, *, before: Snapshot | None = None, marks: Sequence[Mark] = ()
    ) -> None:
        """Draw snapshot, and mark what changed since before, or else since the one shown last.

        What the last picture had stays where it was.  marks: what is wrong, drawn in red.
        """
        before = before or self._shown
        now = draw(
            snapshot, detail=self.detail, before=before, positions=self.positions, marks=marks
        )
        self._shown, self.positions = snapshot, now.positions
        self.picture = now.data

    def follow(self, journey: Journey) -> None:
        """Show a journey, from its first hop on, in place of what was shown."""
        self.detail = "full"
        self._shown, self.positions = None, {}
        self.picture = journey.data()
