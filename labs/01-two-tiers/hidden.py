"""The reference solution, a plausible wrong one, and what only a teacher checks."""

from sandbox.labs import Task, check, holds
from sandbox.labs.scene import Scene


def solution(it) -> list[tuple[str, str]]:
    return [
        (
            "a",
            f"docker network create --subnet {it.subnet} {it.front}\n"
            f"docker network create --internal {it.back}",
        ),
        ("a", f"docker run -d --name {it.db} --network {it.back} toolbox"),
        (
            "a",
            f"docker run -d --name {it.web} --network {it.front} -p {it.port}:80 toolbox\n"
            f"docker network connect {it.back} {it.web}",
        ),
    ]


def wrong(it):
    """One network for all: it works, and the database is not kept apart."""
    commands = [
        (
            "a",
            f"docker network create --subnet {it.subnet} {it.front}\n"
            f"docker network create {it.back}\n"
            f"docker run -d --name {it.db} --network {it.front} toolbox\n"
            f"docker run -d --name {it.web} --network {it.front} -p {it.port}:80 toolbox",
        )
    ]
    lost = {
        f"Make the networks {it.front} and {it.back}",
        f"Let {it.web} find {it.db} by its name",
        f"Keep everybody else from {it.db}",
        "The database has no way out",
    }
    return commands, {}, lost


def tasks(it) -> tuple[Task, ...]:
    def no_way_out(scene: Scene) -> tuple[bool, str]:
        routes = scene.namespace(it.db).routes
        return not any(route.destination == "default" for route in routes), "; ".join(
            map(str, routes)
        )

    return (
        check(
            "The database has no way out",
            10,
            holds(f"{it.db} has no default route", no_way_out, places=[it.db]),
        ),
    )
