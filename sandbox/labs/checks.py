"""Conditions that a lab's tasks are made of: what holds on the hosts, however it came to be.

``look(condition, scene)`` gives a Finding, and changes nothing that it looks at. A condition on
what must not pass first proves that its probe works.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from sandbox.errors import SandboxError
from sandbox.hosts import plan
from sandbox.hosts.journey import journey
from sandbox.hosts.sandbox import running
from sandbox.labs.scene import Answer, NotThere, Scene, look_at
from sandbox.model.bridged import bridged, parts
from sandbox.model.difference import Change, diff
from sandbox.model.state import Container, HostState, Interface, Network, Snapshot
from sandbox.views.names import container_id, network_id, port_id

__all__ = [
    "Condition",
    "Finding",
    "answered",
    "built_like",
    "firewall_drops",
    "has_mac",
    "has_route",
    "holds",
    "in_swarm",
    "isolated",
    "look",
    "network",
    "nothing_else_changed",
    "published",
    "reaches",
    "resolves",
    "runs",
    "same_l2",
    "shares_parent_mac",
    "source_seen",
    "spread",
    "survives_restart",
]

PASSED, FAILED, UNKNOWN = "passed", "failed", "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a condition found. state: ``passed``, ``failed``, or ``unknown``: it could not tell.

    wanted: what is to hold.  seen: what was there instead, or why one cannot tell.
    places: the objects to look at; two of them are an edge of the picture.
    at_fault: the objects that are wrong by themselves, as the picture names its nodes; where there
        are none, it is what lies between the places.
    """

    state: str
    wanted: str
    seen: str
    places: tuple[str, ...] = ()
    at_fault: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return self.state == PASSED


class Condition(Protocol):
    """Something that holds on the hosts, or does not."""

    @property
    def wanted(self) -> str:
        """What is to hold, as a sentence without its full stop."""
        ...

    @property
    def places(self) -> tuple[str, ...]:
        """The objects that it speaks of."""
        ...

    def verdict(self, scene: Scene) -> tuple[bool, str]:
        """Whether it holds, and what is seen. Raises NotThere, or Unclear."""
        ...

    def at_fault(self, scene: Scene) -> Iterable[str]:
        """Where it does not hold: which objects are wrong by themselves. May raise NotThere."""
        ...


class Unclear(Exception):
    """It cannot be told whether a condition holds; its text says why."""


def look(condition: Condition, scene: Scene) -> Finding:
    """What a condition finds; that it could not look is a finding, too."""
    try:
        holds, seen = condition.verdict(scene)
    except NotThere as missing:
        state, seen = FAILED, str(missing)
    except Unclear as unclear:
        state, seen = UNKNOWN, str(unclear)
    except SandboxError as error:
        state, seen = UNKNOWN, "; ".join(filter(None, (error.what, error.why)))
    else:
        state = PASSED if holds else FAILED
    at_fault: tuple[str, ...] = ()
    if state == FAILED:
        with contextlib.suppress(NotThere, SandboxError):
            at_fault = tuple(dict.fromkeys(condition.at_fault(scene)))
    return Finding(state, condition.wanted, seen, condition.places, at_fault)


@dataclass(frozen=True, slots=True)
class _Holds:
    """A condition on the scene, made of a function."""

    wanted: str
    places: tuple[str, ...]
    fn: Callable[[Scene], tuple[bool, str]]
    wrong: Callable[[Scene], Iterable[str]] | None = None

    def verdict(self, scene: Scene) -> tuple[bool, str]:
        return self.fn(scene)

    def at_fault(self, scene: Scene) -> Iterable[str]:
        # Nothing can be said of the way to a container that does not run.
        found = [scene.find_container(place) for place in self.places]
        stopped = [it for it in found if it and not it.namespace]
        if stopped:
            return [container_id(it) for it in stopped]
        return self.wrong(scene) if self.wrong else ()


def holds(
    wanted: str,
    fn: Callable[[Scene], tuple[bool, str]],
    *,
    places: Iterable[str] = (),
    at_fault: Callable[[Scene], Iterable[str]] | None = None,
) -> Condition:
    """Any other condition.

    wanted: what is to hold, as a sentence without its full stop.  fn: gives whether it holds,
    and what is seen; it may raise NotThere or SandboxError.  places: what it is about; a picture
    shows two of them as a line.  at_fault: where it does not hold, which objects are wrong.
    """
    return _Holds(wanted, tuple(places), fn, at_fault)


def _network_node(network: Network) -> str:
    return network_id(network.host, network.name)


def _port(tcp: int | None) -> str:
    return "by a ping" if tcp is None else f"on TCP port {tcp}"


def _attempt(
    scene: Scene, source: str, to: str, *, tcp: int | None = None, name: bool = False
) -> Answer:
    """Try to reach a place, an address or a name; what was tried tells something."""
    target = scene.address(to, source) if not name and scene.is_place(to) else to
    answer = scene.attempt(source, target, tcp=tcp, name=name)
    if answer.outcome == "no namespace":
        raise Unclear(f"the namespace of {source} went away")
    return answer


def _hello(scene: Scene, container: str) -> str:
    """What the toolbox's server in that container begins its answer with."""
    return f"hello from {scene.container(container).hostname},"


def reaches(source: str, to: str, *, tcp: int | None = None, by: str = "") -> Condition:
    """source gets an answer from ``to``, by a connection to a TCP port or by a ping.

    source: a place, see Scene.  to: a place, an address, or a name that source looks up.
    by: the container whose server is to answer, such as behind a published port.
    """

    def fn(scene: Scene) -> tuple[bool, str]:
        hello = _hello(scene, by) if by else ""
        answer = _attempt(scene, source, to, tcp=tcp)
        return answer.arrived and answer.said.startswith(hello), str(answer)

    who = f", where {by} answers" if by else ""
    return holds(f"{source} reaches {to} {_port(tcp)}{who}", fn, places=[source, by or to])


def source_seen(source: str, to: str, *, is_: str, tcp: int = 80) -> Condition:
    """The server at ``to`` sees source's connection come from that address, or place's address."""

    def fn(scene: Scene) -> tuple[bool, str]:
        answer = _attempt(scene, source, to, tcp=tcp)
        wanted = scene.address(is_) if scene.is_place(is_) else is_
        return answer.arrived and answer.said.endswith(f"you are {wanted}"), str(answer)

    wanted = f"{source} reaches {to} {_port(tcp)} and is seen there as {is_}"
    return holds(wanted, fn, places=[source, to])


def isolated(source: str, to: str, *, tcp: int | None = None) -> Condition:
    """source gets no answer from ``to``, although something answers there: it is asked, too.

    source, to: places, see Scene.
    """

    def fn(scene: Scene) -> tuple[bool, str]:
        scene.namespace(source)
        if not _attempt(scene, to, scene.address(to), tcp=tcp).arrived:
            raise Unclear(f"nothing answers at {to} {_port(tcp)}, even from itself")
        answer = _attempt(scene, source, to, tcp=tcp)
        return not answer.arrived, str(answer)

    return holds(f"{source} cannot reach {to} {_port(tcp)}", fn, places=[source, to])


def resolves(source: str, name: str, *, to: str = "") -> Condition:
    """A program in source finds that name; to: the place or address that it leads to, and no
    other."""

    def fn(scene: Scene) -> tuple[bool, str]:
        answer = _attempt(scene, source, name, name=True)
        if not answer.arrived:
            return False, answer.error
        right = {to} if to else {*answer.addresses}
        if to and scene.is_place(to):
            right = {
                address.partition("/")[0]
                for interface in scene.namespace(to).interfaces
                for address in interface.assigned
            }
        return right >= {*answer.addresses}, " and ".join(answer.addresses)

    wanted = f"{source} finds the name {name}" + (f" as {to}" if to else "")
    return holds(wanted, fn, places=[source, to] if to else [source])


def published(host: str, port: int, *, by: str, on: str = "") -> Condition:
    """The container ``by`` answers at that TCP port of the host.

    on: the one address at which it does, ``127.0.0.1`` or the host's own, and at no other;
    "" for every address, from another host too.
    """
    full = plan.full_name(host)

    def fn(scene: Scene) -> tuple[bool, str]:
        hello, own = _hello(scene, by), plan.address(scene.host(host).name)
        tried = {
            f"at {address}": (address, scene.attempt(full, address, tcp=port))
            for address in ("127.0.0.1", own)
        }
        # A rule may let the host itself through and nobody else, or the reverse.
        if others := [] if on else [name for name in scene.hosts if name != full]:
            tried[f"from {others[0]}"] = (own, scene.attempt(others[0], own, tcp=port))
        right = all(
            answer.said.startswith(hello) == (on in ("", address))
            for address, answer in tried.values()
        )
        return right, "; ".join(f"{where}: {answer}" for where, (_, answer) in tried.items())

    def at_fault(scene: Scene) -> Iterable[str]:
        # The published port if there is one, else the container that has none.
        found = scene.container(by)
        listed = {port_id(found, it) for it in found.published if it.host_port == port}
        return sorted(listed) or [container_id(found)]

    where = f"{on} alone" if on else "every address"
    wanted = f"{by} answers at port {port} of {full}, at {where}"
    return holds(wanted, fn, places=[full, by], at_fault=at_fault)


def firewall_drops(source: str, to: str, *, tcp: int | None = None, chain: str = "") -> Condition:
    """A rule drops a packet from source to ``to``, as a journey of it shows.

    chain: the one that the rule is in, such as ``DOCKER-USER``.
    """

    def as_named(scene: Scene, place: str) -> str:
        found = scene.find_container(place)
        return f"{found.host}/{found.name}" if found else place

    def fn(scene: Scene) -> tuple[bool, str]:
        from sandbox.views.journey import ending_text

        scene.namespace(source)
        target = as_named(scene, to) if scene.is_place(to) else to
        made = journey(as_named(scene, source), target, tcp=tcp, id=scene.sandbox)
        rule = made.passage.ending.rule
        right = made.outcome == "dropped" and rule is not None and chain in ("", rule.chain)
        return right, ending_text(made.passage)

    where = f" of {chain}" if chain else ""
    wanted = f"a firewall rule{where} drops what {source} sends {to} {_port(tcp)}"
    return holds(wanted, fn, places=[source, to])


def _ports_of(scene: Scene, place: str) -> list[Interface]:
    return [it for it in scene.namespace(place).interfaces if it.kind != "loopback"]


def same_l2(one: str, other: str) -> Condition:
    """A ping from one to the other goes by no router: one learns the other's own MAC for it."""

    def fn(scene: Scene) -> tuple[bool, str]:
        address = scene.address(other, one)
        answer = _attempt(scene, one, address)
        now = look_at(running(scene.sandbox))
        macs = {it.mac for it in _ports_of(now, other)}
        known = [it for it in now.namespace(one).neighbours if it.address == address]
        if answer.arrived and any(it.mac in macs for it in known):
            return True, f"{one} has learned {known[0].mac} for {address}"
        if answer.arrived:
            return False, f"{address} answers, by a router"
        return False, f"{address}: {answer}"

    return holds(f"{one} and {other} are on one layer 2 segment", fn, places=[one, other])


def _macs(scene: Scene, place: str) -> tuple[set[str], set[str], str]:
    """The MACs of a place's interfaces, those of the interfaces they stand on, and both told."""
    ports = _ports_of(scene, place)
    if not ports:
        raise NotThere(f"{place} has no interface")
    parents = {it.parent for it in ports if it.parent}
    own = {it.mac for it in ports}
    theirs = {it.mac for it in scene.now.interfaces() if it.ref in parents}
    parent = f", its parent {', '.join(sorted(theirs))}" if theirs else ""
    return own, theirs, f"{place} has {', '.join(sorted(own))}{parent}"


def has_mac(place: str, *, is_: str = "") -> Condition:
    """The place has a MAC address of its own, which no parent interface has; is_: that one."""

    def fn(scene: Scene) -> tuple[bool, str]:
        own, theirs, told = _macs(scene, place)
        return (is_.lower() in own if is_ else not own & theirs), told

    what = f"the MAC {is_}" if is_ else "a MAC of its own"
    return holds(f"{place} has {what}", fn, places=[place])


def shares_parent_mac(*places: str) -> Condition:
    """Each of those places has the MAC of the interface that its own one stands on."""

    def fn(scene: Scene) -> tuple[bool, str]:
        found = [_macs(scene, place) for place in places]
        return all(own & theirs for own, theirs, _ in found), "; ".join(it for *_, it in found)

    have = "have" if len(places) > 1 else "has"
    wanted = f"{' and '.join(places)} {have} the MAC of the parent interface"

    def at_fault(scene: Scene) -> Iterable[str]:
        for place in places:
            own, theirs, _ = _macs(scene, place)
            if not own & theirs:
                yield place

    return holds(wanted, fn, places=places, at_fault=at_fault)


@dataclass(frozen=True, slots=True)
class NetworkCondition:
    """A Docker network of some host exists, with what was asked of it; see ``network``."""

    name: str
    host: str = ""
    driver: str = ""
    subnet: str = ""
    members: tuple[str, ...] = ()
    internal: bool | None = None
    options: tuple[tuple[str, str], ...] = ()

    def driver_is(self, driver: str) -> NetworkCondition:
        """Its driver is that one."""
        return replace(self, driver=driver)

    def subnet_is(self, subnet: object) -> NetworkCondition:
        """It has that subnet, and no other of its family."""
        return replace(self, subnet=str(subnet))

    def has(self, *containers: str) -> NetworkCondition:
        """Those containers are on it, and no others."""
        return replace(self, members=containers)

    def is_internal(self) -> NetworkCondition:
        """It leads nowhere else."""
        return replace(self, internal=True)

    def option_is(self, name: str, value: str) -> NetworkCondition:
        """An option of its driver, such as ``parent``, has that value."""
        return replace(self, options=(*self.options, (name, value)))

    @property
    def wanted(self) -> str:
        parts = [f"driver {self.driver}" if self.driver else ""]
        parts += [f"subnet {self.subnet}" if self.subnet else ""]
        parts += ["internal" if self.internal else ""]
        parts += [f"{name} {value}" for name, value in self.options]
        parts += [f"only {' and '.join(self.members)} on it" if self.members else ""]
        told = ", ".join(filter(None, parts))
        where = f" on {plan.full_name(self.host)}" if self.host else ""
        return f"there is a network {self.name}{where}" + (f": {told}" if told else "")

    @property
    def places(self) -> tuple[str, ...]:
        return self.members

    def _states(self, scene: Scene) -> list[HostState]:
        return [scene.host(self.host)] if self.host else list(scene.now.hosts)

    def _found(self, scene: Scene) -> list[Network]:
        return [it for at in self._states(scene) for it in at.networks if it.name == self.name]

    def _on_it(self, scene: Scene) -> list[Container]:
        return [
            container
            for state in self._states(scene)
            for container in state.containers
            if container.namespace and any(it.network == self.name for it in container.endpoints)
        ]

    def verdict(self, scene: Scene) -> tuple[bool, str]:
        found = self._found(scene)
        if not found:
            raise NotThere(f"there is no network {self.name}")
        members = {it.name for it in self._on_it(scene)}
        right = all(map(self._fits, found))
        right &= not self.members or members == set(self.members)
        told = "; ".join(dict.fromkeys(map(self._told, found)))
        return right, f"{told}; on it {', '.join(sorted(members)) or 'nobody'}"

    def at_fault(self, scene: Scene) -> Iterable[str]:
        """The networks that are not as asked, and who is missing on them or should not be there;
        for a network that is missing, the hosts where it should be.
        """
        found, on_it = self._found(scene), self._on_it(scene)
        if not found:
            return [it.name for it in self._states(scene)]
        wrong = [_network_node(it) for it in found if not self._fits(it)]
        if self.members:
            there = {it.name for it in on_it}
            absent = [it for it in self.members if it not in there]
            known = [it for it in map(scene.find_container, absent) if it]
            extra = [it for it in on_it if it.name not in self.members]
            wrong += map(container_id, (*known, *extra))
            if len(known) < len(absent):
                # Somebody who is nowhere: the network has to do without.
                wrong += map(_network_node, found)
        return wrong

    def _fits(self, network: Network) -> bool:
        four = [it.subnet for it in network.subnets if ":" not in it.subnet]
        return (
            self.driver in ("", network.driver)
            and (not self.subnet or four == [self.subnet])
            and self.internal in (None, network.internal)
            and all(network.options.get(name) == value for name, value in self.options)
        )

    def _told(self, network: Network) -> str:
        parts = [network.driver, *(it.subnet for it in network.subnets)]
        parts += ["internal" if network.internal else ""]
        parts += [f"{name} {network.options.get(name, 'not set')}" for name, _ in self.options]
        return f"{network.name} of {network.host} is {', '.join(filter(None, parts))}"


def network(name: str, *, host: str = "") -> NetworkCondition:
    """A Docker network of that name exists, on that host or on any; more can be asked of it:
    ``network("shop").driver_is("bridge").subnet_is("10.1.2.0/24").has("web", "db")``.
    """
    return NetworkCondition(name, host)


def runs(name: str, *, host: str = "", image: str = "", mode: str = "") -> Condition:
    """A container of that name runs, on that host.

    image: the one that it is of.  mode: its network mode as docker inspect has it, such as
    ``host`` or ``none``.
    """
    parts = [f"on {plan.full_name(host)}" if host else ""]
    parts += [f"of image {image}" if image else "", f"with network {mode}" if mode else ""]

    def fn(scene: Scene) -> tuple[bool, str]:
        found = scene.container(f"{plan.full_name(host)}/{name}" if host else name)
        right = image in ("", found.image) and mode in ("", found.network_mode)
        return right, f"{name} of {found.image} runs on {found.host}, network {found.network_mode}"

    def at_fault(scene: Scene) -> Iterable[str]:
        # A container that is nowhere is missing on its host, or on any.
        there = [it for it in scene.now.containers() if it.name == name]
        at = [plan.full_name(host)] if host else [it.name for it in scene.now.hosts]
        return [container_id(it) for it in there] or at

    wanted = " ".join(filter(None, (f"{name} runs", *parts)))
    return holds(wanted, fn, places=[name], at_fault=at_fault)


def survives_restart(name: str) -> Condition:
    """The container runs and comes back by itself after its host's Engine starts anew.

    That is its restart policy's to say: always, or unless-stopped (Docker: start containers
    automatically). Nothing is restarted to see it.
    """

    def fn(scene: Scene) -> tuple[bool, str]:
        found: Container = scene.container(name)
        inspected = scene.hosts[found.host].client.api.inspect_container(found.id)
        policy = inspected["HostConfig"]["RestartPolicy"]["Name"] or "no"
        return policy in ("always", "unless-stopped"), f"its restart policy is {policy}"

    return holds(f"{name} comes back when its host's Engine restarts", fn, places=[name])


def has_route(place: str, destination: object, *, via: str = "") -> Condition:
    """The place has a route to that subnet, or ``default``; via: its gateway, a place or address.

    A route to part of it does not count.
    """
    wanted = f"{place} has a route to {destination}" + (f" via {via}" if via else "")

    def fn(scene: Scene) -> tuple[bool, str]:
        routes = [it for it in scene.namespace(place).routes if it.kind == "unicast"]
        found = [it for it in routes if it.destination == str(destination)]
        gateway = scene.address(via, place) if via and scene.is_place(via) else via
        right = any(gateway in ("", it.gateway) for it in found)
        return right, "; ".join(map(str, found or routes)) or "it has no route"

    return holds(wanted, fn, places=[place])


def built_like(
    host: str, made: str, model: str, *which: str, ports: tuple[int, int] | None = None
) -> Condition:
    """The network on a bridge is in every part like that on another, but for its subnet.

    made, model: names of bridges of that host, or of Docker networks on one.
    which: the parts, named as ``sandbox.compare_bridges`` does; none for all of them.
    ports: the published port of the one, and that of the other, which takes its place.
    """
    full = plan.full_name(host)
    told = f" in {', '.join(which)}" if which else ""

    def facts(scene: Scene, name: str, port: int | None) -> tuple[dict[str, str], dict[str, str]]:
        found = bridged(scene.host(host), name)
        if found is None:
            raise NotThere(f"{full} has no bridge {name}")
        subnets = [ipaddress.ip_interface(it).network for it in found.bridge.assigned]

        def plain(text: str) -> str:
            for subnet in subnets:
                text = _ADDRESS.sub(partial(_placed, subnet), text)
            return re.sub(rf"\b{port}\b", "PORT", text) if port else text

        all_parts = parts(found)
        chosen = {name: all_parts[name] for name in which or all_parts}
        return chosen, {name: plain(text) for name, text in chosen.items()}

    def fn(scene: Scene) -> tuple[bool, str]:
        (mine, plain), (theirs, wanted) = (
            facts(scene, name, port)
            for name, port in zip((made, model), ports or (None, None), strict=True)
        )
        differing = [
            f"{part}: {mine[part]}, where {model} has {theirs[part]}"
            for part in wanted
            if plain[part] != wanted[part]
        ]
        return not differing, "; ".join(differing) or "every part is the same"

    def at_fault(scene: Scene) -> Iterable[str]:
        state = scene.host(host)
        found = bridged(state, made)
        carried = [
            it
            for it in state.networks
            if made == it.name or (found and it.interface == found.bridge.name)
        ]
        bare = f"{full}:{found.bridge.name}" if found else full
        return [_network_node(it) for it in carried] or [bare]

    wanted = f"{made} of {full} is built like {model}{told}"
    return holds(wanted, fn, places=[full], at_fault=at_fault)


_ADDRESS = re.compile(r"\b\d+\.\d+\.\d+\.\d+\b")


def _placed(subnet: ipaddress.IPv4Network | ipaddress.IPv6Network, found: re.Match[str]) -> str:
    """An address of that subnet by its place in it; any other as it is."""
    address = ipaddress.ip_address(found[0])
    if address in subnet:
        return f"SUBNET+{int(address) - int(subnet.network_address)}"
    return found[0]


def in_swarm(host: str, *, manager: bool | None = None) -> Condition:
    """The host is a node of a swarm; manager: whether one that manages it."""
    role = {None: "", True: " as a manager", False: " as a worker"}[manager]

    def fn(scene: Scene) -> tuple[bool, str]:
        state = scene.host(host)
        now = " as a manager" if state.manager else ""
        right = state.swarm == "active" and manager in (None, state.manager)
        return right, f"its swarm mode is {state.swarm}{now}"

    full = plan.full_name(host)
    return holds(f"{full} is in a swarm{role}", fn, places=[full])


def spread(service: str, *, over: Iterable[str]) -> Condition:
    """A service has a task that runs on each of those hosts."""
    wanted = [plan.full_name(host) for host in over]
    task = re.compile(rf"{re.escape(service)}\.\d+\.[a-z0-9]{{25}}")

    def its_hosts(scene: Scene) -> set[str]:
        running = (it for it in scene.now.containers() if it.state == "running")
        return {it.host for it in running if task.fullmatch(it.name)}

    def fn(scene: Scene) -> tuple[bool, str]:
        found = its_hosts(scene)
        listed = ", ".join(sorted(found)) or "no host"
        return found >= set(wanted), f"tasks of {service} run on {listed}"

    def at_fault(scene: Scene) -> Iterable[str]:
        return [it for it in wanted if it not in its_hosts(scene)]

    said = f"{service} has a task on {' and on '.join(wanted)}"
    return holds(said, fn, places=wanted, at_fault=at_fault)


def answered(question: str, answer: str, *also: str) -> Condition:
    """The learner wrote that answer, or one of the others; case and outer space do not count."""
    right = {it.strip().lower() for it in (answer, *also)}

    def fn(scene: Scene) -> tuple[bool, str]:
        given = scene.answers.get(question, "")
        if not given.strip():
            return False, "it is not answered yet"
        return given.strip().lower() in right, f"the answer is {given.strip()!r}"

    return holds(f"the question “{question}” is answered", fn)


def nothing_else_changed(*but: str) -> Condition:
    """Nothing on any host is other than when the lab began, but what these words are in.

    but: regular expressions, searched in the sentences of ``sandbox.diff``.
    """

    def left_of(start: Snapshot, now: Snapshot) -> list[Change]:
        changes = diff(start, now).changes
        return [it for it in changes if not any(re.search(word, it.text) for word in but)]

    def fn(scene: Scene) -> tuple[bool, str]:
        if scene.start is None:
            raise Unclear("how the hosts were when the lab began was not kept")
        for host in scene.now.hosts:
            scene.host(host.name)
        left = left_of(scene.start, scene.now)
        told = "; ".join(f"{it.host}: {it.sign} {it.text}" for it in left[:6])
        more = f"; and {len(left) - 6} more" if len(left) > 6 else ""
        return not left, told + more or "nothing else changed"

    def at_fault(scene: Scene) -> Iterable[str]:
        return [it.host for it in left_of(scene.start, scene.now)] if scene.start else ()

    return holds("nothing else is changed", fn, at_fault=at_fault)
