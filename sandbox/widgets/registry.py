"""The widgets that a kernel shows: of each kind one for a sandbox."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import ipywidgets as widgets

__all__ = ["replace"]

_Shown = TypeVar("_Shown", bound=widgets.Widget)
# By kind, and the sandbox's id.
_shown: dict[tuple[type[widgets.Widget], str], widgets.Widget] = {}


def replace(kind: type[_Shown], sandbox_id: str, make: Callable[[], _Shown]) -> _Shown:
    """What make makes; an earlier widget of that kind for that sandbox is closed first."""
    if earlier := _shown.pop((kind, sandbox_id), None):
        earlier.close()
    made = _shown[kind, sandbox_id] = make()
    return made
