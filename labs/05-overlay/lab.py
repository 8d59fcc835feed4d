"""Two hosts, one swarm, two overlays: names across hosts, and networks that do not meet."""

from dataclasses import dataclass
from ipaddress import IPv4Network

from sandbox.hosts.plan import address
from sandbox.labs import (
    Condition,
    Draw,
    NotThere,
    Scene,
    Task,
    check,
    holds,
    in_swarm,
    isolated,
    network,
    reaches,
    resolves,
    runs,
)

TITLE = "Two overlay networks over two hosts"
HOSTS = 2
MINUTES = 35
SECONDS = 300
OWN, OTHER = address("host-a"), address("host-b")
FOLDER = "/srv/handout"
READY = (
    "timeout 90 sh -c 'until docker network inspect docker_gwbridge 2> /dev/null | "
    "grep -q ingress-sbox; do sleep 0.5; done'"
)


@dataclass(frozen=True)
class Facts:
    span: str
    vault: str
    web: str
    till: str
    ledger: str
    clerk: str
    subnet: IPv4Network
    port: int


def scenario(draw: Draw) -> Facts:
    return Facts(
        span=f"span-{draw.word()}",
        vault=f"vault-{draw.word()}",
        web=f"web-{draw.word()}",
        till=f"till-{draw.word()}",
        ledger=f"ledger-{draw.word()}",
        clerk=f"clerk-{draw.word()}",
        subnet=draw.subnet(),
        port=draw.port(),
    )


def story(it: Facts) -> str:
    return f"""
A shop has its servers on **host-a** and its tills on **host-b**. They are to be on common networks,
whichever host they run on.

Make one swarm of the two hosts, with host-a as its manager and host-b as a worker. On it, make two
overlay networks that `docker run` can use, too:

- `{it.span}`, with the subnet `{it.subnet}`, for the container `{it.web}` on host-a and the
  container `{it.till}` on host-b;
- `{it.vault}`, for the container `{it.ledger}` on host-a and the container `{it.clerk}` on host-b.
  Nobody on the LAN is able to read what they send each other.

All four containers are of the image `toolbox`, and the server of each listens on port 80. The two
on one network reach each other by name. Each container is on one of the two networks alone, and
reaches nobody on the other.

To join, host-b needs a token that host-a has. What is in the folder `{FOLDER}` of host-a can be
fetched from host-b, as `http://{OWN}:{it.port}/NAME`. Whoever has a token can join the swarm, so
let none lie there when host-b is in.
"""


def setup(it: Facts) -> list[tuple[str, str]]:
    return [
        (
            "a",
            f"mkdir -p {FOLDER}\n"
            f"setsid busybox httpd -f -p {OWN}:{it.port} -h {FOLDER}"
            " > /dev/null 2>&1 < /dev/null &\n"
            f"timeout 30 sh -c 'until curl -s http://{OWN}:{it.port}; do sleep 0.2; done'"
            " > /dev/null",
        )
    ]


def encrypted(name: str) -> Condition:
    """The network is made with the option, and host-a has a key for what it sends to host-b."""

    def fn(scene: Scene) -> tuple[bool, str]:
        found = [it for it in scene.host("a").networks if it.name == name]
        if not found:
            raise NotThere(f"there is no network {name}")
        if not all("encrypted" in it.options for it in found):
            return False, f"{name} is not made with the option encrypted"
        # IPsec's security associations are the host's, not the network's (ip-xfrm(8)).
        said = scene.hosts["host-a"].run("ip xfrm state").stdout
        right = f"src {OWN} dst {OTHER}" in said and "proto esp" in said
        return right, f"host-a has {'a' if right else 'no'} key for what it sends to host-b"

    return holds(f"what the containers on {name} send is encrypted on the LAN", fn)


def tasks(it: Facts) -> tuple[Task, ...]:
    create = "docker network create -d overlay --attachable"
    return (
        check(
            f"Make one swarm of both hosts, and {it.span} on it",
            20,
            in_swarm("a", manager=True),
            in_swarm("b", manager=False),
            network(it.span, host="a").driver_is("overlay").subnet_is(it.subnet),
            hints=(
                "The first host makes the swarm, the second one joins it. The swarm's networks are "
                "made on its manager.",
                f"docker swarm init on host-a, with --advertise-addr {OWN}; then docker swarm "
                f"join-token -q worker, into a file in {FOLDER}; then docker swarm join on host-b.",
                "docker node ls on host-a lists the nodes; docker network ls --filter "
                "driver=overlay lists the networks.",
                f"host-a: docker swarm init --advertise-addr {OWN}; docker swarm join-token -q "
                f"worker > {FOLDER}/token; {create} --subnet {it.subnet} {it.span}. "
                f"host-b: docker swarm join --token $(curl -s http://{OWN}:{it.port}/token) "
                f"{OWN}:2377",
            ),
        ),
        check(
            f"Let {it.web} and {it.till} reach each other by name",
            30,
            runs(it.web, host="a", image="toolbox"),
            runs(it.till, host="b", image="toolbox"),
            resolves(it.till, it.web, to=it.web),
            reaches(it.till, f"{it.web}.{it.span}", tcp=80, by=it.web),
            reaches(it.web, f"{it.till}.{it.span}", tcp=80, by=it.till),
            hints=(
                "A host that joins makes the swarm's own networks first. Until they stand, no "
                "container there can join an overlay: docker run waits 20 seconds and gives up.",
                "Only a network made with --attachable takes containers of docker run. A container "
                "whose start failed is still there: docker start tries again.",
                "On host-b: docker network inspect docker_gwbridge shows ingress-sbox when the "
                f"host is ready. docker exec {it.till} dig +short {it.web}",
                f"host-a: docker run -d --name {it.web} --network {it.span} toolbox. "
                f"host-b: {READY}; docker run -d --name {it.till} --network {it.span} toolbox",
            ),
        ),
        check(
            f"Encrypt {it.vault}, and put {it.ledger} and {it.clerk} on it",
            30,
            network(it.vault, host="a").driver_is("overlay"),
            runs(it.ledger, host="a", image="toolbox"),
            runs(it.clerk, host="b", image="toolbox"),
            reaches(it.clerk, f"{it.ledger}.{it.vault}", tcp=80, by=it.ledger),
            reaches(it.ledger, f"{it.clerk}.{it.vault}", tcp=80, by=it.clerk),
            encrypted(it.vault),
            hints=(
                "An overlay network is readable on the LAN unless it is made otherwise.",
                "It is an option of the driver, so it comes after --opt; a network cannot be "
                "changed later.",
                f"docker network inspect -f '{{{{.Options}}}}' {it.vault}; ip xfrm state",
                f"host-a: {create} --opt encrypted {it.vault}; docker run -d --name {it.ledger} "
                f"--network {it.vault} toolbox. host-b: docker run -d --name {it.clerk} "
                f"--network {it.vault} toolbox",
            ),
        ),
        check(
            f"Keep {it.span} and {it.vault} apart",
            20,
            reaches(it.till, f"{it.web}.{it.span}", tcp=80, by=it.web),
            reaches(it.clerk, f"{it.ledger}.{it.vault}", tcp=80, by=it.ledger),
            isolated(it.till, it.ledger, tcp=80),
            isolated(it.web, it.clerk, tcp=80),
            network(it.span).has(it.web, it.till),
            network(it.vault).has(it.ledger, it.clerk),
            hints=(
                "Who is on two overlays is reached from both.",
                f"{it.web} and {it.till} are to be on {it.span} alone, {it.ledger} and {it.clerk} "
                f"on {it.vault} alone.",
                "On each host: docker inspect -f '{{.Name}} {{json .NetworkSettings.Networks}}' "
                "$(docker ps -q)",
                f"docker network disconnect {it.span} {it.ledger}, and so for each one that is on "
                "a network too many",
            ),
        ),
    )
