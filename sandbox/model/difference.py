"""What changed from one snapshot to another, in plain sentences."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from sandbox.errors import expect
from sandbox.model.firewall.words import describe
from sandbox.model.state import (
    Container,
    HostState,
    Interface,
    InterfaceRef,
    Namespace,
    Network,
    Route,
    Rule,
    Snapshot,
    VirtualMachine,
    in_brackets,
)

__all__ = ["GROUPS", "Change", "Difference", "diff", "steady"]

GROUPS = (
    "docker",
    "namespaces",
    "machines",
    "links",
    "addresses",
    "routes",
    "firewall",
    "sockets",
    "names",
)
ADDED, REMOVED, CHANGED = "+", "-", "~"
# Chains of the NAT rules that lead a container's questions to Docker's embedded DNS server
# (moby, daemon/libnetwork/resolver_unix.go).
DNS_CHAINS = {"DOCKER_OUTPUT", "DOCKER_POSTROUTING"}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that changed. group: one of GROUPS.  sign: ``+``, ``-`` or ``~``."""

    host: str
    group: str
    sign: str
    text: str


@dataclass(frozen=True, slots=True, repr=False)
class Difference:
    """All that changed, by host, then in the order of GROUPS. False if nothing did."""

    changes: tuple[Change, ...]

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __str__(self) -> str:
        if not self.changes:
            return "Nothing changed."
        width = max(map(len, GROUPS)) + 2
        lines = []
        above = ("", "")
        for change in self.changes:
            if change.host != above[0]:
                lines.append(f"What changed on {change.host}:")
            label = change.group if (change.host, change.group) != above else ""
            lines.append(f"{label:{width}}{change.sign} {change.text}")
            above = (change.host, change.group)
        return "\n".join(lines)

    __repr__ = __str__

    def to_dict(self) -> dict[str, object]:
        """JSON-ready: ``{"changes": [{"host", "group", "sign", "text"}, …]}``."""
        return dataclasses.asdict(self)


def diff(before: Snapshot, after: Snapshot) -> Difference:
    """What changed from before to after.

    Packet counters, neighbour and forwarding tables do not count: they change by themselves.
    Nor do link-local addresses and routes, which follow from an interface.
    """
    for given in (before, after):
        expect(given, Snapshot, "a snapshot", "before = sandbox.snapshot()")
    old = {host.name: host for host in before.hosts}
    new = {host.name: host for host in after.hosts}
    changes: list[Change] = []
    for name in sorted(old.keys() | new.keys()):
        found = list(_host(old.get(name), new.get(name)))
        found.sort(key=lambda change: GROUPS.index(change[0]))
        changes += (Change(name, *rest) for rest in found)
    return Difference(tuple(changes))


def steady(host: HostState) -> HostState:
    """That state without what changes by itself, so that two of a quiet host are equal."""

    def still(interface: Interface) -> Interface:
        return dataclasses.replace(interface, state="", addresses=interface.assigned)

    namespaces = tuple(
        dataclasses.replace(
            namespace,
            interfaces=tuple(map(still, namespace.interfaces)),
            routes=tuple(route for route in namespace.routes if not _follows(route)),
            neighbours=(),
            forwarding=(),
            rules=tuple(
                dataclasses.replace(rule, packets=None, bytes=None) for rule in namespace.rules
            ),
        )
        for namespace in host.namespaces
    )
    return dataclasses.replace(host, namespaces=namespaces)


Found = tuple[str, str, str]  # group, sign, text


def _host(old: HostState | None, new: HostState | None) -> Iterator[Found]:
    if old is None or new is None:
        sign, word = (ADDED, "is there") if new else (REMOVED, "is gone")
        yield "docker", sign, f"the host {word}"
        return
    if old.unread != new.unread:
        what = new.unread.partition("\n")[0] or "the host can be read whole again"
        yield "docker", CHANGED, what
    yield from _networks(old, new)
    yield from _containers(old, new)
    yield from _swarm(old, new)
    spaces = _paired(_lives(old), _lives(new), lambda it: it[0])
    for sign, _, (_, namespace) in spaces:
        if sign != CHANGED:
            yield "namespaces", sign, f"a network namespace: {_named(namespace)}"
    for sign, _, machine in _paired(old.machines, new.machines, lambda it: (it.name, it.pid)):
        if sign != CHANGED:
            yield "machines", sign, f"virtual machine {machine.name}: {_machine(machine)}"
    yield from _links(old, new)
    for sign, (_, was), (_, now) in spaces:
        yield from _inside(None if sign == ADDED else was, None if sign == REMOVED else now)


def _lives(host: HostState) -> list[tuple[Hashable, Namespace]]:
    """Every namespace with what tells it from an earlier one of the same name.

    The kernel gives an inode again as soon as it is free, so a container's start counts too.
    """
    starts = {(it.namespace, it.name): it.started for it in host.containers}

    def start(space: Namespace) -> str:
        # Other kinds, the host's among them, do not begin with the containers that join them.
        return starts[space.id, space.containers[0]] if space.kind == "container" else ""

    return [((space.id, space.inode, start(space)), space) for space in host.namespaces]


def _paired(
    old: Iterable[T], new: Iterable[T], key: Callable[[T], Hashable]
) -> list[tuple[str, T, T]]:
    """Sign, old and new for everything that is in either; both are the same unless CHANGED."""
    before, after = {key(it): it for it in old}, {key(it): it for it in new}
    return [
        *((REMOVED, it, it) for name, it in before.items() if name not in after),
        *((CHANGED, before[name], it) for name, it in after.items() if name in before),
        *((ADDED, it, it) for name, it in after.items() if name not in before),
    ]


def _short(id: str) -> str:
    """A namespace's id without its host."""
    return id.partition("/")[2]


def _named(namespace: Namespace) -> str:
    if namespace.kind == "container":
        return f"{_short(namespace.id)}'s"
    return _short(namespace.id) or "the host's"


def _machine(machine: VirtualMachine) -> str:
    held = [f"on {_at(ref)}" for ref in machine.interfaces]
    return ", ".join([*held, *(["user-mode NAT"] if machine.user_mode else [])]) or "no network"


def _at(ref: InterfaceRef) -> str:
    """``eth0 of web``; just the name in the host's own namespace."""
    place = _short(ref.namespace)
    return f"{ref.name} of {place}" if place else ref.name


def _networks(old: HostState, new: HostState) -> Iterator[Found]:
    for sign, was, now in _paired(old.networks, new.networks, lambda it: it.id):
        if sign != CHANGED:
            yield "docker", sign, f"network {_network(now)}"
        elif set(was.services.items()) != set(now.services.items()):
            for name, address in now.services.items():
                if was.services.get(name) != address:
                    yield "docker", ADDED, f"service {name} at {address} on {now.name}"
            for name in was.services.keys() - now.services.keys():
                yield "docker", REMOVED, f"service {name} on {now.name}"


def _network(network: Network) -> str:
    subnets = ", ".join(pool.subnet for pool in network.subnets)
    parts = [f"driver {network.driver}", subnets]
    if parent := network.options.get("parent"):
        parts.append(f"parent {parent}")
    if network.internal:
        parts.append("internal")
    return f"{network.name}: {', '.join(filter(None, parts))}"


def _containers(old: HostState, new: HostState) -> Iterator[Found]:
    for sign, was, now in _paired(old.containers, new.containers, lambda it: it.name):
        if sign != CHANGED:
            where = ", ".join(endpoint.network for endpoint in now.endpoints)
            on = f", on {where}" if where else ""
            told = f": {now.state}, image {now.image}{on}" if sign == ADDED else ""
            yield "docker", sign, f"container {now.name}{told}"
        elif was.id != now.id:
            yield "docker", CHANGED, f"container {now.name} was replaced; it is {now.state}"
        elif was.started != now.started and was.state == now.state:
            yield "docker", CHANGED, f"container {now.name} was started again"
        elif was.state != now.state:
            yield "docker", CHANGED, f"container {now.name} is {now.state}, was {was.state}"
        if sign == CHANGED:
            yield from _endpoints(was, now)
        yield from _names(sign, was, now)
    for sign, _, text in _paired(_ports(old), _ports(new), str):
        if sign != CHANGED:
            yield "docker", sign, text


def _ports(host: HostState) -> Iterator[str]:
    for container in host.containers:
        for port in container.published:
            yield f"published port {port} of {container.name}"


def _endpoints(was: Container, now: Container) -> Iterator[Found]:
    pairs = _paired(was.endpoints, now.endpoints, lambda it: it.network)
    for sign, before, after in pairs:
        if sign != CHANGED:
            verb = "is connected to" if sign == ADDED else "is no longer connected to"
            yield "docker", sign, f"{now.name} {verb} {after.network}"
        elif before.address != after.address and after.address and before.address:
            text = f"{now.name} has {after.address} on {after.network}, had {before.address}"
            yield "docker", CHANGED, text


def _names(sign: str, was: Container, now: Container) -> Iterator[Found]:
    def known(container: Container) -> dict[str, str]:
        return {
            endpoint.network: f"{', '.join(endpoint.names)} → {endpoint.address.partition('/')[0]}"
            for endpoint in container.endpoints
            if endpoint.names and endpoint.address and container.namespace
        }

    before = {} if sign == ADDED else known(was)
    after = {} if sign == REMOVED else known(now)
    for network, text in before.items():
        if after.get(network) != text:
            yield "names", REMOVED, f"{text}, on {network}"
    for network, text in after.items():
        if before.get(network) != text:
            yield "names", ADDED, f"{text}, on {network}"


def _swarm(old: HostState, new: HostState) -> Iterator[Found]:
    if (old.swarm, old.manager) != (new.swarm, new.manager):
        role = " as a manager" if new.manager else ""
        yield "docker", CHANGED, f"swarm mode is {new.swarm}{role}, was {old.swarm}"


def _links(old: HostState, new: HostState) -> Iterator[Found]:
    kept = {life for life, _ in _lives(old)} & {life for life, _ in _lives(new)}

    def interfaces(host: HostState) -> list[tuple[Hashable, Interface]]:
        return [
            (life, interface)
            for life, space in _lives(host)
            for interface in space.interfaces
            if interface.kind != "loopback" or life in kept
        ]

    pairs = _paired(interfaces(old), interfaces(new), lambda it: (it[0], it[1].ref))
    for sign in (REMOVED, ADDED):
        listed = [now for found, _, (_, now) in pairs if found == sign]
        bridges = {it.interface: it.name for it in (old if sign == REMOVED else new).networks}
        yield from (("links", sign, text) for text in _appeared(listed, bridges))
    for sign, (_, was), (_, now) in pairs:
        if sign == CHANGED:
            yield from (("links", CHANGED, text) for text in _link_changes(was, now))


def _appeared(listed: list[Interface], bridges: dict[str, str]) -> Iterator[str]:
    """Sentences on new interfaces, or on gone ones; both ends of a veth pair make one."""
    by_ref = {interface.ref: interface for interface in listed}
    told = set()
    for interface in listed:
        if interface.ref in told:
            continue
        told.add(interface.ref)
        peer = by_ref.get(interface.peer) if interface.peer else None
        if interface.kind == "veth" and peer:
            told.add(peer.ref)
            yield f"veth pair {_plugged(interface)} ↔ {_plugged(peer)}"
        else:
            yield _link(interface, bridges)


def _plugged(interface: Interface) -> str:
    port = f" (port of {interface.master})" if interface.master else ""
    return f"{_at(interface.ref)}{port}"


def _link(interface: Interface, bridges: dict[str, str]) -> str:
    kind = interface.kind or "device"
    parts = [f"{kind} {_plugged(interface)}"]
    if kind == "bridge" and (name := bridges.get(interface.name)):
        parts.append(f"network {name}")
    if interface.parent:
        parts.append(f"on {_at(interface.parent)}")
    if interface.mode:
        parts.append(f"mode {interface.mode}")
    if interface.vlan is not None:
        parts.append(f"VLAN {interface.vlan}")
    if interface.vni is not None:
        parts.append(f"VNI {interface.vni}")
    if kind == "veth" and interface.peer:
        parts.append(f"its peer is {_at(interface.peer)}")
    return ", ".join(parts)


def _link_changes(was: Interface, now: Interface) -> Iterator[str]:
    name = _at(now.ref)
    if was.enabled != now.enabled:
        yield f"{name} is switched {'on' if now.enabled else 'off'}"
    if was.carrier != now.carrier and was.enabled == now.enabled:
        yield f"{name} has {'its' if now.carrier else 'no'} carrier"
    if was.master != now.master:
        if was.master:
            yield f"{name} is no longer a port of {was.master}"
        if now.master:
            yield f"{name} is a port of {now.master}"
    if was.mtu != now.mtu:
        yield f"{name} has MTU {now.mtu}, had {was.mtu}"
    if was.mac != now.mac:
        yield f"{name} has MAC {now.mac}, had {was.mac}"
    if was.peer != now.peer and now.peer:
        yield f"{name} has its peer in {_at(now.peer)}"


def _inside(was: Namespace | None, now: Namespace | None) -> Iterator[Found]:
    """Addresses, routes, rules and sockets of a namespace; None where it is not there."""
    space = now or was
    if space is None:
        return
    new = not (was and now)
    place = _short(space.id)
    prefix = f"in {place}: " if place else ""
    for sign, text in _counted(was, now, lambda it: _addresses(it, without_loopback=new)):
        yield "addresses", sign, text
    for sign, text in _counted(was, now, _routes):
        yield "routes", sign, f"{prefix}{text}"
    asked, asks = _asks_embedded_dns(was), _asks_embedded_dns(now)
    if asked != asks:
        sign = ADDED if asks else REMOVED
        yield "names", sign, f"{place} asks Docker's embedded DNS server at 127.0.0.11"
    if unread := [it.rules_unread for it in (was, now) if it and it.rules_unread]:
        what = f"{prefix}the packet filter could not be read: {unread[-1]}"
        yield "firewall", CHANGED, what
    else:
        for sign, text in (*_counted(was, now, _chains), *_counted(was, now, _rules)):
            yield "firewall", sign, f"{prefix}{text}"
    for sign, text in _counted(was, now, _sockets):
        yield "sockets", sign, text


def _counted(
    was: Namespace | None,
    now: Namespace | None,
    texts: Callable[[Namespace], Iterable[str]],
) -> Iterator[tuple[str, str]]:
    """What is there less or more often than before, in the order in which it stands."""
    before = list(texts(was)) if was else []
    after = list(texts(now)) if now else []
    for sign, here, there in ((REMOVED, before, after), (ADDED, after, before)):
        left = Counter(here) - Counter(there)
        for text in here:
            if left[text] > 0:
                left[text] -= 1
                yield sign, text


def _addresses(space: Namespace, *, without_loopback: bool) -> Iterator[str]:
    for interface in space.interfaces:
        if without_loopback and interface.kind == "loopback":
            continue
        for address in interface.assigned:
            yield f"{address} on {_at(interface.ref)}"


def _routes(space: Namespace) -> Iterator[str]:
    return (str(route) for route in space.routes if not _follows(route))


def _follows(route: Route) -> bool:
    """Whether it is a link-local or multicast route, which follows from its interface."""
    return route.destination.startswith(("fe80:", "ff00:"))


def _chains(space: Namespace) -> Iterator[str]:
    for chain in space.chains:
        # Every table has its built-in chains as soon as it is looked at.
        if chain.policy != "ACCEPT" and chain.name not in DNS_CHAINS:
            policy = f", policy {chain.policy}" if chain.policy else ""
            six = " (IPv6)" if chain.family == "ip6" else ""
            yield f"chain {chain.name} of table {chain.table}{six}{policy}"


def _rules(space: Namespace) -> Iterator[str]:
    return (_rule(rule) for rule in space.rules if not DNS_CHAINS & {rule.chain, rule.target})


def _rule(rule: Rule) -> str:
    family = "" if rule.family == "ip" else f" {rule.family}"
    return f"{describe(rule)} [{rule.table} {rule.chain}{family}]"


def _asks_embedded_dns(space: Namespace | None) -> bool:
    return space is not None and any(rule.target in DNS_CHAINS for rule in space.rules)


def _sockets(space: Namespace) -> Iterator[str]:
    for listener in space.listeners:
        place = f"{in_brackets(listener.address)}:{listener.port}"
        yield f"{listener.protocol} {place} is listened on"
