"""A snapshot made by hand: two hosts with one of everything that a picture has to show."""

from sandbox.model.state import (
    Container,
    Endpoint,
    ForwardingEntry,
    HostState,
    Interface,
    InterfaceRef,
    Namespace,
    Network,
    Published,
    Route,
    Snapshot,
    Subnet,
    VirtualMachine,
)


def interface(namespace, name, index, kind="veth", *, addresses=(), **more):
    """An interface that is up; its MAC follows from its number."""
    given = {"mac": f"02:42:ac:11:00:{index:02x}", "mtu": 1500, "state": "UP", "enabled": True}
    return Interface(
        namespace=namespace,
        name=name,
        index=index,
        kind=kind,
        addresses=tuple(addresses),
        **{**given, **more},
    )


def default_route(gateway, device="eth0"):
    return Route("default", gateway, device, "", "unicast", "boot", "global", 0)


def network(host, name, driver, subnet="", **more):
    subnets = (Subnet(subnet, subnet.rsplit(".", 1)[0] + ".1"),) if subnet else ()
    given = {"id": (name.encode().hex() * 12)[:64], "scope": "local", "options": {}}
    return Network(host=host, name=name, driver=driver, subnets=subnets, **{**given, **more})


def endpoint(name, address, device="eth0", **more):
    given = {
        "id": "e" * 64,
        "address6": "",
        "mac": "02:42:ac:11:00:02",
        "aliases": (),
        "names": (),
        "gateway": address.rsplit(".", 1)[0] + ".1" if address else "",
    }
    return Endpoint(network=name, address=address, interface=device, **{**given, **more})


def container(host, name, endpoints=(), *, state="running", mode="bridge", **more):
    given = {
        "id": (name.encode().hex() * 32)[:64],
        "image": "toolbox",
        "command": "serve",
        "hostname": name,
        "namespace": f"{host}/{name}" if state == "running" else "",
    }
    return Container(
        host=host,
        name=name,
        state=state,
        network_mode=mode,
        endpoints=tuple(endpoints),
        **{**given, **more},
    )


class Host:
    """Collects a host's parts; plug() wires a container to a bridge by a veth pair."""

    def __init__(self, name, address, veth="veth0a1b2c3"):
        self.name, self.address = name, address
        self.networks, self.containers = [], []
        self.interfaces = {name: [interface(name, "lo", 1, "loopback")]}
        self.kinds = {name: ("host", ())}
        self.routes = {name: [default_route("198.18.0.1")]}
        self.forwarding = {}
        self.index, self.veth = 1, veth
        self.link(name, "eth0", "", addresses=(f"{address}/24",), mtu=1450)

    def link(self, namespace, name, kind, **more):
        self.index += 1
        self.interfaces.setdefault(namespace, []).append(
            interface(namespace, name, self.index, kind, **more)
        )

    def bridge(self, name, driver="bridge", subnet="", device="", **more):
        self.networks.append(network(self.name, name, driver, subnet, interface=device, **more))
        if driver == "bridge":
            gateway = f"{subnet.rsplit('.', 1)[0]}.1/{subnet.partition('/')[2]}"
            self.link(self.name, device, "bridge", addresses=(gateway,))

    def space(self, space, kind, containers=()):
        self.kinds[space] = kind, tuple(containers)
        self.interfaces.setdefault(space, []).append(interface(space, "lo", 1, "loopback"))

    def plug(self, space, device, address, bridge, outer=None):
        outer = outer or self.name
        end = f"{self.veth[:-2]}{self.index:02x}"
        self.link(
            space,
            device,
            "veth",
            addresses=(address,) if address else (),
            peer=InterfaceRef(outer, end),
        )
        self.link(outer, end, "veth", master=bridge, peer=InterfaceRef(space, device))

    def run(self, name, *places, published=(), state="running", mode="bridge"):
        """places: (network, address, device, bridge); no bridge wires nothing."""
        ends = [endpoint(where, address, device) for where, address, device, _ in places]
        space = f"{self.name}/{name}"
        self.containers.append(
            container(self.name, name, ends, state=state, mode=mode, published=tuple(published))
        )
        if state == "running":
            self.space(space, "container", [name])
        for _, address, device, bridge in places:
            if bridge:
                self.plug(space, device, address, bridge)

    def state(self, **more):
        given = {
            "engine": "28.5.2",
            "swarm": "inactive",
            "node": "",
            "manager": False,
            "unread": "",
        }
        spaces = tuple(
            Namespace(
                id=space,
                host=self.name,
                kind=kind,
                inode=4026531840 + number,
                containers=containers,
                interfaces=tuple(self.interfaces.get(space, ())),
                routes=tuple(self.routes.get(space, ())),
                forwarding=tuple(self.forwarding.get(space, ())),
            )
            for number, (space, (kind, containers)) in enumerate(self.kinds.items())
        )
        return HostState(
            name=self.name,
            address=self.address,
            networks=tuple(self.networks),
            containers=tuple(self.containers),
            namespaces=spaces,
            **{**given, **more},
        )


PUBLISHED = Published("tcp", "0.0.0.0", 8080, 80), Published("tcp", "::", 8080, 80)


def lesson(*, client=True, veth="veth0a1b2c3", shop_id="323322e22ed2", state=True):
    """Two hosts as in a typical lesson: three containers and two networks on each."""
    hosts = []
    for name, address in (("host-a", "198.18.0.11"), ("host-b", "198.18.0.12")):
        host = Host(name, address, veth)
        host.bridge("bridge", subnet="172.17.0.0/16", device="docker0")
        host.bridge("shop", subnet="172.18.0.0/24", device=f"br-{shop_id}")
        host.networks += [network(name, "host", "host"), network(name, "none", "null")]
        host.run("api", ("shop", "172.18.0.3/24", "eth0", f"br-{shop_id}"), mode="shop")
        if client:
            host.run("client", ("bridge", "172.17.0.3/16", "eth0", "docker0"))
        host.run(
            "web",
            ("bridge", "172.17.0.2/16", "eth0", "docker0"),
            ("shop", "172.18.0.2/24", "eth1", f"br-{shop_id}"),
            published=PUBLISHED,
        )
        hosts.append(host.state())
    return Snapshot(taken=1.0, lan="198.18.0.0/24", hosts=tuple(hosts))


def everything():
    """One of everything: each driver, each way to have or share a namespace."""
    a, b = Host("host-a", "198.18.0.11"), Host("host-b", "198.18.0.12", "veth9f8e7d6")
    for host in (a, b):
        host.bridge("bridge", subnet="172.17.0.0/16", device="docker0")
        host.networks += [network(host.name, "host", "host"), network(host.name, "none", "null")]
        overlay(host, (b if host is a else a).address)
    a.bridge("shop", subnet="172.18.0.0/24", device="br-323322e22ed2")
    a.link(
        "host-a", "eth0.10", "vlan", vlan=10, parent=InterfaceRef("host-a", "eth0"), addresses=()
    )
    a.bridge("wire10", "macvlan", "10.10.0.0/24", "eth0.10", options={"parent": "eth0.10"})
    a.run(
        "web",
        ("bridge", "172.17.0.2/16", "eth0", "docker0"),
        ("shop", "172.18.0.2/24", "eth1", "br-323322e22ed2"),
        published=[*PUBLISHED, Published("udp", "127.0.0.1", 5353, 53)],
    )
    a.run("db", ("shop", "172.18.0.3/24", "eth0", "br-323322e22ed2"), mode="shop")
    a.containers.append(
        container("host-a", "sidecar", mode="container:web", namespace="host-a/web")
    )
    a.kinds["host-a/web"] = "container", ("sidecar", "web")
    a.containers.append(
        container("host-a", "agent", [endpoint("host", "", "")], mode="host", namespace="host-a")
    )
    a.run("lonely", ("none", "", "", ""), mode="none")
    a.run("old", ("bridge", "", "", ""), state="exited")
    a.run("lan-client", ("wire10", "10.10.0.2/24", "eth0", ""), mode="wire10")
    a.link(
        "host-a/lan-client",
        "eth0",
        "macvlan",
        mode="bridge",
        addresses=("10.10.0.2/24",),
        parent=InterfaceRef("host-a", "eth0.10"),
    )
    a.space("host-a/netns:blue", "named")
    a.plug("host-a/netns:blue", "veth-blue", "172.17.0.99/16", "docker0")
    a.link("host-a", "tap0", "tun", master="docker0")
    b.bridge("l3", "ipvlan", "10.30.0.0/24", "eth0", options={"ipvlan_mode": "l3"})
    b.run("routed", ("l3", "10.30.0.2/24", "eth0", ""), mode="l3")
    b.link(
        "host-b/routed",
        "eth0",
        "ipvlan",
        mode="l3",
        addresses=("10.30.0.2/24",),
        parent=InterfaceRef("host-b", "eth0"),
    )
    a.run("task1", ("mesh", "10.0.1.3/24", "eth0", ""), mode="mesh")
    b.run("task2", ("mesh", "10.0.1.4/24", "eth0", ""), mode="mesh")
    a.plug("host-a/task1", "eth0", "10.0.1.3/24", "br0", "host-a/overlay:mesh")
    b.plug("host-b/task2", "eth0", "10.0.1.4/24", "br0", "host-b/overlay:mesh")
    swarm = {"swarm": "active", "manager": True}
    qemu = VirtualMachine(
        "host-a", "vm", 42, ("qemu-system-x86_64", "-name", "vm"), (InterfaceRef("host-a", "tap0"),)
    )
    hosts = (
        a.state(node=a.address, machines=(qemu,), **swarm),
        b.state(node=b.address, swarm="active"),
    )
    return Snapshot(taken=1.0, lan="198.18.0.0/24", hosts=hosts)


def overlay(host, remote):
    """A VXLAN network with its own namespace on host."""
    host.networks.append(
        network(
            host.name,
            "mesh",
            "overlay",
            "10.0.1.0/24",
            scope="swarm",
            attachable=True,
            peers=(host.address, remote),
            options={"com.docker.network.driver.overlay.vxlanid_list": "4097"},
        )
    )
    space = f"{host.name}/overlay:mesh"
    host.space(space, "overlay")
    host.link(space, "br0", "bridge", addresses=("10.0.1.1/24",), mtu=1450)
    host.link(space, "vxlan0", "vxlan", master="br0", vni=4097, port=4789, mtu=1450)
    host.forwarding[space] = [
        ForwardingEntry("02:42:0a:00:01:04", "vxlan0", "br0", remote, None, True)
    ]


def many(count):
    """One host with count containers on one bridge."""
    host = Host("host-a", "198.18.0.11")
    host.bridge("bridge", subnet="172.17.0.0/16", device="docker0")
    for number in range(count):
        address = f"172.17.{number // 250}.{number % 250 + 2}/16"
        host.run(f"c{number:03}", ("bridge", address, "eth0", "docker0"))
    return Snapshot(taken=1.0, lan="198.18.0.0/24", hosts=(host.state(),))
