"""Containers without a network are wired by hand, to a bridge of Docker's and to each other."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network

from sandbox.hosts.plan import address
from sandbox.labs import (
    Draw,
    Scene,
    Task,
    check,
    has_route,
    holds,
    isolated,
    network,
    reaches,
    runs,
    source_seen,
)
from sandbox.model.state import Interface

TITLE = "Wire containers by hand"
HOSTS = 2
MINUTES = 30
FAR = address("host-b")


@dataclass(frozen=True)
class Facts:
    job: str
    vault: str
    peer: str
    net: str
    other: str
    subnet: IPv4Network
    other_subnet: IPv4Network
    wire: IPv4Network
    number: int
    gateway_number: int
    port: int

    @property
    def address(self) -> str:
        """That job is to have."""
        return str(self.subnet[self.number])

    @property
    def gateway(self) -> str:
        return str(self.subnet[self.gateway_number])


def scenario(draw: Draw) -> Facts:
    return Facts(
        job=f"job-{draw.word()}",
        vault=f"vault-{draw.word()}",
        peer=f"peer-{draw.word()}",
        net=f"net-{draw.word()}",
        other=f"net-{draw.word()}",
        subnet=draw.subnet(),
        other_subnet=draw.subnet(),
        wire=draw.subnet(),
        number=draw.host_number(),
        gateway_number=draw.host_number(),
        port=draw.port(),
    )


def story(it: Facts) -> str:
    return f"""
On **host-a** run two containers on the network `none`, `{it.job}` and `{it.vault}`, and a container
`{it.peer}` on the bridge network `{it.net}`. Another bridge network, `{it.other}`, has no
part in this. On **host-b** a server runs, published at port {it.port}.

Docker is to leave `{it.job}` and `{it.vault}` on `none`. By hand, with `ip` and `nsenter`:

- plug `{it.job}` into the bridge of `{it.net}`, and give it the address `{it.address}`, which
  Docker has not given to anybody, with the prefix length of the network's subnet;
- let `{it.job}` reach host-b. Whoever made `{it.net}` chose its gateway: look it up;
- join `{it.vault}` and `{it.peer}` by a wire of their own, with no end on the host: `{it.vault}`
  has the address `{it.wire[1]}/24` on it and `{it.peer}` has `{it.wire[2]}/24`. `{it.vault}`
  reaches nobody else.

The servers in these containers listen on port 80. A container's wire ends with its namespace, so do
not restart them.
"""


def setup(it: Facts) -> list[tuple[str, str]]:
    return [
        (
            "a",
            f"docker network create --subnet {it.other_subnet} {it.other}\n"
            f"docker network create --subnet {it.subnet} --gateway {it.gateway} {it.net}\n"
            f"docker run -d --name {it.peer} --network {it.net} toolbox\n"
            f"docker run -d --name {it.job} --network none toolbox\n"
            f"docker run -d --name {it.vault} --network none toolbox",
        ),
        ("b", f"docker run -d --name far -p {it.port}:80 toolbox"),
    ]


def _far_ends(scene: Scene, container: str) -> Iterator[Interface]:
    """The other ends of a container's veth pairs."""
    ends = {it.ref: it for it in scene.now.interfaces()}
    for interface in scene.namespace(container).interfaces:
        if interface.peer in ends:
            yield ends[interface.peer]


def tasks(it: Facts) -> tuple[Task, ...]:
    job, vault, peer = (f"host-a/{name}" for name in (it.job, it.vault, it.peer))

    def plugged(scene: Scene) -> tuple[bool, str]:
        found = scene.host("a").network(it.net)
        bridge = found.interface if found else ""
        ends = list(_far_ends(scene, job))
        told = [f"{end.name} of {end.namespace} in {end.master or 'no bridge'}" for end in ends]
        seen = f"its wires end at {'; '.join(told) or 'nothing'}; the bridge is {bridge or 'gone'}"
        right = any(end.namespace == "host-a" and end.master == bridge for end in ends)
        return right and bool(bridge), seen

    def joined(scene: Scene) -> tuple[bool, str]:
        theirs = scene.container(peer).namespace
        own = [it for it in scene.namespace(vault).interfaces if it.kind != "loopback"]
        ends = list(_far_ends(scene, vault))
        told = "; ".join(str(end.ref) for end in ends) or "nothing"
        right = len(own) == 1 and [end.namespace for end in ends] == [theirs]
        return right, f"it has {len(own)} interfaces; their wires end at {told}"

    return (
        check(
            f"Plug {it.job} into the bridge of {it.net}",
            25,
            runs(it.job, host="a", mode="none"),
            network(it.net, host="a").has(it.peer),
            holds(f"{it.job} has a wire to the bridge of {it.net}", plugged, places=[it.job]),
            hints=(
                "A wire is a veth pair: one end in the container's namespace, one in the bridge.",
                "A process of the container stands for its namespace. The bridge of a network is "
                "called br- and the first twelve digits of the network's id.",
                f"docker inspect -f '{{{{.State.Pid}}}}' {it.job}; "
                f"docker network inspect -f '{{{{.Id}}}}' {it.net}; ip -br link show type bridge",
                f"pid=$(docker inspect -f '{{{{.State.Pid}}}}' {it.job}); "
                f"bridge=br-$(docker network inspect -f '{{{{.Id}}}}' {it.net} | cut -c 1-12); "
                "ip link add wire type veth peer name eth0 netns $pid; "
                "ip link set wire master $bridge up",
            ),
        ),
        check(
            f"Let {it.job} and {it.peer} talk",
            25,
            reaches(it.peer, it.address, tcp=80, by=it.job),
            reaches(it.job, it.peer, tcp=80, by=it.peer),
            hints=(
                "Inside, the interface needs an address and has to be switched on.",
                "The container may not do that itself: enter its namespace with the rights of the "
                "host.",
                "nsenter -t PID -n ip addr; nsenter -t PID -n ip link, where PID is a process of "
                f"{it.job}",
                f"pid=$(docker inspect -f '{{{{.State.Pid}}}}' {it.job}); "
                f"nsenter -t $pid -n ip addr add {it.address}/24 dev eth0; "
                "nsenter -t $pid -n ip link set eth0 up",
            ),
        ),
        check(
            f"Let {it.job} reach host-b",
            25,
            # Its own words would tell the gateway, which is to be looked up.
            holds(
                f"{it.job} has a default route via the gateway of {it.net}",
                has_route(it.job, "default", via=it.gateway).verdict,
                places=[it.job],
            ),
            reaches(it.job, FAR, tcp=it.port, by="far"),
            source_seen(it.job, FAR, is_="host-a", tcp=it.port),
            hints=(
                "Network is unreachable means that this namespace has no route.",
                f"Whom does {it.peer} send to what is not on its own subnet?",
                f"docker exec {it.peer} ip route; docker network inspect {it.net}",
                f"nsenter -t $(docker inspect -f '{{{{.State.Pid}}}}' {it.job}) -n "
                f"ip route add default via {it.gateway}",
            ),
        ),
        check(
            f"Join {it.vault} and {it.peer} by a wire of their own",
            25,
            runs(it.vault, host="a", mode="none"),
            holds(
                f"{it.vault} has one wire, and it ends in {it.peer}",
                joined,
                places=[it.vault, it.peer],
            ),
            reaches(it.vault, str(it.wire[2]), tcp=80, by=it.peer),
            reaches(it.peer, str(it.wire[1]), tcp=80, by=it.vault),
            isolated(it.vault, "host-a"),
            hints=(
                "Both ends of a veth pair can be put into namespaces when the pair is made.",
                f"{it.peer} has an eth0 already, so its end of the wire needs another name.",
                "ip link add help; nsenter -t PID -n ip -br addr shows what is there, where PID is "
                "a process of the container",
                f"vault=$(docker inspect -f '{{{{.State.Pid}}}}' {it.vault}); "
                f"peer=$(docker inspect -f '{{{{.State.Pid}}}}' {it.peer}); "
                "ip link add eth0 netns $vault type veth peer name eth1 netns $peer; "
                f"nsenter -t $vault -n sh -c 'ip addr add {it.wire[1]}/24 dev eth0; "
                "ip link set eth0 up'; "
                f"nsenter -t $peer -n sh -c 'ip addr add {it.wire[2]}/24 dev eth1; "
                "ip link set eth1 up'",
            ),
        ),
    )
