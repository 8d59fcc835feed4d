"""Journeys from frames that scapy makes, on a snapshot made by hand; no engine."""

import base64
import dataclasses
import socket
import struct
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

import sandbox
from sandbox.guest import bpf, probe
from sandbox.hosts.journey import journey
from sandbox.model.follow import follow
from sandbox.model.journey import Evidence, Probe, Sent, Sight
from sandbox.model.packet import Flow, dissect
from sandbox.model.state import InterfaceRef, Route, Rule
from sandbox.model.trace import Match, Pass
from sandbox.views.journey import Journey, acted, notes, on_the_way
from sandbox.views.journeys import Journeys
from tests.unit import snapshots

ISN, COOKIE = 0x1A2B3C4D, b"0123456789abcdef"
IN, OTHER, OUT = 0, 3, 4
SNAPSHOT = snapshots.everything()


# With both addresses named, scapy asks nobody on this machine's network for one.
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


def syn(source, destination, *, sport=43210, dport=80, isn=ISN, ttl=64, flags="S", ack=0):
    return (
        ETHER
        / IP(src=source, dst=destination, ttl=ttl)
        / TCP(sport=sport, dport=dport, seq=isn, ack=ack, flags=flags)
    )


def back(frame, flags="SA"):
    ip, tcp = frame[IP], frame[TCP]
    return syn(ip.dst, ip.src, sport=tcp.dport, dport=tcp.sport, isn=99, ack=ISN + 1, flags=flags)


def sights(*seen):
    """seen: (namespace, interface, kind, frame), a microsecond apart."""
    return [
        Sight(
            space, name, kind, 1_000_000 + 1000 * number, None, bytes(frame), dissect(bytes(frame))
        )
        for number, (space, name, kind, frame) in enumerate(seen)
    ]


def told(
    seen,
    *,
    protocol="tcp",
    address="172.18.0.3",
    port=80,
    outcome="connected",
    source="host-a/web",
    sent="172.18.0.2",
    passes=None,
    virtual=None,
):
    probe = Probe(source, address, protocol, address, port, 16, COOKIE, ISN)
    evidence = Evidence(tuple(seen), passes or {}, {}, virtual or {})
    sent_from = Sent(outcome, "", sent, 43210)
    return follow(probe, sent_from, SNAPSHOT, evidence, lambda asked: [""] * len(asked))


def hops(passage):
    return [(hop.leg, hop.namespace, hop.interface, hop.direction) for hop in passage.hops]


FRAME = syn("172.18.0.2", "172.18.0.3")
BRIDGED = sights(
    ("host-a/web", "eth1", OUT, FRAME),
    ("host-a", "veth0a1b209", OTHER, FRAME),
    ("host-a", "veth0a1b20b", OUT, FRAME),
    ("host-a/db", "eth0", IN, FRAME),
    ("host-a/db", "eth0", OUT, back(FRAME)),
    ("host-a", "veth0a1b20b", OTHER, back(FRAME)),
    ("host-a", "veth0a1b209", OUT, back(FRAME)),
    ("host-a/web", "eth1", IN, back(FRAME)),
)
WHOLE = told(BRIDGED)
FOREIGN = sights(
    ("host-a/web", "eth1", OUT, syn("172.18.0.2", "172.18.0.3", isn=7, sport=5)),
    ("host-a/db", "eth0", OUT, back(syn("172.18.0.2", "172.18.0.3", sport=5)) / Raw(b"x")),
    ("host-a", "veth0a1b20b", OUT, ETHER / ARP(psrc="172.18.0.9", pdst="172.18.0.3")),
    ("host-a/db", "eth0", IN, ETHER / IP(dst="172.18.0.3") / UDP(sport=43210, dport=80)),
)
# An answer to somebody else's connection is no answer to this one.
FOREIGN[1] = dataclasses.replace(
    FOREIGN[1], packet=dissect(bytes(syn("172.18.0.3", "172.18.0.2", flags="SA", ack=8)))
)


def test_hops_are_in_the_order_of_their_times():
    assert [leg for leg, *_ in hops(WHOLE)] == ["probe"] * 4 + ["answer"] * 4
    assert [hop.microseconds for hop in WHOLE.hops] == list(range(8))
    assert WHOLE.ending.outcome == "answered"
    assert WHOLE.ending.namespace == "host-a/db"


@settings(deadline=None, max_examples=50)
@given(st.permutations(BRIDGED))
def test_the_order_in_which_hosts_tell_does_not_matter(shuffled):
    assert told(shuffled) == WHOLE


def stamped(*groups):
    """Sights in their order, those of a group with one time: a frame is stamped as it comes in."""
    return [
        dataclasses.replace(it, time=1_000_000 + 1000 * number)
        for number, group in enumerate(groups)
        for it in sights(*group)
    ]


MAC_VLAN = syn("10.10.0.2", "172.18.0.3"), back(syn("10.10.0.2", "172.18.0.3"))
IN_TUNNEL = [
    ETHER
    / IP(src=f"198.18.0.1{a}", dst=f"198.18.0.1{b}")
    / UDP(dport=4789)
    / VXLAN(vni=4097)
    / frame
    for a, b, frame in ((1, 2, FRAME), (2, 1, back(FRAME)))
]


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        (
            "host-a/lan-client",
            stamped(
                [("host-a/lan-client", "eth0", OUT, MAC_VLAN[0])],
                [("host-a", "eth0.10", OUT, MAC_VLAN[0])],
                [("host-a", "eth0", OUT, MAC_VLAN[0])],
                [
                    ("host-a", "eth0", OTHER, MAC_VLAN[1]),
                    ("host-a", "eth0.10", OTHER, MAC_VLAN[1]),
                    ("host-a/lan-client", "eth0", IN, MAC_VLAN[1]),
                ],
            ),
        ),
        (
            "host-a/web",
            stamped(
                [("host-a/web", "eth0", OUT, FRAME)],
                [("host-a", "veth0a1b206", IN, FRAME), ("host-a", "docker0", IN, FRAME)],
                [("host-a", "docker0", OUT, back(FRAME))],
                [("host-a", "veth0a1b206", OUT, back(FRAME))],
                [("host-a/web", "eth0", IN, back(FRAME))],
            ),
        ),
        (
            "host-a/task1",
            stamped(
                [("host-a/task1", "eth0", OUT, FRAME)],
                [
                    ("host-a/overlay:mesh", "vxlan0", OUT, FRAME),
                    ("host-a", "eth0", OUT, IN_TUNNEL[0]),
                ],
                [
                    ("host-a", "eth0", IN, IN_TUNNEL[1]),
                    ("host-a/overlay:mesh", "vxlan0", IN, back(FRAME)),
                ],
                [("host-a/task1", "eth0", IN, back(FRAME))],
            ),
        ),
    ],
    ids=["macvlan on a vlan", "bridge", "tunnel"],
)
@settings(deadline=None, max_examples=20)
@given(st.data())
def test_of_one_time_a_frame_climbs_what_it_comes_in_by(source, seen, data):
    passage = told(data.draw(st.permutations(seen)), source=source)
    assert hops(passage) == hops(told(seen, source=source))
    assert [(hop.namespace, hop.interface) for hop in passage.hops] == [
        (it.namespace, it.interface) for it in seen
    ]
    assert passage.ending.outcome == "answered"


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.tuples(st.sampled_from([*BRIDGED, *FOREIGN]), st.integers(0, 8)), max_size=12),
    st.sampled_from(["connected", "silence", "ECONNREFUSED", "EHOSTUNREACH"]),
)
def test_an_ending_never_contradicts_what_the_sender_saw(seen, outcome):
    """Whatever of it was seen, in whatever order."""
    moved = [dataclasses.replace(it, time=1_000_000 + 1000 * at) for it, at in seen]
    ending = told(moved, outcome=outcome).ending
    assert (ending.outcome == "answered") == (outcome == "connected")


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from(BRIDGED)))
def test_what_is_sent_again_is_the_same_probe(again):
    later = [dataclasses.replace(it, time=it.time + 10**9) for it in again]
    assert told([*BRIDGED, *later]) == WHOLE


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(FOREIGN), st.integers(0, 9000))))
def test_other_traffic_is_none_of_it(others):
    seen = [dataclasses.replace(it, time=1_000_000 + after) for it, after in others]
    assert told([*seen, *BRIDGED]) == WHOLE


@settings(deadline=None, max_examples=50)
@given(st.sets(st.integers(0, 7)))
def test_no_hop_is_made_up_for_one_that_was_not_seen(lost):
    left = [it for number, it in enumerate(BRIDGED) if number not in lost]
    found = hops(told(left))
    assert found == [hop for number, hop in enumerate(hops(WHOLE)) if number not in lost]


def test_a_translated_destination_is_followed():
    inside = syn("198.18.0.12", "172.18.0.3", ttl=63)
    passage = told(
        sights(
            ("host-a", "eth0", IN, syn("198.18.0.12", "198.18.0.11", dport=8080)),
            ("host-a", "br-323322e22ed2", OUT, inside),
        ),
        address="198.18.0.11",
        port=8080,
        source="host-b",
        sent="198.18.0.12",
        outcome="silence",
    )
    [_, hop] = passage.hops
    assert [(c.kind, c.what, c.before, c.after) for c in hop.changes] == [
        ("", "destination", "198.18.0.11:8080", "172.18.0.3:80"),
        ("routing", "TTL", "64", "63"),
    ]


def test_who_translates_is_said_by_the_rule_that_the_kernel_traced():
    rule = Rule(
        "ip", "nat", "DOCKER", "-p tcp --dport 8080 -j DNAT --to-destination 172.18.0.3:80", "DNAT"
    )
    outside = syn("198.18.0.12", "198.18.0.11", dport=8080)
    found = Pass(
        "host-a",
        "ip",
        "nat",
        "PREROUTING",
        "prerouting",
        "eth0",
        "",
        dissect(bytes(outside)),
        (Match("DOCKER", 2, rule, "accept"),),
    )
    passage = told(
        sights(
            ("host-b", "eth0", OUT, outside),
            ("host-a", "eth0", IN, outside),
            ("host-a", "br-323322e22ed2", OUT, syn("198.18.0.12", "172.18.0.3", ttl=63)),
        ),
        address="198.18.0.11",
        port=8080,
        source="host-b",
        sent="198.18.0.12",
        outcome="silence",
        passes={"host-a": (found,)},
    )
    assert [bool(hop.passes) for hop in passage.hops] == [False, False, True]
    [change] = [it for it in passage.hops[2].changes if it.what == "destination"]
    assert (change.kind, change.evidence) == ("DNAT", "nat DOCKER, rule 2")


def test_ipvs_is_named_by_the_connection_that_it_lists():
    listed = (
        "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n"
        "TCP AC120002 0007 0A000104 0050 0A000105 0050 ESTABLISHED     899\n"
        "TCP AC120002 A8CA 0A000104 0050 0A000106 0050 ESTABLISHED     899\n"
    )
    passage = told(
        sights(
            ("host-a/netns:blue", "veth-blue", IN, syn("172.18.0.2", "10.0.1.4")),
            ("host-a/netns:blue", "veth-blue", OUT, syn("172.18.0.2", "10.0.1.6", ttl=63)),
        ),
        address="10.0.1.4",
        outcome="silence",
        virtual={"host-a/netns:blue": listed},
    )
    [change] = [it for it in passage.hops[1].changes if it.what == "destination"]
    assert change.kind == "IPVS"
    assert change.evidence == "IPVS lists 172.18.0.2 → 10.0.1.4:80 → 10.0.1.6:80"


def test_a_tunnel_is_entered_and_left():
    outer = ETHER / IP(src="198.18.0.11", dst="198.18.0.12") / UDP(sport=5, dport=4789)
    inner = syn("10.0.1.2", "10.0.1.4")
    passage = told(
        sights(
            ("host-a/task1", "eth0", OUT, inner),
            ("host-a", "eth0", OUT, outer / VXLAN(vni=4097, flags=8) / inner),
            ("host-b", "eth0", IN, outer / VXLAN(vni=4097, flags=8) / inner),
            ("host-b/task2", "eth0", IN, inner),
        ),
        address="10.0.1.4",
        outcome="silence",
    )
    kinds = [
        change.kind for hop in passage.hops for change in hop.changes if change.what == "tunnel"
    ]
    assert kinds == ["encapsulation", "decapsulation"]
    assert passage.hops[1].packet.outer == Flow("udp", "198.18.0.11", 5, "198.18.0.12", 4789)


def test_a_proxys_second_connection_begins_with_the_cookie():
    data = syn("172.18.0.1", "172.18.0.3", isn=5, sport=999, flags="PA") / Raw(COOKIE + b"\r\n")
    own = syn("127.0.0.1", "127.0.0.1", dport=8080, isn=ISN + 1, flags="PA") / Raw(COOKIE)
    first = syn("127.0.0.1", "127.0.0.1", dport=8080)
    passage = told(
        sights(
            ("host-a", "lo", OUT, first),
            ("host-a", "lo", IN, first),
            ("host-a", "lo", OUT, back(first)),
            ("host-a", "lo", IN, back(first)),
            ("host-a", "lo", OUT, own),
            ("host-a", "br-323322e22ed2", OUT, data),
            ("host-a/db", "eth0", IN, data),
        ),
        address="127.0.0.1",
        port=8080,
        source="host-a",
        sent="127.0.0.1",
    )
    assert [leg for leg, *_ in hops(passage)] == ["probe"] * 2 + ["proxied"] * 2 + ["answer"] * 2
    assert passage.leg("proxied")[0].changes[0].kind == "proxy"
    assert passage.ending.namespace == "host-a/db"


@pytest.mark.parametrize(
    ("answer", "outcome", "why"),
    [
        (back(FRAME, "RA"), "refused", "nothing listens on port 80 there"),
        (
            ETHER / IP(src="172.18.0.3", dst="172.18.0.2") / ICMP(type=3, code=3) / FRAME[IP],
            "refused",
            "no socket has port 80 there",
        ),
        (
            ETHER / IP(src="172.18.0.3", dst="172.18.0.2") / ICMP(type=3, code=1) / FRAME[IP],
            "dropped",
            "host-a/db has no way to 172.18.0.3",
        ),
        (
            ETHER / IP(src="172.18.0.3", dst="172.18.0.2") / ICMP(type=11) / FRAME[IP],
            "dropped",
            "its TTL ran out",
        ),
    ],
)
def test_what_comes_back_says_where_it_ended(answer, outcome, why):
    seen = sights(
        ("host-a/web", "eth1", OUT, FRAME),
        ("host-a/db", "eth0", IN, FRAME),
        ("host-a/db", "eth0", OUT, answer),
        ("host-a/web", "eth1", IN, answer),
    )
    ending = told(seen, outcome="ECONNREFUSED").ending
    assert (ending.outcome, ending.namespace, ending.why) == (outcome, "host-a/db", why)


def test_a_ring_of_parents_in_a_state_that_changed_as_it_was_read_does_no_harm(monkeypatch):
    ringed = snapshots.Host("host-a", "198.18.0.11")
    for name, parent in (("v0", "v1"), ("v1", "v0")):
        ringed.link("host-a", name, "vlan", parent=InterfaceRef("host-a", parent))
    hosts = (ringed.state(),)
    monkeypatch.setitem(globals(), "SNAPSHOT", dataclasses.replace(SNAPSHOT, hosts=hosts))
    seen = sights(("host-a", "v0", OUT, FRAME), ("host-a", "v1", OUT, FRAME))
    assert hops(told(seen, source="host-a", outcome="silence")) == [
        ("probe", "host-a", "v0", "out"),
        ("probe", "host-a", "v1", "out"),
    ]


def test_an_arp_request_that_nobody_answers_is_the_end():
    asked = ETHER / ARP(op=1, psrc="172.18.0.2", pdst="172.18.0.77")
    seen = sights(("host-a/web", "eth1", OUT, asked))
    ending = told(seen, address="172.18.0.77", outcome="silence").ending
    assert ending.outcome == "dropped"
    assert "answers its ARP request for 172.18.0.77" in ending.why
    answer = ETHER / ARP(op=2, psrc="172.18.0.77", pdst="172.18.0.2")
    ending = told(
        [*seen, *sights(("host-a/web", "eth1", IN, answer))],
        address="172.18.0.77",
        outcome="silence",
    ).ending
    assert ending.outcome == "lost"


def test_one_that_cannot_ask_where_its_answer_goes_has_still_got_it():
    asked = ETHER / ARP(op=1, psrc="172.18.0.3", pdst="172.18.0.2")
    seen = sights(
        ("host-a/web", "eth1", OUT, FRAME),
        ("host-a/db", "eth0", IN, FRAME),
        ("host-a/db", "eth0", OUT, asked),
    )
    ending = told(seen, outcome="silence").ending
    assert (ending.outcome, ending.namespace) == ("unanswered", "host-a/db")
    assert ending.why == (
        "it arrived, and its answer cannot leave: nobody on eth0 of host-a/db answers its ARP "
        "request for 172.18.0.2"
    )


def test_udp_that_is_not_answered_is_delivered():
    frame = ETHER / IP(src="172.18.0.2", dst="172.18.0.3") / UDP(sport=43210, dport=53)
    frame /= Raw(COOKIE)
    seen = sights(("host-a/web", "eth1", OUT, frame), ("host-a/db", "eth0", IN, frame))
    passage = told(seen, protocol="udp", port=53, outcome="silence")
    assert (passage.ending.outcome, len(passage.hops)) == ("delivered", 2)
    echo = ETHER / IP(src="172.18.0.3", dst="172.18.0.2") / UDP(sport=53, dport=43210)
    seen += [
        dataclasses.replace(it, time=it.time + 9000)
        for it in sights(
            ("host-a/db", "eth0", OUT, echo / Raw(COOKIE)),
            ("host-a/web", "eth1", IN, echo / Raw(COOKIE)),
        )
    ]
    assert told(seen, protocol="udp", port=53).ending.outcome == "answered"


def trace(namespace, hook, packet, verdict, rule, chain="DOCKER-USER", ingress="eth0"):
    """A pass with no more of the packet than the kernel's trace has: 20 bytes of each header."""
    ip = bytes(packet[IP])
    cut = dissect(ip[:20] + ip[20:40], 0xFFFE)
    return Pass(
        namespace,
        "ip",
        "filter",
        hook.upper(),
        hook,
        ingress,
        "",
        cut,
        (Match(chain, 1, rule, verdict),),
    )


DATAGRAM_OUTSIDE = ETHER / IP(src="198.18.0.12", dst="198.18.0.11") / UDP(sport=43210, dport=53)
DATAGRAM_INSIDE = ETHER / IP(src="198.18.0.12", dst="172.18.0.3") / UDP(sport=43210, dport=53)


def test_a_datagram_is_recognised_by_what_the_trace_has_of_it():
    drop = Rule("ip", "filter", "DOCKER-USER", "-p udp -j DROP", "DROP")
    found = trace("host-a", "forward", DATAGRAM_INSIDE / Raw(COOKIE), "drop", drop)
    passage = told(
        sights(
            ("host-b", "eth0", OUT, DATAGRAM_OUTSIDE / Raw(COOKIE)),
            ("host-a", "eth0", IN, DATAGRAM_OUTSIDE / Raw(COOKIE)),
        ),
        protocol="udp",
        port=53,
        address="198.18.0.11",
        source="host-b",
        sent="198.18.0.12",
        outcome="silence",
        passes={"host-a": (found,)},
    )
    assert (passage.ending.outcome, passage.ending.rule.rule) == ("dropped", drop)


def test_an_answer_that_the_sender_never_got_is_none():
    drop = Rule("ip", "filter", "INPUT", "-p tcp -j DROP", "DROP")
    found = trace("host-a/web", "input", back(FRAME), "drop", drop, "INPUT", "eth1")
    ending = told(BRIDGED, outcome="silence", passes={"host-a/web": (found,)}).ending
    assert (ending.outcome, ending.namespace, ending.rule.rule) == ("dropped", "host-a/web", drop)
    assert told(BRIDGED, outcome="silence").ending.outcome == "lost"


def test_an_answer_that_comes_after_the_sender_gave_up_is_told_as_that():
    seen = [
        dataclasses.replace(it, time=it.time + (1_100_000_000 if number > 3 else 0))
        for number, it in enumerate(BRIDGED)
    ]
    ending = told(seen, outcome="silence").ending
    assert (ending.outcome, ending.namespace) == ("answered", "host-a/db")
    assert ending.why == "its answer came back, after the 1.0 s that the sender waits for it"


def test_an_answer_without_a_mark_is_believed_to_the_sender():
    frame = ETHER / IP(src="172.18.0.2", dst="172.18.0.3") / UDP(sport=43210, dport=53)
    seen = sights(
        ("host-a/web", "eth1", OUT, frame / Raw(COOKIE)),
        ("host-a/db", "eth0", IN, frame / Raw(COOKIE)),
    )
    ending = told(seen, protocol="udp", port=53, outcome="answered").ending
    assert (ending.outcome, ending.namespace) == ("answered", "host-a/db")
    assert "was not followed" in ending.why


def test_a_refusal_from_outside_is_not_blamed_on_the_host_that_it_comes_in_at():
    out = syn("198.18.0.11", "198.18.0.1", dport=81)
    seen = sights(("host-a", "eth0", OUT, out), ("host-a", "eth0", IN, back(out, "RA")))
    ending = told(
        seen,
        source="host-a",
        address="198.18.0.1",
        port=81,
        sent="198.18.0.11",
        outcome="ECONNREFUSED",
    ).ending
    assert (ending.outcome, ending.namespace) == ("refused", "198.18.0.1")
    assert ending.why == "the connection was refused"


def test_a_flooded_copy_of_the_answer_is_no_end_of_it():
    copy = ("host-a/netns:blue", "veth-blue", OTHER, back(FRAME))
    seen = [*BRIDGED, dataclasses.replace(sights(copy)[0], time=9_000_000)]
    assert told(seen).ending.outcome == "answered"


def test_a_ping_by_ipv6_is_followed():
    request = ICMPv6EchoRequest(id=7, data=COOKIE)
    there = ETHER / IPv6(src="fd00::2", dst="fd00::3") / request
    answer = ETHER / IPv6(src="fd00::3", dst="fd00::2") / ICMPv6EchoReply(id=7, data=COOKIE)
    seen = sights(
        ("host-a/web", "eth1", OUT, there),
        ("host-a/db", "eth0", IN, there),
        ("host-a/db", "eth0", OUT, answer),
        ("host-a/web", "eth1", IN, answer),
    )
    passage = told(seen, protocol="icmp", address="fd00::3", port=0, outcome="answered")
    assert passage.ending.outcome == "answered"
    assert [leg for leg, *_ in hops(passage)] == ["probe", "probe", "answer", "answer"]


def test_traffic_of_others_that_the_kernel_counted_is_no_verdict():
    seen = BRIDGED[:4]
    evidence = Evidence(tuple(seen), {}, {"host-a/db": {"Udp.NoPorts": 1}})
    probe = Probe("host-a/web", "172.18.0.3", "tcp", "172.18.0.3", 80, 16, COOKIE, ISN)
    passage = follow(
        probe,
        Sent("silence", "", "172.18.0.2", 43210),
        SNAPSHOT,
        evidence,
        lambda asked: [""] * len(asked),
    )
    assert (passage.ending.outcome, passage.ending.evidence) == ("unanswered", ())


def test_who_was_not_listened_to_is_not_said_to_have_got_nothing():
    evidence = Evidence(tuple(BRIDGED[:3]), {}, deaf=frozenset(["host-a/db"]))
    probe = Probe("host-a/web", "172.18.0.3", "tcp", "172.18.0.3", 80, 16, COOKIE, ISN)
    passage = follow(
        probe,
        Sent("silence", "", "172.18.0.2", 43210),
        SNAPSHOT,
        evidence,
        lambda asked: [""] * len(asked),
    )
    assert "where nobody listened" in passage.ending.why


def test_what_happened_is_told_in_the_kernels_order():
    nat = Rule(
        "ip", "nat", "DOCKER", "-p tcp --dport 8080 -j DNAT --to-destination 172.18.0.3:80", "DNAT"
    )
    accept = Rule("ip", "filter", "DOCKER", "-p tcp -j ACCEPT", "ACCEPT")
    outside = syn("198.18.0.12", "198.18.0.11", dport=8080)
    inside = syn("198.18.0.12", "172.18.0.3", ttl=63)
    seen = sights(
        ("host-b", "eth0", OUT, outside),
        ("host-a", "eth0", IN, outside),
        ("host-a", "br-323322e22ed2", OUT, inside),
    )
    passes = (
        trace("host-a", "prerouting", outside, "accept", nat, "DOCKER"),
        trace("host-a", "forward", inside, "accept", accept, "DOCKER"),
    )
    passage = told(
        seen,
        address="198.18.0.11",
        port=8080,
        source="host-b",
        sent="198.18.0.12",
        outcome="silence",
        passes={"host-a": passes},
    )
    hop = dataclasses.replace(
        passage.hops[2], route=Route("172.18.0.0/24", "", "br-x", "", "unicast", "", "", 0)
    )
    first, second, third = notes(passage, hop)
    assert first.endswith("destination 198.18.0.11:8080 becomes 172.18.0.3:80")
    assert second == "route: 172.18.0.0/24 dev br-x"
    assert third.endswith("ACCEPT tcp")


def test_the_text_names_no_port_that_was_chosen_by_chance():
    text = Journey(WHOLE).text
    assert "43210" not in text
    assert "172.18.0.2 → 172.18.0.3:80" in text
    assert text.splitlines()[0] == "tcp host-a/web → 172.18.0.3:80"


def test_a_rule_is_told_with_the_chains_that_led_to_it():
    jump = Rule("ip", "filter", "FORWARD", "-j DOCKER-USER", "DOCKER-USER")
    drop = Rule("ip", "filter", "DOCKER-USER", "-p tcp -j DROP", "DROP")
    empty = Rule("ip", "filter", "FORWARD", "-j OTHER", "OTHER")
    found = Pass(
        "host-a",
        "ip",
        "filter",
        "FORWARD",
        "forward",
        "eth0",
        "docker0",
        dissect(bytes(FRAME)),
        (
            Match("FORWARD", 1, empty, "jump"),
            Match("OTHER", 0, None, "continue"),
            Match("FORWARD", 2, jump, "jump"),
            Match("DOCKER-USER", 3, drop, "drop"),
        ),
    )
    assert acted(found) == ["filter FORWARD › DOCKER-USER rule 3: DROP tcp"]


def test_a_picture_has_only_what_is_on_the_way():
    shown = on_the_way(WHOLE)
    assert [host.name for host in shown.hosts] == ["host-a"]
    # The sidecar shares web's namespace.
    assert {it.name for it in shown.containers()} == {"web", "db", "sidecar"}


def test_the_front_end_gets_a_node_for_every_step():
    data = Journey(WHOLE).data()
    steps = data["journey"]["steps"]
    assert len(steps) == 8
    known = {detail: {n["id"] for n in view["nodes"]} for detail, view in data["views"].items()}
    for step in steps:
        for detail, node in step["node"].items():
            assert node in known[detail]
        assert set(step["node"]) == {"simple", "full"}
    assert not any(
        changed for step in steps for header in step["headers"] for *_, changed in header["fields"]
    )


def test_all_of_it_is_json_ready(tmp_path):
    import json

    assert json.loads(json.dumps(Journey(WHOLE).to_dict()))["ending"]["outcome"] == "answered"
    with pytest.raises(sandbox.SandboxError, match="could not be saved"):
        Journey(WHOLE).to_pcap(tmp_path / "no" / "folder")


def test_two_journeys_part_where_one_is_dropped():
    cut = told(BRIDGED[:2], outcome="silence")
    said = repr(Journeys(WHOLE, cut)).splitlines()
    assert [line[:3] for line in said[2:6]] == ["A B", "A B", "A  ", "A  "]
    with pytest.raises(sandbox.SandboxError, match="is no journey"):
        sandbox.compare_journeys(Journey(WHOLE), "that one")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tcp": 80, "udp": 53}, "one protocol"),
        ({"tcp": 0}, "0 is no TCP port"),
        ({"udp": 70000}, "70000 is no UDP port"),
        ({"icmp": True, "size": 5}, "cannot have 5 bytes"),
        ({"tcp": 80, "size": 100}, "TCP probe has no size"),
        ({"tcp": "80"}, "'80' is no TCP port"),
        ({"udp": 53, "size": "x"}, "cannot have 'x' bytes"),
    ],
)
def test_what_cannot_be_sent_is_said_before_anything_is(monkeypatch, options, words):
    # The package has the function of that name in the module's place.
    monkeypatch.setattr(sys.modules["sandbox.hosts.journey"], "running", lambda _: None)
    with pytest.raises(sandbox.SandboxError, match=words):
        journey("host-a", "host-b", **options)


# The filter that runs in the kernel


@pytest.fixture
def kept():
    return lambda frame: passes(bpf.program(COOKIE, ISN), bytes(frame))


def passes(program, frame):  # noqa: PLR0912
    """What classic BPF makes of a frame (Documentation/networking/filter.rst)."""
    a = x = at = 0

    def load(size, offset):
        if offset + size > len(frame):
            raise IndexError
        return int.from_bytes(frame[offset : offset + size])

    try:
        while True:
            code, yes, no, value = program[at]
            at += 1
            match code:
                case 0x30 | 0x28 | 0x20:
                    a = load({0x30: 1, 0x28: 2, 0x20: 4}[code], value)
                case 0x50 | 0x48 | 0x40:
                    a = load({0x50: 1, 0x48: 2, 0x40: 4}[code], x + value)
                case 0xB1:
                    x = 4 * (load(1, value) & 0xF)
                case 0x01:
                    x = value
                case 0x07:
                    x = a
                case 0x54:
                    a &= value
                case 0x74:
                    a >>= value
                case 0x0C:
                    a += x
                case 0x15:
                    at += yes if a == value else no
                case 0x45:
                    at += yes if a & value else no
                case 0x06:
                    return value > 0
    except IndexError:
        # The kernel drops a frame that is shorter than what is loaded.
        return False


IN_TUNNEL = (
    ETHER
    / IP(src="198.18.0.11", dst="198.18.0.12")
    / UDP(sport=5, dport=4789)
    / VXLAN(vni=4097, flags=8)
)
PING = ETHER / IP() / ICMP(type=8) / Raw(COOKIE)
DATAGRAM = ETHER / IP() / UDP(dport=53) / Raw(COOKIE)


@pytest.mark.parametrize(
    "frame",
    [
        FRAME,
        back(FRAME),
        PING,
        ETHER / IPv6(dst="fd00::3") / TCP(seq=ISN, flags="S"),
        ETHER / IPv6(dst="fd00::3") / UDP(dport=53) / Raw(COOKIE),
        ETHER / IPv6(dst="fd00::3") / ICMPv6EchoRequest(data=COOKIE),
        DATAGRAM,
        syn("10.0.0.1", "10.0.0.2", isn=5, flags="PA") / Raw(COOKIE),
        IN_TUNNEL / FRAME,
        IN_TUNNEL / back(FRAME),
        IN_TUNNEL / PING,
        IN_TUNNEL / DATAGRAM,
        ETHER / IP() / ICMP(type=3, code=1) / FRAME[IP],
        ETHER / ARP(),
        ETHER / IP(proto=50) / Raw(b"secret"),
    ],
    ids=lambda frame: frame.summary()[:60],
)
def test_the_filter_lets_the_probe_pass(kept, frame):
    assert kept(frame)


@pytest.mark.parametrize(
    "frame",
    [
        syn("10.0.0.1", "10.0.0.2", isn=5),
        syn("10.0.0.1", "10.0.0.2", isn=5, flags="PA") / Raw(b"GET / HTTP/1.0\r\n\r\n"),
        ETHER / IP() / UDP(dport=53) / Raw(b"something else"),
        ETHER / IP() / ICMP(type=8) / Raw(b"x" * 56),
        IN_TUNNEL / syn("10.0.0.1", "10.0.0.2", isn=5),
        ETHER / IPv6(dst="fd00::3") / TCP(seq=5, flags="S"),
        ETHER / IPv6(dst="fd00::3") / ICMPv6EchoRequest(data=b"x" * 56),
        Ether(type=0x88CC) / Raw(b"lldp"),
        ETHER / IP(frag=7) / Raw(struct.pack("!HHII", 1, 2, ISN, 0)),
    ],
    ids=lambda frame: frame.summary()[:60],
)
def test_the_filter_holds_back_what_is_none_of_it(kept, frame):
    assert not kept(frame)


def test_handles_lead_to_the_rule_as_iptables_writes_it():
    from sandbox.model.trace import _read_listing

    handles, hooks = _read_listing(
        "table ip nat { # handle 1\n\tchain DOCKER { # handle 4\n"
        "\t\ttcp dport 8080 counter packets 0 bytes 0 dnat to 1.2.3.4 # handle 12\n"
        "\t\tcounter packets 0 bytes 0 # handle 9\n\t}\n"
        "\tchain PREROUTING { # handle 5\n"
        "\t\ttype nat hook prerouting priority dstnat; policy accept;\n\t}\n}\n"
    )
    assert handles["ip", "nat", "DOCKER"] == [12, 9]
    assert hooks == {("ip", "nat", "PREROUTING"): "prerouting"}


def test_an_answer_that_is_an_error_is_no_answer():
    from sandbox.model.trace import read_connection, refusal

    raw = struct.pack("=IHHIIi", 36, 2, 0, 1, 0, -2) + bytes(16)
    assert refusal(base64.b64encode(raw).decode()) == 2
    assert read_connection(base64.b64encode(raw).decode(), "tcp") is None


def test_an_error_that_quotes_a_ping_is_no_reply_to_it():
    ping = IP(src="172.18.0.2", dst="172.18.0.3") / ICMP(id=7) / Raw(COOKIE)
    reply = IP(src="172.18.0.3", dst="172.18.0.2") / ICMP(type=0, id=7) / Raw(COOKIE)
    error = IP(src="172.18.0.1", dst="172.18.0.2") / ICMP(type=3, code=1) / ping
    heard = {name: bytes(it) for name, it in {"ping": ping, "reply": reply, "error": error}.items()}
    heard |= {"nothing": b"", "another": bytes(reply).replace(COOKIE, COOKIE[::-1])}
    assert [name for name, it in heard.items() if probe.is_reply(it, socket.AF_INET, COOKIE)] == [
        "reply"
    ]
    reply, error = (ICMPv6EchoReply(id=7, data=COOKIE), b"\x01" + bytes(7) + COOKIE)
    assert probe.is_reply(bytes(reply), socket.AF_INET6, COOKIE)
    assert not probe.is_reply(error, socket.AF_INET6, COOKIE)
