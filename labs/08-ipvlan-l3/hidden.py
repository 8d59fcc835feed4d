"""The reference solution, a plausible wrong one, and what only a teacher checks."""

from sandbox.hosts.plan import address
from sandbox.labs import Task, check, reaches


def solution(it) -> list[tuple[str, str]]:
    create = "docker network create -d ipvlan -o parent=eth0 -o ipvlan_mode=l3"
    return [
        (
            "a",
            f"docker network rm {it.old}\n"
            f"{create} --subnet {it.left_subnet} {it.left}\n"
            f"docker run -d --name {it.app} --network {it.left} toolbox\n"
            f"docker run -d --name {it.worker} --network {it.left} toolbox",
        ),
        (
            "b",
            f"{create} --subnet {it.right_subnet} {it.right}\n"
            f"docker run -d --name {it.db} --network {it.right} toolbox",
        ),
        ("a", f"ip route add {it.right_subnet} via {address('host-b')}"),
        ("b", f"ip route add {it.left_subnet} via {address('host-a')}"),
    ]


def wrong(it):
    """A route on host-a alone: packets get there, and no answer comes back."""
    lost = {
        f"Lead host-b to {it.left_subnet}",
        f"Let {it.app} and {it.db} see each other's own address",
    }
    return solution(it)[:-1], {}, lost


def tasks(it) -> tuple[Task, ...]:
    return (
        check(
            "The two containers of host-a reach each other",
            10,
            reaches(it.app, it.worker, tcp=80, by=it.worker),
            reaches(it.worker, it.app, tcp=80, by=it.app),
        ),
    )
