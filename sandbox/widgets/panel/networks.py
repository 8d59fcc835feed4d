"""The tab that creates networks, removes them, and makes a swarm of the hosts."""

from __future__ import annotations

import ipywidgets as widgets

from sandbox.hosts import actions
from sandbox.hosts.actions import Refused
from sandbox.model.state import Container, HostState, Network
from sandbox.widgets.panel.field import heading, row
from sandbox.widgets.panel.hosts import PARENT
from sandbox.widgets.panel.runner import Request
from sandbox.widgets.panel.tab import Tab

__all__ = ["Networks"]

BUILT_IN = ("bridge", "host", "none")


class Networks(Tab):
    """Create a network of any driver, make a swarm for overlays, remove a network."""

    title = "Networks"

    def _controls(self) -> list[widgets.Widget]:
        controls = [*self._new(), *self._present()]
        self.fields["driver"].control.observe(lambda _: self._fit_driver(), names="value")
        self._fit_driver()
        return controls

    def _new(self) -> list[widgets.Widget]:
        driver = widgets.Combobox(value="bridge", options=actions.DRIVERS, ensure_option=False)
        return [
            heading("Create a network"),
            self._field("driver", driver, "Driver"),
            self._field("name", widgets.Text(placeholder="shop"), "Name"),
            self._field("subnet", widgets.Text(placeholder="Docker chooses one"), "Subnet"),
            self._field("gateway", widgets.Text(placeholder="the subnet's first"), "Gateway"),
            self._field("parent", widgets.Text(value=PARENT), "Parent"),
            self._field("vlan", widgets.Text(placeholder="none; 1 to 4094"), "VLAN id"),
            self._field("mode", widgets.Dropdown(options=actions.MODES["macvlan"]), "Mode"),
            self._field("internal", widgets.Checkbox(indent=False), "Internal: no way out"),
            self._field("ipv6", widgets.Checkbox(indent=False), "IPv6 too"),
            row(
                self._button("Create", self._create, "docker network create"),
                self._button(
                    "Make a swarm", self._swarm, "docker swarm init and join", network="driver"
                ),
            ),
        ]

    def _present(self) -> list[widgets.Widget]:
        return [
            heading("Networks that are there"),
            self._field("network", widgets.Dropdown(options=[]), "Network"),
            self._button("Remove network", self._remove, "docker network rm"),
        ]

    def _fit_driver(self) -> None:
        """Show what belongs to the chosen driver."""
        driver = self._value("driver")
        modes = actions.MODES.get(driver, ())
        for name in ("parent", "vlan", "mode"):
            self.fields[name].box.layout.display = "" if modes else "none"
        if modes:
            self.fields["mode"].offer(modes)
        self.fields["ipv6"].box.layout.display = "none" if driver == "overlay" else ""

    def offer(self, state: HostState) -> None:
        names = [it.name for it in state.networks if not it.ingress]
        self.fields["network"].offer(it for it in names if it not in BUILT_IN)

    def choose(self, made: Container | Network) -> None:
        if isinstance(made, Network):
            self.fields["network"].control.value = made.name

    def _create(self) -> Request:
        driver = self._value("driver")
        layered = driver in actions.MODES
        try:
            vlan = int(self._value("vlan")) if layered and self._value("vlan") else None
        except ValueError:
            raise Refused(
                "vlan", "A VLAN id is a number.", fix="Write one from 1 to 4094."
            ) from None
        action = actions.create_network(
            self._value("name"),
            driver,
            subnet=self._value("subnet"),
            gateway=self._value("gateway"),
            parent=self._value("parent") if layered else "",
            vlan=vlan,
            mode=self._value("mode") if layered else "",
            internal=self.fields["internal"].control.value,
            ipv6=self.fields["ipv6"].control.value and driver != "overlay",
        )
        return self._request(action, doing="Creating a network …", then=self._made)

    def _remove(self) -> Request:
        return self._request(actions.remove_network(self._value("network")))

    def _swarm(self) -> Request:
        """All hosts join a swarm that the chosen one manages."""
        manager = self._hosts[self._hosts.chosen]
        steps = []
        if self._picture.state(manager.name).swarm != "active":
            steps.append((manager.name, actions.start_swarm(manager.address)))
        for other in self._picture.shown.hosts:
            if other.name != manager.name and other.swarm != "active":
                steps.append((other.name, actions.join_swarm(manager, manager.address)))
        if not steps:
            raise Refused("driver", "The hosts are in a swarm already.")
        return Request(tuple(steps), "Making a swarm …")
