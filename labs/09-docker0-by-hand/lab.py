"""A bridge network with ip and iptables alone, part by part like one of Docker's."""

from dataclasses import dataclass
from ipaddress import IPv4Network

from sandbox.hosts.plan import address
from sandbox.labs import (
    Condition,
    Draw,
    NotThere,
    Scene,
    Task,
    built_like,
    check,
    holds,
    isolated,
    reaches,
    source_seen,
)
from sandbox.model.bridged import BridgedNetwork, bridged

TITLE = "Build a bridge network by hand"
HOSTS = 2
MINUTES = 40
OWN, FAR = address("host-a"), address("host-b")
WIRES = ("bridge", "veth pairs into namespaces", "addresses inside")
RULES = ("default gateway inside", "NAT on the way out", "NAT on the way in", "rules in raw")


@dataclass(frozen=True)
class Facts:
    bridge: str
    red: str
    blue: str
    model: str
    web: str
    client: str
    subnet: IPv4Network
    model_subnet: IPv4Network
    red_number: int
    blue_number: int
    port: int
    model_port: int
    far_port: int


def scenario(draw: Draw) -> Facts:
    return Facts(
        bridge=f"hand-{draw.word()}",
        red=f"red-{draw.word()}",
        blue=f"blue-{draw.word()}",
        model=f"model-{draw.word()}",
        web=f"web-{draw.word()}",
        client=f"client-{draw.word()}",
        subnet=draw.subnet(),
        model_subnet=draw.subnet(),
        red_number=draw.host_number(),
        blue_number=draw.host_number(),
        port=draw.port(),
        model_port=draw.port(),
        far_port=draw.port(),
    )


def story(it: Facts) -> str:
    red, web = it.subnet[it.red_number], it.model_subnet[it.red_number]
    blue, client = it.subnet[it.blue_number], it.model_subnet[it.blue_number]
    return f"""
Docker made the network `{it.model}` on **host-a**, with the subnet `{it.model_subnet}`. Two
containers are on it: `{it.web}`, whose server is published at port {it.model_port}, and
`{it.client}`. Read from the host how it is built, and build the same once more without Docker, with
`ip` and `iptables`:

| Docker's | yours |
| --- | --- |
| the bridge of `{it.model}` | a bridge `{it.bridge}` |
| its address `{it.model_subnet[1]}/24`, the gateway | `{it.subnet[1]}/24` |
| `{it.web}` with `{web}` | a namespace `{it.red}`, by `ip netns`, with `{red}` |
| `{it.client}` with `{client}` | a namespace `{it.blue}`, by `ip netns`, with `{blue}` |
| port {it.model_port} leads to port 80 of `{it.web}` | port {it.port}, to port 80 of `{it.red}` |

A namespace needs its `lo` switched on, as a container has it. Let a server run in `{it.red}` that
listens on port 80 and gives out the folder `/srv/{it.red}`, which is there; `busybox httpd` and
`python3 -m http.server` are on the host.

- Both namespaces reach **host-b**, where a server is published at port {it.far_port}, under the
  address of host-a.
- host-b reaches the server in `{it.red}` at port {it.port} of host-a, and so does host-a itself at
  its address `{OWN}`: by a rule, not by a program that listens there.
- In no other way does anybody but host-a reach what is behind the bridge. host-b has a route to
  `{it.subnet}` by way of host-a already, and `{it.client}` is as near.
- Each part of `{it.bridge}` is like that of `{it.model}`, with your subnet and port in the place of
  Docker's. In a cell without `%%host`, `sandbox.compare_bridges("a", "{it.bridge}", "{it.model}")`
  shows them beside each other. The rules in `filter`, the proxy on the host and the names answered
  inside are not asked for.
"""


def setup(it: Facts) -> list[tuple[str, str]]:
    run = f"docker run -d --network {it.model}"
    return [
        (
            "a",
            f"mkdir -p /srv/{it.red}\n"
            f"echo '{_page(it)}' > /srv/{it.red}/index.html\n"
            f"docker network create --subnet {it.model_subnet} {it.model}\n"
            f"{run} --name {it.web} --ip {it.model_subnet[it.red_number]} "
            f"-p {it.model_port}:80 toolbox\n"
            f"{run} --name {it.client} --ip {it.model_subnet[it.blue_number]} "
            "toolbox sleep infinity",
        ),
        (
            "b",
            f"ip route add {it.subnet} via {OWN}\n"
            f"docker run -d --name far -p {it.far_port}:80 toolbox",
        ),
    ]


def _page(it: Facts) -> str:
    return f"the page of {it.red}"


def gets_page(it: Facts, source: str, to: str, port: int) -> Condition:
    def fn(scene: Scene) -> tuple[bool, str]:
        answer = scene.attempt(source, to, tcp=port)
        return _page(it) in answer.said, str(answer)

    return holds(f"{source} gets {_page(it)} at {to}:{port}", fn, places=[source])


def _network(scene: Scene, name: str) -> BridgedNetwork:
    found = bridged(scene.host("a"), name)
    if found is None:
        raise NotThere(f"host-a has no bridge {name}")
    return found


def translated(it: Facts) -> Condition:
    end = f"{it.subnet[it.red_number]}:80"

    def fn(scene: Scene) -> tuple[bool, str]:
        rules = [rule.text for rule in _network(scene, it.bridge).way_in]
        right = any(end in rule.split() for rule in rules)
        return right, "; ".join(rules) or "no rule translates to an address behind the bridge"

    return holds(f"a DNAT rule of host-a leads to {end}", fn, places=["host-a"])


def alike(it: Facts, *names: str) -> Condition:
    return built_like("a", it.bridge, it.model, *names, ports=(it.port, it.model_port))


def tasks(it: Facts) -> tuple[Task, ...]:
    red, blue = (f"host-a/netns:{name}" for name in (it.red, it.blue))
    red_address, blue_address = it.subnet[it.red_number], it.subnet[it.blue_number]
    gateway = it.subnet[1]
    return (
        check(
            f"Join {it.red} and {it.blue} by the bridge {it.bridge}",
            20,
            alike(it, *WIRES),
            reaches(blue, red),
            reaches(red, blue),
            hints=(
                "A bridge, two namespaces, and a veth pair from each of them into the bridge.",
                "Bridge and wires are switched on one by one: the bridge, both ends of each pair, "
                "and lo.",
                f"ip -br addr show {it.bridge}; ip -br link show master {it.bridge}; "
                f"ip -n {it.red} -br addr",
                f"ip link add {it.bridge} type bridge; ip addr add {gateway}/24 dev {it.bridge}; "
                f"ip link set {it.bridge} up; ip netns add {it.red}; "
                f"ip link add wire-red type veth peer name eth0 netns {it.red}; "
                f"ip link set wire-red master {it.bridge} up; "
                f"ip -n {it.red} addr add {red_address}/24 dev eth0; "
                f"ip -n {it.red} link set eth0 up; ip -n {it.red} link set lo up; "
                f"and so for {it.blue} with {blue_address}/24",
            ),
        ),
        check(
            "Let both namespaces out",
            20,
            *(source_seen(place, FAR, is_="host-a", tcp=it.far_port) for place in (red, blue)),
            hints=(
                "The way out takes a route in each namespace and a rule on the host.",
                "host-b does not know your subnet, so what leaves must have host-a's address.",
                f"ip -n {it.red} route; iptables -t nat -S POSTROUTING",
                f"ip -n {it.red} route add default via {gateway}; "
                f"ip -n {it.blue} route add default via {gateway}; "
                f"iptables -t nat -A POSTROUTING -s {it.subnet} ! -o {it.bridge} -j MASQUERADE",
            ),
        ),
        check(
            f"Publish port 80 of {it.red} at port {it.port}",
            20,
            gets_page(it, blue, str(red_address), 80),
            translated(it),
            gets_page(it, "host-b", OWN, it.port),
            gets_page(it, "host-a", OWN, it.port),
            hints=(
                "A port is published by a rule that changes the destination.",
                "What comes in passes PREROUTING; what host-a itself sends passes OUTPUT.",
                f"iptables -t nat -S | grep -e DOCKER -e {it.model_port}; "
                f"ip netns exec {it.red} ss -ltn; curl -m 3 http://{OWN}:{it.port}",
                f"ip netns exec {it.red} busybox httpd -p 80 -h /srv/{it.red}; "
                "for chain in PREROUTING OUTPUT; do iptables -t nat -A $chain -p tcp "
                f"--dport {it.port} -m addrtype --dst-type LOCAL "
                f"-j DNAT --to-destination {red_address}:80; done",
            ),
        ),
        check(
            f"Keep everybody else out of {it.bridge}",
            20,
            isolated("host-b", red, tcp=80),
            isolated(f"host-a/{it.client}", red, tcp=80),
            gets_page(it, "host-b", OWN, it.port),
            hints=(
                "host-a forwards what it has a route for. Which of Docker's tables guards a "
                "container against that?",
                "The table raw comes before nat: a published port has host-a's address there, and "
                "who calls the container's own address is told apart.",
                "iptables -t raw -S PREROUTING; on host-b, "
                f"curl -m 3 http://{red_address} and curl -m 3 http://{OWN}:{it.port}",
                f"iptables -t raw -A PREROUTING -d {red_address} ! -i {it.bridge} -j DROP; "
                f"iptables -t raw -A PREROUTING -d {blue_address} ! -i {it.bridge} -j DROP",
            ),
        ),
        check(
            f"Have each part as {it.model} has it",
            20,
            alike(it, *WIRES, *RULES),
            hints=(
                "Compare what the two bridges have, part by part.",
                "Docker translates in one rule, which two hooks lead to. It guards each address by "
                "a rule of its own.",
                f'sandbox.compare_bridges("a", "{it.bridge}", "{it.model}"); '
                "iptables-save -t nat; iptables-save -t raw",
                "Delete your DNAT rules; iptables -t nat -N HAND; "
                "iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j HAND; "
                "iptables -t nat -A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j HAND; "
                f"iptables -t nat -A HAND ! -i {it.bridge} -p tcp --dport {it.port} "
                f"-j DNAT --to-destination {red_address}:80",
            ),
        ),
    )
