"""What the course's widgets share."""

from __future__ import annotations

import ipywidgets as widgets

__all__ = ["Box"]


class Box(widgets.VBox):
    """A column of widgets whose text, where none can be shown, is its repr."""

    def _repr_mimebundle_(self, **options: object) -> dict[str, object] | None:
        bundle = super()._repr_mimebundle_(**options)
        if bundle:
            # The text of all these widgets would say nothing.
            bundle["text/plain"] = repr(self)
        return bundle
