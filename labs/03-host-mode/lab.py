"""Host mode and published ports draw on one set of ports: who holds the one that is needed?"""

from dataclasses import dataclass

from sandbox.hosts.plan import address
from sandbox.labs import (
    Condition,
    Draw,
    Scene,
    Task,
    answered,
    check,
    holds,
    network,
    published,
    reaches,
    runs,
)

TITLE = "Two servers in host mode, and ports that are taken"
HOSTS = 2
MINUTES = 25
OWN = address("host-a")


@dataclass(frozen=True)
class Facts:
    api: str
    page: str
    holder: str
    bystander: str
    front: str
    net: str
    api_port: int
    page_port: int
    holder_port: int
    bystander_port: int
    front_port: int


def scenario(draw: Draw) -> Facts:
    return Facts(
        api=f"api-{draw.word()}",
        page=f"page-{draw.word()}",
        holder=f"app-{draw.word()}",
        bystander=f"app-{draw.word()}",
        front=f"app-{draw.word()}",
        net=f"net-{draw.word()}",
        api_port=draw.port(),
        page_port=draw.port(),
        holder_port=draw.port(),
        bystander_port=draw.port(),
        front_port=draw.port(),
    )


def story(it: Facts) -> str:
    first, second, third = sorted((it.holder, it.bystander, it.front))
    return f"""
Two new servers are to run on **host-a** in host mode, both of the image `toolbox`:

- `{it.api}`, which listens on port {it.api_port} of host-a;
- `{it.page}`, which listens on port {it.page_port} of host-a.

A colleague has tried: `docker run` printed an id each time, and yet the answers at these ports came
from somebody else. Then the colleague removed both.

Three containers of the image `toolbox` run on host-a already: `{first}`, `{second}` and `{third}`.
Two are in host mode, and their server reads its port from the environment variable `PORT`. One is
on the bridge network `{it.net}` and has a published port.

Find out who holds the two ports, and make room:

- the container that holds port {it.api_port} stays in host mode and moves to port {it.holder_port};
- the container whose published port is {it.page_port} stays on `{it.net}`, and is published at port
  {it.front_port} instead.

Containers keep their names. A container that is in nobody's way is in use: leave it alone.
"""


def setup(it: Facts) -> list[tuple[str, str]]:
    server = "toolbox sh -c 'exec serve \"$PORT\"'"
    host = "docker run -d --network host --name"
    return [
        (
            "a",
            f"docker network create {it.net}\n"
            f"{host} {it.bystander} -e PORT={it.bystander_port} {server}\n"
            f"{host} {it.holder} -e PORT={it.api_port} {server}\n"
            f"docker run -d --name {it.front} --network {it.net} -p {it.page_port}:80 toolbox",
        )
    ]


def questions(it: Facts) -> tuple[str, ...]:
    return (
        f"Which container held port {it.api_port} of host-a at the start?",
        f"Which program held port {it.page_port} of host-a at the start, as ss names it?",
    )


def listens(name: str, port: int, called: str = "") -> Condition:
    """That container of host-a is in host mode, and a process of it listens on that port.

    called: what the learner is told of it; its name is the answer to a question.
    """

    def fn(scene: Scene) -> tuple[bool, str]:
        found = scene.container(f"host-a/{name}")
        # The host sees a container's processes, each in a cgroup that is named after the container.
        said = scene.hosts[found.host].run(
            f"for pid in $(ss -Hltnp 'sport = :{port}' | grep -o 'pid=[0-9]*' | cut -d= -f2);"
            " do cat /proc/$pid/cgroup; done"
        )
        listening = [it.name for it in scene.host("a").containers if it.id in said.stdout]
        who = " and ".join(listening) or ("no container" if said.stdout else "nobody")
        right = found.network_mode == "host" and found.id in said.stdout
        return right, f"{who} listens on port {port} of host-a"

    wanted = f"{called or name}, in host mode, listens on port {port} of host-a"
    return holds(wanted, fn, places=() if called else [name])


def tasks(it: Facts) -> tuple[Task, ...]:
    who, what = questions(it)

    def in_host_mode(name: str, port: int) -> tuple[Condition, ...]:
        return (
            runs(name, host="a", image="toolbox", mode="host"),
            listens(name, port),
            reaches("host-b", OWN, tcp=port),
        )

    return (
        check(
            f"Say who holds the ports {it.api_port} and {it.page_port}",
            20,
            answered(who, it.holder),
            answered(what, "docker-proxy"),
            hints=(
                "Every port that is open belongs to a process, whether Docker knows of it or not.",
                "ss lists listening sockets with their processes; docker inspect knows the process "
                "of each container.",
                f"ss -ltnp 'sport = :{it.api_port} or sport = :{it.page_port}'; "
                "docker inspect -f '{{.State.Pid}} {{.Name}}' $(docker ps -q)",
                f"{it.holder}; docker-proxy",
            ),
        ),
        check(
            f"Move the holder of port {it.api_port} to port {it.holder_port}",
            20,
            listens(it.holder, it.holder_port, f"the container that held port {it.api_port}"),
            reaches("host-b", OWN, tcp=it.holder_port),
            hints=(
                "The environment of a container is set when the container is made.",
                "Remove it and run it anew in host mode, with its server told to listen elsewhere.",
                "docker inspect -f '{{json .Config.Env}} {{json .Config.Cmd}}' NAME",
                f"docker rm -f {it.holder}; docker run -d --name {it.holder} --network host "
                f"toolbox serve {it.holder_port}",
            ),
        ),
        check(
            f"Run {it.api} in host mode at port {it.api_port}",
            20,
            *in_host_mode(it.api, it.api_port),
            hints=(
                "In host mode nothing is mapped: the server itself listens on the port.",
                "serve takes its port as an argument. If the port is taken, docker run says "
                "nothing of it.",
                f"docker ps -a --filter name={it.api}; docker logs {it.api}; "
                f"ss -ltnp 'sport = :{it.api_port}'",
                f"docker rm -f {it.api}; docker run -d --name {it.api} --network host "
                f"toolbox serve {it.api_port}",
            ),
        ),
        check(
            f"Publish the container of {it.net} at port {it.front_port} instead",
            20,
            network(it.net, host="a").has(it.front),
            published("a", it.front_port, by=it.front),
            hints=(
                "A port is published when a container is made, not later.",
                f"Which container is on {it.net}, and which port does its server listen on inside?",
                f"docker ps --filter network={it.net} has a column PORTS.",
                f"docker rm -f {it.front}; docker run -d --name {it.front} --network {it.net} "
                f"-p {it.front_port}:80 toolbox",
            ),
        ),
        check(
            f"Run {it.page} in host mode at port {it.page_port}",
            20,
            *in_host_mode(it.page, it.page_port),
            hints=(
                "A published port is taken on the host, as is one that a server in host mode has.",
                f"Is the container of {it.net} still published at port {it.page_port}?",
                f"docker ps -a --filter name={it.page}; docker logs {it.page}; "
                f"ss -ltnp 'sport = :{it.page_port}'",
                f"docker rm -f {it.page}; docker run -d --name {it.page} --network host "
                f"toolbox serve {it.page_port}",
            ),
        ),
    )
