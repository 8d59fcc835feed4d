"""Somebody sends what nobody ordered: find out by capturing who it is, and stop that alone."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Network

from sandbox.errors import SandboxError
from sandbox.hosts.plan import address
from sandbox.labs import (
    Condition,
    Draw,
    Scene,
    Task,
    answered,
    check,
    holds,
    nothing_else_changed,
)

TITLE = "Find a sender in a capture"
HOSTS = 2
MINUTES = 30
OTHER = address("host-b")
# Longer than the sender waits between two attempts.
LISTEN_SECONDS = 8


@dataclass(frozen=True)
class Facts:
    sender: str
    neighbour: str
    distant: str
    silent: str
    near: str
    far: str
    near_subnet: IPv4Network
    far_subnet: IPv4Network
    sender_number: int
    neighbour_number: int
    distant_number: int
    silent_number: int
    port: int
    api_port: int


def scenario(draw: Draw) -> Facts:
    return Facts(
        sender=draw.word(),
        neighbour=draw.word(),
        distant=draw.word(),
        silent=draw.word(),
        near=f"net-{draw.word()}",
        far=f"net-{draw.word()}",
        near_subnet=draw.subnet(),
        far_subnet=draw.subnet(),
        sender_number=draw.host_number(),
        neighbour_number=draw.host_number(),
        distant_number=draw.host_number(),
        silent_number=draw.host_number(),
        port=draw.port(),
        api_port=draw.port(),
    )


def story(it: Facts) -> str:
    names = [f"`{name}`" for name in sorted((it.sender, it.neighbour, it.distant, it.silent))]
    one, other = (f"`{name}`" for name in sorted((it.near, it.far)))
    return f"""
Four containers run on **host-a**, on the networks {one} and {other}: {", ".join(names[:3])} and
{names[3]}. On **host-b**, `{OTHER}`, runs the container `api`, published at port {it.api_port}.
Some of the four call it every few seconds, and they are meant to.

The administrator of host-b complains: somebody on host-a calls a second TCP port of host-b again
and again. Nothing listens there.

Find out by capturing packets who it is, and answer the questions. Then stop it on host-a, so that
no such packet leaves that host. Whether you do it with the container, with its place on a network
or with a rule in the chain `DOCKER-USER` is up to you, but nobody else is to notice: the other
three still reach `api`, and nothing else on the hosts is changed.
"""


def questions(_it: Facts) -> tuple[str, ...]:
    return (
        "Which container calls the second port?",
        "Which network of host-a do its packets come from?",
        "Which TCP port of host-b does it call?",
    )


def setup(it: Facts) -> list[tuple[str, str]]:
    places = {
        it.sender: (it.near, address(it.near_subnet, it.sender_number)),
        it.neighbour: (it.near, address(it.near_subnet, it.neighbour_number)),
        it.distant: (it.far, address(it.far_subnet, it.distant_number)),
        it.silent: (it.far, address(it.far_subnet, it.silent_number)),
    }
    calls = {
        it.sender: (it.port, 2),
        it.neighbour: (it.api_port, 5),
        it.distant: (it.api_port, 5),
    }
    subnets = {it.near: it.near_subnet, it.far: it.far_subnet}
    # In the order of names, so that the order of starts tells nothing.
    lines = [f"docker network create --subnet {subnets[net]} {net}" for net in sorted(subnets)]
    for name in sorted(places):
        net, own = places[name]
        lines.append(f"docker run -d --name {name} --network {net} --ip {own} toolbox")
    for name in sorted(calls):
        port, seconds = calls[name]
        call = f"curl -s -m 2 -o /dev/null http://{OTHER}:{port}"
        lines.append(f"docker exec -d {name} sh -c 'while :; do {call}; sleep {seconds}; done'")
    return [
        ("b", f"docker run -d --name api -p {it.api_port}:80 toolbox"),
        ("a", "\n".join(lines)),
    ]


def address(subnet: IPv4Network, number: int) -> str:
    return str(subnet[number])


def stopped(it: Facts) -> Condition:
    """No such packet leaves host-a while tcpdump listens. Nothing here says which they are."""
    listen = (
        f"timeout {LISTEN_SECONDS} tcpdump -p -l -nn -i eth0 -c 1"
        f" 'tcp and dst host {OTHER} and dst port {it.port}' 2>&1"
    )

    def fn(scene: Scene) -> tuple[bool, str]:
        said = scene.hosts["host-a"].run(listen).stdout
        if "listening on" not in said:
            raise SandboxError("tcpdump does not listen on host-a.", why=said.strip()[-200:])
        sent = f" > {OTHER}.{it.port}: " in said
        return not sent, f"within {LISTEN_SECONDS} s {'one' if sent else 'none'} left"

    return holds("no packet of those calls leaves host-a any more", fn)


def others_served(it: Facts) -> Condition:
    """Everybody but the sender reaches api. Nothing here says who they are, unless one fails."""

    def fn(scene: Scene) -> tuple[bool, str]:
        hello = f"hello from {scene.container('host-b/api').hostname},"
        answers = {
            name: scene.attempt(f"host-a/{name}", OTHER, tcp=it.api_port)
            for name in (it.neighbour, it.distant, it.silent)
        }
        failed = [
            f"{name}: {said}" for name, said in answers.items() if not said.said.startswith(hello)
        ]
        return not failed, "; ".join(failed) or "they do"

    return holds("the other three still reach api on host-b", fn, places=["host-b/api"])


def tasks(it: Facts) -> tuple[Task, ...]:
    who, where, what = questions(it)
    own = address(it.near_subnet, it.sender_number)
    listen = f"tcp and dst host {OTHER} and not dst port {it.api_port}"
    return (
        check(
            "Say which port is called",
            20,
            answered(
                what,
                str(it.port),
                f"tcp {it.port}",
                f"tcp/{it.port}",
                f"{it.port}/tcp",
                f"{OTHER}:{it.port}",
            ),
            hints=(
                "Whatever goes from host-a to host-b passes one interface of host-a.",
                "Listen on eth0 of host-a for TCP to host-b, and leave out what is wanted.",
                f"timeout 20 tcpdump -nn -i eth0 -c 3 '{listen}'",
                f"Port {it.port}.",
            ),
        ),
        check(
            "Say which network the packets come from",
            15,
            answered(where, it.near, f"host-a/{it.near}"),
            hints=(
                "On eth0 all containers have host-a's address: packets are masqueraded on their "
                "way out.",
                "Listen where they are not yet translated, on the bridges. -i any listens on all "
                "interfaces and says by which one each packet came.",
                f"timeout 20 tcpdump -nn -i any -c 6 '{listen}'; docker network inspect -f "
                "'{{.Name}} {{json .IPAM.Config}}' $(docker network ls -q)",
                f"{it.near}, whose subnet is {it.near_subnet}.",
            ),
        ),
        check(
            "Say which container it is",
            25,
            answered(who, it.sender, f"/{it.sender}", f"host-a/{it.sender}"),
            hints=(
                "On its network's bridge a packet has the container's own address for its source.",
                "Docker knows which container has which address.",
                f"timeout 20 tcpdump -nn -i any -c 6 '{listen}'; docker inspect -f "
                "'{{.Name}} {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "
                "$(docker ps -q)",
                f"{it.sender}, which has the address {own}.",
            ),
        ),
        check(
            "Stop those calls, and no others",
            25,
            stopped(it),
            others_served(it),
            hints=(
                "Others on the same network call host-b, too, so a rule for the whole network "
                "takes too much.",
                "Stop the container, take it off its network, or drop its packets by its address "
                "and the port.",
                f"timeout 20 tcpdump -nn -i eth0 -c 3 '{listen}' shows whether it still goes on; "
                "iptables -vnL DOCKER-USER counts what a rule matched.",
                f"iptables -I DOCKER-USER -s {own} -p tcp --dport {it.port} -j DROP",
            ),
        ),
        check(
            "Change nothing else",
            15,
            stopped(it),
            nothing_else_changed(
                rf"\b{it.sender}\b", rf"(?<![\d.]){re.escape(own)}(?!\d)", "DOCKER-USER"
            ),
            hints=(
                "What you made in order to look is to be gone again.",
                "Containers, networks, rules and routes are compared with those at the start.",
                "docker ps -a; docker network ls; iptables -S on both hosts",
                "Start the lab again, and do nothing but: "
                f"iptables -I DOCKER-USER -s {own} -p tcp --dport {it.port} -j DROP",
            ),
        ),
    )
