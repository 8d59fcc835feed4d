"""Break-fix: one of twelve things is to be named and repaired, and nothing else touched."""

from dataclasses import dataclass
from ipaddress import IPv4Network

from sandbox.hosts.plan import address
from sandbox.labs import (
    Condition,
    Draw,
    Scene,
    Task,
    answered,
    check,
    holds,
    nothing_else_changed,
    reaches,
)

TITLE = "Find what is broken, and repair that alone"
HOSTS = 2
MINUTES = 40
SECONDS = 240
OWN, FAR = address("host-a"), address("host-b")
BIG = 200_000
QUESTION = "What is broken? Write the word in front of the cause"

# The words that a learner answers with, and what each means.
CAUSES = {
    "forward": "a rule drops what host-a forwards to a network",
    "mtu": "host-a sends smaller packets to host-b than the path takes, and hears no complaint",
    "overlap": "a network of Docker's overlaps one that the hosts share",
    "gateway": "a container has a wrong default gateway",
    "rp_filter": "the kernel drops what comes in by another interface than answers leave by",
    "masquerade": "nothing replaces a network's addresses on the way out",
    "dns": "a container asks the wrong DNS server",
    "network": "a container is on another network than the one that it needs",
    "address": "a port is published on the wrong address",
    "vxlan": "packets between the hosts' VTEPs are dropped",
    "port": "a container's veth is a port of no bridge",
    "dockerd": "the Engine of host-b does not run",
}


@dataclass(frozen=True)
class Facts:
    fault: str
    shop: str
    span: str
    web: str
    client: str
    api: str
    left: str
    right: str
    subnet: IPv4Network
    wire: IPv4Network
    port: int
    api_port: int
    tag: int


def scenario(draw: Draw) -> Facts:
    return drawn(draw, draw.choice(list(CAUSES)))


def drawn(draw: Draw, fault: str) -> Facts:
    return Facts(
        fault=fault,
        shop=f"shop-{draw.word()}",
        span=f"span-{draw.word()}",
        web=f"web-{draw.word()}",
        client=f"client-{draw.word()}",
        api=f"api-{draw.word()}",
        left=f"left-{draw.word()}",
        right=f"right-{draw.word()}",
        subnet=draw.subnet(),
        wire=draw.subnet(),
        port=draw.port(),
        api_port=draw.port(),
        tag=draw.host_number(),
    )


def story(it: Facts) -> str:
    causes = "\n".join(f"| `{word}` | {cause} |" for word, cause in CAUSES.items())
    return f"""
Everything below worked a minute ago. One thing has been broken since, and one only.

- On **host-a**, `{it.web}` and `{it.client}` are on the network `{it.shop}` with the subnet
  `{it.subnet}`, and the server of `{it.web}` is published at port {it.port} of every address.
- On **host-b** runs `{it.api}`, published at port {it.api_port}.
- The hosts are a swarm, host-a its manager. On its overlay `{it.span}` are `{it.left}` on host-a
  and `{it.right}` on host-b.
- Between the hosts there is a second wire, VLAN {it.tag}: `{it.wire[11]}` is host-a on it, and
  `{it.wire[12]}` host-b.

Find out which calls fail, and why. Write the cause down in one word, repair it, and change nothing
else.

| word | cause |
| --- | --- |
{causes}
"""


def setup(it: Facts) -> list[tuple[str, str]]:
    wire = (
        f"ip link add link eth0 name eth0.{it.tag} type vlan id {it.tag}\n"
        f"ip addr add {{}}/24 dev eth0.{it.tag}\nip link set eth0.{it.tag} up"
    )
    run = "docker run -d --restart unless-stopped"
    return [
        (
            "a",
            f"docker swarm init --advertise-addr {OWN} > /dev/null\n"
            "mkdir -p /run/handout; docker swarm join-token -q worker > /run/handout/token\n"
            f"busybox httpd -p {OWN}:{it.port} -h /run/handout\n" + wire.format(it.wire[11]),
        ),
        (
            "b",
            f"token=$(curl -sf -m 10 http://{OWN}:{it.port}/token)\n"
            f"docker swarm join --token $token {OWN}:2377\n"
            + wire.format(it.wire[12])
            + "\n"
            + _until("docker network inspect docker_gwbridge | grep -q ingress-sbox"),
        ),
        (
            "a",
            "pkill -f '[b]usybox httpd'; rm -r /run/handout\n"
            f"docker network create --subnet {it.subnet} {it.shop}\n"
            f"docker network create -d overlay --attachable {it.span}\n"
            f"{run} --name {it.web} --network {it.shop} -p {it.port}:80 toolbox\n"
            f"{run} --name {it.client} --network {it.shop} toolbox sleep infinity\n"
            f"{run} --name {it.left} --network {it.span} toolbox sleep infinity\n"
            f"docker exec {it.web} sh -c 'head -c {BIG} /dev/zero > /srv/big'",
        ),
        (
            "b",
            f"{run} --name {it.api} -p {it.api_port}:80 toolbox\n"
            f"{run} --name {it.right} --network {it.span} toolbox || docker start {it.right}\n"
            + _serves(it.right),
        ),
        ("a", _until(f"docker exec {it.left} curl -sf -m 2 http://{it.right} > /dev/null")),
    ]


def _until(command: str, seconds: int = 60) -> str:
    return f"timeout {seconds} sh -c 'until {command}; do sleep 0.3; done'"


def _serves(name: str) -> str:
    return _until(f"docker exec {name} curl -sf -m 2 http://127.0.0.1")


def _comes_back(name: str) -> str:
    # dockerd starts a container of an overlay once. It waits 20 s for the manager and 20 s more for
    # it to admit the container (moby, daemon/cluster: cluster.go, networks.go), which on a busy
    # machine may be too little.
    start = f"docker start {name} > /dev/null 2>&1; false"
    return _until(f"docker exec {name} curl -sf -m 2 http://127.0.0.1 || {{ {start}; }}", 100)


def _bridge(it: Facts) -> str:
    return f"br-$(docker network inspect -f '{{{{slice .Id 0 12}}}}' {it.shop})"


def _inside(name: str) -> str:
    return f"nsenter -n -t $(docker inspect -f '{{{{.State.Pid}}}}' {name})"


def _veth(name: str) -> str:
    return (
        f'$(ip -o link | sed -n "s/^$(docker exec {name} cat /sys/class/net/eth0/iflink): '
        '\\([^@]*\\)@.*/\\1/p")'
    )


def _resolver(it: Facts, old: str, new: str) -> str:
    # The file is a mount of its own, which sed -i could not replace.
    edit = f"sed s/{old}/{new}/ /etc/resolv.conf > /tmp/new; cat /tmp/new > /etc/resolv.conf"
    return f"docker exec {it.client} sh -c '{edit}'"


def _web(it: Facts, published: str) -> str:
    return (
        f"docker rm -f {it.web} > /dev/null\n"
        f"docker run -d --restart unless-stopped --name {it.web} --network {it.shop}"
        f" -p {published} toolbox\n"
        f"docker exec {it.web} sh -c 'head -c {BIG} /dev/zero > /srv/big'"
    )


def breaks(it: Facts) -> tuple[str, str, str]:
    """Where the fault is, what makes it, and its reference repair."""
    masquerade = f"POSTROUTING -s {it.subnet} ! -o {_bridge(it)} -j MASQUERADE"
    needed = "OUTPUT -p icmp --icmp-type fragmentation-needed -j DROP"
    forward = f"-o {_bridge(it)} -p tcp --dport 80 -j DROP"
    vxlan = "INPUT -p udp --dport 4789 -j DROP"
    gateway = f"{_inside(it.client)} ip route replace default via"
    filtering = "sysctl -qw net.ipv4.conf.eth0.rp_filter="
    plug = f"ip link set {_veth(it.web)}"
    return {
        "forward": ("a", f"iptables -I FORWARD {forward}", f"iptables -D FORWARD {forward}"),
        "mtu": (
            "a",
            f"ip route add {FAR} dev eth0 mtu lock 1400; iptables -I {needed}",
            f"ip route del {FAR} dev eth0; iptables -D {needed}",
        ),
        "overlap": (
            "a",
            f"docker network create --subnet {it.wire[12]}/30 old-{it.shop}",
            f"docker network rm old-{it.shop}",
        ),
        "gateway": ("a", f"{gateway} {it.subnet[254]}", f"{gateway} {it.subnet[1]}"),
        "rp_filter": ("a", f"{filtering}1", f"{filtering}0"),
        "masquerade": ("a", f"iptables -t nat -D {masquerade}", f"iptables -t nat -A {masquerade}"),
        "dns": (
            "a",
            _resolver(it, "127.0.0.11", "192.0.2.53"),
            _resolver(it, "192.0.2.53", "127.0.0.11"),
        ),
        "network": (
            "a",
            f"docker network disconnect {it.shop} {it.client}; "
            f"docker network connect bridge {it.client}",
            f"docker network disconnect bridge {it.client}; "
            f"docker network connect {it.shop} {it.client}",
        ),
        "address": ("a", _web(it, f"127.0.0.1:{it.port}:80"), _web(it, f"{it.port}:80")),
        "vxlan": ("b", f"iptables -I {vxlan}", f"iptables -D {vxlan}"),
        "port": ("a", f"{plug} nomaster", f"{plug} master {_bridge(it)}"),
        "dockerd": ("b", "service docker stop", f"service docker start\n{_comes_back(it.right)}"),
    }[it.fault]


def fault(it: Facts) -> list[tuple[str, str]]:
    host, lines, _ = breaks(it)
    return [(host, lines)]


def questions(_it: Facts) -> tuple[str, ...]:
    return (QUESTION,)


def _fetched(place: str, command: str, wanted: str) -> Condition:
    def fn(scene: Scene) -> tuple[bool, str]:
        result = scene.hosts[place].run(command, timeout=20)
        said = (result.stderr or result.stdout).strip().rpartition("\n")[2]
        return result.code == 0, said or "it succeeds"

    return holds(wanted, fn, places=[place])


def calls(it: Facts) -> tuple[Condition, ...]:
    """What works when nothing is broken."""
    url = f"http://{OWN}:{it.port}"
    return (
        reaches(it.client, it.web, tcp=80, by=it.web),
        _by_name(it),
        reaches(it.client, FAR, tcp=it.api_port, by=it.api),
        reaches("host-b", OWN, tcp=it.port, by=it.web),
        _fetched(
            "host-b",
            f"curl -sS -m 5 -o /dev/null {url}/big",
            f"host-b fetches {BIG // 1000} kB at port {it.port} of host-a",
        ),
        _fetched(
            "host-b",
            f"curl -sS -m 4 -o /dev/null --interface {it.wire[12]} {url}",
            f"host-b reaches port {it.port} of host-a under its address {it.wire[12]}, too",
        ),
        reaches(it.left, it.right, tcp=80, by=it.right),
    )


def _by_name(it: Facts) -> Condition:
    def fn(scene: Scene) -> tuple[bool, str]:
        answer = scene.attempt(it.client, it.web, tcp=80)
        return answer.arrived, str(answer)

    return holds(f"{it.client} calls {it.web} by its name", fn, places=[it.client, it.web])


# Regular expressions for what a repair cannot leave as it was: what is made anew has other ids,
# addresses and interfaces.
def _unavoidable(it: Facts) -> tuple[str, ...]:
    if it.fault == "dockerd":
        # An Engine that starts makes its networks anew.
        return (it.api, it.right, it.span, "ingress", "veth", "network bridge:", "docker0 has MAC")
    anew = {
        "address": (it.web,),
        "gateway": (it.client,),
        "network": (it.client,),
        "dns": (it.client,),
        "port": (it.web,),
    }.get(it.fault, ())
    # A container started anew has a new veth, whose rules name its address.
    return (*anew, *(("veth", rf"{it.subnet[0]}".removesuffix("0")) if anew else ()))


def tasks(it: Facts) -> tuple[Task, ...]:
    whole = calls(it)
    return (
        check(
            "Name what is broken",
            40,
            answered(QUESTION, it.fault),
            hints=(
                "Which calls fail, and what do they have in common?",
                "Go along the path of a call that fails: name, route, bridge, firewall, NAT, the "
                "other host.",
                f'sandbox.journey("host-a/{it.client}", "host-b/{it.api}", tcp=80) and others like '
                "it show where a packet ends; sandbox.lessons.decision_tree() has a command for "
                "each step.",
                f"It is {it.fault}: {CAUSES[it.fault]}.",
            ),
        ),
        check(
            "Repair it, so that every call works",
            40,
            *whole,
            hints=(
                "Undo the cause, not what it leads to.",
                f"It is on host-{breaks(it)[0]}.",
                "lab.check() says which call still fails.",
                breaks(it)[2],
            ),
        ),
        check(
            "Leave everything else as it was",
            20,
            nothing_else_changed(*_unavoidable(it)),
            *whole,
            hints=(
                "What did you try that did not help? Take it back.",
                "sandbox.topology() marks what changed.",
                "lab.check() lists what is not as before.",
                "Start over, and do only the repair.",
            ),
        ),
    )
