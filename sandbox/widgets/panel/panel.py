"""The panel: launch containers, create networks, test connections, and see it happen."""

from __future__ import annotations

import threading

import ipywidgets as widgets

from sandbox.hosts.sandbox import Sandbox
from sandbox.model.state import Container, HostState, Network, Snapshot
from sandbox.widgets.box import Box
from sandbox.widgets.console import Console
from sandbox.widgets.panel.containers import Containers
from sandbox.widgets.panel.field import alert
from sandbox.widgets.panel.hosts import Hosts
from sandbox.widgets.panel.networks import Networks
from sandbox.widgets.panel.picture import Picture
from sandbox.widgets.panel.probe import Probe
from sandbox.widgets.panel.runner import Runner
from sandbox.widgets.panel.vm import VirtualMachine

__all__ = ["Panel"]


class Panel(Box):
    """Controls for the hosts of a running sandbox beside their topology, which follows live.

    Each click shows the docker command that does the same. close() ends it; it survives a reset
    of the hosts.
    """

    # What close() ends. It is called for a panel that could not be made, too.
    _ends: tuple[Picture | Runner, ...] = ()

    def __init__(self, sandbox: Sandbox, *, detail: str = "simple") -> None:
        self._lock = threading.Lock()
        self._read: dict[str, HostState] = {}
        self._made = ""
        self._hosts = Hosts(sandbox)
        self.host = self._hosts.control
        self.console = Console()
        self._picture = Picture(self._hosts, self.console, self._offer, detail=detail)
        self.topology = self._picture.topology
        self._runner = Runner(self._hosts, self.console, self._picture.look_again)
        self._ends = (self._picture, self._runner)
        shared = (self._hosts, self._picture, self._runner, self._choose_made)
        self.containers = Containers(*shared)
        self.tabs = (self.containers, Networks(*shared), Probe(*shared), VirtualMachine(*shared))
        self._trouble = widgets.HTML()
        titles = tuple(tab.title for tab in self.tabs)
        left = widgets.VBox(
            [self.host, self._trouble, widgets.Tab(self.tabs, titles=titles)],
            layout={"width": "400px", "flex": "0 0 auto"},
        )
        right = widgets.VBox([self.topology], layout={"flex": "1 1 420px", "min_width": "0"})
        both = widgets.HBox([left, right], layout={"flex_flow": "row wrap", "width": "100%"})
        super().__init__([both, self.console], layout={"width": "100%"})
        self.add_class("wire-by-wire-panel")
        self._offer()
        self.host.observe(lambda _: self._offer(), names="value")
        self.topology.observe(self._select, names="selected")
        self._picture.follow()

    def __repr__(self) -> str:
        return f"<Panel of {', '.join(self._hosts.names)}>"

    def close(self) -> None:
        """Stop following the hosts and remove the widgets."""
        for part in self._ends:
            part.close()
        super().close()

    def _offer(self) -> None:
        """Offer in every list what the chosen host has now.

        While it cannot be read, as in a reset, its lists stay: what is chosen would be lost.
        """
        with self._lock:
            state = self._picture.state(self._hosts.chosen)
            if not state.unread:
                self._read[state.name] = state
            state = self._read.get(state.name, state)
            for tab in self.tabs:
                tab.offer(state)
            there: list[Container | Network] = [*state.containers, *state.networks]
            for made in there:
                if self._made and made.id == self._made:
                    self._made = ""
                    for tab in self.tabs:
                        tab.choose(made)
            self._trouble.value = alert(_unread(self._picture.shown))

    def _choose_made(self, id: str) -> None:
        """Choose what a click made in the lists: its event may have come before its answer."""
        self._made = id
        self._offer()

    def _select(self, change: dict[str, str]) -> None:
        """A node was clicked in the picture: choose its host and container."""
        host, _, name = change["new"].partition("/")
        if host in self._hosts.names:
            self.host.value = host
            if self._picture.state(host).container(name):
                self.containers.choose_container(name)


def _unread(snapshot: Snapshot) -> str:
    """The hosts that could not be read, each with the reason; "" if all could."""
    return "; ".join(
        f"{it.name}: {it.unread.splitlines()[0]}" for it in snapshot.hosts if it.unread
    )
