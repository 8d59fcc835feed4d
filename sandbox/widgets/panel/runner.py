"""What a click asks for is done in the background, and the console shows it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import ipywidgets as widgets

from sandbox.errors import SandboxError
from sandbox.hosts import actions
from sandbox.hosts.actions import Action, HostCommand, Refused
from sandbox.widgets.console import Console
from sandbox.widgets.panel.field import Field
from sandbox.widgets.panel.hosts import Hosts

__all__ = ["FieldOf", "Request", "Runner"]

# Gives the field that is meant by an action's name for it; None if no field is.
FieldOf = Callable[[str], Field | None]


@dataclass(frozen=True, slots=True)
class Request:
    """What a click asks for.

    steps: actions, each after the name of its host, to be done one after the other.  doing: what
    goes on until then.  then: called with what the last one said, if none failed.
    """

    steps: tuple[tuple[str, Action | HostCommand], ...]
    doing: str
    then: Callable[[str], None] | None = None


class Runner:
    """Does what clicks ask for, one after the other, while the page stays usable.

    console: says what is run, and what came of it.  after: called after each request.
    """

    def __init__(self, hosts: Hosts, console: Console, after: Callable[[], None]) -> None:
        self._hosts, self.console, self._after = hosts, console, after
        self._pool = ThreadPoolExecutor(1)
        self._closed = False
        self._buttons: list[widgets.Button] = []
        self._at_fault: list[Field] = []

    def close(self) -> None:
        """What was begun comes to its end; further clicks do nothing."""
        self._closed = True
        self._pool.shutdown(wait=False)

    def button(
        self, label: str, ask: Callable[[], Request], tip: str, field: FieldOf
    ) -> widgets.Button:
        """A button. It is off while something runs.

        ask: gives what a click asks for; raises Refused for what cannot be asked.  field: what is
        wrong is said beside it, too.
        """
        button = widgets.Button(description=label, tooltip=tip, layout={"width": "auto"})
        button.on_click(lambda _: self.click(ask, field))
        self._buttons.append(button)
        return button

    def click(self, ask: Callable[[], Request], field: FieldOf) -> None:
        """Do what a button's click does, see there."""
        # Clicks wait in the kernel while a cell runs, one that closes the panel perhaps.
        if self._closed:
            return
        while self._at_fault:
            self._at_fault.pop().say("")
        self.console.place = self.console.command = ""
        self.console.say("")
        try:
            request = ask()
        except Exception as error:
            self._tell(error, field)
            self.console.answered += 1
        else:
            self.console.place = ", ".join(dict.fromkeys(f"{name}$" for name, _ in request.steps))
            self.console.command = "; ".join(str(action) for _, action in request.steps)
            self._set_busy(request.doing)
            self._pool.submit(self._work, request, field)

    def _work(self, request: Request, field: FieldOf) -> None:
        said = ""
        try:
            for name, action in request.steps:
                said = actions.perform(self._hosts[name], action)
            self.console.say(said or "Done.")
            if request.then:
                request.then(said)
        except Exception as error:
            self._tell(error, field)
        finally:
            # Events tell of most changes; a probe and a failure may have none.
            self._after()
            self._set_busy("")
            self.console.answered += 1

    def _tell(self, error: Exception, field: FieldOf) -> None:
        """Say what went wrong; what was refused is said beside its field, too."""
        text = str(error) if isinstance(error, SandboxError) else f"{type(error).__name__}: {error}"
        if isinstance(error, Refused):
            text = " ".join(filter(None, (error.what, error.fix)))
            if at_fault := field(error.field):
                self._at_fault.append(at_fault)
                at_fault.say(text)
        self.console.say(text, failed=True)

    def _set_busy(self, doing: str) -> None:
        self.console.busy = doing
        for button in self._buttons:
            button.disabled = bool(doing)
