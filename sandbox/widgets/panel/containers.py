"""The tab that launches containers, and does things to those that are there."""

from __future__ import annotations

import sys
from collections.abc import Callable

import ipywidgets as widgets

from sandbox.hosts import actions
from sandbox.hosts.actions import Action, HostCommand
from sandbox.model.state import Container, HostState, Network
from sandbox.widgets.panel.field import heading, row
from sandbox.widgets.panel.runner import Request
from sandbox.widgets.panel.tab import Tab

__all__ = ["Containers"]


class Containers(Tab):
    """Launch, start, stop, remove, connect containers; open terminals."""

    title = "Containers"

    def _controls(self) -> list[widgets.Widget]:
        return [*self._new(), *self._present(), self._terminals()]

    def _new(self) -> list[widgets.Widget]:
        return [
            heading("Launch a container"),
            self._field("image", widgets.Combobox(value="toolbox", placeholder="toolbox"), "Image"),
            self._field("name", widgets.Text(placeholder="web; Docker chooses one"), "Name"),
            self._field("network", widgets.Dropdown(options=["bridge"]), "Network"),
            self._field("ports", widgets.Text(placeholder="8080:80, 127.0.0.1:53:53/udp"), "Ports"),
            self._field("command", widgets.Text(placeholder="the image's own"), "Command"),
            self._button("Launch", self._launch, "docker run -d"),
        ]

    def _present(self) -> list[widgets.Widget]:
        return [
            heading("Containers that are there"),
            self._field("container", widgets.Dropdown(options=[]), "Container"),
            row(
                self._button("Start", lambda: self._to_container(actions.start), "docker start"),
                self._button("Stop", lambda: self._to_container(actions.stop), "docker stop"),
                self._button("Remove", lambda: self._to_container(actions.remove), "docker rm -f"),
                self._button("Logs", lambda: self._to_container(actions.logs), "docker logs"),
            ),
            self._field("endpoint", widgets.Dropdown(options=["bridge"]), "Network"),
            row(
                self._button(
                    "Connect",
                    lambda: self._to_endpoint(actions.connect),
                    "docker network connect",
                    network="endpoint",
                ),
                self._button(
                    "Disconnect",
                    lambda: self._to_endpoint(actions.disconnect),
                    "docker network disconnect",
                    network="endpoint",
                ),
            ),
        ]

    def _terminals(self) -> widgets.Widget:
        return row(
            self._button("Terminal in container", self._container_terminal, "a shell in it"),
            self._button("Terminal on host", self._host_terminal, "a shell on the host"),
        )

    def offer(self, state: HostState) -> None:
        networks = [it.name for it in state.networks if not it.ingress]
        self.fields["container"].offer(it.name for it in state.containers)
        self.fields["network"].offer(networks)
        self.fields["endpoint"].offer(networks)
        self.fields["image"].offer(self._picture.images[state.name])

    def choose(self, made: Container | Network) -> None:
        name = "container" if isinstance(made, Container) else "endpoint"
        self.fields[name].control.value = made.name

    def choose_container(self, name: str) -> None:
        """Choose one that is there."""
        self.fields["container"].control.value = name

    def _launch(self) -> Request:
        network = self._value("network")
        action = actions.run(
            self._value("image"),
            name=self._value("name"),
            network="" if network == "bridge" else network,
            ports=self._value("ports"),
            command=self._value("command"),
        )
        return self._request(action, doing="Starting a container …", then=self._made)

    def _to_container(self, make: Callable[[str], Action]) -> Request:
        return self._request(make(self._value("container")))

    def _to_endpoint(self, make: Callable[[str, str], Action]) -> Request:
        return self._request(make(self._value("endpoint"), self._value("container")))

    def _host_terminal(self) -> Request:
        # With no input it ends at once, and proves that one starts.
        return self._terminal(HostCommand(("bash", "-l")))

    def _container_terminal(self) -> Request:
        name = self._value("container")
        return self._terminal(actions.shell(name), name)

    def _terminal(self, proof: Action | HostCommand, *container: str) -> Request:
        """Open a terminal on the host or in its container, once what it runs has been tried."""
        argv = [sys.executable, "-m", "sandbox", "shell", self._hosts.chosen, *container]
        argv += ["--id", self._hosts.sandbox_id]
        return self._request(
            proof,
            doing="Opening a terminal …",
            then=lambda _: self._runner.console.open_terminal(argv),
        )
