"""The reference solution and a plausible wrong one."""


def steps(it, option: str = "") -> list[tuple[str, str]]:
    """What brings the service up and drains host-c. option: of docker service create."""
    # A line for each task that is to run and does, on another host than host-c.
    listing = f"docker service ps {it.service} -f desired-state=running"
    form = "{{.Node}} {{.CurrentState}}"
    count = f'{listing} --format "{form}" | grep -v ^host-c | grep -c " Running"'
    return [
        (
            "a",
            f"docker network create -d overlay --attachable --subnet {it.subnet} {it.net}\n"
            f"timeout 200 docker service create -q --no-resolve-image --name {it.service}"
            f" --network {it.net} --replicas {it.count} --publish {it.port}:80"
            f" --stop-grace-period 1s{option} toolbox",
        ),
        (
            "b",
            f"docker run -d --name {it.client} --network {it.net} toolbox ||"
            f" docker start {it.client}",
        ),
        (
            "a",
            "docker node update --availability drain host-c\n"
            f"timeout 120 sh -c 'until [ \"$({count})\" = {it.count} ]; do sleep 1; done'",
        ),
    ]


def solution(it) -> list[tuple[str, str]]:
    return steps(it)


def wrong(it):
    """The manager is kept free of tasks, as is often advised; then one worker has them all."""
    return (
        steps(it, " --constraint node.role==worker"),
        {},
        {
            "Be ready for the loss of one more host",
        },
    )
