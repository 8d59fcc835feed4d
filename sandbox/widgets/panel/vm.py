"""The tab for a virtual machine on a host."""

from __future__ import annotations

import ipywidgets as widgets

from sandbox.guest import vm
from sandbox.hosts import actions
from sandbox.hosts.actions import Refused
from sandbox.model.state import HostState
from sandbox.widgets.panel.field import heading, row
from sandbox.widgets.panel.hosts import PARENT
from sandbox.widgets.panel.runner import Request
from sandbox.widgets.panel.tab import Tab

__all__ = ["VirtualMachine"]


class VirtualMachine(Tab):
    """Start it on a network, run a command in it, stop it."""

    title = "VM"

    def _controls(self) -> list[widgets.Widget]:
        return [
            heading("A virtual machine on the host"),
            self._field("vm_network", widgets.Dropdown(options=[]), "Network"),
            row(
                self._button("Start VM", self._start, "vm start"),
                self._button("Stop VM", self._stop, "vm stop"),
            ),
            self._field("vm_command", widgets.Text(placeholder="uname -r"), "Command"),
            self._button("Run in VM", self._run, "vm exec"),
        ]

    def offer(self, state: HostState) -> None:
        own = state.namespace.interfaces if state.namespace else ()
        bridges = [it.name for it in own if it.kind == "bridge"]
        self.fields["vm_network"].offer(actions.vm_networks(bridges, [PARENT]))

    def _state(self) -> HostState:
        """The chosen host now: no event of its Engine tells of a virtual machine."""
        return self._hosts.state(self._hosts.chosen)

    def _start(self) -> Request:
        state = self._state()
        if any(machine.name == vm.NAME for machine in state.machines):
            raise Refused("vm_network", f"A VM runs on {state.name} already.", fix="Stop it.")
        there = [it.name for it in state.namespace.interfaces] if state.namespace else []
        steps = actions.start_vm(self._value("vm_network"), there)
        return self._request(*steps, doing="Starting the VM …")

    def _stop(self) -> Request:
        ours = [machine for machine in self._state().machines if machine.name == vm.NAME]
        steps = actions.stop_vm(ref.name for machine in ours for ref in machine.interfaces)
        return self._request(*steps, doing="Stopping the VM …")

    def _run(self) -> Request:
        return self._request(actions.run_in_vm(self._value("vm_command")))
