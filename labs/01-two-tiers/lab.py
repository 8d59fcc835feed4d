"""A two-tier application on bridges of its own: who reaches whom is decided by networks."""

from dataclasses import dataclass
from ipaddress import IPv4Network

from sandbox.hosts.plan import address
from sandbox.labs import Draw, Task, check, isolated, network, published, reaches, runs

TITLE = "A two-tier application on user-defined bridges"
HOSTS = 2
MINUTES = 25


@dataclass(frozen=True)
class Facts:
    web: str
    db: str
    front: str
    back: str
    subnet: IPv4Network
    port: int


def scenario(draw: Draw) -> Facts:
    return Facts(
        web=f"web-{draw.word()}",
        db=f"db-{draw.word()}",
        front=f"front-{draw.word()}",
        back=f"back-{draw.word()}",
        subnet=draw.subnet(),
        port=draw.port(),
    )


def story(it: Facts) -> str:
    return f"""
A shop has a web server and a database, and both of them run on **host-a**. Customers are to reach
the web server, and nothing but the web server is to reach the database.

The container `visitor` runs on both hosts already, on the default bridge. It is nobody's friend.

Build, on host-a:

- a bridge network `{it.front}` with the subnet `{it.subnet}`, and a bridge network `{it.back}` that
  leads nowhere else;
- a container `{it.web}` of the image `toolbox`, on both networks, which answers customers at port
  {it.port} of host-a (its server listens on port 80);
- a container `{it.db}` of the image `toolbox`, on `{it.back}` alone.
"""


def setup(_it: Facts) -> list[tuple[str, str]]:
    return [(host, "docker run -d --name visitor toolbox sleep infinity") for host in "ab"]


def tasks(it: Facts) -> tuple[Task, ...]:
    return (
        check(
            f"Make the networks {it.front} and {it.back}",
            20,
            network(it.front, host="a").driver_is("bridge").subnet_is(it.subnet),
            network(it.back, host="a").driver_is("bridge").is_internal(),
            hints=(
                "Two options of docker network create do all of it.",
                "docker network create --help names one for the subnet and one for a network that "
                "leads nowhere else.",
                f"docker network inspect {it.back} shows whether it is internal.",
                f"docker network create --subnet {it.subnet} {it.front}; "
                f"docker network create --internal {it.back}",
            ),
        ),
        check(
            f"Let {it.web} find {it.db} by its name",
            30,
            runs(it.web, host="a", image="toolbox"),
            runs(it.db, host="a", image="toolbox"),
            reaches(it.web, it.db, tcp=80, by=it.db),
            network(it.back, host="a").has(it.web, it.db),
            hints=(
                "Names are known on a network that both containers are on, if it is user-defined.",
                f"Is {it.web} on two networks, and {it.db} on one?",
                f"docker network inspect {it.back} lists who is on it.",
                f"docker network connect {it.back} {it.web}",
            ),
        ),
        check(
            f"Publish {it.web} at port {it.port}",
            25,
            published("a", it.port, by=it.web),
            reaches("host-b/visitor", address("host-a"), tcp=it.port),
            hints=(
                "A port is published when a container is made, not later.",
                "The web server inside listens on port 80; which option maps another port to it?",
                f"docker port {it.web} shows what is published.",
                f"docker rm -f {it.web}; docker run -d --name {it.web} --network {it.front} "
                f"-p {it.port}:80 toolbox",
            ),
        ),
        check(
            f"Keep everybody else from {it.db}",
            25,
            reaches(it.web, it.db, tcp=80, by=it.db),
            isolated("host-a/visitor", it.db, tcp=80),
            network(it.front, host="a").has(it.web),
            hints=(
                f"Who shares a network with {it.db}?",
                f"{it.db} is to be on {it.back} alone, and visitor on neither of the two.",
                f"docker inspect -f '{{{{json .NetworkSettings.Networks}}}}' {it.db}",
                f"docker network disconnect {it.front} {it.db}",
            ),
        ),
    )
