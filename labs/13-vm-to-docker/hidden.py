"""The reference solution, a plausible wrong one, and what only a teacher checks."""

from sandbox.hosts.plan import LAN, LAN_GATEWAY
from sandbox.labs import Task, check, same_l2


def switch_off(it) -> str:
    return (
        f"for machine in vm-{it.shop} vm-{it.mail}; do\n"
        "    ip -n $machine link del eth0\n"
        "    kill $(ip netns pids $machine)\n"
        "    ip netns del $machine\n"
        "done\n"
        f"ip link del {it.bridge}"
    )


def forget_rules(it) -> str:
    mark = f"-m comment --comment {it.bridge}"
    return (
        f"iptables -t nat -D POSTROUTING -s {it.subnet} ! -o {it.bridge} {mark} -j MASQUERADE\n"
        f"iptables -t nat -D PREROUTING -p tcp --dport {it.port} -m addrtype --dst-type LOCAL "
        f"{mark} -j DNAT --to-destination {it.shop_address}:80\n"
        f"iptables -D FORWARD -i {it.bridge} {mark} -j ACCEPT\n"
        f"iptables -D FORWARD -o {it.bridge} {mark} -j ACCEPT"
    )


def build(it, mac: str) -> str:
    return (
        f"docker network create --subnet {it.subnet} {it.inside}\n"
        f"docker run -d --name {it.shop} --network {it.inside} --ip {it.shop_address} "
        f"-p {it.port}:80 toolbox\n"
        f"docker network create -d macvlan -o parent=eth0 --subnet {LAN} "
        f"--gateway {LAN_GATEWAY} {it.lan}\n"
        f"docker run -d --name {it.mail} --network {it.lan} --ip {it.mail_address} {mac} toolbox"
    )


def solution(it) -> list[tuple[str, str]]:
    mac = f"--mac-address {it.mail_mac}"
    return [("a", switch_off(it)), ("a", forget_rules(it)), ("a", build(it, mac))]


def wrong(it):
    """The MAC address is not taken along, and the firewall's rules are left."""
    lost = {f"Move the bridged machine to {it.mail}", "Leave nothing of the two machines"}
    return [("a", switch_off(it)), ("a", build(it, ""))], {}, lost


def tasks(it) -> tuple[Task, ...]:
    return (check("The mail server is a device of the LAN", 10, same_l2("host-b", it.mail)),)
