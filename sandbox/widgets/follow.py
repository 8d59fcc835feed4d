"""Pick two ends and a protocol, send a probe, and watch it on its way."""

from __future__ import annotations

import ipywidgets as widgets

from sandbox.hosts.journey import journey
from sandbox.hosts.sandbox import Sandbox
from sandbox.model.state import Snapshot
from sandbox.views.journey import ending_text
from sandbox.widgets.box import Worker
from sandbox.widgets.live import LiveTopology

__all__ = ["Follow"]


class Follow(Worker):
    """Controls for a probe above its journey, step by step. close() ends it.

    sandbox: any; what is sent is small, and nothing on the hosts is changed by it.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__()
        self._sandbox = sandbox
        style = {"description_width": "80px"}
        self.source = widgets.Combobox(
            placeholder="host-a/web", description="From", ensure_option=False, style=style
        )
        self.destination = widgets.Combobox(
            placeholder="host-a/db, host-b, an address or a name",
            description="To",
            ensure_option=False,
            style=style,
            layout={"width": "420px"},
        )
        self.protocol = widgets.ToggleButtons(
            options=["tcp", "udp", "icmp"],
            description="Protocol",
            style=style,
            layout={"width": "310px"},
        )
        self.protocol.style.button_width = "60px"
        self.port = widgets.BoundedIntText(
            value=80, min=1, max=65535, description="Port", style=style, layout={"width": "170px"}
        )
        self.send = self._button("Send", self._on_send, "one probe, followed on all hosts")
        self.topology = LiveTopology(detail="full")
        self.topology.layout.display = "none"
        self.protocol.observe(lambda _: self._enable(), names="value")
        self.children = (
            widgets.HBox([self.source, self.destination], layout={"flex_flow": "row wrap"}),
            widgets.HBox([self.protocol, self.port, self.send], layout={"flex_flow": "row wrap"}),
            self._message,
            self.topology,
        )
        self.add_class("wire-by-wire-follow")
        self._offer(sandbox.snapshot())
        self._say("Pick both ends, and press “Send”.")
        self._enable()

    def __repr__(self) -> str:
        return f"<Follow on {', '.join(self._sandbox.hosts)}>"

    def _offer(self, snapshot: Snapshot) -> None:
        """Suggest the ends that there are; any other can be written."""
        running = [f"{it.host}/{it.name}" for it in snapshot.containers() if it.state == "running"]
        known = (*sorted(running), *(host.name for host in snapshot.hosts))
        self.source.options = known
        self.destination.options = (*known, "outside")

    def _enable(self) -> None:
        self.send.disabled = self._busy
        self.port.disabled = self.protocol.value == "icmp"

    def _on_send(self) -> None:
        self.topology.layout.display = "none"
        self._say("It is on its way …")
        port = self.port.value
        ports = {"tcp": {"tcp": port}, "udp": {"udp": port}, "icmp": {}}[self.protocol.value]
        made = journey(
            self.source.value.strip(), self.destination.value.strip(), id=self._sandbox.id, **ports
        )
        self._offer(made.passage.snapshot)
        self.topology.follow(made)
        self.topology.layout.display = ""
        first, *_ = made.text.splitlines()
        self._say(first, then=ending_text(made.passage))
