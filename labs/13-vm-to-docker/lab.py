"""A NATed and a bridged machine become containers, and keep their addresses."""

from dataclasses import dataclass
from ipaddress import IPv4Network, ip_interface

from sandbox.hosts.plan import LAN, LAN_GATEWAY, address, on_lan
from sandbox.labs import (
    Condition,
    Draw,
    Scene,
    Task,
    check,
    has_mac,
    holds,
    network,
    published,
    reaches,
    runs,
    source_seen,
)

TITLE = "Move two virtual machines' networks to Docker"
HOSTS = 2
OWN, FAR = address("host-a"), address("host-b")
MINUTES = 40


@dataclass(frozen=True)
class Facts:
    shop: str
    mail: str
    inside: str
    lan: str
    bridge: str
    ledger: str
    subnet: IPv4Network
    port: int
    shop_number: int
    mail_number: int

    @property
    def shop_address(self) -> str:
        return str(self.subnet[self.shop_number])

    @property
    def mail_address(self) -> str:
        return on_lan(self.mail_number)

    @property
    def mail_mac(self) -> str:
        return f"52:54:00:12:00:{self.mail_number:02x}"


def scenario(draw: Draw) -> Facts:
    return Facts(
        shop=f"shop-{draw.word()}",
        mail=f"mail-{draw.word()}",
        inside=f"inside-{draw.word()}",
        lan=f"lan-{draw.word()}",
        bridge=f"virbr-{draw.word()}",
        ledger=f"ledger-{draw.word()}",
        subnet=draw.subnet(),
        port=draw.port(),
        shop_number=draw.host_number(),
        mail_number=draw.host_number(),
    )


def story(it: Facts) -> str:
    return f"""
Two virtual machines of **host-a** are to become containers, and their users are not to notice: what
has an address now keeps it. In this lab a network namespace stands for each machine, with a web
server in it; what it is wired to is on host-a as a VM manager would have made it.

| | `vm-{it.shop}` | `vm-{it.mail}` |
| --- | --- | --- |
| mode | NAT | bridged |
| its wire | a port of the bridge `{it.bridge}` | a macvlan interface on `eth0` |
| address | `{it.shop_address}` in `{it.subnet}` | `{it.mail_address}`, an address of the LAN |
| MAC address | any | `{it.mail_mac}`, which a licence is bound to |
| reached from the LAN | at port {it.port} of host-a, which leads to its port 80 | directly |
| firewall rules | four, with the comment `{it.bridge}` | none |

The container `{it.ledger}` on **host-b** is a server at port 80 of host-b that says who called.

Build on host-a, with the image `toolbox`:

- a bridge network `{it.inside}` with the subnet `{it.subnet}`, and on it a container `{it.shop}`
  with the address `{it.shop_address}`, published at port {it.port};
- a macvlan network `{it.lan}` on `eth0`, and on it a container `{it.mail}` with the address
  `{it.mail_address}` and the MAC address `{it.mail_mac}`.

Of the old machines nothing is to be left: neither the namespaces and their servers, nor the bridge,
nor the four rules. `ip netns pids NAME` lists the processes in a namespace.
"""


def setup(it: Facts) -> list[tuple[str, str]]:
    shop, mail = f"vm-{it.shop}", f"vm-{it.mail}"
    mark = f"-m comment --comment {it.bridge}"
    serve = "busybox httpd -p 80 -h /srv/machines < /dev/null > /dev/null 2>&1"
    return [
        (
            "a",
            "mkdir -p /srv/machines\n"
            "echo 'hello from a machine' > /srv/machines/index.html\n"
            f"ip netns add {shop}\n"
            f"ip link add {it.bridge} type bridge\n"
            f"ip address add {it.subnet[1]}/24 dev {it.bridge}\n"
            f"ip link set {it.bridge} up\n"
            f"ip link add vnet0 type veth peer name eth0 netns {shop}\n"
            f"ip link set vnet0 master {it.bridge} up\n"
            f"ip -n {shop} address add {it.shop_address}/24 dev eth0\n"
            f"ip -n {shop} link set lo up\n"
            f"ip -n {shop} link set eth0 up\n"
            f"ip -n {shop} route add default via {it.subnet[1]}\n"
            f"ip netns exec {shop} {serve}\n"
            f"iptables -t nat -A POSTROUTING -s {it.subnet} ! -o {it.bridge} {mark} -j MASQUERADE\n"
            f"iptables -t nat -A PREROUTING -p tcp --dport {it.port} -m addrtype --dst-type LOCAL "
            f"{mark} -j DNAT --to-destination {it.shop_address}:80\n"
            f"iptables -I FORWARD -i {it.bridge} {mark} -j ACCEPT\n"
            f"iptables -I FORWARD -o {it.bridge} {mark} -j ACCEPT",
        ),
        (
            "a",
            f"ip netns add {mail}\n"
            f"ip link add link eth0 name card address {it.mail_mac} type macvlan mode bridge\n"
            f"ip link set card netns {mail} name eth0\n"
            f"ip -n {mail} address add {it.mail_address}/24 dev eth0\n"
            f"ip -n {mail} link set lo up\n"
            f"ip -n {mail} link set eth0 up\n"
            f"ip -n {mail} route add default via {LAN_GATEWAY}\n"
            f"ip netns exec {mail} {serve}",
        ),
        (
            "b",
            f"docker run -d --name {it.ledger} -p 80:80 toolbox\n"
            f"for url in http://{OWN}:{it.port} http://{it.mail_address}; do\n"
            '    timeout 30 sh -c "until curl -sf -m 2 $url; do sleep 0.5; done"\n'
            "done",
        ),
    ]


def has_address(place: str, wanted: str) -> Condition:
    def fn(scene: Scene) -> tuple[bool, str]:
        ports = [it for it in scene.namespace(place).interfaces if it.kind != "loopback"]
        found = [str(ip_interface(it).ip) for port in ports for it in port.assigned]
        return wanted in found, f"it has {', '.join(found) or 'no address'}"

    return holds(f"{place} has the address {wanted}", fn, places=[place])


def nothing_is_left(it: Facts) -> Condition:
    """No namespace, bridge, address or rule of the two machines."""

    def fn(scene: Scene) -> tuple[bool, str]:
        state = scene.host("a")
        machines = [f"{state.name}/netns:vm-{name}" for name in (it.shop, it.mail)]
        left = [f"the namespace {space.id}" for space in state.namespaces if space.id in machines]
        left += [
            f"{address} on {port.ref}"
            for space in state.namespaces
            if space.kind != "container"
            for port in space.interfaces
            for address in port.assigned
            if str(ip_interface(address).ip) in (it.shop_address, it.mail_address)
        ]
        own = state.namespace
        if own and own.interface(it.bridge):
            left.append(f"the bridge {it.bridge}")
        left += [
            f"a rule of {rule.table} {rule.chain}"
            for rule in (own.rules if own else ())
            if it.bridge in rule.text
        ]
        return not left, f"there is {', '.join(left)}" if left else "nothing of them is left"

    return holds("nothing is left of the two machines", fn, places=["host-a"])


def tasks(it: Facts) -> tuple[Task, ...]:
    return (
        check(
            f"Move the NATed machine to {it.shop}",
            20,
            network(it.inside, host="a").driver_is("bridge").subnet_is(it.subnet).has(it.shop),
            runs(it.shop, host="a", image="toolbox"),
            has_address(it.shop, it.shop_address),
            hints=(
                "Docker's bridge network is what a VM manager calls NAT.",
                "A container can be given its address where its network was given a subnet. Two "
                "bridges with one subnet are in each other's way, so the old one goes first.",
                f"docker network inspect {it.inside}",
                f"ip link del {it.bridge}; docker network create --subnet {it.subnet} {it.inside}; "
                f"docker run -d --name {it.shop} --network {it.inside} --ip {it.shop_address} "
                f"-p {it.port}:80 toolbox",
            ),
        ),
        check(
            f"Lead port {it.port} to {it.shop}",
            20,
            published("a", it.port, by=it.shop),
            source_seen("host-b", OWN, tcp=it.port, is_=FAR),
            source_seen(it.shop, FAR, is_=OWN),
            hints=(
                "The machine had one rule for the way in and one for the way out.",
                "Docker makes both: one when a port is published, one for every bridge network.",
                f"docker port {it.shop}; iptables -t nat -S | grep -e {it.port} -e MASQUERADE",
                f"docker rm -f {it.shop}; docker run -d --name {it.shop} --network {it.inside} "
                f"--ip {it.shop_address} -p {it.port}:80 toolbox",
            ),
        ),
        check(
            f"Move the bridged machine to {it.mail}",
            25,
            network(it.lan, host="a").driver_is("macvlan").option_is("parent", "eth0"),
            runs(it.mail, host="a", image="toolbox"),
            has_address(it.mail, it.mail_address),
            has_mac(it.mail, is_=it.mail_mac),
            hints=(
                "What a VM manager calls bridged is macvlan in Docker.",
                "The network has the LAN's subnet and gateway; docker run has an option for the "
                "address and one for the MAC address. The same MAC address cannot be twice on one "
                "parent.",
                f"ip netns exec vm-{it.mail} ip link shows the old one; docker exec {it.mail} "
                "ip link the new one.",
                f"ip -n vm-{it.mail} link del eth0; docker network create -d macvlan "
                f"-o parent=eth0 --subnet {LAN} --gateway {LAN_GATEWAY} {it.lan}; "
                f"docker run -d --name {it.mail} --network {it.lan} --ip {it.mail_address} "
                f"--mac-address {it.mail_mac} toolbox",
            ),
        ),
        check(
            f"Let host-b and {it.mail} talk without translation",
            15,
            reaches("host-b", it.mail_address, tcp=80, by=it.mail),
            source_seen("host-b", it.mail_address, is_=FAR),
            source_seen(it.mail, FAR, is_=it.mail_address),
            hints=(
                "A device of the LAN needs no port and no translation.",
                f"Ask {it.mail_address} from host-b, not from host-a: a host does not reach its "
                "own macvlan containers.",
                f"curl -s -m 5 http://{it.mail_address}, on host-b; docker exec {it.mail} curl -s "
                f"-m 5 http://{FAR}, on host-a.",
                f"{it.mail} is to be on {it.lan} alone, with the address {it.mail_address}; "
                f"docker rm -f {it.mail}, and run it anew.",
            ),
        ),
        check(
            "Leave nothing of the two machines",
            20,
            reaches("host-b", OWN, tcp=it.port, by=it.shop),
            reaches("host-b", it.mail_address, tcp=80, by=it.mail),
            nothing_is_left(it),
            hints=(
                "A namespace lives as long as a process is in it, even without its name.",
                "Servers, namespaces, the bridge, and rules of two tables.",
                f"ip netns; ip -br link show type bridge; iptables-save | grep {it.bridge}",
                f"For each machine: kill $(ip netns pids vm-{it.shop}); ip netns del vm-{it.shop}. "
                f"Then ip link del {it.bridge}, and iptables-save | grep -v {it.bridge} | "
                "iptables-restore.",
            ),
        ),
    )
