"""What conditions look at: the hosts of a sandbox now, as they began, and what can be tried."""

from __future__ import annotations

import contextlib
import ipaddress
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandbox.errors import SandboxError
from sandbox.hosts import plan
from sandbox.model.state import Container, HostState, Namespace, Snapshot

if TYPE_CHECKING:
    from sandbox.guest.state_types import State
    from sandbox.hosts.host import Host
    from sandbox.hosts.sandbox import Sandbox

__all__ = ["Answer", "NotThere", "Scene", "look_at", "read_raw", "snapshot_of"]

ATTEMPT_SECONDS = 2.0


class NotThere(Exception):
    """What a condition speaks of does not exist, or does not run; its text says so."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of an attempt; its words are those of ``guest/attempt.py``."""

    outcome: str
    error: str
    addresses: tuple[str, ...]
    said: str

    @property
    def arrived(self) -> bool:
        return self.outcome == "answered"

    def __str__(self) -> str:
        if self.arrived:
            return self.said or "an answer"
        if self.outcome == "silence":
            return f"no answer within {ATTEMPT_SECONDS:.0f} s"
        return self.error or self.outcome


def read_raw(sandbox: Sandbox) -> dict[str, State]:
    """By host what its agent reads of it, JSON-ready; see ``Host.read_state``."""
    with ThreadPoolExecutor() as pool:
        states = pool.map(lambda name: sandbox.host(name).read_state(), sandbox.hosts)
    return dict(zip(sandbox.hosts, states, strict=True))


def snapshot_of(raw: Mapping[str, State]) -> Snapshot:
    """The snapshot that read_raw's result makes."""
    from sandbox.model.read import read_host

    states = tuple(read_host(name, plan.address(name), state) for name, state in raw.items())
    return Snapshot(time.time(), plan.LAN, states)


def look_at(
    sandbox: Sandbox, start: Snapshot | None = None, answers: Mapping[str, str] | None = None
) -> Scene:
    """The sandbox's hosts at this moment. start: how they were when the lab began.

    answers: what the learner wrote, by question. Raises SandboxError if a host does not answer.
    """
    raw = read_raw(sandbox)
    pids = {
        (name, space["inode"]): min(space["pids"], default=0)
        for name, state in raw.items()
        for space in state["namespaces"]
    }
    machines = {name: sandbox.host(name) for name in sandbox.hosts}
    return Scene(sandbox.id, machines, snapshot_of(raw), start, pids, dict(answers or {}))


@dataclass(frozen=True, slots=True)
class Scene:
    """One moment of a lab.

    sandbox: its id.  hosts: by full name.  now: their state.  start: how it was when the lab
    began, or None.  pids: by host and namespace's inode a process there, 0 for none.  answers: what
    the learner wrote, by question.

    A place is a container, ``web`` or ``host-a/web``; a host, ``host-a``; or another namespace as
    snapshots name it, ``host-a/netns:blue``.
    """

    sandbox: str
    hosts: Mapping[str, Host]
    now: Snapshot
    start: Snapshot | None = None
    pids: Mapping[tuple[str, int], int] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)

    def host(self, name: str) -> HostState:
        """Raises NotThere."""
        full = plan.full_name(name)
        found = self.now.host(full)
        if found is None:
            raise NotThere(f"there is no host {full}")
        if found.unread:
            raise SandboxError(f"{full} could not be read.", why=found.unread)
        return found

    def find_container(self, place: str) -> Container | None:
        """The container of that name on any host, or on the host named; None if there is none."""
        host, separator, name = place.rpartition("/")
        listed = self.host(host).containers if separator else self.now.containers()
        found = [it for it in listed if it.name == name]
        return found[0] if found else None

    def container(self, place: str) -> Container:
        """That container, which runs. Raises NotThere."""
        found = self.find_container(place)
        if found is None:
            raise NotThere(f"there is no container {place}")
        if not found.namespace:
            raise NotThere(f"{place} does not run: it is {found.state}")
        return found

    def is_place(self, name: str) -> bool:
        try:
            self.namespace(name)
        except NotThere:
            return False
        return True

    def namespace(self, place: str) -> Namespace:
        """Raises NotThere."""
        wanted = place
        with contextlib.suppress(NotThere):
            wanted = self.container(place).namespace
        found = next((it for it in self.now.namespaces() if it.id == wanted), None)
        if found is None:
            if "netns:" not in place and place not in self.hosts:
                self.container(place)
            raise NotThere(f"there is no namespace {place}")
        return found

    def address(self, place: str, seen_from: str = "") -> str:
        """The place's IPv4 address, if it can be on a subnet that seen_from is on too.

        Raises NotThere.
        """
        if place in self.hosts:
            return plan.address(place)
        space = self.namespace(place)
        found = [
            ipaddress.ip_interface(address)
            for interface in space.interfaces
            if interface.kind != "loopback"
            for address in interface.assigned
            if ":" not in address
        ]
        if not found:
            raise NotThere(f"{place} has no address")
        own = self.namespace(seen_from).interfaces if seen_from else ()
        near = {ipaddress.ip_interface(address).network for it in own for address in it.assigned}
        found.sort(key=lambda it: it.network not in near)
        return str(found[0].ip)

    def attempt(self, place: str, to: str, *, tcp: int | None = None, name: bool = False) -> Answer:
        """Try once to reach ``to`` from a place: by TCP, a ping, or only looking its name up.

        to: an address, or a name as a program there would look it up.
        """
        space = self.namespace(place)
        protocol = "name" if name else "icmp" if tcp is None else "tcp"
        found = self.hosts[space.host].attempt(
            {
                "namespace": space.inode,
                "pid": self.pids.get((space.host, space.inode), 0),
                "to": to,
                "protocol": protocol,
                "port": tcp or 0,
                "seconds": ATTEMPT_SECONDS,
            }
        )
        return Answer(found["outcome"], found["error"], tuple(found["addresses"]), found["said"])
