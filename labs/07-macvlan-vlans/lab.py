"""Two VLANs over one wire: macvlan networks of two Engines that do not know of each other."""

from dataclasses import dataclass
from ipaddress import IPv4Network, ip_interface, ip_network

from sandbox.labs import (
    Condition,
    Draw,
    NotThere,
    Scene,
    Task,
    check,
    has_mac,
    holds,
    isolated,
    network,
    reaches,
    runs,
    same_l2,
)

TITLE = "Carry two VLANs over one wire with macvlan"
HOSTS = 2
MINUTES = 35


@dataclass(frozen=True)
class Facts:
    staff: str
    guests: str
    desk: str
    store: str
    phone: str
    portal: str
    printer: str
    staff_subnet: IPv4Network
    guests_subnet: IPv4Network
    staff_vlan: int
    guests_vlan: int
    desk_number: int

    @property
    def desk_address(self) -> str:
        return str(self.staff_subnet[self.desk_number])

    @property
    def printer_address(self) -> str:
        return str(self.staff_subnet[10])

    @property
    def printer_place(self) -> str:
        return f"host-b/netns:{self.printer}"


def scenario(draw: Draw) -> Facts:
    staff_vlan, guests_vlan = draw.sample(range(10, 41), 2)
    return Facts(
        staff=f"staff-{draw.word()}",
        guests=f"guests-{draw.word()}",
        desk=f"desk-{draw.word()}",
        store=f"store-{draw.word()}",
        phone=f"phone-{draw.word()}",
        portal=f"portal-{draw.word()}",
        printer=f"printer-{draw.word()}",
        staff_subnet=draw.subnet(),
        guests_subnet=draw.subnet(),
        staff_vlan=staff_vlan,
        guests_vlan=guests_vlan,
        # In host-a's part, beyond the first ones that its Engine gives by itself.
        desk_number=draw.choice(range(100, 126)),
    )


def part(subnet: IPv4Network, host: str) -> IPv4Network:
    """What the host's Engine may give out of the subnet: its second quarter, or its third."""
    return list(subnet.subnets(new_prefix=26))["ab".index(host) + 1]


def story(it: Facts) -> str:
    return f"""
An office has one wire to each of its hosts, and two networks on it: the staff's is VLAN
{it.staff_vlan}, the guests' VLAN {it.guests_vlan}. Every machine is to be a device of its VLAN, with
a MAC address of its own, and nothing leads from one VLAN to the other.

One machine is on the staff's VLAN already: a printer with the address `{it.printer_address}`, at
host-b. A network namespace of host-b, `{it.printer}`, stands for it. Leave it as it is.

On **both hosts**, make two macvlan networks:

| network | VLAN of eth0 | subnet | host-a gives out | host-b gives out |
| --- | --- | --- | --- | --- |
| `{it.staff}` | {it.staff_vlan} | `{it.staff_subnet}` | `{part(it.staff_subnet, "a")}` | `{part(it.staff_subnet, "b")}` |
| `{it.guests}` | {it.guests_vlan} | `{it.guests_subnet}` | `{part(it.guests_subnet, "a")}` | `{part(it.guests_subnet, "b")}` |

On them, run four containers of the image `toolbox`:

- on host-a `{it.desk}` on `{it.staff}`, with the address `{it.desk_address}`, and `{it.phone}` on
  `{it.guests}`;
- on host-b `{it.store}` on `{it.staff}` and `{it.portal}` on `{it.guests}`.

Neither Engine knows which addresses the other gives out.
"""  # noqa: E501


def setup(it: Facts) -> list[tuple[str, str]]:
    parent, space = f"eth0.{it.staff_vlan}", it.printer
    return [
        (
            "b",
            f"ip link add link eth0 name {parent} type vlan id {it.staff_vlan}\n"
            f"ip link set {parent} up\n"
            f"ip netns add {space}\n"
            f"ip link add link {parent} name card type macvlan mode bridge\n"
            f"ip link set card netns {space} name eth0\n"
            f"ip -n {space} address add {it.printer_address}/24 dev eth0\n"
            f"ip -n {space} link set lo up\n"
            f"ip -n {space} link set eth0 up",
        )
    ]


def stands_on(host: str, name: str, vlan: int) -> Condition:
    """The network's parent on that host is an interface for that VLAN of eth0."""

    def fn(scene: Scene) -> tuple[bool, str]:
        state = scene.host(host)
        found = state.network(name)
        if found is None:
            raise NotThere(f"there is no network {name} on {state.name}")
        own = state.namespace
        parent = own.interface(found.interface) if own and found.interface else None
        if parent is None or parent.vlan is None:
            return False, f"its parent is {found.interface or 'none'}, which is for no VLAN"
        right = parent.vlan == vlan and str(parent.parent) == f"eth0 of {state.name}"
        return right, f"its parent {parent.name} is for VLAN {parent.vlan} on {parent.parent}"

    return holds(f"{name} of host-{host} stands on VLAN {vlan} of eth0", fn)


def gives_out(host: str, name: str, wanted: IPv4Network) -> Condition:
    """The host's Engine gives the network's containers addresses of that part alone."""

    def fn(scene: Scene) -> tuple[bool, str]:
        found = scene.host(host).network(name)
        if found is None:
            raise NotThere(f"there is no network {name} on host-{host}")
        ranges = [it.ip_range or it.subnet for it in found.subnets if ":" not in it.subnet]
        inside = [ip_network(it, strict=False) for it in ranges]
        right = bool(inside) and all(it.subnet_of(wanted) for it in inside)
        return right, f"it gives out {', '.join(ranges) or 'none'}"

    return holds(f"{name} of host-{host} gives out addresses of {wanted} alone", fn)


def has_address(place: str, wanted: str) -> Condition:
    def fn(scene: Scene) -> tuple[bool, str]:
        found = [it for port in scene.namespace(place).interfaces for it in port.assigned]
        own = [it for it in found if not it.startswith("127.") and it != "::1/128"]
        return wanted in (str(ip_interface(it).ip) for it in own), f"it has {', '.join(own)}"

    return holds(f"{place} has the address {wanted}", fn, places=[place])


def tasks(it: Facts) -> tuple[Task, ...]:
    create = "docker network create -d macvlan -o parent="
    both = [
        (host, name, vlan, subnet)
        for name, vlan, subnet in (
            (it.staff, it.staff_vlan, it.staff_subnet),
            (it.guests, it.guests_vlan, it.guests_subnet),
        )
        for host in "ab"
    ]
    return (
        check(
            f"Make {it.staff} and {it.guests} on both hosts",
            20,
            *(
                network(name, host=host).driver_is("macvlan").subnet_is(subnet)
                for host, name, _, subnet in both
            ),
            *(stands_on(host, name, vlan) for host, name, vlan, _ in both),
            hints=(
                "A macvlan network has a parent interface, and the parent decides the VLAN.",
                "Docker reads a parent's name with a dot as a VLAN of the interface before it.",
                f"docker network inspect {it.staff} shows the parent; "
                "ip -d link show type vlan shows the VLAN of each interface.",
                f"{create}eth0.{it.staff_vlan} --subnet {it.staff_subnet} "
                f"--gateway {it.staff_subnet[1]} --ip-range {part(it.staff_subnet, 'a')} "
                f"{it.staff}, on host-a; the others with their own numbers.",
            ),
        ),
        check(
            f"Join {it.desk}, {it.store} and the printer on VLAN {it.staff_vlan}",
            25,
            runs(it.desk, host="a", image="toolbox"),
            runs(it.store, host="b", image="toolbox"),
            has_mac(it.desk),
            has_mac(it.store),
            same_l2(it.desk, it.store),
            same_l2(it.desk, it.printer_place),
            reaches(it.desk, it.store, tcp=80, by=it.store),
            hints=(
                "Machines of one VLAN find each other by ARP, whichever host they are on.",
                "Do both hosts tag with the same number, and do both use the same subnet?",
                f"docker exec {it.desk} ping -c 1 {it.printer_address}, and on host-b "
                "tcpdump -n -e -i eth0 'vlan and arp'.",
                f"docker run -d --name {it.desk} --network {it.staff} --ip {it.desk_address} "
                f"toolbox, on host-a; docker run -d --name {it.store} --network {it.staff} "
                "toolbox, on host-b.",
            ),
        ),
        check(
            f"Join {it.phone} and {it.portal} on VLAN {it.guests_vlan}",
            20,
            runs(it.phone, host="a", image="toolbox"),
            runs(it.portal, host="b", image="toolbox"),
            has_mac(it.phone),
            has_mac(it.portal),
            same_l2(it.phone, it.portal),
            reaches(it.phone, it.portal, tcp=80, by=it.portal),
            hints=(
                "The same as for the staff, with the guests' VLAN and subnet.",
                "Have the two containers different addresses?",
                f"docker exec {it.phone} ip -br -4 address, and the same of {it.portal}.",
                f"docker run -d --name {it.phone} --network {it.guests} toolbox, on host-a; "
                f"docker run -d --name {it.portal} --network {it.guests} toolbox, on host-b.",
            ),
        ),
        check(
            "Keep the two VLANs apart",
            15,
            reaches(it.desk, it.store, tcp=80, by=it.store),
            isolated(it.phone, it.store, tcp=80),
            isolated(it.desk, it.portal, tcp=80),
            isolated(it.printer_place, it.phone, tcp=80),
            hints=(
                "Each container is to be on one network.",
                "A container or a host with an address in both could lead from one to the other.",
                "docker inspect -f '{{json .NetworkSettings.Networks}}' shows a container's "
                "networks.",
                f"docker network disconnect {it.guests} {it.desk}, and so for each container that "
                "is on both.",
            ),
        ),
        check(
            "Give no address twice",
            20,
            has_address(it.desk, it.desk_address),
            *(gives_out(host, name, part(subnet, host)) for host, name, _, subnet in both),
            hints=(
                "Each Engine keeps a list of its own of what is free.",
                "An option of docker network create says which part of the subnet an Engine may "
                "use, and one of docker run which address a container gets.",
                f"docker network inspect -f '{{{{json .IPAM.Config}}}}' {it.guests}",
                f"--ip-range {part(it.guests_subnet, 'a')} on host-a and "
                f"--ip-range {part(it.guests_subnet, 'b')} on host-b, and so for {it.staff}; "
                f"docker run --ip {it.desk_address} for {it.desk}. A network that has containers "
                "cannot be removed: docker rm -f them first.",
            ),
        ),
    )
