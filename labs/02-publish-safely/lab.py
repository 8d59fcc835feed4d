"""Three services, three audiences: the address that a port is published on, and a rule."""

from dataclasses import dataclass

from sandbox.hosts.plan import address
from sandbox.labs import (
    Draw,
    Task,
    check,
    firewall_drops,
    isolated,
    published,
    reaches,
    runs,
    source_seen,
)

TITLE = "Publish ports for those who need them"
HOSTS = 3
MINUTES = 30
OWN = address("host-a")


@dataclass(frozen=True)
class Facts:
    admin: str
    office: str
    shop: str
    admin_port: int
    office_port: int
    shop_port: int
    partner_port: int
    barred: str
    welcome: str


def scenario(draw: Draw) -> Facts:
    barred, welcome = draw.sample(("host-b", "host-c"), 2)
    return Facts(
        admin=f"admin-{draw.word()}",
        office=f"office-{draw.word()}",
        shop=f"shop-{draw.word()}",
        admin_port=draw.port(),
        office_port=draw.port(),
        shop_port=draw.port(),
        partner_port=draw.port(),
        barred=barred,
        welcome=welcome,
    )


def story(it: Facts) -> str:
    return f"""
Three services are to run on **host-a**. Each is a container of the image `toolbox`, whose server
listens on port 80, and each has an audience of its own:

- `{it.admin}`: programs on host-a itself, which call `127.0.0.1:{it.admin_port}`. At host-a's
  address on the LAN, `{OWN}`, nothing answers at this port.
- `{it.office}`: the LAN, which calls `{OWN}:{it.office_port}`. On host-a's loopback address another
  program will need this port, so nothing answers there.
- `{it.shop}`: everybody, at port {it.shop_port} of every address of host-a. It sees the true
  address of who calls from the LAN.

**{it.barred}** has sent `{it.shop}` too many requests. Drop what it sends there, by a rule in the
chain `DOCKER-USER` of host-a; {it.welcome} still gets its answers. {it.barred} is barred from
`{it.shop}` and from nothing else: it goes on calling `{it.office}`, and containers on host-a go on
calling the container `partner`, which runs on {it.barred} already and is published at port
{it.partner_port} there.
"""


def setup(it: Facts) -> list[tuple[str, str]]:
    return [
        (it.barred[-1], f"docker run -d --name partner -p {it.partner_port}:80 toolbox"),
    ]


def tasks(it: Facts) -> tuple[Task, ...]:
    theirs = address(it.barred)
    return (
        check(
            f"Publish {it.admin} for host-a alone",
            20,
            runs(it.admin, host="a", image="toolbox"),
            published("a", it.admin_port, by=it.admin, on="127.0.0.1"),
            hints=(
                "A port is published on an address, and without one on every address.",
                "The option -p of docker run takes ADDRESS:PORT:PORT as well as PORT:PORT.",
                f"docker port {it.admin} shows the address that a port is published on.",
                f"docker run -d --name {it.admin} -p 127.0.0.1:{it.admin_port}:80 toolbox",
            ),
        ),
        check(
            f"Publish {it.office} at host-a's LAN address alone",
            20,
            runs(it.office, host="a", image="toolbox"),
            published("a", it.office_port, by=it.office, on=OWN),
            reaches(it.welcome, OWN, tcp=it.office_port, by=it.office),
            hints=(
                "It is the same option, with another address.",
                "Only an address that host-a has can be published on.",
                f"docker port {it.office}; ss -ltn 'sport = :{it.office_port}'",
                f"docker run -d --name {it.office} -p {OWN}:{it.office_port}:80 toolbox",
            ),
        ),
        check(
            f"Publish {it.shop} at every address",
            15,
            runs(it.shop, host="a", image="toolbox"),
            reaches("host-a", "127.0.0.1", tcp=it.shop_port, by=it.shop),
            reaches("host-a", OWN, tcp=it.shop_port, by=it.shop),
            reaches(it.welcome, OWN, tcp=it.shop_port, by=it.shop),
            source_seen(it.welcome, OWN, is_=it.welcome, tcp=it.shop_port),
            hints=(
                "This is what docker run does with a port and no address.",
                f"Does it answer on host-a at 127.0.0.1 and at {OWN}, and on {it.welcome}?",
                f"curl -m 3 http://{OWN}:{it.shop_port} on {it.welcome}, and docker port {it.shop}",
                f"docker run -d --name {it.shop} -p {it.shop_port}:80 toolbox",
            ),
        ),
        check(
            f"Drop what {it.barred} sends to {it.shop}",
            25,
            firewall_drops(it.barred, "host-a", tcp=it.shop_port, chain="DOCKER-USER"),
            reaches(it.welcome, OWN, tcp=it.shop_port, by=it.shop),
            hints=(
                "In DOCKER-USER a packet has its new destination already: the container's port is "
                "80, whatever was called.",
                "The module conntrack of iptables remembers the port that was called.",
                "iptables -vnL DOCKER-USER counts what each rule matched; "
                f'sandbox.journey("{it.barred}", "host-a", tcp={it.shop_port}) says where the '
                "packet ends.",
                f"iptables -I DOCKER-USER -s {theirs} -p tcp -m conntrack "
                f"--ctorigdstport {it.shop_port} -j DROP",
            ),
        ),
        check(
            f"Leave {it.barred} everything else",
            20,
            isolated(it.barred, "host-a", tcp=it.shop_port),
            reaches(it.barred, OWN, tcp=it.office_port, by=it.office),
            reaches(it.shop, theirs, tcp=it.partner_port, by="partner"),
            hints=(
                f"Which packets come from {it.barred}, besides its requests to {it.shop}?",
                f"What partner answers comes from {it.barred} too, and passes DOCKER-USER; so do "
                f"requests to {it.office}. The rule has to say more than a source.",
                f"docker exec {it.shop} curl -m 3 http://{theirs}:{it.partner_port} on host-a; "
                "iptables -S DOCKER-USER",
                f"iptables -F DOCKER-USER; iptables -I DOCKER-USER -s {theirs} -p tcp -m conntrack "
                f"--ctorigdstport {it.shop_port} -j DROP",
            ),
        ),
    )
