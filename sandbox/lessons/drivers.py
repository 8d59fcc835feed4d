"""One application under every network driver: who reaches it, and what that costs."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.errors import SandboxError, expect
from sandbox.hosts import plan
from sandbox.hosts.actions import Action, execute, perform, run
from sandbox.hosts.sandbox import Sandbox, as_new, running, settled
from sandbox.model.difference import diff
from sandbox.steps import Quiet, best

if TYPE_CHECKING:
    from sandbox.model.state import Interface, Snapshot
    from sandbox.views.table import Chart

__all__ = ["CASES", "Case", "Comparison", "Measured", "compare_drivers"]

WEB = "docker run -d --name web --network {network} -p 8080:80 -p 5201:5201 toolbox"
# A call that gets no answer in this time gets none. With 2 s, one by name on an overlay counted as
# unanswered once, while three emulated VMs shared two processors.
CALL_SECONDS = 5
OWN = plan.address("host-a")
# A second's stream with little to carry, then one with as much as goes through.
STREAMS = "iperf3 -J -t 1 -l 64 -b 100K -c {0}; iperf3 -J -t 1 -c {0}"
YES, NO, NONE = "yes", "no", "none"
CLIENT, REMOTE = "client on host-a", "remote on host-b"


@dataclass(frozen=True, slots=True)
class Case:
    """A driver with what makes its network.

    host_a, host_b: commands there, in this order. Pairs of them are run beside each other,
    unless host_b's need the ``{token}`` of a swarm that host_a's make.

    network: what containers name. On host-b it is the same network, or one of that name.
    """

    driver: str
    network: str
    host_a: tuple[str, ...] = ()
    host_b: tuple[str, ...] = ()


def _on_the_lan(driver: str) -> Case:
    create = (
        f"docker network create -d {driver} -o parent=eth0 --subnet {plan.LAN}"
        f" --gateway {plan.LAN_GATEWAY} --ip-range {{}} app"
    )
    return Case(
        driver,
        "app",
        (create.format(f"{plan.on_lan(64)}/27"),),
        (create.format(f"{plan.on_lan(96)}/27"),),
    )


def _routed(own: int, other: int) -> tuple[str, str]:
    return (
        "docker network create -d ipvlan -o ipvlan_mode=l3 -o parent=eth0"
        f" --subnet 10.8.{own}.0/24 app",
        f"ip route add 10.8.{other}.0/24 via {plan.on_lan(10 + other)}",
    )


CASES = (
    Case("bridge", "app", ("docker network create app",), ("docker network create app",)),
    Case("host", "host"),
    Case("none", "none"),
    Case(
        "overlay",
        "app",
        (
            f"docker swarm init --advertise-addr {OWN}",
            "docker network create -d overlay --attachable app",
        ),
        (f"docker swarm join --token {{token}} {OWN}:2377",),
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
        from sandbox.views.table import table

        return table({found.driver: found.facts for found in self.measured})

    _repr_markdown_ = __repr__

    def __add__(self, other: Comparison) -> Comparison:
        return Comparison(self.measured + other.measured)

    def chart(self) -> Chart:
        """Round trips and throughputs as bars."""
        from sandbox.views.table import Chart

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

    drivers: some of CASES' names; None for all. It takes 20 s to a minute each on an emulated
        processor.

    Raises SandboxError if no sandbox with two hosts runs, a driver is none of those, or one of
    them could not be set up.
    """
    known = {case.driver: case for case in CASES}
    if drivers is not None:
        expect(drivers, (list, tuple, set), "a list of drivers", 'write ["bridge", "host"]')
    names = list(known if drivers is None else drivers)
    for name in names:
        if name not in [*known]:
            raise SandboxError(f"{name!r} is not compared.", fix=f"There are {', '.join(known)}.")
    sandbox = running(id)
    if len(sandbox.hosts) < 2:
        raise SandboxError("Two hosts are compared.", fix=as_new(sandbox.id, 2, sandbox.internet))
    shown = best()
    measured = []
    try:
        for name in names:
            sandbox.reset(Quiet())
            shown.begin(f"Measuring {name}")
            measured.append(_measure(sandbox, known[name]))
    finally:
        sandbox.reset(Quiet())
    shown.done(f"Measured: {', '.join(names)}")
    return Comparison(tuple(measured))


class _Hosts:
    """Does things on a sandbox's hosts, and remembers the commands for the reader."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.commands: list[str] = []

    def do(self, host: str, step: str | Action, **hidden: str) -> str:
        """What a step shows. step: a command on the host, or an action of its Engine.

        hidden: what stands in braces in a command, and is not remembered.

        Raises SandboxError if it fails.
        """
        self.commands.append(f"host-{host}$ {step}")
        return self._do(host, step.format(**hidden) if isinstance(step, str) and hidden else step)

    def do_at_once(self, *steps: tuple[str, str | Action]) -> list[str]:
        """What each of these (host, step) shows, done beside each other."""
        self.commands += [f"host-{host}$ {step}" for host, step in steps]
        with ThreadPoolExecutor(len(steps)) as pool:
            return list(pool.map(lambda it: self._do(*it), steps))

    def _do(self, host: str, step: str | Action) -> str:
        there = self._sandbox.host(host)
        if isinstance(step, Action):
            return perform(there, step)
        result = there.run(step)
        if result.code:
            said = (result.stderr or result.stdout).strip()
            raise SandboxError(f"{step!r} failed on host-{host}.", why=said)
        return result.stdout.strip()


def _curl(*targets: str) -> list[str]:
    urls = [f"http://{target}" for target in targets]
    # The status, 000 where nobody answered, tells where one answer ends.
    return ["curl", "-s", "-m", str(CALL_SECONDS), "-w", r"%{http_code}\n", *urls]


def _seen(said: str, targets: int) -> list[str]:
    """For each target of a call, the address that web saw, or ``no`` if it did not answer.

    Raises SandboxError if the call itself failed, which says nothing of web.
    """
    *answers, _ = re.split(r"^\d{3}$", said, flags=re.MULTILINE)
    if len(answers) != targets:
        raise SandboxError("A call to web could not be made.", why=said, fix="Measure again.")
    return [answer.strip().rpartition("you are ")[2] or NO for answer in answers]


def _measure(sandbox: Sandbox, case: Case) -> Measured:
    hosts = _Hosts(sandbox)
    before = _read(sandbox)
    _make_networks(hosts, case)
    hosts.do("a", WEB.format(network=case.network))
    after = _read(sandbox)
    client, remote = (
        run("toolbox", name=name, network=case.network, command="sleep infinity")
        for name in ("client", "remote")
    )
    # On an overlay the next container gets the next address, on whichever host.
    hosts.do("a", client)
    listening = ["curl", "-s", "--retry", "9", "--retry-connrefused", "http://127.0.0.1"]
    _, itself, _ = hosts.do_at_once(
        ("b", remote),
        ("a", execute("web", listening)),
        ("a", execute("web", ["iperf3", "-s", "-D"])),
    )
    if "you are " not in itself:
        raise SandboxError("web does not serve.", why=itself, fix="Measure again.")
    web = _interface(after)
    address = web.assigned[0].partition("/")[0] if web else ""
    own = [address] if address else []
    said = hosts.do_at_once(
        ("a", execute("client", _curl("web", *own))),
        ("b", execute("remote", _curl("web", *own))),
        ("b", shlex.join(_curl(*own, f"{OWN}:8080")) + " || true"),
        *[("a", shlex.join(_curl(*own)) + " || true")] * len(own),
    )
    by_client, by_remote, by_host_b = (_seen(it, len(own) + 1) for it in said[:3])
    by_host_a = _seen(said[3], 1) if own else [NO]
    facts = {
        "web's address": address or NONE,
        "web's MAC address": _whose_mac(after, web),
        "web's MTU": str(web.mtu) if web else NONE,
        **_added(before, after),
        "web by name, on host-a": YES if by_client[0] != NO else NO,
        "web by name, on host-b": YES if by_remote[0] != NO else NO,
        CLIENT: by_client[1] if own else NO,
        "host-a itself": by_host_a[0],
        "host-b": by_host_b[0] if own else NO,
        REMOTE: by_remote[1] if own else NO,
        "host-b, port 8080 of host-a": by_host_b[-1],
    }
    round_trip, throughput = {}, {}
    if address:
        far = address if facts[REMOTE] != NO else OWN
        # One after the other: each has the processors to itself.
        for where, host, caller, to in (
            (CLIENT, "a", "client", address),
            (REMOTE, "b", "remote", far),
        ):
            streams = execute(caller, ["sh", "-c", STREAMS.format(to)])
            round_trip[where], throughput[where] = _measured(hosts.do(host, streams))
    return Measured(case.driver, facts, round_trip, throughput, tuple(hosts.commands))


def _measured(said: str) -> tuple[float, float]:
    """Milliseconds and Mbit/s of what STREAMS printed. Raises SandboxError if it failed."""
    try:
        found = json.loads("[" + re.sub(r"^\}\n\{", "},{", said, flags=re.MULTILINE) + "]")
        quiet, busy = (report["end"] for report in found)
        rtt = quiet["streams"][0]["sender"]["mean_rtt"]
        rate = busy["sum_received"]["bits_per_second"]
    except (KeyError, ValueError, IndexError) as error:
        raise SandboxError(
            "iperf3 could not measure.", why=said[-400:], fix="Try again."
        ) from error
    return round(rtt / 1000, 2), round(rate / 1e6)


def _read(sandbox: Sandbox) -> Snapshot:
    found = settled("a", id=sandbox.id)
    if unread := found.hosts[0].unread:
        raise SandboxError("host-a could not be read.", why=unread, fix="Measure again.")
    return found


def _make_networks(hosts: _Hosts, case: Case) -> None:
    if any("{token}" in command for command in case.host_b):
        for command in case.host_a:
            hosts.do("a", command)
        token = hosts.do("a", "docker swarm join-token -q worker")
        for command in case.host_b:
            hosts.do("b", command, token=token)
        return
    for on_a, on_b in zip(case.host_a, case.host_b, strict=True):
        hosts.do_at_once(("a", on_a), ("b", on_b))


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
