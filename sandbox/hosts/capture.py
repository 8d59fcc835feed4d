"""One probe on its way: what all hosts hear of it at once (``guest/capture.py``)."""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from sandbox.errors import SandboxError
from sandbox.hosts import plan
from sandbox.model.journey import Evidence, Probe, Sent, Sight
from sandbox.model.packet import dissect
from sandbox.model.read import read_host
from sandbox.model.state import Snapshot
from sandbox.model.trace import Pass, Question, read_passes

if TYPE_CHECKING:
    from sandbox.hosts.host import Conversation
    from sandbox.model.state import Container, Namespace

__all__ = ["Capture"]

OUTSIDE = "outside"
# What there may be too much of.
MISSED = {
    "probe": "sights of the probe",
    "arp": "ARP packets",
    "esp": "ESP packets",
    "overrun": "rules that the kernel traced",
}
# A packet that is not answered within a second is sent again; one is enough.
ANSWER_SECONDS = 0.9
READY_SECONDS = 30.0
NAME_SECONDS = 15.0


class Capture:
    """The conversations with all hosts, while the probe is on its way.

    When it is made everything listens, and ``snapshot`` is how the hosts were then.
    """

    def __init__(
        self,
        conversations: Mapping[str, Conversation],
        pool: ThreadPoolExecutor,
    ) -> None:
        self._conversations, self._pool = conversations, pool
        taken = time.time()
        raw = self._of_each(lambda it: it.hear(READY_SECONDS)["state"])
        self.snapshot = Snapshot(
            taken,
            plan.LAN,
            tuple(read_host(name, plan.address(name), found) for name, found in raw.items()),
        )
        # Process ids by inode: one that is in the namespace.
        self._pids = {
            (name, space["inode"]): min(space["pids"], default=0)
            for name, found in raw.items()
            for space in found["namespaces"]
        }
        self._spaces = {space.id: space for space in self.snapshot.namespaces()}
        self._of_each(lambda it: it.hear(READY_SECONDS))

    def _of_each(self, act: Callable[[Conversation], Any]) -> dict[str, Any]:
        """By host what act makes of its conversation, all at once."""
        return dict(
            zip(self._conversations, self._pool.map(act, self._conversations.values()), strict=True)
        )

    def namespace(self, name: str) -> Namespace:
        """The namespace of a container, of a host, or of that id. Raises SandboxError."""
        container = self._container(name)
        if container:
            if not container.namespace:
                raise SandboxError(
                    f"{name} does not run: it is {container.state}.",
                    fix=f"start it on {container.host}: docker start {container.name}",
                )
            return self._spaces[container.namespace]
        found = self._spaces.get(name) or self._spaces.get(plan.full_name(name))
        if found is None:
            known = [f"{it.host}/{it.name}" for it in self.snapshot.containers()]
            known += [host.name for host in self.snapshot.hosts]
            raise SandboxError(
                f"There is no container, host or namespace {name!r}.",
                fix=f"It is one of {', '.join(known)}.",
            )
        return found

    def _container(self, name: str) -> Container | None:
        host, separator, rest = name.partition("/")
        found = self.snapshot.host(plan.full_name(host)) if separator else None
        return found.container(rest) if found else None

    def resolve(self, source: str, destination: str, network: str | None) -> tuple[str, str]:
        """The address of a destination, and its name if it had to be looked up."""
        space = self.namespace(source)
        if network is not None and not self._container(destination):
            raise SandboxError(
                f"{destination!r} is no container, so it is on no network.",
                fix="Leave network= out, or write a container as host-a/web.",
            )
        if destination == OUTSIDE:
            return plan.LAN_GATEWAY, ""
        with contextlib.suppress(ValueError):
            return str(ipaddress.ip_address(destination)), ""
        if "/" in destination or destination in self._spaces:
            return self._address(source, destination, network), ""
        with contextlib.suppress(SandboxError):
            return plan.address(self.namespace(destination).id), ""
        answer = self._conversations[space.host].ask(
            {
                "do": "resolve",
                "namespace": space.inode,
                "pid": self._pids[space.host, space.inode],
                "name": destination,
            },
            NAME_SECONDS,
        )
        if "error" in answer:
            raise SandboxError(
                f"{space.id} finds no address of {destination!r}.",
                why=answer["error"],
                fix="Write a container as host-a/web, a host as host-a, or an address.",
            )
        return answer["addresses"][0], destination

    def _address(self, source: str, destination: str, network: str | None) -> str:
        space = self.namespace(destination)
        container = self._container(destination)
        if space.kind == "host":
            return plan.address(space.host)
        if container is None:
            found = [a for it in space.interfaces if it.kind != "loopback" for a in it.assigned]
            if not found:
                raise SandboxError(f"{destination} has no address.")
            return found[0].partition("/")[0]
        own = self._container(source)
        shared = {it.network for it in own.endpoints} if own else set()
        # A container that joins another's namespace has no endpoints of its own.
        endpoints = [
            it
            for name in (container.name, *space.containers)
            if (other := self._container(f"{space.host}/{name}"))
            for it in other.endpoints
            if it.address and network in (None, it.network)
        ]
        endpoints.sort(key=lambda it: it.network not in shared)
        if not endpoints:
            on = f" on {network}" if network else ""
            raise SandboxError(
                f"{destination} has no address{on}.",
                fix=f"to see its networks, on {container.host}: docker inspect {container.name}",
            )
        return endpoints[0].address.partition("/")[0]

    def send(self, probe: Probe) -> Sent:
        space = self._spaces[probe.source]
        answer = self._conversations[space.host].ask(
            {
                "do": "send",
                "namespace": space.inode,
                "protocol": probe.protocol,
                "address": probe.address,
                "port": probe.port,
                "size": probe.size,
                "seconds": ANSWER_SECONDS,
            },
            READY_SECONDS,
        )
        if "outcome" not in answer:
            raise SandboxError(f"{probe.source} could not send a probe.", why=answer["error"])
        address, port = answer["source"]
        return Sent(answer["outcome"], answer["error"], address, port, ANSWER_SECONDS)

    def stop(self, probe: Probe) -> Evidence:
        """Have everything stop listening, and take what was heard."""
        heard = self._of_each(lambda it: it.ask({"do": "stop"}, READY_SECONDS))
        spaces = {(it.host, str(it.inode)): it for it in self._spaces.values()}
        sights: list[Sight] = []
        passes: dict[str, tuple[Pass, ...]] = {}
        counters: dict[str, dict[str, int]] = {}
        virtual: dict[str, str] = {}
        deaf = {space.id for space in self._spaces.values()}
        missed: list[str] = []
        for host, found in heard.items():
            if "error" in found:
                raise SandboxError(f"{host} lost what it heard.", why=found["error"])
            for inode, name, kind, hardware, stamp, vlan, encoded in found["frames"]:
                frame = base64.b64decode(encoded)
                if space := spaces.get((host, str(inode))):
                    sights.append(
                        Sight(space.id, name, kind, stamp, vlan, frame, dissect(frame, hardware))
                    )
            for inode, events in found["traces"].items():
                if space := spaces.get((host, inode)):
                    passes[space.id] = tuple(
                        read_passes(events, found["rules"].get(inode, ""), space)
                    )
            for inode, (before, after) in found["counters"].items():
                if space := spaces.get((host, inode)):
                    counters[space.id] = _counted(before, after)
            for inode, text in found["virtual"].items():
                if space := spaces.get((host, inode)):
                    virtual[space.id] = text
            deaf -= {
                spaces[host, str(it)].id for it in found["listened"] if (host, str(it)) in spaces
            }
            missed += [f"{MISSED[kind]} on {host}" for kind in found["missed"]]
        proxies = {}
        if any(it.packet.payload.startswith(probe.cookie) for it in sights):
            asked = self._of_each(lambda it: it.ask({"do": "proxies"}, READY_SECONDS))
            proxies = {
                host: tuple(map(tuple, found.get("proxies", ()))) for host, found in asked.items()
            }
        return Evidence(
            tuple(sights), passes, counters, virtual, proxies, frozenset(deaf), tuple(missed)
        )

    def ask(self, questions: Sequence[Question]) -> list[str]:
        """The kernels' answers, see ``follow``."""
        inodes = {name: space.inode for name, space in self._spaces.items()}
        by_host: dict[str, list[int]] = defaultdict(list)
        for number, question in enumerate(questions):
            by_host[self._spaces[question.namespace].host].append(number)

        def put(host: str) -> list[str]:
            wanted = [
                [inodes[it.namespace], it.protocol, it.kind, base64.b64encode(it.body).decode()]
                for it in (questions[number] for number in by_host[host])
            ]
            answer = self._conversations[host].ask(
                {"do": "ask", "questions": wanted}, READY_SECONDS
            )
            if "error" in answer:
                raise SandboxError(f"{host} gave no answers.", why=answer["error"])
            return list(answer["answers"])

        answers = [""] * len(questions)
        for host, given in zip(by_host, self._pool.map(put, by_host), strict=True):
            for number, answer in zip(by_host[host], given, strict=True):
                answers[number] = answer
        return answers


def _counted(before: Sequence[str], after: Sequence[str]) -> dict[str, int]:
    """How much more the kernel counts, by name: the text of /proc/net/snmp and netstat."""
    then, now = _counters(before), _counters(after)
    return {name: now[name] - then.get(name, 0) for name in now if now[name] > then.get(name, 0)}


def _counters(texts: Sequence[str]) -> dict[str, int]:
    found = {}
    for text in texts:
        # Each group has a line of names and one of numbers.
        lines = text.splitlines()
        for names, numbers in zip(lines[::2], lines[1::2], strict=False):
            group, *words = names.split()
            for name, number in zip(words, numbers.split()[1:], strict=False):
                found[f"{group}{name}".replace(":", ".")] = int(number)
    return found
