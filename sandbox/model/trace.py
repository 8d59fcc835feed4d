"""What the kernel says about one packet: which rules it matched, its connection, its route.

Questions and answers are netlink messages, which ``guest/capture.py`` carries as they are.
"""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pyroute2.netlink import nla
from pyroute2.netlink.nfnetlink import nfgen_msg
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple, nfct_msg
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from sandbox.guest.netlink import HEADER, NLMSG_ERROR, messages
from sandbox.guest.nftables import TABLE
from sandbox.model import links
from sandbox.model.packet import Flow, Packet, dissect
from sandbox.model.state import ForwardingEntry, Namespace, Route, Rule

__all__ = [
    "CT_GET",
    "RTM_GETNEIGH",
    "RTM_GETROUTE",
    "Connection",
    "Match",
    "Pass",
    "Question",
    "ask_connection",
    "ask_forwarding",
    "ask_route",
    "read_connection",
    "read_forwarding",
    "read_passes",
    "read_route",
    "refusal",
]

NETLINK_ROUTE, NETLINK_NETFILTER = 0, 12
# The kinds of questions.
RTM_GETROUTE, RTM_GETNEIGH, CT_GET = 26, 30, 0x101
RTM_F_FIB_MATCH = 0x2000
AF_INET, AF_INET6, AF_BRIDGE = 2, 10, 7
NO_HARDWARE = 0xFFFE
# linux/netfilter/nf_tables.h: enum nft_verdicts, and linux/netfilter.h
VERDICTS = {
    -5: "return",
    -4: "goto",
    -3: "jump",
    -2: "break",
    -1: "continue",
    0: "drop",
    1: "accept",
    2: "stolen",
    3: "queue",
}
FAMILIES = {1: "inet", 2: "ip", 5: "netdev", 7: "bridge", 10: "ip6"}
NUMBERS = {"icmp": 1, "tcp": 6, "udp": 17, "ipv6-icmp": 58}

_TABLE = re.compile(r"table (\S+) (\S+) \{")
_CHAIN = re.compile(r"chain (\S+) \{")
_HOOK = re.compile(r"type \S+ hook (\w+)")
_HANDLE = re.compile(r"# handle (\d+)$")


@dataclass(frozen=True, slots=True)
class Question:
    """A netlink request to a namespace."""

    namespace: str
    protocol: int
    kind: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Match:
    """A rule that a packet matched, or a chain's policy.

    number: of the rule in its chain, from 1; 0 of a policy, or if the rule is gone.
    verdict: ``accept``, ``drop``, ``jump``, ``return`` …
    """

    chain: str
    number: int
    rule: Rule | None
    verdict: str
    policy: bool = False


@dataclass(frozen=True, slots=True)
class Pass:
    """A packet's way through the rules of one table at one hook.

    hook: ``prerouting``, ``input``, ``forward``, ``output``, ``postrouting``, ``ingress`` …
    ingress, egress: the interfaces that the kernel names there, or "".
    packet: as it came to the first rule.
    """

    namespace: str
    family: str
    table: str
    chain: str
    hook: str
    ingress: str
    egress: str
    packet: Packet
    matches: tuple[Match, ...]

    @property
    def verdict(self) -> str:
        """What became of the packet here: ``accept``, ``drop`` …"""
        return self.matches[-1].verdict if self.matches else "accept"

    def rule(self, *targets: str) -> Match | None:
        """The last match of a rule with one of those targets, or None."""
        found = [it for it in self.matches if it.rule and it.rule.target in targets]
        return found[-1] if found else None


@dataclass(frozen=True, slots=True)
class Connection:
    """An entry of connection tracking: who began, and how the answers look before translation."""

    original: Flow
    reply: Flow

    @property
    def translated(self) -> bool:
        """Whether answers are to be rewritten on their way back."""
        return self.reply != self.original.reversed()


class _TraceMessage(nfgen_msg):
    """NFT_MSG_TRACE (linux/netfilter/nf_tables.h: enum nft_trace_attributes)."""

    prefix = "NFTA_TRACE_"
    nla_map = (
        ("NFTA_TRACE_UNSPEC", "none"),
        ("NFTA_TRACE_TABLE", "asciiz"),
        ("NFTA_TRACE_CHAIN", "asciiz"),
        ("NFTA_TRACE_RULE_HANDLE", "be64"),
        ("NFTA_TRACE_TYPE", "be32"),
        ("NFTA_TRACE_VERDICT", "verdict"),
        ("NFTA_TRACE_ID", "be32"),
        ("NFTA_TRACE_LL_HEADER", "cdata"),
        ("NFTA_TRACE_NETWORK_HEADER", "cdata"),
        ("NFTA_TRACE_TRANSPORT_HEADER", "cdata"),
        ("NFTA_TRACE_IIF", "be32"),
        ("NFTA_TRACE_IIFTYPE", "be16"),
        ("NFTA_TRACE_OIF", "be32"),
        ("NFTA_TRACE_OIFTYPE", "be16"),
        ("NFTA_TRACE_MARK", "be32"),
        ("NFTA_TRACE_NFPROTO", "be32"),
        ("NFTA_TRACE_POLICY", "be32"),
    )

    class verdict(nla):
        nla_map = (
            ("NFTA_VERDICT_UNSPEC", "none"),
            ("NFTA_VERDICT_CODE", "sbe32"),
            ("NFTA_VERDICT_CHAIN", "asciiz"),
        )

        class sbe32(nla):
            fields = (("value", ">i"),)


POLICY, RETURN, RULE = 1, 2, 3


def read_passes(events: Iterable[str], listing: str, namespace: Namespace) -> Iterator[Pass]:
    """The passes of all packets that were traced in a namespace, in the order of the kernel.

    events: base64 of what its trace said.  listing: ``nft -a list ruleset`` there.
    """
    handles, hooks = _read_listing(listing)
    names = {interface.index: interface.name for interface in namespace.interfaces}
    rules: dict[tuple[str, str, str], list[Rule]] = {}
    for rule in namespace.rules:
        rules.setdefault((rule.family, rule.table, rule.chain), []).append(rule)
    begun: dict[int, tuple[Any, list[Match]]] = {}
    order: list[tuple[Any, list[Match]]] = []
    for event in _decoded(events):
        # While a rule answers for a packet (REJECT does), the kernel tells of the answer, too.
        packet = event.get_attr("NFTA_TRACE_ID")
        # Only the first event of a base chain has the packet's headers.
        if event.get_attr("NFTA_TRACE_NETWORK_HEADER"):
            begun[packet] = event, []
            order.append(begun[packet])
        if packet in begun:
            begun[packet][1].append(_match(event, handles, rules))
    for first, matches in order:
        family, table, chain = _place(first)
        if table == TABLE:
            continue
        frame = first.get_attr("NFTA_TRACE_NETWORK_HEADER")
        frame += first.get_attr("NFTA_TRACE_TRANSPORT_HEADER") or b""
        yield Pass(
            namespace.id,
            family,
            table,
            chain,
            hooks.get((family, table, chain), chain.lower()),
            names.get(first.get_attr("NFTA_TRACE_IIF") or 0, ""),
            names.get(first.get_attr("NFTA_TRACE_OIF") or 0, ""),
            dissect(frame, NO_HARDWARE),
            tuple(matches),
        )


def _decoded(events: Iterable[str]) -> Iterator[Any]:
    for encoded in events:
        raw = base64.b64decode(encoded)
        for offset, length, _, _ in messages(raw):
            message = _TraceMessage(raw[offset : offset + length])
            message.decode()
            yield message


def _place(event: Any) -> tuple[str, str, str]:
    family = FAMILIES.get(event["nfgen_family"], str(event["nfgen_family"]))
    return family, event.get_attr("NFTA_TRACE_TABLE"), event.get_attr("NFTA_TRACE_CHAIN")


def _match(
    event: Any,
    handles: Mapping[tuple[str, str, str], list[int]],
    rules: Mapping[tuple[str, str, str], list[Rule]],
) -> Match:
    place = _place(event)
    kind = event.get_attr("NFTA_TRACE_TYPE")
    if kind == POLICY:
        verdict = VERDICTS.get(event.get_attr("NFTA_TRACE_POLICY"), "")
        return Match(place[2], 0, None, verdict, policy=True)
    verdict = event.get_attr("NFTA_TRACE_VERDICT")
    code = VERDICTS.get(verdict.get_attr("NFTA_VERDICT_CODE"), "") if verdict else ""
    handle = event.get_attr("NFTA_TRACE_RULE_HANDLE")
    listed, own = handles.get(place, []), rules.get(place, [])
    # iptables makes one rule of nftables of each of its own, in the same order.
    at = listed.index(handle) if kind == RULE and handle in listed else -1
    rule = own[at] if 0 <= at < len(own) == len(listed) else None
    return Match(place[2], at + 1, rule, code)


def _read_listing(
    text: str,
) -> tuple[dict[tuple[str, str, str], list[int]], dict[tuple[str, str, str], str]]:
    """Handles of the rules of each chain in their order, and the hooks of the base chains."""
    handles: dict[tuple[str, str, str], list[int]] = {}
    hooks: dict[tuple[str, str, str], str] = {}
    family = table = chain = ""
    for line in map(str.strip, text.splitlines()):
        if found := _TABLE.match(line):
            family, table, chain = *found.groups(), ""
        elif found := _CHAIN.match(line):
            chain = found[1]
            handles[family, table, chain] = []
        elif line == "}":
            chain = ""
        elif chain and (found := _HOOK.match(line)):
            hooks[family, table, chain] = found[1]
        elif chain and (found := _HANDLE.search(line)):
            handles[family, table, chain].append(int(found[1]))
    return handles, hooks


def ask_connection(namespace: str, flow: Flow) -> Question:
    """What connection tracking of a namespace has about a flow, in either direction."""
    wanted: dict[str, Any] = {"proto": NUMBERS[flow.protocol]}
    if "icmp" in flow.protocol:
        request = 128 if flow.protocol == "ipv6-icmp" else 8
        wanted |= {"icmp_id": flow.source_port, "icmp_type": request, "icmp_code": 0}
    else:
        wanted |= {"sport": flow.source_port, "dport": flow.destination_port}
    family = _family(flow.source)
    message = nfct_msg.create_from(
        tuple_orig=NFCTAttrTuple(family, flow.source, flow.destination, **wanted)
    )
    message["nfgen_family"] = family
    return Question(namespace, NETLINK_NETFILTER, CT_GET, _body(message))


def read_connection(answer: str, protocol: str) -> Connection | None:
    """The answer to ``ask_connection``, or None if there is none."""
    for message in _answers(answer, nfct_msg) if not refusal(answer) else ():
        flows = [_flow(message.get_attr(f"CTA_TUPLE_{way}"), protocol) for way in ("ORIG", "REPLY")]
        return Connection(*flows)
    return None


def _flow(told: Any, protocol: str) -> Flow:
    addresses, ports = told.get_attr("CTA_TUPLE_IP"), told.get_attr("CTA_TUPLE_PROTO")
    version = "V4" if addresses.get_attr("CTA_IP_V4_SRC") else "V6"
    if "icmp" in protocol:
        kind = "ICMPV6" if protocol == "ipv6-icmp" else "ICMP"
        numbers = ports.get_attr(f"CTA_PROTO_{kind}_ID"), 0
    else:
        numbers = ports.get_attr("CTA_PROTO_SRC_PORT"), ports.get_attr("CTA_PROTO_DST_PORT")
    return Flow(
        protocol,
        addresses.get_attr(f"CTA_IP_{version}_SRC"),
        numbers[0] or 0,
        addresses.get_attr(f"CTA_IP_{version}_DST"),
        numbers[1] or 0,
    )


def ask_route(namespace: Namespace, flow: Flow, ingress: str) -> Question:
    """Which route of a namespace a packet takes. ingress: where it came in; "" if it began there.

    As ``ip route get fibmatch`` does it.
    """
    message = rtmsg()
    message["family"] = _family(flow.destination)
    message["dst_len"] = 128 if ":" in flow.destination else 32
    message["flags"] = RTM_F_FIB_MATCH
    message["attrs"] = [("RTA_DST", flow.destination)]
    interface = namespace.interface(ingress)
    if interface:
        message["src_len"] = message["dst_len"]
        message["attrs"] += [("RTA_SRC", flow.source), ("RTA_IIF", interface.index)]
    return Question(namespace.id, NETLINK_ROUTE, RTM_GETROUTE, _body(message))


def read_route(answer: str, namespace: Namespace) -> Route | None:
    """The answer to ``ask_route``; None if there is no route, or it is the namespace's own."""
    names = {interface.index: interface.name for interface in namespace.interfaces}
    return None if refusal(answer) else next(iter(links.routes(answer, names, [])), None)


def ask_forwarding(namespace: Namespace, interface: str, mac: str) -> Question | None:
    """What the forwarding table of a bridge, or of a VXLAN interface, has about an address."""
    found = namespace.interface(interface)
    if found is None:
        return None
    message = ndmsg()
    message["family"] = AF_BRIDGE
    message["attrs"] = [("NDA_LLADDR", mac)]
    if found.kind == "vxlan":
        message["ifindex"], message["flags"] = found.index, 0x02  # NTF_SELF
    else:
        message["attrs"].append(("NDA_MASTER", found.index))
    return Question(namespace.id, NETLINK_ROUTE, RTM_GETNEIGH, _body(message))


def read_forwarding(answer: str, namespace: Namespace) -> ForwardingEntry | None:
    """The answer to ``ask_forwarding``, or None if the address is not in the table."""
    names = {interface.index: interface.name for interface in namespace.interfaces}
    return None if refusal(answer) else next(iter(links.forwarding(answer, names, [])), None)


def _family(address: str) -> int:
    return AF_INET6 if ":" in address else AF_INET


def _body(message: Any) -> bytes:
    """A message without its netlink header."""
    message.encode()
    return bytes(message.data[16:])


def refusal(answer: str) -> int:
    """The errno that the kernel answered with; 0 if it is no error."""
    raw = base64.b64decode(answer)
    for offset, _, kind, _ in messages(raw):
        if kind == NLMSG_ERROR:
            return -int(struct.unpack_from("=i", raw, offset + HEADER.size)[0])
    return 0


def _answers(answer: str, kind: Any) -> Iterator[Any]:
    raw = base64.b64decode(answer)
    for offset, length, _, _ in messages(raw):
        message = kind(raw[offset : offset + length])
        message.decode()
        yield message
