"""The reference solution, a plausible wrong one, and what only a teacher checks."""

from sandbox.hosts.plan import address
from sandbox.labs import Task, check, reaches


def joined(it) -> list[tuple[str, str]]:
    """Cells that make the bridge, the namespaces, their wires and their routes."""
    gateway = it.subnet[1]
    cells = [
        (
            "a",
            f"ip link add {it.bridge} type bridge\n"
            f"ip addr add {gateway}/24 dev {it.bridge}\n"
            f"ip link set {it.bridge} up",
        )
    ]
    for name, number in ((it.red, it.red_number), (it.blue, it.blue_number)):
        wire = f"wire-{number}"
        cells.append(
            (
                "a",
                f"ip netns add {name}\n"
                f"ip -n {name} link set lo up\n"
                f"ip link add {wire} type veth peer name eth0 netns {name}\n"
                f"ip link set {wire} master {it.bridge} up\n"
                f"ip -n {name} addr add {it.subnet[number]}/24 dev eth0\n"
                f"ip -n {name} link set eth0 up\n"
                f"ip -n {name} route add default via {gateway}",
            )
        )
    return cells


def let_out_and_serve(it) -> str:
    return (
        f"iptables -t nat -A POSTROUTING -s {it.subnet} ! -o {it.bridge} -j MASQUERADE\n"
        f"ip netns exec {it.red} busybox httpd -p 80 -h /srv/{it.red}"
    )


def solution(it) -> list[tuple[str, str]]:
    guard = "iptables -t raw -A PREROUTING -d"
    return [
        *joined(it),
        ("a", let_out_and_serve(it)),
        (
            "a",
            "iptables -t nat -N HAND\n"
            "iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j HAND\n"
            "iptables -t nat -A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j HAND\n"
            f"iptables -t nat -A HAND ! -i {it.bridge} -p tcp --dport {it.port} "
            f"-j DNAT --to-destination {it.subnet[it.red_number]}:80",
        ),
        (
            "a",
            f"{guard} {it.subnet[it.red_number]} ! -i {it.bridge} -j DROP\n"
            f"{guard} {it.subnet[it.blue_number]} ! -i {it.bridge} -j DROP",
        ),
    ]


def wrong(it):
    """The port is published for who comes in by the LAN alone, and nothing guards the bridge."""
    commands = [
        *joined(it),
        ("a", let_out_and_serve(it)),
        (
            "a",
            f"iptables -t nat -A PREROUTING -p tcp --dport {it.port} -m addrtype "
            f"--dst-type LOCAL -j DNAT --to-destination {it.subnet[it.red_number]}:80",
        ),
    ]
    lost = {
        f"Publish port 80 of {it.red} at port {it.port}",
        f"Keep everybody else out of {it.bridge}",
        f"Have each part as {it.model} has it",
    }
    return commands, {}, lost


def tasks(it) -> tuple[Task, ...]:
    return (
        check(
            f"Leave {it.model} as it was",
            10,
            reaches(f"host-a/netns:{it.blue}", f"host-a/netns:{it.red}"),
            reaches("host-b", address("host-a"), tcp=it.model_port, by=it.web),
            reaches(it.client, it.web, tcp=80, by=it.web),
        ),
    )
