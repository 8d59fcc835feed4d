"""A replicated service behind the routing mesh, and a host that is taken out of the work."""

import re
from collections import Counter
from collections.abc import Iterable
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
    network,
    resolves,
    runs,
    spread,
)
from sandbox.model.state import Container

TITLE = "A service that outlives a host"
HOSTS = 3
MINUTES = 35
SECONDS = 400
ADDRESSES = {host: address(host) for host in ("host-a", "host-b", "host-c")}
OWN = ADDRESSES["host-a"]
TASK = re.compile(r"(.+)\.\d+\.[a-z0-9]{25}")


@dataclass(frozen=True)
class Facts:
    net: str
    service: str
    client: str
    subnet: IPv4Network
    port: int
    count: int
    handout: int


def scenario(draw: Draw) -> Facts:
    return Facts(
        net=f"net-{draw.word()}",
        service=f"shop-{draw.word()}",
        client=f"client-{draw.word()}",
        subnet=draw.subnet(),
        port=draw.port(),
        count=draw.choice((3, 4)),
        handout=draw.port(),
    )


def story(it: Facts) -> str:
    return f"""
Three hosts are a swarm: **host-a** manages it, **host-b** and **host-c** are workers. Nothing runs
on it yet.

Make an overlay network `{it.net}` with the subnet `{it.subnet}`, and run on it

- a service `{it.service}` with {it.count} tasks of the image `toolbox`, behind one virtual address.
  Their server listens on port 80, and everybody on the LAN reaches it at port {it.port} of any of
  the three hosts, whether the host runs a task or not. There is no registry in this sandbox:
  `docker service create` wants `--no-resolve-image`;
- a container `{it.client}` of the image `toolbox` on host-b, made with `docker run`. It calls the
  service by its name.

Then host-c is to have its disk replaced. It stays in the swarm and goes on answering at port
{it.port}, but it runs no task, and gets none, until its administrator says otherwise. In the end
{it.count} tasks run as before, and if one of the other two hosts is lost on top of it, the service
still has a task.
"""


def setup(it: Facts) -> list[tuple[str, str]]:
    # Once a worker has ingress, a container there can join an overlay.
    join = (
        f"token=$(curl -sf http://{OWN}:{it.handout}/token)\n"
        f"docker swarm join --token $token {OWN}:2377\n"
        "timeout 90 sh -c 'until docker network inspect docker_gwbridge 2> /dev/null |"
        " grep -q ingress-sbox; do sleep 0.5; done'"
    )
    return [
        (
            "a",
            f"docker swarm init --advertise-addr {OWN}\n"
            "mkdir /run/handout\n"
            "docker swarm join-token -q worker > /run/handout/token\n"
            f"busybox httpd -f -p {OWN}:{it.handout} -h /run/handout"
            " > /dev/null 2>&1 < /dev/null &\n"
            "echo $! > /run/handout.pid\n"
            f"timeout 30 sh -c 'until curl -s http://{OWN}:{it.handout}; do sleep 0.2; done'"
            " > /dev/null",
        ),
        ("b", join),
        ("c", join),
        ("a", "kill $(cat /run/handout.pid)\nrm -r /run/handout /run/handout.pid"),
    ]


def running(scene: Scene, service: str = "") -> list[Container]:
    """The tasks of that service that run, or of all services."""
    named = [(it, TASK.fullmatch(it.name)) for it in scene.now.containers()]
    return [
        it
        for it, match in named
        if match and match[1] == (service or match[1]) and it.state == "running" and it.namespace
    ]


def told(tasks: Iterable[Container]) -> str:
    counts = sorted(Counter(it.host for it in tasks).items())
    return ", ".join(f"{count} on {host}" for host, count in counts) or "none"


def as_many(it: Facts) -> Condition:
    def fn(scene: Scene) -> tuple[bool, str]:
        found = running(scene, it.service)
        return len(found) == it.count, f"tasks of {it.service} that run: {told(found)}"

    return holds(f"{it.count} tasks of {it.service} run", fn)


def served(it: Facts, source: str, to: str, port: int) -> Condition:
    """A task of the service answers source's call."""

    def fn(scene: Scene) -> tuple[bool, str]:
        names = tuple(f"hello from {task.hostname}," for task in running(scene, it.service))
        answer = scene.attempt(source, to, tcp=port)
        return bool(names) and answer.said.startswith(names), str(answer)

    return holds(
        f"a task of {it.service} answers {source} at {to}, TCP port {port}", fn, places=[source]
    )


def virtual(it: Facts) -> Condition:
    """The service's name is one address, which is no task's; all tasks have another name."""

    def fn(scene: Scene) -> tuple[bool, str]:
        name = scene.attempt(it.client, it.service, name=True)
        each = scene.attempt(it.client, f"tasks.{it.service}", name=True)
        right = (
            len(name.addresses) == 1
            and len(each.addresses) == it.count
            and name.addresses[0] not in each.addresses
        )
        seen = "{}: {}; its tasks: {}"
        return right, seen.format(
            it.service,
            " and ".join(name.addresses) or name.error,
            " and ".join(each.addresses) or each.error,
        )

    return holds(
        f"{it.client} finds {it.service} as one virtual address of {it.count} tasks",
        fn,
        places=[it.client],
    )


def drained(host: str) -> Condition:
    """No task is, or will be, on that host, which is still ready in the swarm."""

    def fn(scene: Scene) -> tuple[bool, str]:
        there = [task for task in running(scene) if task.host == host]
        manager = next((it.name for it in scene.now.hosts if it.manager), None)
        if manager is None:
            raise NotThere("there is no manager")
        listing = "docker node ls --format '{{.Hostname}} {{.Status}} {{.Availability}}'"
        nodes = [line.split() for line in scene.hosts[manager].run(listing).stdout.splitlines()]
        mine = [" ".join(words[1:]) for words in nodes if words[:1] == [host]]
        said = " and ".join(mine) or "no node"
        return not there and "Ready Drain" in mine, f"{host} is {said}; tasks there: {told(there)}"

    return holds(f"{host} is ready, but drained: it runs no task and gets none", fn, places=[host])


def tasks(it: Facts) -> tuple[Task, ...]:
    create = (
        f"docker service create --no-resolve-image --name {it.service} --network {it.net} "
        f"--replicas {it.count} --publish {it.port}:80 toolbox"
    )
    return (
        check(
            f"Make {it.net}, and run {it.client} on it",
            15,
            network(it.net, host="a").driver_is("overlay").subnet_is(it.subnet),
            runs(it.client, host="b", image="toolbox"),
            resolves(it.client, f"{it.client}.{it.net}", to=it.client),
            hints=(
                "An overlay is made on the manager; a worker hears of it when it needs it.",
                "Services can use any overlay. For docker run it has to be made with one more "
                "option.",
                f"docker network inspect -f '{{{{.Attachable}}}} {{{{json .IPAM.Config}}}}' "
                f"{it.net} on host-a",
                f"host-a: docker network create -d overlay --attachable --subnet {it.subnet} "
                f"{it.net}. host-b: docker run -d --name {it.client} --network {it.net} toolbox",
            ),
        ),
        check(
            f"Run {it.count} tasks of {it.service} behind one address",
            25,
            as_many(it),
            virtual(it),
            served(it, it.client, it.service, 80),
            hints=(
                "You say how many tasks you want; the manager says where they run.",
                "docker service create takes the number, the network and the port. The service's "
                "address is on the networks that it was made with.",
                f"docker service ps {it.service} on host-a; docker exec {it.client} dig +short "
                f"{it.service} tasks.{it.service} on host-b",
                create,
            ),
        ),
        check(
            f"Publish {it.service} at port {it.port} of every host",
            25,
            *(
                served(it, source, ADDRESSES[to], it.port)
                for source, to in (("host-b", "host-a"), ("host-c", "host-b"), ("host-a", "host-c"))
            ),
            hints=(
                "There are two ways to publish a service's port. In one of them, only hosts with a "
                "task answer.",
                "The routing mesh is the default, mode ingress. A host answers as long as it is in "
                "the swarm, tasks or not.",
                f"docker service inspect -f '{{{{json .Endpoint.Ports}}}}' {it.service}; "
                f"curl -m 5 http://{ADDRESSES['host-c']}:{it.port}",
                f"docker service update --publish-add {it.port}:80 {it.service}",
            ),
        ),
        check(
            "Take host-c out of the work",
            20,
            in_swarm("c", manager=False),
            drained("host-c"),
            as_many(it),
            hints=(
                "A node's availability says whether it gets tasks. Leaving the swarm is something "
                "else: such a host answers no more.",
                "docker node update on the manager changes it; docker node update --help names the "
                "three values.",
                f"docker node ls; docker service ps {it.service}. It takes some time until the new "
                "tasks run: the old ones have 10 seconds to end.",
                "docker node update --availability drain host-c",
            ),
        ),
        check(
            "Be ready for the loss of one more host",
            15,
            spread(it.service, over="ab"),
            as_many(it),
            hints=(
                "Where do the tasks run, now that host-c has none?",
                "A manager runs tasks like any node, unless it is drained or the service has a "
                "constraint.",
                f"docker service ps -f desired-state=running {it.service}; docker service inspect "
                f"-f '{{{{json .Spec.TaskTemplate.Placement}}}}' {it.service}",
                f"Take constraints off with docker service update --constraint-rm, then docker "
                f"service update --force {it.service} spreads the tasks anew.",
            ),
        ),
    )
