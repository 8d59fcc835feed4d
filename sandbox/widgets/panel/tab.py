"""What every tab has: fields, buttons that turn them into requests, lists of what is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import ipywidgets as widgets

from sandbox.hosts.actions import Action, HostCommand
from sandbox.model.state import Container, HostState, Network
from sandbox.widgets.panel.field import Field
from sandbox.widgets.panel.hosts import Hosts
from sandbox.widgets.panel.picture import Picture
from sandbox.widgets.panel.runner import Request, Runner

__all__ = ["Tab"]


class Tab(widgets.VBox):
    """One of the panel's tabs: its controls, from top to bottom.

    made: called with the id of the container or network that a click made.

    fields: by the names that actions have for them.  title: the tab's.
    """

    title: ClassVar[str]

    def __init__(
        self, hosts: Hosts, picture: Picture, runner: Runner, made: Callable[[str], None]
    ) -> None:
        self._hosts, self._picture, self._runner, self._made = hosts, picture, runner, made
        self.fields: dict[str, Field] = {}
        super().__init__(self._controls())

    def _controls(self) -> list[widgets.Widget]:
        raise NotImplementedError

    def offer(self, state: HostState) -> None:
        """Offer in every list what the chosen host has.

        state: that host as it was when it could be read last.
        """

    def choose(self, made: Container | Network) -> None:
        """Choose what a click made where it is offered."""

    def _field(self, name: str, control: widgets.Widget, label: str) -> widgets.Widget:
        field = self.fields[name] = Field(control, label)
        return field.box

    def _button(
        self, label: str, ask: Callable[[], Request], tip: str, **at_fault: str
    ) -> widgets.Button:
        """A button. at_fault: which field is meant when an action names another one."""
        return self._runner.button(
            label, ask, tip, lambda name: self.fields.get(at_fault.get(name, name))
        )

    def _value(self, name: str) -> str:
        return self.fields[name].value

    def _request(
        self,
        *steps: Action | HostCommand,
        doing: str = "",
        then: Callable[[str], None] | None = None,
    ) -> Request:
        """These actions on the chosen host."""
        listed = tuple((self._hosts.chosen, step) for step in steps)
        return Request(listed, doing or f"{steps[0]} …", then)
