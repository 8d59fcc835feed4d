"""Keys typed at the course's widgets stay with them."""

from __future__ import annotations

import functools

import anywidget

from sandbox.views.topology import front_end

__all__ = ["KEEPS_KEYS", "keys"]

# The front end knows a widget of the course by a class that begins so.
KEEPS_KEYS = "wire-by-wire-widget"


class Keys(anywidget.AnyWidget):
    """Shows nothing. On a page with one, JupyterLab's shortcuts leave the course's widgets alone,
    which have the class KEEPS_KEYS or another that begins with ``wire-by-wire``.
    """

    _esm = front_end("keys.js") + "\nexport default { render: keepKeys };"


@functools.cache
def keys() -> Keys:
    """The one of this kernel."""
    return Keys(layout={"display": "none"})
