"""The reference solution, a plausible wrong one, and what only a teacher checks."""

from sandbox.labs import Task, check, holds, runs
from sandbox.labs.scene import Scene


def solution(it) -> list[tuple[str, str]]:
    return [
        (
            "a",
            f"docker rm -f {it.holder} {it.front}\n"
            f"docker run -d --name {it.holder} --network host toolbox serve {it.holder_port}\n"
            f"docker run -d --name {it.front} --network {it.net} -p {it.front_port}:80 toolbox",
        ),
        (
            "a",
            f"docker run -d --name {it.api} --network host toolbox serve {it.api_port}\n"
            f"docker run -d --name {it.page} --network host toolbox serve {it.page_port}",
        ),
    ]


def answers(it) -> dict[str, str]:
    return {
        f"Which container held port {it.api_port} of host-a at the start?": it.holder,
        f"Which program held port {it.page_port} of host-a at the start, as ss names it?": (
            "docker-proxy"
        ),
    }


def wrong(it):
    """Room is made, but one server is published from a bridge, and the other one's -p is ignored
    in host mode. Both answer somewhere.
    """
    commands = [
        (
            "a",
            f"docker rm -f {it.holder} {it.front}\n"
            f"docker run -d --name {it.holder} --network host toolbox serve {it.holder_port}\n"
            f"docker run -d --name {it.front} --network {it.net} -p {it.front_port}:80 toolbox",
        ),
        (
            "a",
            f"docker run -d --name {it.api} -p {it.api_port}:80 toolbox\n"
            f"docker run -d --name {it.page} --network host -p {it.page_port}:80 toolbox",
        ),
    ]
    lost = {
        f"Run {it.api} in host mode at port {it.api_port}",
        f"Run {it.page} in host mode at port {it.page_port}",
        f"Leave {it.bystander} alone",
    }
    return commands, answers(it), lost


def tasks(it) -> tuple[Task, ...]:
    def untouched(scene: Scene) -> tuple[bool, str]:
        now = scene.container(f"host-a/{it.bystander}")
        before = scene.start.host("host-a") if scene.start else None
        then = before.container(it.bystander) if before else None
        same = then is not None and (then.id, then.started) == (now.id, now.started)
        return same, f"{it.bystander} runs since {now.started}"

    return (
        check(
            f"Leave {it.bystander} alone",
            10,
            holds(f"{it.bystander} runs as it did", untouched, places=[it.bystander]),
            runs(it.api, host="a", mode="host"),
            runs(it.page, host="a", mode="host"),
        ),
    )
