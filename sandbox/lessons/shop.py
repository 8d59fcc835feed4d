"""Two hosts with a small shop, what breaks in such a place, and how to find which it was."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sandbox.errors import SandboxError
from sandbox.hosts.host import Host, Result
from sandbox.hosts.plan import address, on_lan
from sandbox.hosts.sandbox import Sandbox, as_new, running
from sandbox.steps import Quiet, Steps, best

__all__ = [
    "CALLS",
    "FAULTS",
    "STEPS",
    "Call",
    "Calls",
    "DecisionTree",
    "Fault",
    "Step",
    "break_shop",
    "calls",
    "decision_tree",
    "look",
    "shop",
]

_OWN, _FAR = address("host-a"), address("host-b")
_BIG = "head -c 200000 /dev/zero > /srv/big"
# By host; on hosts as new no name is taken.
_SHOP = {
    "a": (
        "docker network create shop",
        "docker run -d --name web --network shop -p 8080:80 toolbox",
        "docker run -d --name client --network shop toolbox sleep infinity",
        f"docker exec web sh -c '{_BIG}'",
    ),
    "b": ("docker run -d --name api -p 80:80 toolbox",),
}


@dataclass(frozen=True, slots=True)
class Call:
    """One call that works in a whole shop. host: where the command is run, ``a`` or ``b``."""

    title: str
    host: str
    command: str


CALLS = (
    Call("client calls web by its name", "a", "docker exec client curl -sS -m 4 http://web"),
    Call("client calls api on host-b", "a", f"docker exec client curl -sS -m 4 http://{_FAR}"),
    Call("host-b calls web's published port", "b", f"curl -sS -m 4 http://{_OWN}:8080"),
    Call("host-b fetches 200 kB there", "b", f"curl -sS -m 4 -o /dev/null http://{_OWN}:8080/big"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """A question of the decision tree.

    host: where the command that answers it is run, ``a`` or ``b``.
    whole: its answer in a shop that is in order, for people.  right: the same for re.search.
    wrong: what another answer means.
    """

    title: str
    ask: str
    host: str
    command: str
    whole: str
    right: str
    wrong: str


STEPS = (
    Step(
        "names",
        "Does the caller ask Docker's DNS server?",
        "a",
        "docker exec client grep ^nameserver /etc/resolv.conf",
        "127.0.0.11",
        r"\Anameserver 127\.0\.0\.11\Z",
        "It asks another server, which knows no container.",
    ),
    Step(
        "network",
        "Have caller and server a network in common?",
        "a",
        "docker inspect -f '{{.Name}}{{range $name, $_ := .NetworkSettings.Networks}} {{$name}}"
        "{{end}}' client web",
        "shop for both",
        r"\A/client shop\n/web shop\Z",
        "They have none: no name is known, and Docker's rules drop what goes between networks.",
    ),
    Step(
        "route",
        "Where does the host send what is for the other host?",
        "a",
        f"ip route get {_FAR} | head -1",
        "dev eth0",
        rf"\A{re.escape(_FAR)} dev eth0 ",
        "A narrower route leads elsewhere: a network overlaps the LAN.",
    ),
    Step(
        "bridge",
        "Which veth on the host is a port of no bridge?",
        "a",
        "ip -br link show type veth nomaster | grep -v ^eth0 || echo none",
        "none",
        r"\Anone\Z",
        "That container's frames come to the host's end of its veth pair, and no further.",
    ),
    Step(
        "firewall",
        "Does a rule of your own drop it?",
        "a",
        "iptables -S DOCKER-USER",
        "no rule",
        r"\A-N DOCKER-USER\Z",
        "A DROP stands before all of Docker's own rules.",
    ),
    Step(
        "NAT, way in",
        "At which address is the port published?",
        "a",
        "docker port web",
        "0.0.0.0:8080",
        r"^80/tcp -> 0\.0\.0\.0:8080$",
        "Only that address answers, and 127.0.0.1 is the host's own.",
    ),
    Step(
        "NAT, way out",
        "Is a container's address replaced by the host's?",
        "a",
        "iptables -t nat -S POSTROUTING | grep 172.18 || echo no rule",
        "MASQUERADE",
        r"-s 172\.18\.0\.0/24 .*-j MASQUERADE",
        "Without it the other host sees an address that it cannot answer.",
    ),
    Step(
        "size",
        "Does a full packet get through where a small one does?",
        "a",
        f"for size in 28 1472; do docker exec web ping -c 2 -W 1 -M do -s $size {_FAR}"
        " | grep -o '. received'; done",
        "2 and 2",
        r"\A2 received\n2 received\Z",
        "2 and 0: something on the path takes less, and its messages get lost unless ping says "
        "“Frag needed”. 0 and 0: it is not the size.",
    ),
    Step(
        "other host",
        "Does the server run there, and is its port published?",
        "b",
        "docker ps --format '{{.Names}} {{.Ports}}' | grep . || echo nothing",
        "api 0.0.0.0:80->80/tcp",
        r"^api 0\.0\.0\.0:80->80/tcp",
        "Nobody listens there; this host is in order.",
    ),
)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong in the shop.

    name: its short name.  host: where it is, ``a`` or ``b``.  cause: what a learner would say.
    breaks: commands that break it.  repair: commands that put it right.
    step: the title of the step that finds it.  fails: titles of the calls that then fail.
    """

    name: str
    host: str
    cause: str
    breaks: tuple[str, ...]
    repair: tuple[str, ...]
    step: str
    fails: frozenset[str]


def _fails(*numbers: int) -> frozenset[str]:
    return frozenset(CALLS[number].title for number in numbers)


def _resolver(old: str, new: str) -> str:
    # The file is a mount of its own, which sed -i could not replace.
    edit = f"sed s/{old}/{new}/ /etc/resolv.conf > /tmp/new; cat /tmp/new > /etc/resolv.conf"
    return f"docker exec client sh -c '{edit}'"


def _web(published: str) -> tuple[str, ...]:
    return (
        "docker rm -f web",
        f"docker run -d --name web --network shop -p {published} toolbox",
        f"docker exec web sh -c '{_BIG}'",
    )


# The host's end of web's veth pair has the number that web's end gives as its peer's.
_VETH = (
    '$(ip -o link | sed -n "s/^$(docker exec web cat /sys/class/net/eth0/iflink): '
    r'\([^@]*\)@.*/\1/p")'
)
_BRIDGE = "br-$(docker network inspect -f '{{slice .Id 0 12}}' shop)"
_MASQUERADE = f"POSTROUTING -s 172.18.0.0/24 ! -o {_BRIDGE} -j MASQUERADE"
_NEEDED = "OUTPUT -p icmp --icmp-type fragmentation-needed -j DROP"

FAULTS = (
    Fault(
        "dns",
        "a",
        "client asks the wrong DNS server",
        (_resolver("127.0.0.11", "192.0.2.53"),),
        (_resolver("192.0.2.53", "127.0.0.11"),),
        "names",
        _fails(0),
    ),
    Fault(
        "wrong network",
        "a",
        "client is on another network than web",
        (
            "docker network create office",
            "docker network connect office client",
            "docker network disconnect shop client",
        ),
        (
            "docker network connect shop client",
            "docker network disconnect office client",
            "docker network rm office",
        ),
        "network",
        _fails(0),
    ),
    Fault(
        "overlap",
        "a",
        "a network of host-a overlaps the LAN",
        (f"docker network create --subnet {on_lan(8)}/29 vpn",),
        ("docker network rm vpn",),
        "route",
        _fails(1, 2, 3),
    ),
    Fault(
        "bridge port",
        "a",
        "web's veth hangs in no bridge",
        (f"ip link set {_VETH} nomaster",),
        (f"ip link set {_VETH} master {_BRIDGE}",),
        "bridge",
        _fails(0, 2, 3),
    ),
    Fault(
        "firewall",
        "a",
        "a rule in DOCKER-USER drops the calls from outside",
        ("iptables -I DOCKER-USER -i eth0 -p tcp --dport 80 -j DROP",),
        ("iptables -D DOCKER-USER -i eth0 -p tcp --dport 80 -j DROP",),
        "firewall",
        _fails(2, 3),
    ),
    Fault(
        "wrong address",
        "a",
        "web's port is published on 127.0.0.1 only",
        _web("127.0.0.1:8080:80"),
        _web("8080:80"),
        "NAT, way in",
        _fails(2, 3),
    ),
    Fault(
        "masquerade",
        "a",
        "nothing replaces the containers' addresses on the way out",
        (f"iptables -t nat -D {_MASQUERADE}",),
        (f"iptables -t nat -A {_MASQUERADE}",),
        "NAT, way out",
        _fails(1),
    ),
    Fault(
        "large answers",
        "a",
        "the path takes smaller packets than web sends, and keeps silent",
        (f"ip route add {_FAR} dev eth0 mtu lock 1400", f"iptables -I {_NEEDED}"),
        (f"ip route del {_FAR} dev eth0", f"iptables -D {_NEEDED}"),
        "size",
        _fails(3),
    ),
    Fault(
        "server",
        "b",
        "api does not run",
        ("docker stop -t 0 api",),
        ("docker start api",),
        "other host",
        _fails(1),
    ),
)


def shop(*, id: str | None = None, steps: Steps | None = None) -> None:
    """Put the hosts back as new, and open the shop: web and client on host-a, api on host-b.

    Raises SandboxError if no sandbox with two hosts runs, or a part of the shop does not start.
    """
    sandbox = running(id)
    if len(sandbox.hosts) < 2:
        raise SandboxError("The shop needs two hosts.", fix=as_new(sandbox.id, 2, sandbox.internet))
    shown = steps or best()
    shown.begin("Putting the hosts back as new, and opening the shop")
    sandbox.reset(Quiet())
    with ThreadPoolExecutor(2) as pool:
        for done in [
            pool.submit(_run_all, sandbox.host(name), commands) for name, commands in _SHOP.items()
        ]:
            done.result()
    shown.done("The shop is open: web and client on host-a, api on host-b")


def _run_all(host: Host, commands: Iterable[str]) -> None:
    for command in commands:
        result = host.run(command)
        if result.code:
            raise SandboxError(
                f"{command!r} failed on {host.name}.",
                why=(result.stderr or result.stdout).strip(),
                fix="sandbox.lessons.shop() starts again from new hosts",
            )


def break_shop(name: str, *, id: str | None = None) -> None:
    """Break one thing in the open shop. name: of one of FAULTS.

    Raises SandboxError if there is no such fault, no sandbox runs, or no shop is open.
    """
    known = {fault.name: fault for fault in FAULTS}
    if name not in [*known]:
        raise SandboxError(f"{name!r} is no fault.", fix=f"There are {', '.join(known)}.")
    fault, sandbox = known[name], running(id)
    _require_shop(sandbox)
    _run_all(sandbox.host(fault.host), fault.breaks)


def _require_shop(sandbox: Sandbox) -> None:
    if sandbox.host("a").run("docker inspect web client").code:
        raise SandboxError("No shop is open.", fix="sandbox.lessons.shop() opens one")


@dataclass(frozen=True, slots=True)
class Calls:
    """What became of each call: "" where it succeeded, else what its last words were."""

    said: dict[str, str]

    @property
    def failed(self) -> frozenset[str]:
        """The titles of the calls that failed."""
        return frozenset(title for title, words in self.said.items() if words)

    def __repr__(self) -> str:
        width = max(map(len, self.said))
        return "\n".join(
            f"{'✗' if words else '✓'} {title:{width}}  {words}".rstrip()
            for title, words in self.said.items()
        )

    def _repr_html_(self) -> str:
        commands = {call.title: f"host-{call.host}$ {call.command}" for call in CALLS}
        cell = '<td style="text-align: left">{}</td>'
        rows = "".join(
            f"<tr><td style='white-space: nowrap'>{'✗ failed' if words else '✓ works'}</td>"
            + cell.format(html.escape(title))
            + cell.format(f"<code>{html.escape(commands[title])}</code>")
            + cell.format(html.escape(words))
            + "</tr>"
            for title, words in self.said.items()
        )
        head = "<tr><th></th><th>call</th><th>command</th><th>what it said</th></tr>"
        return f"<table>{head}{rows}</table>"


def calls(*, id: str | None = None) -> Calls:
    """Make the shop's four calls, beside each other.

    Raises SandboxError if no sandbox runs, or no shop is open.
    """
    sandbox = running(id)
    _require_shop(sandbox)
    with ThreadPoolExecutor(len(CALLS)) as pool:
        results = pool.map(lambda call: sandbox.host(call.host).run(call.command), CALLS)
    return Calls({call.title: _words(result) for call, result in zip(CALLS, results, strict=True)})


def _words(result: Result) -> str:
    if not result.code:
        return ""
    lines = (result.stderr or result.stdout).strip().splitlines()
    # How many milliseconds it took says nothing here.
    return re.sub(r" after \d+ m(illi)?s(econds)?", "", lines[-1]) if lines else "failed"


class DecisionTree:
    """Which calls fail says which questions to ask, and each has a command that answers it."""

    def __init__(self) -> None:
        self.branches: dict[frozenset[str], list[Step]] = {}
        for step in STEPS:
            for fault in FAULTS:
                if fault.step == step.title:
                    self.branches.setdefault(fault.fails, []).append(step)

    def __repr__(self) -> str:
        lines = ["Which calls fail, and what to ask then (if none of these: all, in order):"]
        lines += [
            f"  {'; '.join(_in_order(failed))}\n    → {', '.join(step.title for step in steps)}"
            for failed, steps in self.branches.items()
        ]
        lines += [
            f"{step.title}: {step.ask}\n  host-{step.host}$ {step.command}\n"
            f"  In order: {step.whole}. If not: {step.wrong}"
            for step in STEPS
        ]
        return "\n".join(lines)

    def _repr_markdown_(self) -> str:
        rows = ["| calls that fail | ask, in this order |", "| --- | --- |"]
        for failed, steps in self.branches.items():
            asked = ", ".join(f"**{step.title}**" for step in steps)
            rows.append(f"| {'<br>'.join(_in_order(failed))} | {asked} |")
        rows.append("| any others | all, from the top |")
        rows += ["", "| | question | answered by | in order | if not |", "| --- " * 5 + "|"]
        for step in STEPS:
            command = f"`host-{step.host}$ {step.command}`".replace("|", "\\|")
            rows.append(
                f"| **{step.title}** | {step.ask} | {command} | {step.whole} | {step.wrong} |"
            )
        return "\n".join(rows)


def _in_order(failed: frozenset[str]) -> list[str]:
    return [call.title for call in CALLS if call.title in failed]


def look(sandbox: Sandbox, step: Step) -> tuple[str, bool]:
    """What a step's command says now, and whether that is in order.

    Raises SandboxError if the command itself fails, which says nothing of the shop.
    """
    result = sandbox.host(step.host).run(step.command)
    if result.stderr.strip():
        raise SandboxError(
            f"{step.command!r} failed on host-{step.host}.", why=result.stderr.strip()
        )
    said = result.stdout.strip()
    return said, bool(re.search(step.right, said, re.MULTILINE))


def decision_tree() -> DecisionTree:
    """How to find what is wrong in the shop: questions, commands, and what they mean."""
    return DecisionTree()
