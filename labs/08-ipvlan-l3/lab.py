"""Containers with a subnet of their own on each host, and hosts that route: ipvlan in L3 mode."""

from dataclasses import dataclass
from ipaddress import IPv4Network

from sandbox.hosts.plan import LAN, LAN_GATEWAY, address, on_lan
from sandbox.labs import (
    Condition,
    Draw,
    NotThere,
    Scene,
    Task,
    check,
    has_route,
    holds,
    network,
    reaches,
    runs,
    shares_parent_mac,
    source_seen,
)

TITLE = "Route containers with ipvlan in L3 mode"
HOSTS = 2
OWN, FAR = address("host-a"), address("host-b")
MINUTES = 30


@dataclass(frozen=True)
class Facts:
    left: str
    right: str
    app: str
    worker: str
    db: str
    old: str
    left_subnet: IPv4Network
    right_subnet: IPv4Network


def scenario(draw: Draw) -> Facts:
    return Facts(
        left=f"left-{draw.word()}",
        right=f"right-{draw.word()}",
        app=f"app-{draw.word()}",
        worker=f"worker-{draw.word()}",
        db=f"db-{draw.word()}",
        old=f"old-{draw.word()}",
        left_subnet=draw.subnet(),
        right_subnet=draw.subnet(),
    )


def story(it: Facts) -> str:
    return f"""
A switch allows one MAC address per host, and the network's rules ask that every machine be seen by
its own IP address: no address translation, no published port. So each host gets a subnet for its
containers, and routes for them.

Make two networks of the driver ipvlan in **L3 mode** on the parent `eth0`:

- on host-a `{it.left}` with the subnet `{it.left_subnet}`, and on it the containers `{it.app}` and
  `{it.worker}`;
- on host-b `{it.right}` with the subnet `{it.right_subnet}`, and on it the container `{it.db}`.

All three are of the image `toolbox`. They are to reach each other, and each host is to reach the
containers of the other: give each host a route to the other's subnet.

A colleague has tried ipvlan on host-a before, and left a network `{it.old}` that nobody needs.
"""


def setup(it: Facts) -> list[tuple[str, str]]:
    return [
        (
            "a",
            f"docker network create -d ipvlan -o parent=eth0 --subnet {LAN} "
            f"--gateway {LAN_GATEWAY} --ip-range {on_lan(192)}/27 {it.old}",
        )
    ]


def is_routed(place: str) -> Condition:
    """Its interface is an ipvlan on its host's eth0, in a mode in which that host routes."""

    def fn(scene: Scene) -> tuple[bool, str]:
        space = scene.namespace(place)
        ports = [it for it in space.interfaces if it.kind != "loopback"]
        if not ports:
            raise NotThere(f"{place} has no interface")
        right = [
            it.kind == "ipvlan"
            and it.mode in ("l3", "l3s")
            and str(it.parent) == f"eth0 of {space.host}"
            for it in ports
        ]
        told = [f"{it.name} is {it.kind} {it.mode} on {it.parent or 'nothing'}" for it in ports]
        return all(right), "; ".join(told)

    return holds(f"{place} is on its host's eth0 by ipvlan in L3 mode", fn, places=[place])


def tasks(it: Facts) -> tuple[Task, ...]:
    create = "docker network create -d ipvlan -o parent=eth0 -o ipvlan_mode=l3"
    return (
        check(
            f"Make {it.left} on host-a and {it.right} on host-b",
            20,
            network(it.left, host="a")
            .driver_is("ipvlan")
            .subnet_is(it.left_subnet)
            .option_is("parent", "eth0"),
            network(it.right, host="b")
            .driver_is("ipvlan")
            .subnet_is(it.right_subnet)
            .option_is("parent", "eth0"),
            hints=(
                "An interface is the parent of one ipvlan network at a time.",
                "Which network has eth0 of host-a, and which option of the driver sets its mode?",
                "docker network ls --filter driver=ipvlan",
                f"docker network rm {it.old}; {create} --subnet {it.left_subnet} {it.left}, on "
                f"host-a; {create} --subnet {it.right_subnet} {it.right}, on host-b.",
            ),
        ),
        check(
            f"Put {it.app}, {it.worker} and {it.db} behind their hosts' MAC addresses",
            20,
            runs(it.app, host="a", image="toolbox"),
            runs(it.worker, host="a", image="toolbox"),
            runs(it.db, host="b", image="toolbox"),
            is_routed(it.app),
            is_routed(it.worker),
            is_routed(it.db),
            shares_parent_mac(it.app, it.worker),
            shares_parent_mac(it.db),
            hints=(
                "On an ipvlan network a container has its parent's MAC address by itself.",
                "Is each container on its network, and on no other?",
                f"docker exec {it.app} ip -d link shows the kind and the mode of its interface.",
                f"docker run -d --name {it.app} --network {it.left} toolbox, and so {it.worker}; "
                f"docker run -d --name {it.db} --network {it.right} toolbox, on host-b. Was a "
                "network made without ipvlan_mode=l3, remove it and make it anew.",
            ),
        ),
        check(
            f"Lead host-b to {it.left_subnet}",
            20,
            has_route("host-b", it.left_subnet, via="host-a"),
            reaches("host-b", it.app, tcp=80, by=it.app),
            reaches(it.worker, FAR),
            hints=(
                "A packet of host-a's containers arrives at host-b. Where does the answer go?",
                "host-b needs to be told behind which machine of the LAN that subnet is.",
                f"ip route get {it.left_subnet[1]}, on host-b.",
                f"ip route add {it.left_subnet} via {OWN}, on host-b.",
            ),
        ),
        check(
            f"Lead host-a to {it.right_subnet}",
            20,
            has_route("host-a", it.right_subnet, via="host-b"),
            reaches("host-a", it.db, tcp=80, by=it.db),
            reaches(it.db, OWN),
            hints=(
                "A route is needed for each direction.",
                "The same as on host-b, with the other subnet and the other host.",
                f"ip route get {it.right_subnet[1]}, on host-a.",
                f"ip route add {it.right_subnet} via {FAR}, on host-a.",
            ),
        ),
        check(
            f"Let {it.app} and {it.db} see each other's own address",
            20,
            reaches(it.app, it.db, tcp=80, by=it.db),
            source_seen(it.app, it.db, is_=it.app),
            reaches(it.db, it.app, tcp=80, by=it.app),
            source_seen(it.db, it.app, is_=it.db),
            hints=(
                "What a container sends goes where its host's routes say.",
                "Has each host a route to the other's subnet, and does nothing translate on the "
                "way?",
                f"docker exec {it.app} curl -s -m 5 http://ADDRESS says whom {it.db} sees; "
                "iptables -t nat -S POSTROUTING what is translated.",
                "The routes of the two tasks before are enough. Remove rules of your own that "
                "masquerade.",
            ),
        ),
    )
