"""What tabs are made of: fields, rows, headings, and how they say that something is wrong."""

from __future__ import annotations

import html
from collections.abc import Iterable

import ipywidgets as widgets

__all__ = ["Field", "alert", "heading", "row"]


class Field:
    """A control with its label, and below it what is wrong with what it holds.

    box: the widget with all of that.
    """

    def __init__(self, control: widgets.Widget, label: str) -> None:
        control.description = label
        control.layout.width = "auto"
        control.style.description_width = "88px"
        self.control = control
        self._error = widgets.HTML(layout={"display": "none"})
        self.box = widgets.VBox([control, self._error])
        self.box.add_class("wire-by-wire-field")
        if hasattr(control, "value"):
            control.observe(lambda _: self.say(""), names="value")

    @property
    def value(self) -> str:
        """What is written, without spaces around it; what is chosen, as it is."""
        value = self.control.value or ""
        return value if isinstance(self.control, widgets.Dropdown) else value.strip()

    def say(self, what: str) -> None:
        """Show what is wrong; "" for nothing."""
        self._error.value = alert(what)
        self._error.layout.display = "" if what else "none"

    def offer(self, options: Iterable[str]) -> None:
        """Offer these values; what is chosen stays if it is among them."""
        listed = tuple(options)
        if isinstance(self.control, widgets.Combobox):
            self.control.options = listed
        elif self.control.options != listed:
            kept = self.control.value
            self.control.options = listed
            self.control.value = kept if kept in listed else next(iter(listed), None)


def alert(what: str) -> str:
    """HTML that says what is wrong; "" for nothing."""
    return f'<div class="wire-by-wire-error" role="alert">{html.escape(what)}</div>' if what else ""


def heading(text: str) -> widgets.Widget:
    """A heading inside a tab."""
    return widgets.HTML(f'<div class="wire-by-wire-heading">{html.escape(text)}</div>')


def row(*children: widgets.Widget) -> widgets.Widget:
    """Widgets beside each other; those that find no room go below."""
    return widgets.HBox(children, layout={"flex_flow": "row wrap"})
