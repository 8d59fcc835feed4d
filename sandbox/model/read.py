"""From what a host's agent reads (``guest/state.py``) to the model."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_interface, ip_network
from typing import TYPE_CHECKING, Literal

from sandbox.model import links
from sandbox.model.firewall.read import read_nft, read_save
from sandbox.model.state import (
    Chain,
    Container,
    Endpoint,
    HostState,
    Interface,
    InterfaceRef,
    Listener,
    Namespace,
    Network,
    Published,
    Rule,
    Subnet,
    VirtualMachine,
)

if TYPE_CHECKING:
    from sandbox.guest import state_types

__all__ = ["read_host", "unreachable"]

IPTABLES: tuple[tuple[Literal["iptables", "ip6tables"], str], ...] = (
    ("iptables", "ip"),
    ("ip6tables", "ip6"),
)
LISTENING = {"tcp": "0A", "udp": "07"}  # include/net/tcp_states.h; a bound UDP socket is "closed"
BRIDGE_NAME = "com.docker.network.bridge.name"


def read_host(name: str, address: str, raw: state_types.State) -> HostState:
    """A host's state. raw: as the agent gives it.

    Never fails on a part that it does not know; ``unread`` says which parts are missing.
    """
    engine = raw["engine"]
    listed = engine.get("containers", [])
    names = _namespace_names(name, raw, listed)
    tables = _Tables(raw["namespaces"])
    namespaces = tuple(
        _namespace(name, *names[found["inode"]], found, tables, names, raw)
        for found in raw["namespaces"]
    )
    containers = tuple(
        sorted(
            (_container(name, found, raw, names, namespaces) for found in listed),
            key=lambda container: container.name,
        )
    )
    placed = tuple(
        dataclasses.replace(
            namespace,
            containers=tuple(c.name for c in containers if c.namespace == namespace.id),
        )
        for namespace in namespaces
    )
    own = next((namespace for namespace in namespaces if namespace.kind == "host"), None)
    info = engine.get("info", {})
    swarm = info.get("Swarm") or {}
    problem = engine.get("error", "")
    return HostState(
        name=name,
        address=address,
        engine=info.get("ServerVersion", ""),
        swarm=swarm.get("LocalNodeState", ""),
        node=swarm.get("NodeAddr", ""),
        manager=bool(swarm.get("ControlAvailable")),
        networks=_networks(name, engine.get("networks", []), own, _bridges(containers, placed)),
        containers=containers,
        namespaces=tuple(sorted(placed, key=lambda it: (it.kind != "host", it.kind, it.id))),
        unread=f"the Docker Engine does not answer: {problem}" if problem else "",
        machines=_machines(name, raw, placed),
    )


def unreachable(name: str, address: str, why: str) -> HostState:
    """A host of which nothing could be read."""
    return HostState(name, address, "", "", "", False, (), (), (), why)


def _machines(
    host: str, raw: state_types.State, namespaces: Iterable[Namespace]
) -> tuple[VirtualMachine, ...]:
    spaces = {space.inode: space for space in namespaces}
    found = []
    for machine in raw.get("machines", []):
        command = tuple(machine["command"])
        options = dict(itertools.pairwise(command))
        space = spaces.get(machine["inode"])
        held = [
            interface.ref
            for interface in (space.interfaces if space else ())
            if interface.name in machine["taps"] or interface.index in machine["macvtaps"]
        ]
        found.append(
            VirtualMachine(
                host=host,
                name=options.get("-name", f"pid:{machine['pid']}").partition(",")[0],
                pid=machine["pid"],
                command=command,
                interfaces=tuple(held),
                user_mode=any(
                    option == "-netdev" and value.startswith("user")
                    for option, value in itertools.pairwise(command)
                ),
            )
        )
    return tuple(sorted(found, key=lambda machine: (machine.name, machine.pid)))


def _namespace_names(
    host: str, raw: state_types.State, listed: list[state_types.Container]
) -> dict[int, tuple[str, str]]:
    """By inode a namespace's id and kind."""
    running = sorted(
        (found for found in listed if found["State"].get("Pid")),
        # The container that owns a namespace comes before those that join it.
        key=lambda it: (_mode(it).startswith("container:"), it["Name"]),
    )
    networks = {network["Id"]: network["Name"] for network in raw["engine"].get("networks", [])}
    owners: dict[int, str] = {}
    for found in running:
        inode = _inode(found, raw)
        if inode is not None:
            owners.setdefault(inode, found["Name"].lstrip("/"))
    names = {}
    for namespace in raw["namespaces"]:
        inode = namespace["inode"]
        if namespace["own"]:
            names[inode] = (host, "host")
        elif inode in owners:
            names[inode] = (f"{host}/{owners[inode]}", "container")
        else:
            label, kind = _nameless(namespace, networks)
            names[inode] = (f"{host}/{label}", kind)
    return names


def _nameless(namespace: state_types.Namespace, networks: Mapping[str, str]) -> tuple[str, str]:
    """What to call a namespace that is no container's."""
    for path in namespace["paths"]:
        folder, _, name = path.rpartition("/")
        if name == "ingress_sbox":
            return "ingress", "ingress"
        kind, separator, start = name.partition("-" if name[:1].isdigit() else "_")
        network = next((networks[id] for id in networks if start and id.startswith(start)), None)
        if network and separator == "-":
            return f"overlay:{network}", "overlay"
        if network and kind == "lb":
            return f"lb:{network}", "lb"
        return f"netns:{name}", "named" if folder == "/run/netns" else "other"
    return f"pid:{min(namespace['pids'], default=0)}", "other"


def _mode(container: state_types.Container) -> str:
    return (container.get("HostConfig") or {}).get("NetworkMode", "")


def _inode(container: state_types.Container, raw: state_types.State) -> int | None:
    """The inode of a running container's network namespace."""
    pid = container["State"].get("Pid")
    key = (container["NetworkSettings"].get("SandboxKey") or "").rpartition("/")[2]
    for namespace in raw["namespaces"]:
        if pid in namespace["pids"]:
            return namespace["inode"]
    for namespace in raw["namespaces"]:
        if key and any(path.rpartition("/")[2] == key for path in namespace["paths"]):
            return namespace["inode"]
    return None


class _Tables:
    """The interfaces of all namespaces, by inode: an index means one within a namespace only."""

    def __init__(self, namespaces: Iterable[state_types.Namespace]) -> None:
        self.links: dict[int, dict[int, links.Link]] = {}
        self.names: dict[int, dict[int, str]] = {}
        self.problems: dict[int, list[str]] = {}
        self._nsids: dict[int, dict[str, int]] = {}
        for namespace in namespaces:
            inode = namespace["inode"]
            self._nsids[inode] = namespace.get("nsids", {})
            problems = self.problems[inode] = []
            found = links.links(namespace.get("links", ""), problems)
            self.links[inode] = {link.index: link for link in found}
            self.names[inode] = {link.index: link.name for link in found}

    def other(self, inode: int, link: links.Link) -> tuple[int, links.Link] | None:
        """The peer or parent of an interface and the inode it is in, if that was read."""
        where = inode
        if link.link_namespace is not None:
            where = self._nsids[inode].get(str(link.link_namespace), 0)
        other = self.links.get(where, {}).get(link.link)
        if other is None or (link.kind == "veth" and other.kind != "veth"):
            return None
        return where, other


def _namespace(
    host: str,
    id: str,
    kind: str,
    raw: state_types.Namespace,
    tables: _Tables,
    names: Mapping[int, tuple[str, str]],
    whole: state_types.State,
) -> Namespace:
    inode = raw["inode"]
    called = tables.names[inode]
    rules_unread = raw.get("rules_error", "")
    problems = [raw.get("error", ""), *tables.problems[inode]]
    own_addresses = links.addresses(raw.get("addresses", ""), problems)
    chains, rules = read_nft(raw.get("rules", ""))
    listeners: tuple[Listener, ...] = ()
    if kind == "host":
        chains, rules, problem = _host_rules(whole, raw.get("rules", ""))
        rules_unread = "; ".join(filter(None, (problem, rules_unread)))
        listeners = _listeners(whole.get("listeners", {}))
    return Namespace(
        id=id,
        host=host,
        kind=kind,
        inode=inode,
        containers=(),
        interfaces=tuple(
            _interface(id, inode, link, own_addresses.get(link.index, ()), tables, names)
            for link in tables.links[inode].values()
        ),
        routes=links.routes(raw.get("routes", ""), called, problems),
        neighbours=links.neighbours(raw.get("neighbours", ""), called, problems),
        forwarding=links.forwarding(raw.get("forwarding", ""), called, problems),
        chains=chains,
        rules=rules,
        listeners=listeners,
        rules_unread=rules_unread,
        # One cause may have kept everything from being read.
        unread="; ".join(dict.fromkeys(filter(None, (*problems, rules_unread)))),
    )


def _host_rules(
    whole: state_types.State, nft: str
) -> tuple[tuple[Chain, ...], tuple[Rule, ...], str]:
    """The host's rules as iptables-save writes them, then tables that only nft knows."""
    chains: list[Chain] = []
    rules: list[Rule] = []
    problems = []
    for program, family in IPTABLES:
        saved = whole.get(program, {})
        more_chains, more_rules = read_save(saved.get("text", ""), family)
        chains += more_chains
        rules += more_rules
        # Warnings, too, are on its standard error.
        if saved.get("status") or (saved.get("error") and not saved.get("text")):
            told = saved.get("error", "").strip() or f"status {saved['status']}"
            problems.append(f"{program}-save: {told}")
    known = frozenset((chain.family, chain.table) for chain in chains)
    more_chains, more_rules = read_nft(nft, known)
    return (*chains, *more_chains), (*rules, *more_rules), "; ".join(problems)


def _interface(
    namespace: str,
    inode: int,
    link: links.Link,
    addresses: tuple[str, ...],
    tables: _Tables,
    names: Mapping[int, tuple[str, str]],
) -> Interface:
    found = tables.other(inode, link)
    other = InterfaceRef(names[found[0]][0], found[1].name) if found else None
    return Interface(
        namespace=namespace,
        name=link.name,
        index=link.index,
        kind=link.kind,
        mac=link.mac,
        mtu=link.mtu,
        state=link.state,
        enabled=link.enabled,
        addresses=addresses,
        master=tables.names[inode].get(link.master, ""),
        peer=other if link.kind == "veth" else None,
        parent=other if link.kind != "veth" else None,
        mode=link.mode,
        vlan=link.vlan,
        vni=link.vni,
        port=link.port,
        carrier=link.carrier,
    )


def _listeners(tables: Mapping[str, str]) -> tuple[Listener, ...]:
    """Sockets that wait for anybody, of the texts of /proc/net/tcp and the like (proc(5))."""
    found = set()
    for name, text in tables.items():
        protocol = name.rstrip("6")
        for line in text.splitlines()[1:]:
            words = line.split()
            if len(words) < 4 or words[3] != LISTENING.get(protocol):
                continue
            address, _, port = words[1].partition(":")
            found.add(Listener(protocol, _hex_address(address), int(port, 16)))
    return tuple(sorted(found, key=lambda it: (it.protocol, it.port, it.address)))


def _hex_address(text: str) -> str:
    # Words of 32 bits in the order of the machine, which is little-endian wherever we run.
    packed = b"".join(bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, len(text), 8))
    return str(ip_address(packed))


def _bridges(containers: tuple[Container, ...], namespaces: Iterable[Namespace]) -> dict[str, str]:
    """By network the bridge that its endpoints' veths are ports of: a plugin tells nobody."""
    at = {(it.namespace, it.name): it for there in namespaces for it in there.interfaces}
    found = {}
    for container in containers:
        for endpoint in container.endpoints:
            inside = at.get((container.namespace, endpoint.interface))
            peer = inside.peer if inside else None
            outside = at.get((peer.namespace, peer.name)) if peer else None
            if outside and outside.master:
                found[endpoint.network] = outside.master
    return found


def _networks(
    host: str, listed: list[state_types.Network], own: Namespace | None, bridges: Mapping[str, str]
) -> tuple[Network, ...]:
    found = [_network(host, network, own, bridges) for network in listed]
    return tuple(sorted(found, key=lambda network: network.name))


def _network(
    host: str, raw: state_types.Network, own: Namespace | None, bridges: Mapping[str, str]
) -> Network:
    options = dict(raw.get("Options") or {})
    driver = raw["Driver"]
    carriers = {
        "bridge": (options.get(BRIDGE_NAME), f"br-{raw['Id'][:12]}"),
        "macvlan": (options.get("parent"), f"dm-{raw['Id'][:12]}"),
        "ipvlan": (options.get("parent"), f"di-{raw['Id'][:12]}"),
        "overlay": (),
    }.get(driver, (bridges.get(raw["Name"]),))
    there = [name for name in carriers if name and own and own.interface(name)]
    bridge = own.interface(there[0]) if own and there and driver == "bridge" else None
    pools = (raw.get("IPAM") or {}).get("Config") or []
    return Network(
        host=host,
        id=raw["Id"],
        name=raw["Name"],
        driver=driver,
        scope=raw.get("Scope", ""),
        subnets=tuple(
            Subnet(
                pool["Subnet"],
                pool.get("Gateway") or _address_in(pool["Subnet"], bridge),
                pool.get("IPRange", ""),
            )
            for pool in pools
            if pool.get("Subnet")
        ),
        options=options,
        internal=bool(raw.get("Internal")),
        attachable=bool(raw.get("Attachable")),
        ingress=bool(raw.get("Ingress")),
        ipv6=bool(raw.get("EnableIPv6")),
        interface=there[0] if there else "",
        peers=tuple(sorted(peer.get("IP", "") for peer in raw.get("Peers") or [])),
        services={
            name: service.get("VIP", "")
            for name, service in sorted((raw.get("Services") or {}).items())
            if name
        },
    )


def _address_in(subnet: str, bridge: Interface | None) -> str:
    """The bridge's address in that subnet: the gateway that the Engine chose and does not tell."""
    around = ip_network(subnet, strict=False)
    for address in bridge.addresses if bridge else ():
        if (found := ip_interface(address).ip) in around:
            return str(found)
    return ""


def _container(
    host: str,
    raw: state_types.Container,
    whole: state_types.State,
    names: Mapping[int, tuple[str, str]],
    namespaces: tuple[Namespace, ...],
) -> Container:
    inode = _inode(raw, whole) if raw["State"].get("Pid") else None
    id = names[inode][0] if inode is not None else ""
    namespace = next((found for found in namespaces if found.id == id), None)
    settings, config = raw["NetworkSettings"], raw["Config"]
    return Container(
        host=host,
        id=raw["Id"],
        name=raw["Name"].lstrip("/"),
        image=config.get("Image", ""),
        command=" ".join([raw.get("Path", ""), *(raw.get("Args") or [])]),
        state=raw["State"].get("Status", ""),
        hostname=config.get("Hostname", ""),
        network_mode=_mode(raw),
        namespace=id,
        endpoints=tuple(
            _endpoint(name, endpoint, namespace)
            for name, endpoint in sorted((settings.get("Networks") or {}).items())
        ),
        published=_published(settings.get("Ports") or {}),
        started=raw["State"].get("StartedAt", ""),
    )


def _endpoint(network: str, raw: state_types.Endpoint, namespace: Namespace | None) -> Endpoint:
    address = _with_length(raw.get("IPAddress"), raw.get("IPPrefixLen"))
    address6 = _with_length(raw.get("GlobalIPv6Address"), raw.get("GlobalIPv6PrefixLen"))
    mac = raw.get("MacAddress") or ""
    return Endpoint(
        network=network,
        id=raw.get("EndpointID") or "",
        address=address,
        address6=address6,
        mac=mac,
        gateway=raw.get("Gateway") or "",
        aliases=tuple(raw.get("Aliases") or ()),
        names=tuple(raw.get("DNSNames") or ()),
        interface=_endpoint_interface(address or address6, mac, namespace),
    )


def _with_length(address: str | None, length: int | None) -> str:
    return f"{address}/{length}" if address else ""


def _endpoint_interface(address: str, mac: str, namespace: Namespace | None) -> str:
    if namespace is None or namespace.kind == "host":
        return ""
    # ipvlan interfaces share one MAC, so the address decides where there is one.
    for interface in namespace.interfaces:
        if address and address in interface.addresses:
            return interface.name
    for interface in namespace.interfaces:
        if mac and interface.mac == mac:
            return interface.name
    return ""


def _published(ports: Mapping[str, list[state_types.Binding] | None]) -> tuple[Published, ...]:
    found = []
    for name, bindings in ports.items():
        port, _, protocol = name.partition("/")
        for binding in bindings or []:
            if binding.get("HostPort"):
                host_port, address = int(binding["HostPort"]), binding.get("HostIp") or "0.0.0.0"
                found.append(Published(protocol or "tcp", address, host_port, int(port)))
    return tuple(sorted(found, key=lambda it: (it.container_port, it.protocol, it.host_address)))
