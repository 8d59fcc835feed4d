"""The tab that tests connections."""

from __future__ import annotations

import ipywidgets as widgets

from sandbox.hosts import actions
from sandbox.hosts.actions import Refused
from sandbox.model.state import HostState, Snapshot
from sandbox.widgets.panel.field import heading, row
from sandbox.widgets.panel.runner import Request
from sandbox.widgets.panel.tab import Tab

__all__ = ["Probe"]


class Probe(Tab):
    """Ping, or make an HTTP request, from a container."""

    title = "Probe"

    def _controls(self) -> list[widgets.Widget]:
        return [
            heading("Test a connection"),
            self._field("container", widgets.Dropdown(options=[]), "From"),
            self._field("to", widgets.Combobox(placeholder="a name or an address"), "To"),
            self._field("port", widgets.Text(value="80"), "Port"),
            row(
                self._button("Ping", self._ping, "docker exec … ping"),
                self._button("HTTP", self._curl, "docker exec … curl"),
            ),
        ]

    def offer(self, state: HostState) -> None:
        running = [it.name for it in state.containers if it.state == "running"]
        self.fields["container"].offer(running)
        self.fields["to"].offer(_targets(self._picture.shown))

    def _ping(self) -> Request:
        return self._request(actions.ping(self._value("container"), self._value("to")))

    def _curl(self) -> Request:
        try:
            port = int(self._value("port") or "80")
        except ValueError:
            raise Refused("port", "A port is a number.", fix="Write one such as 80.") from None
        return self._request(actions.curl(self._value("container"), self._value("to"), port))


def _targets(snapshot: Snapshot) -> list[str]:
    """Names of containers and their addresses, and addresses of the hosts."""
    found: dict[str, None] = {}
    for container in snapshot.containers():
        if container.state == "running":
            found[container.name] = None
            for endpoint in container.endpoints:
                found[endpoint.address.partition("/")[0]] = None
    found.update(dict.fromkeys(host.address for host in snapshot.hosts))
    return [name for name in found if name]
