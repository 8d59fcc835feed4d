"""Probes from a container: ping and curl."""

from __future__ import annotations

import re

from sandbox.hosts.actions.action import Action
from sandbox.hosts.actions.containers import execute
from sandbox.hosts.actions.refusals import Refused

__all__ = ["curl", "ping"]

PROBE_SECONDS = 3


def ping(container: str, to: str) -> Action:
    """Three echo requests from a container to a name or an address."""
    return execute(container, ["ping", "-c", "3", "-W", "1", _target(to)])


def curl(container: str, to: str, port: int = 80) -> Action:
    """An HTTP request from a container to a name or an address."""
    if not 0 < port < 65536:
        raise Refused("port", f"{port} is no TCP port.", fix="Ports go from 1 to 65535.")
    target = _target(to)
    host = f"[{target}]" if ":" in target else target
    url = f"http://{host}" if port == 80 else f"http://{host}:{port}"
    return execute(container, ["curl", "-sS", "-m", str(PROBE_SECONDS), url])


def _target(to: str) -> str:
    target = to.strip()
    if not re.fullmatch(r"[A-Za-z0-9_.:-]+", target) or target.startswith("-"):
        raise Refused(
            "to", f"{to!r} is no name and no address.", fix="Write one such as web or 172.18.0.2."
        )
    return target
