"""Blue and green: a name goes from one server to another, and its caller notices nothing."""

from collections.abc import Iterable
from dataclasses import dataclass

from sandbox.labs import Condition, Draw, Scene, Task, check, holds, isolated, reaches, resolves

TITLE = "A name that moves from one server to another"
HOSTS = 1
MINUTES = 25


@dataclass(frozen=True)
class Facts:
    net: str
    name: str
    blue: str
    green: str
    client: str
    old: str


def scenario(draw: Draw) -> Facts:
    return Facts(
        net=f"net-{draw.word()}",
        name=f"shop-{draw.word()}",
        blue=f"blue-{draw.word()}",
        green=f"green-{draw.word()}",
        client=f"client-{draw.word()}",
        old=f"old-{draw.word()}",
    )


def story(it: Facts) -> str:
    return f"""
On the bridge network `{it.net}` of **host-a** run two servers, which listen on port 80, and a
client:

- `{it.blue}`, which is in service. It is called by a second name, `{it.name}`.
- `{it.green}`, its successor. Nobody calls it yet.
- `{it.client}`, which calls `http://{it.name}` again and again. `docker logs {it.client}` shows who
  answered.

Put `{it.green}` in service: `{it.client}` goes on calling `{it.name}`, and `{it.green}` alone
answers. `{it.blue}` still has orders to finish, so it goes on running, is still reached by its own
name, and is no longer known by the other. Neither `{it.client}` nor `{it.blue}` may be started
anew.

One more container, `{it.old}`, is on the default bridge, where it has to stay. It finds no other
container by name. It is to find `{it.name}`, too, with `{it.green}` behind it, and it is not to
reach `{it.blue}`. You may make further networks. `{it.old}` and `{it.green}` may be replaced by
containers of the same name and image.
"""


def setup(it: Facts) -> list[tuple[str, str]]:
    run = f"docker run -d --network {it.net}"
    loop = f"while :; do curl -sS -m 2 http://{it.name}; sleep 3; done"
    return [
        (
            "a",
            f"docker network create {it.net}\n"
            f"{run} --name {it.blue} --hostname {it.blue} --network-alias {it.name} toolbox\n"
            f"{run} --name {it.green} --hostname {it.green} toolbox\n"
            f"{run} --name {it.client} toolbox sh -c '{loop}'\n"
            f"docker run -d --name {it.old} toolbox sleep infinity",
        )
    ]


def addresses(scene: Scene, container: str) -> set[str]:
    return {
        address.partition("/")[0]
        for interface in scene.namespace(container).interfaces
        for address in interface.assigned
    }


def among(it: Facts) -> Condition:
    def fn(scene: Scene) -> tuple[bool, str]:
        answer = scene.attempt(it.client, it.name, name=True)
        said = " and ".join(answer.addresses) or answer.error
        return bool(addresses(scene, it.green) & {*answer.addresses}), said

    return holds(
        f"{it.client} is told an address of {it.green} when it asks for {it.name}",
        fn,
        places=[it.client, it.green],
    )


def not_started_anew(names: Iterable[str]) -> Condition:
    names = tuple(names)

    def fn(scene: Scene) -> tuple[bool, str]:
        before = scene.start.host("host-a") if scene.start else None
        if before is None:
            return False, "how host-a was when the lab began was not kept"
        again = []
        for name in names:
            now, then = scene.container(f"host-a/{name}"), before.container(name)
            if then is None or (then.id, then.started) != (now.id, now.started):
                again.append(name)
        return not again, f"started anew: {' and '.join(again) or 'neither'}"

    return holds(f"{' and '.join(names)} run since the lab began", fn, places=names)


def on_default_bridge(name: str) -> Condition:
    def fn(scene: Scene) -> tuple[bool, str]:
        found = scene.container(f"host-a/{name}")
        networks = [it.network for it in found.endpoints]
        return "bridge" in networks, f"{name} is on {' and '.join(networks) or 'no network'}"

    return holds(f"{name} is on the default bridge", fn, places=[name])


def finds(source: str, name: str, server: str) -> Condition:
    """Source asks for the name and calls what it is told: only the server, which answers.

    One try does both: where nobody answers for names, each takes 10 s.
    """

    def fn(scene: Scene) -> tuple[bool, str]:
        hello = f"hello from {scene.container(server).hostname},"
        answer = scene.attempt(source, name, tcp=80)
        right = answer.said.startswith(hello) and {*answer.addresses} <= addresses(scene, server)
        told = f"{name} is {' and '.join(answer.addresses)}: " if answer.addresses else ""
        return right, f"{told}{answer}"

    return holds(
        f"{source} finds {name} as {server}, which answers on TCP port 80",
        fn,
        places=[source, server],
    )


def tasks(it: Facts) -> tuple[Task, ...]:
    return (
        check(
            f"Give {it.green} the name {it.name}",
            25,
            among(it),
            hints=(
                "A container's further names belong to its place on a network, not to the "
                "container.",
                "It gets that place by docker network connect, which takes an alias. One that is "
                "on the network already has to leave it first.",
                "docker inspect -f '{{range .NetworkSettings.Networks}}{{.DNSNames}}{{end}}' "
                f"{it.green}",
                f"docker network disconnect {it.net} {it.green}; docker network connect "
                f"--alias {it.name} {it.net} {it.green}",
            ),
        ),
        check(
            f"Take the name {it.name} from {it.blue}",
            20,
            resolves(it.client, it.name, to=it.green),
            finds(it.client, it.name, it.green),
            hints=(
                "When two containers have a name, both are in the answer, and either may be "
                "called.",
                "An alias goes with the place on the network that it was given for.",
                f"docker exec {it.client} dig +short {it.name}; docker logs --tail 5 {it.client}",
                f"docker network disconnect {it.net} {it.blue}; docker network connect {it.net} "
                f"{it.blue}",
            ),
        ),
        check(
            f"Keep {it.blue} under its own name",
            15,
            resolves(it.client, it.blue, to=it.blue),
            reaches(it.client, f"{it.blue}.{it.net}", tcp=80, by=it.blue),
            resolves(it.blue, it.name, to=it.green),
            hints=(
                f"{it.blue} loses a name, but not its network.",
                "A container that joins a user-defined network is known there by its own name, "
                "whatever aliases it has.",
                f"docker exec {it.client} curl -s http://{it.blue}; docker network inspect "
                f"{it.net}",
                f"docker network connect {it.net} {it.blue}",
            ),
        ),
        check(
            "Start neither of them anew",
            15,
            not_started_anew((it.client, it.blue)),
            among(it),
            hints=(
                "Names are looked up at each call, so who calls by a name can stay as it is.",
                f"Everything that {it.green} and {it.blue} need can be done with docker network.",
                f"docker inspect -f '{{{{.Name}}}} {{{{.State.StartedAt}}}}' {it.client} {it.blue}",
                f"It cannot be undone: start the lab again, and leave {it.client} and {it.blue} "
                "running.",
            ),
        ),
        check(
            f"Let {it.old} find {it.name}, and not reach {it.blue}",
            25,
            on_default_bridge(it.old),
            finds(it.old, it.name, it.green),
            isolated(it.old, it.blue, tcp=80),
            hints=(
                "Docker answers for names on user-defined networks only. A container can be on "
                "more networks than one.",
                f"On {it.net} it would reach {it.blue} as well. Which other network could "
                f"{it.old} and {it.green} have in common?",
                f"docker exec {it.old} curl -s -m 3 http://{it.name}; docker inspect -f "
                f"'{{{{json .NetworkSettings.Networks}}}}' {it.old}",
                f"docker network create between; docker network connect --alias {it.name} between "
                f"{it.green}; docker network connect between {it.old}",
            ),
        ),
    )
