"""What makes a network of a bridge on a host, whoever made it: Docker or somebody by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface, ip_network

from sandbox.model.difference import DNS_CHAINS
from sandbox.model.firewall.read import address_of, new_destination, option
from sandbox.model.firewall.words import describe
from sandbox.model.networks import namespace_beyond, peer_of
from sandbox.model.state import HostState, Interface, Namespace, Rule

__all__ = ["BridgedNetwork", "VethPair", "bridged", "parts"]

NONE = "none"
VERDICTS = ("ACCEPT", "DROP", "REJECT")


@dataclass(frozen=True, slots=True)
class VethPair:
    """A veth pair that leads from a bridge into another namespace.

    outside: the end in the bridge.  inside: the other end.  gateway: of a default route by it,
    or "".  resolves: whether an embedded DNS server answers for names there.
    """

    outside: Interface
    inside: Interface
    gateway: str
    resolves: bool


@dataclass(frozen=True, slots=True)
class BridgedNetwork:
    """A bridge of the host with what belongs to it.

    way_out: rules that translate the sources of what leaves.  way_in: those that translate
    destinations to an address behind it.  filters: rules of the tables filter and raw that
    name the bridge.  proxied: ports that a process on the host listens on for it.
    """

    bridge: Interface
    veths: tuple[VethPair, ...]
    way_out: tuple[Rule, ...]
    way_in: tuple[Rule, ...]
    filters: tuple[Rule, ...]
    proxied: tuple[int, ...]


def bridged(host: HostState, name: str) -> BridgedNetwork | None:
    """The network on the bridge of that name, or of the Docker network of that name.

    None if the host has no such bridge.
    """
    own = host.namespace
    network = host.network(name)
    bridge = own.interface(network.interface if network else name) if own else None
    if own is None or bridge is None or bridge.kind != "bridge":
        return None
    subnets = [ip_interface(it).network for it in bridge.assigned]

    def behind(address: str) -> bool:
        try:
            found = ip_address(address)
        except ValueError:
            return False
        return any(found in subnet for subnet in subnets)

    def of(rule: Rule) -> bool:
        try:
            source = ip_network(option(rule.text, "-s"))
        except ValueError:
            return False
        return any(subnet == source for subnet in subnets)

    translating = [rule for rule in own.rules if rule.table == "nat"]
    way_in = tuple(
        rule
        for rule in translating
        if rule.target == "DNAT" and behind(address_of(new_destination(rule.text)))
    )
    ports = {int(port) for rule in way_in if (port := option(rule.text, "--dport")).isdigit()}
    return BridgedNetwork(
        bridge=bridge,
        veths=tuple(_veths(host, own, bridge)),
        way_out=tuple(r for r in translating if r.target in ("MASQUERADE", "SNAT") and of(r)),
        way_in=way_in,
        filters=tuple(
            rule
            for rule in own.rules
            if rule.table in ("filter", "raw")
            and bridge.name in (option(rule.text, "-i"), option(rule.text, "-o"))
        ),
        proxied=tuple(sorted(ports & {it.port for it in own.listeners})),
    )


def _veths(host: HostState, own: Namespace, bridge: Interface) -> list[VethPair]:
    veths = []
    for port in own.interfaces:
        end, namespace = peer_of(host, port), namespace_beyond(host, port)
        if port.master != bridge.name or end is None or namespace is None:
            continue
        gateway = next(
            (
                route.gateway
                for route in namespace.routes
                if (route.destination, route.interface) == ("default", end.name)
            ),
            "",
        )
        resolves = any(rule.chain in DNS_CHAINS for rule in namespace.rules)
        veths.append(VethPair(port, end, gateway, resolves))
    return sorted(veths, key=lambda it: it.inside.assigned)


def parts(network: BridgedNetwork) -> dict[str, str]:
    """What there is of each part of a network, in words, or ``none``.

    The bridge's own name is written as ``BRIDGE``, so that two networks can be compared.
    """
    bridge, veths = network.bridge, network.veths

    def told(rules: tuple[Rule, ...]) -> str:
        return "; ".join(describe(rule).replace(bridge.name, "BRIDGE") for rule in rules)

    def counted(table: str) -> str:
        targets = Counter(rule.target for rule in network.filters if rule.table == table)
        return ", ".join(f"{targets[it]} {it}" for it in VERDICTS if targets[it])

    found = {
        "bridge": f"{bridge.status}, {', '.join(bridge.assigned) or 'no address'}",
        "veth pairs into namespaces": str(len(veths)) if veths else "",
        "addresses inside": ", ".join(a for pair in veths for a in pair.inside.assigned),
        "default gateway inside": ", ".join(sorted({pair.gateway for pair in veths} - {""})),
        "NAT on the way out": told(network.way_out),
        "NAT on the way in": told(network.way_in),
        "rules in filter": counted("filter"),
        "rules in raw": counted("raw"),
        "proxy on the host": ", ".join(f"port {port}" for port in network.proxied),
        "names answered inside": "yes" if any(pair.resolves for pair in veths) else "",
    }
    return {name: text or NONE for name, text in found.items()}
