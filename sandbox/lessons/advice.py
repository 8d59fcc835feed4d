"""Which network driver fits: five questions, and the driver with its reasons.

The advice is Docker's own: https://docs.docker.com/engine/network/drivers/
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.hosts.plan import LAN
from sandbox.lessons.questions import Asked

if TYPE_CHECKING:
    from ipywidgets import Widget

__all__ = ["QUESTIONS", "Advice", "advise", "choose_driver"]

QUESTIONS = {
    "talks": "Must it talk to anybody?",
    "lan": "Must machines of the LAN see it as one of them, with an address of the LAN?",
    "macs": "May your port of that LAN carry many MAC addresses? Most clouds and Wi-Fi refuse.",
    "hosts": "Must it reach containers on other hosts by name, on a network of their own?",
    "stack": "Does it need the host's own ports and interfaces, and no isolation from them?",
}


@dataclass(frozen=True, slots=True)
class Advice:
    """driver: its name.  reasons: why this one, the deciding one first.  cost: what it lacks.

    command: what starts a container so.
    """

    driver: str
    reasons: tuple[str, ...]
    cost: str
    command: str


_NONE = Advice(
    "none",
    ("It has only a loopback interface, so nothing reaches it and it reaches nothing.",),
    "Whatever it needs must come by files or by docker exec.",
    "docker run --network none toolbox",
)
_MACVLAN = Advice(
    "macvlan",
    (
        "It has an address of the LAN and a MAC address of its own there.",
        "Containers on other hosts reach it over the LAN too.",
    ),
    "Its own host does not reach it, no port is published, no firewall rule of Docker guards it.",
    f"docker network create -d macvlan -o parent=eth0 --subnet {LAN} lan",
)
_IPVLAN = Advice(
    "ipvlan",
    (
        "It has an address of the LAN, and the host's MAC address: the port sees only one.",
        "Containers on other hosts reach it over the LAN too.",
    ),
    "Its own host does not reach it, no port is published, no firewall rule of Docker guards it.",
    f"docker network create -d ipvlan -o parent=eth0 --subnet {LAN} lan",
)
_OVERLAY = Advice(
    "overlay",
    (
        "Containers on several hosts are on one subnet and resolve each other's names.",
        "The LAN carries VXLAN between the hosts and knows none of the containers' addresses.",
    ),
    "It needs a swarm, and each packet carries 50 bytes more.",
    "docker network create -d overlay --attachable app",
)
_HOST = Advice(
    "host",
    (
        "It uses the host's interfaces and ports: nothing is translated, nothing is published.",
        "No veth pair, bridge or address translation lies on its way.",
    ),
    "Two containers cannot have one port, and each can reach what listens on the host's loopback.",
    "docker run --network host toolbox",
)
_BRIDGE = Advice(
    "bridge",
    (
        "Containers of one host reach each other by name on a network of their own.",
        "The outside reaches only the ports that you publish.",
    ),
    "What comes in by a published port and what goes out is translated by the host.",
    "docker network create app",
)


def advise(answers: Mapping[str, bool]) -> Advice | None:
    """The driver that fits, or None if that needs another answer.

    answers: by a key of QUESTIONS whether it is so.
    """
    match answers:
        case {"talks": False}:
            return _NONE
        case {"talks": True, "lan": True, "macs": several}:
            return _MACVLAN if several else _IPVLAN
        case {"talks": True, "lan": False, "hosts": True}:
            return _OVERLAY
        case {"talks": True, "lan": False, "hosts": False, "stack": shared}:
            return _HOST if shared else _BRIDGE
    return None


def choose_driver() -> Asked:
    """Five questions, and the driver with its reasons as soon as the answers decide it."""
    import ipywidgets

    choices: dict[str, Any] = {}
    rows: list[Widget] = []
    said = ipywidgets.HTML()

    def answered(_change: object) -> None:
        given = {key: it.value == "yes" for key, it in choices.items() if it.value}
        said.value = _shown(advise(given))

    for key, question in QUESTIONS.items():
        choices[key] = ipywidgets.RadioButtons(
            options=["yes", "no"], value=None, orientation="horizontal", layout={"width": "auto"}
        )
        choices[key].observe(answered, names="value")
        rows += [ipywidgets.HTML(f"<b>{html.escape(question)}</b>"), choices[key]]
    return Asked(ipywidgets.VBox([*rows, said]), "\n".join(QUESTIONS.values()))


def _shown(advice: Advice | None) -> str:
    if advice is None:
        return ""
    reasons = "".join(f"<li>{html.escape(reason)}</li>" for reason in advice.reasons)
    return (
        f"<p><b>Take {advice.driver}.</b></p><ul>{reasons}</ul>"
        f"<p>What it costs: {html.escape(advice.cost)}</p><pre>{html.escape(advice.command)}</pre>"
    )
