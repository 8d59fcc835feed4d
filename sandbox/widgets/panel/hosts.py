"""The hosts that a panel is for, and which of them the next click is for."""

from __future__ import annotations

import contextlib

import ipywidgets as widgets

from sandbox.hosts.host import Host
from sandbox.hosts.sandbox import Sandbox
from sandbox.model.state import HostState, Snapshot

__all__ = ["PARENT", "Hosts"]

# The interface with which every host is on its network.
PARENT = "eth0"


class Hosts:
    """The hosts of a sandbox, by name.

    sandbox_id: the sandbox's.  control: the buttons that choose a host.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox, self.sandbox_id = sandbox, sandbox.id
        self._hosts = {name: sandbox.host(name) for name in sandbox.hosts}
        self.control = widgets.ToggleButtons(options=list(self._hosts), description="Host")
        self.control.style.description_width = "60px"
        self.control.style.button_width = "80px"

    def __getitem__(self, name: str) -> Host:
        return self._hosts[name]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all of them."""
        return tuple(self._hosts)

    @property
    def chosen(self) -> str:
        """The name of the chosen host."""
        return str(self.control.value)

    def snapshot(self) -> Snapshot:
        """All of them as they are now. Raises SandboxError if no sandbox runs."""
        return self._sandbox.snapshot()

    def state(self, name: str) -> HostState:
        """One of them as it is now. Raises SandboxError if no sandbox runs."""
        (state,) = self._sandbox.snapshot((name,)).hosts
        return state

    def images(self) -> dict[str, list[str]]:
        """Names of the images that each host has; none if its Engine is silent."""
        return {name: self._images_of(host) for name, host in self._hosts.items()}

    @staticmethod
    def _images_of(host: Host) -> list[str]:
        with contextlib.suppress(Exception):
            found = host.client.images.list()
            return sorted(tag.removesuffix(":latest") for image in found for tag in image.tags)
        return []
