"""Requests that the Engine refuses, and which field of them is at fault."""

from __future__ import annotations

import re

from sandbox.errors import SandboxError

__all__ = ["Refused", "chosen", "refused"]

# What the Engine says when something is wrong with one field.
_BLAME = (
    (
        "name",
        r"container name .* already in use|network with name .* already exists"
        r"|Invalid container name|invalid name|predefined",
    ),
    ("image", r"No such image|invalid reference format|pull access denied|manifest unknown"),
    (
        "ports",
        r"port is already allocated|address already in use|invalid port"
        r"|cannot assign requested address|failed to bind host port",
    ),
    ("command", r"executable file .*not found|exec: |unable to start container process"),
    ("parent", r"parent|interface .* not found|link not found|vlan|already using"),
    ("subnet", r"overlaps|invalid pool|subnet|address space|CIDR|prefix"),
    ("gateway", r"gateway"),
    ("mode", r"mode"),
    ("driver", r"swarm manager|swarm|plugin .* not found|driver"),
    ("network", r"network .* not found|network|endpoint"),
    ("container", r"No such container|is not running|container"),
)
# What passes a reason on adds its own words before it.
_LAYERS = re.compile(
    r"^.*(?:failed to set up container networking|failed to create task for container"
    r"|failed to create shim task|OCI runtime create failed): "
    r"|driver failed programming external connectivity on endpoint \S+ \(\w+\): "
)
# What to do about the commonest reasons.
_FIXES = (
    (r"container name .* already in use", "Choose another name, or remove that container."),
    (r"port is already allocated|address already in use", "Choose another port of the host."),
    (
        r"attaching to network failed",
        "If this host has just joined, it is still making the swarm's own networks: try again.",
    ),
    (r"not a swarm manager", "Make a swarm joins the hosts; its manager creates overlays."),
    (r"has active endpoints", "Disconnect or remove those containers first."),
    (r"overlaps", "Choose a subnet that no other network of this host has."),
    (r"No such image", "Choose toolbox: nothing is pulled from a registry here."),
    (r"vlan name|interface .* not found", "The host's own interface is eth0."),
)


class Refused(SandboxError):
    """Something that the Engine does not do, or that cannot be asked of it.

    field: which part of the request is at fault, such as ``name`` or ``ports``; "" if none is.
    """

    def __init__(self, field: str, what: str, *, fix: str = "") -> None:
        self.field = field
        super().__init__(what, fix=fix)


def refused(explanation: str, command: tuple[str, ...]) -> Refused:
    """The Engine's refusal of a docker command, with what to do where that is known."""
    reason = _plain(explanation)
    fix = next((fix for said, fix in _FIXES if re.search(said, reason, re.IGNORECASE)), "")
    return Refused(_blamed(reason, command), reason, fix=fix)


def _plain(reason: str) -> str:
    """The Engine's reason without the layers that passed it on."""
    reason = _LAYERS.sub("", reason.strip())
    reason = re.sub(r"\b([0-9a-f]{12})[0-9a-f]{52}\b", r"\1", reason)
    return reason[:1].upper() + reason[1:].rstrip(".") + "."


def _blamed(reason: str, command: tuple[str, ...]) -> str:
    fields = {
        "run": ("name", "image", "ports", "command", "network"),
        "create": ("name", "parent", "subnet", "gateway", "mode", "driver"),
    }
    kind = "create" if command[1:3] == ("network", "create") else command[1]
    allowed = fields.get(kind, ("network", "container"))
    for field, pattern in _BLAME:
        if field in allowed and re.search(pattern, reason, re.IGNORECASE):
            return field
    return ""


def chosen(field: str, name: str) -> None:
    """Raises Refused if no name was chosen in that field."""
    if not name:
        raise Refused(field, f"Choose a {field} first.")
