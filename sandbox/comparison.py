"""One application under every network driver: who reaches it, and what that costs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.errors import SandboxError
from sandbox.model.difference import diff
from sandbox.progress import Quiet, best
from sandbox.sandbox import Sandbox, running, settled

if TYPE_CHECKING:
    from sandbox.model.state import Interface, Snapshot
    from sandbox.views.comparison import Chart

__all__ = ["CASES", "Case", "Comparison", "Measured", "compare_drivers"]

WEB = "docker run -d --name web --network {network} -p 8080:80 -p 5201:5201 toolbox"
CALLER = "docker run -d --name {name} --network {network} toolbox sleep infinity"
# A call that gets no answer in this time gets none.
CALL_SECONDS = 2
YES, NO, NONE = "yes", "no", "none"
CLIENT, REMOTE = "client on host-a", "remote on host-b"


@dataclass(frozen=True, slots=True)
class Case:
    """A driver with what makes its network. host_a, host_b: commands there, in this order.

    network: what containers name. On host-b it is the same network, or one of that name.
    """

    driver: str
    network: str
    host_a: tuple[str, ...] = ()
    host_b: tuple[str, ...] = ()


def _on_the_lan(driver: str) -> Case:
    create = (
        f"docker network create -d {driver} -o parent=eth0 --subnet 198.18.0.0/24"
        " --gateway 198.18.0.1 --ip-range {} app"
    )
    return Case(
        driver, "app", (create.format("198.18.0.64/27"),), (create.format("198.18.0.96/27"),)
    )


def _routed(own: int, other: int) -> tuple[str, str]:
    return (
        "docker network create -d ipvlan -o ipvlan_mode=l3 -o parent=eth0"
        f" --subnet 10.8.{own}.0/24 app",
        f"ip route add 10.8.{other}.0/24 via 198.18.0.{10 + other}",
    )


CASES = (
    Case("bridge", "app", ("docker network create app",), ("docker network create app",)),
    Case("host", "host"),
    Case("none", "none"),
    Case(
        "overlay",
        "app",
        (
            "docker swarm init --advertise-addr 198.18.0.11",
            "docker network create -d overlay --attachable app",
        ),
        ("docker swarm join --token {token} 198.18.0.11:2377",),
    ),
    _on_the_lan("macvlan"),
    _on_the_lan("ipvlan"),
    Case("ipvlan l3", "app", _routed(1, 2), _routed(2, 1)),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """What one driver gave.

    facts: by property, what was seen; the properties are the same for every driver.
    round_trip: by caller, milliseconds on a TCP connection with little to carry.
    throughput: by caller, Mbit/s that web received.
    commands: what was run, each as ``host-a$ …``.
    """

    driver: str
    facts: dict[str, str]
    round_trip: dict[str, float]
    throughput: dict[str, float]
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What drivers gave, in the order that they were measured in."""

    measured: tuple[Measured, ...]

    def __repr__(self) -> str:
        from sandbox.views.comparison import table

        return table({found.driver: found.facts for found in self.measured})

    _repr_markdown_ = __repr__

    def __add__(self, other: Comparison) -> Comparison:
        return Comparison(self.measured + other.measured)

    def chart(self) -> Chart:
        """Round trips and throughputs as bars."""
        from sandbox.views.comparison import Chart

        return Chart(
            {
                "round trip, ms": {m.driver: m.round_trip for m in self.measured},
                "throughput, Mbit/s": {m.driver: m.throughput for m in self.measured},
            }
        )

    def commands(self, driver: str) -> str:
        """What was run for that driver, a line each. Raises SandboxError for another."""
        for found in self.measured:
            if found.driver == driver:
                return "\n".join(found.commands)
        known = ", ".join(found.driver for found in self.measured)
        raise SandboxError(f"{driver!r} was not measured.", fix=f"There are {known}.")


def compare_drivers(drivers: Iterable[str] | None = None, *, id: str | None = None) -> Comparison:
    """Run one application under every driver on host-a and host-b, and measure.

    ``web`` serves on host-a, ``client`` calls it from there and ``remote`` from host-b. The
    hosts are put back as new before each driver and after the last.

    drivers: some of CASES' names; None for all. It takes 15 s each on an emulated processor.

    Raises SandboxError if no sandbox with two hosts runs, a driver is none of those, or one of
    them could not be set up.
    """
    known = {case.driver: case for case in CASES}
    names = list(known if drivers is None else drivers)
    for name in names:
        if name not in known:
            raise SandboxError(f"{name!r} is not compared.", fix=f"There are {', '.join(known)}.")
    sandbox = running(id)
    if len(sandbox.hosts) < 2:
        raise SandboxError("Two hosts are compared.", fix="sandbox.up(hosts=2)")
    shown = best()
    measured = []
    for name in names:
        sandbox.reset(Quiet())
        shown.step(f"Measuring {name}")
        measured.append(_measure(sandbox, known[name]))
    sandbox.reset(Quiet())
    shown.done(f"Measured: {', '.join(names)}")
    return Comparison(tuple(measured))


class _Hosts:
    """Runs commands on a sandbox's hosts, and remembers them for the reader."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.commands: list[str] = []

    def run(self, host: str, command: str, **hidden: str) -> str:
        """Its standard output. hidden: what stands in braces in it, and is not remembered.

        Raises SandboxError if it fails.
        """
        self.commands.append(f"host-{host}$ {command}")
        result = self._sandbox.host(host).run(command.format(**hidden) if hidden else command)
        if result.code:
            said = (result.stderr or result.stdout).strip()
            raise SandboxError(f"{command!r} failed on host-{host}.", why=said)
        return result.stdout.strip()

    def call(self, host: str, target: str, container: str = "") -> str:
        """The address that web saw when target was called, or ``no`` if it did not answer."""
        curl = f"curl -s -m {CALL_SECONDS} http://{target}"
        command = f"docker exec {container} {curl}" if container else curl
        return self.run(host, f"{command} || true").rpartition("you are ")[2] or NO

    def iperf3(self, host: str, target: str, container: str, options: str) -> dict[str, Any]:
        """What iperf3 says at the end of a second's TCP stream from container to target."""
        said = self.run(host, f"docker exec {container} iperf3 -J -t 1 {options} -c {target}")
        return json.loads(said)["end"]


def _measure(sandbox: Sandbox, case: Case) -> Measured:
    hosts = _Hosts(sandbox)
    before = _read(sandbox)
    _make_networks(hosts, case)
    hosts.run("a", WEB.format(network=case.network))
    hosts.run("a", "docker exec web curl -s --retry 9 --retry-connrefused http://127.0.0.1")
    after = _read(sandbox)
    hosts.run("a", CALLER.format(name="client", network=case.network))
    hosts.run("b", CALLER.format(name="remote", network=case.network))
    web = _interface(after)
    address = web.assigned[0].partition("/")[0] if web else ""
    facts = {
        "web's address": address or NONE,
        "web's MAC address": _whose_mac(after, web),
        "web's MTU": str(web.mtu) if web else NONE,
        **_added(before, after),
        "web by name, on host-a": YES if hosts.call("a", "web", "client") != NO else NO,
        "web by name, on host-b": YES if hosts.call("b", "web", "remote") != NO else NO,
        CLIENT: hosts.call("a", address, "client") if address else NO,
        "host-a itself": hosts.call("a", address) if address else NO,
        "host-b": hosts.call("b", address) if address else NO,
        REMOTE: hosts.call("b", address, "remote") if address else NO,
        "host-b, port 8080 of host-a": hosts.call("b", "198.18.0.11:8080"),
    }
    round_trip, throughput = {}, {}
    if address:
        hosts.run("a", "docker exec -d web iperf3 -s")
        far = address if facts[REMOTE] != NO else "198.18.0.11"
        for where, host, caller, to in (
            (CLIENT, "a", "client", address),
            (REMOTE, "b", "remote", far),
        ):
            quiet = hosts.iperf3(host, to, caller, "-l 64 -b 100K")
            round_trip[where] = round(quiet["streams"][0]["sender"]["mean_rtt"] / 1000, 2)
            busy = hosts.iperf3(host, to, caller, "")
            throughput[where] = round(busy["sum_received"]["bits_per_second"] / 1e6)
    return Measured(case.driver, facts, round_trip, throughput, tuple(hosts.commands))


def _read(sandbox: Sandbox) -> Snapshot:
    found = settled("a", id=sandbox.id)
    if unread := found.hosts[0].unread:
        raise SandboxError("host-a could not be read.", why=unread, fix="Measure again.")
    return found


def _make_networks(hosts: _Hosts, case: Case) -> None:
    token = ""
    for command in case.host_a:
        hosts.run("a", command)
        if "swarm init" in command:
            token = hosts.run("a", "docker swarm join-token -q worker")
    for command in case.host_b:
        hosts.run("b", command, token=token)


def _interface(snapshot: Snapshot) -> Interface | None:
    """The interface that web answers on: of its own endpoint, else the host's; None if none."""
    [host] = snapshot.hosts
    web = host.container("web")
    there = next((it for it in host.namespaces if web and it.id == web.namespace), None)
    if web is None or there is None:
        return None
    own = next((it.interface for it in web.endpoints if it.interface), "")
    return there.interface(own or "eth0")


def _whose_mac(snapshot: Snapshot, web: Interface | None) -> str:
    [host] = snapshot.hosts
    parent = host.namespace.interface("eth0") if host.namespace else None
    if web is None or parent is None:
        return NONE
    return "the host's" if web.mac == parent.mac else "its own"


def _added(before: Snapshot, after: Snapshot) -> dict[str, str]:
    added = [change.group for change in diff(before, after).changes if change.sign == "+"]
    return {
        "links added on host-a": str(added.count("links")),
        "firewall rules added on host-a": str(added.count("firewall")),
    }
