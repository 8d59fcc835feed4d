"""The reference solution, a plausible wrong one, and what only a teacher checks."""

from sandbox.labs import Task, check, source_seen


def create(name, vlan, subnet, quarter: int | None) -> str:
    """quarter: of the subnet, which the Engine gives out; None for all of it."""
    share = f"--ip-range {list(subnet.subnets(new_prefix=26))[quarter]}" if quarter else ""
    return (
        f"docker network create -d macvlan -o parent=eth0.{vlan} --subnet {subnet} "
        f"--gateway {subnet[1]} {share} {name}\n"
    )


def build(it, *, shares: bool) -> list[tuple[str, str]]:
    """shares: whether each Engine has its own part of the guests' subnet."""
    lines = {
        host: create(it.staff, it.staff_vlan, it.staff_subnet, quarter)
        + create(it.guests, it.guests_vlan, it.guests_subnet, quarter if shares else None)
        for quarter, host in enumerate("ab", 1)
    }
    return [
        (
            "a",
            f"{lines['a']}docker run -d --name {it.desk} --network {it.staff} "
            f"--ip {it.desk_address} toolbox\n"
            f"docker run -d --name {it.phone} --network {it.guests} toolbox",
        ),
        (
            "b",
            f"{lines['b']}docker run -d --name {it.store} --network {it.staff} toolbox\n"
            f"docker run -d --name {it.portal} --network {it.guests} toolbox",
        ),
    ]


def solution(it) -> list[tuple[str, str]]:
    return build(it, shares=True)


def wrong(it):
    """No ranges for the guests: both Engines give out the first address of the subnet."""
    lost = {f"Join {it.phone} and {it.portal} on VLAN {it.guests_vlan}", "Give no address twice"}
    return build(it, shares=False), {}, lost


def tasks(it) -> tuple[Task, ...]:
    return (
        check(
            "The store sees the desk's own address",
            10,
            source_seen(it.desk, it.store, is_=it.desk_address),
        ),
    )
