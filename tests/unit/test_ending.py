"""Where a probe ended and why, from hops, rules and counters that are made up."""

import base64
import dataclasses
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.model.follow import drops
from sandbox.model.follow.changes import translations
from sandbox.model.follow.ending import _destination, find_ending
from sandbox.model.follow.lookups import onward
from sandbox.model.follow.observation import Observation
from sandbox.model.journey import Change, Ending, Evidence, Hop, Probe, Sent, Sight
from sandbox.model.packet import Flow, Header, Packet
from sandbox.model.state import Route, Rule
from sandbox.model.trace import Connection, Match, Pass
from tests.unit import snapshots

WEB, DB = "172.18.0.2", "172.18.0.3"
BLAMING = {"dropped", "refused"}
ENETUNREACH = 101
SPACES = {space.id: space for space in snapshots.everything().namespaces()}


def packet(source, destination, protocol="tcp", **more):
    """One of the probe's port 43210 to port 80; what answers goes the other way."""
    ports = (80, 43210) if source == DB else (43210, 80)
    return Packet((), flow=Flow(protocol, source, ports[0], destination, ports[1]), **more)


def hop(namespace, interface, direction, seen, leg="probe", microseconds=0.0):
    return Hop(leg, namespace, interface, direction, microseconds, None, seen, b"")


def on_the_way(protocol="tcp"):
    """From host-a/web over the bridge to host-a/db."""
    seen = packet(WEB, DB, protocol)
    return (
        hop("host-a/web", "eth1", "out", seen),
        hop("host-a", "veth0a1b209", "in", seen),
        hop("host-a", "veth0a1b20b", "out", seen),
        hop("host-a/db", "eth0", "in", seen),
    )


def on_the_way_back(seen, microseconds=0.0):
    return (
        hop("host-a/db", "eth0", "out", seen, "answer"),
        hop("host-a", "veth0a1b20b", "in", seen, "answer"),
        hop("host-a", "veth0a1b209", "out", seen, "answer"),
        hop("host-a/web", "eth1", "in", seen, "answer", microseconds),
    )


def icmp(kind, code, protocol="icmp", said="destination unreachable"):
    """An error about the probe."""
    quoted = Flow("tcp", WEB, 43210, DB, 80)
    headers = (Header("ICMP", said, 0), Header("IP in ICMP", "the probe", 0))
    return Packet(headers, flow=Flow(protocol, DB, 0, WEB, 0), icmp=(kind, code), quoted=quoted)


def traced(target, verdict="drop", *, namespace="host-a", number=2, text="", policy=False):
    """A pass through a chain, which ends with a rule of that target, or with the policy."""
    rule = None if policy else Rule("ip", "filter", "DOCKER-USER", text, target)
    match = Match("DOCKER-USER", 0 if policy else number, rule, verdict, policy)
    seen = packet(WEB, DB)
    return Pass(namespace, "ip", "filter", "FORWARD", "forward", "", "", seen, (match,))


def arp(namespace, interface, operation, wanted, sender, direction="out"):
    seen = Packet((), arp=(operation, wanted, sender))
    return Sight(namespace, interface, 4 if direction == "out" else 0, 0, None, b"", seen)


def refused_route(observed, last, errno=ENETUNREACH):
    """The answers of a kernel that knows no way on from the last hop."""
    raw = struct.pack("=IHHIIi", 36, 2, 0, 1, 0, -errno) + bytes(16)
    return {question: base64.b64encode(raw).decode() for question in onward(observed, last)}


def ended(way=(), answer=(), *, proxied=(), passes=(), answer_passes=(), sights=(), counters=None,
          deaf=(), outcome="silence", error="", protocol="tcp", routes=None, no_route=False,
          address=DB):  # fmt: skip
    """The ending of a probe that host-a/web sent to host-a/db.

    passes, answer_passes: since the last hop.  routes: of host-a.
    no_route: whether the kernel, asked for a route, refuses.
    """
    size = 4000 if outcome == "EMSGSIZE" else 16
    probe = Probe("host-a/web", "db", protocol, address, 80, size, b"0123456789abcdef", 7)
    spaces = dict(SPACES)
    if routes:
        spaces["host-a"] = dataclasses.replace(spaces["host-a"], routes=routes)
    evidence = Evidence(tuple(sights), {}, counters or {}, deaf=frozenset(deaf))
    observed = Observation(probe, Sent(outcome, error, WEB, 43210), evidence, spaces)
    hops = {"probe": way, "proxied": proxied, "answer": answer}
    after = {"probe": tuple(passes), "proxied": (), "answer": tuple(answer_passes)}
    answers = refused_route(observed, way[-1]) if no_route else {}
    return find_ending(observed, hops, after, answers)


def told(ending):
    return ending.outcome, ending.namespace, ending.why, ending.evidence


SYN_ACK, RST = packet(DB, WEB, flags="SA"), packet(DB, WEB, flags="RA")
ARRIVED = on_the_way()
DROP, REJECT = traced("DROP"), traced("REJECT")


@pytest.mark.parametrize(
    ("protocol", "evidence"),
    [("tcp", "SYN-ACK: the port is open"), ("icmp", "echo reply"), ("udp", "a datagram")],
)
def test_it_is_answered_if_the_answer_came_back(protocol, evidence):
    seen = dataclasses.replace(SYN_ACK, flow=dataclasses.replace(SYN_ACK.flow, protocol=protocol))
    ending = ended(
        on_the_way(protocol), on_the_way_back(seen), outcome="connected", protocol=protocol
    )
    assert told(ending) == ("answered", "host-a/db", "its answer came back", (evidence,))


def test_an_answer_after_the_senders_time_is_still_one():
    ending = ended(ARRIVED, on_the_way_back(SYN_ACK, microseconds=1_200_000))
    assert (ending.outcome, ending.evidence) == ("answered", ("SYN-ACK: the port is open",))
    assert ending.why.endswith("after the 1.0 s that the sender waits for it")


def test_behind_a_proxy_it_is_answered_by_who_got_the_second_connection():
    second = [hop("host-a/db", "eth0", "in", packet("172.18.0.1", DB), "proxied")]
    seen = [hop("host-a", "lo", "out", SYN_ACK, "answer"),
            hop("host-a/web", "eth1", "in", SYN_ACK, "answer")]  # fmt: skip
    ending = ended(ARRIVED[:2], seen, proxied=second, outcome="connected")
    assert (ending.outcome, ending.namespace) == ("answered", "host-a/db")


@pytest.mark.parametrize(
    ("seen", "namespace", "why"),
    [
        ({}, "host-a/web", "the sender was answered, and nothing was seen"),
        ({"way": ARRIVED}, "host-a/db",
         "the sender was answered; what answers bears no mark, and was not followed"),
        ({"way": ARRIVED, "answer": on_the_way_back(SYN_ACK)[:2]}, "host-a/db",
         "the sender got an answer; part of its way back was not seen"),
        ({"way": ARRIVED[:2], "passes": [DROP]}, "host-a",
         "the sender got an answer; part of its way back was not seen"),
    ],
    ids=["nothing seen", "no answer seen", "half an answer", "dropped, it seems"],
)  # fmt: skip
def test_what_the_senders_socket_got_is_believed(seen, namespace, why):
    assert told(ended(outcome="answered", **seen)) == ("answered", namespace, why, ())


def test_udp_that_arrived_is_delivered():
    ending = ended(on_the_way("udp"), protocol="udp")
    assert told(ending) == ("delivered", "host-a/db", "it arrived; UDP asks for no answer", ())


def test_udp_that_the_kernel_may_have_thrown_away_there_is_unanswered():
    counters = {"host-a/db": {"Udp.RcvbufErrors": 1}}
    assert told(ended(on_the_way("udp"), protocol="udp", counters=counters)) == (
        "unanswered", "host-a/db", "it arrived, and nothing answered",
        ("the socket's buffer was full: Udp.RcvbufErrors counted 1 more there",),
    )  # fmt: skip


def test_it_is_unanswered_if_it_arrived_and_nothing_answered():
    assert told(ended(ARRIVED)) == (
        "unanswered", "host-a/db", "it arrived, and nothing answered", ()
    )  # fmt: skip


def test_it_is_unanswered_if_it_arrived_and_its_answer_cannot_leave():
    ending = ended(ARRIVED, sights=[arp("host-a/db", "eth0", 1, WEB, DB)])
    assert (ending.outcome, ending.namespace) == ("unanswered", "host-a/db")
    assert ending.why.startswith("it arrived, and its answer cannot leave: nobody on eth0 of")


def test_it_has_left_if_it_went_out_where_no_host_is():
    ending = ended([hop("host-a", "eth0", "out", packet(WEB, "198.18.0.1"))])
    why = "it went out by eth0, beyond the hosts, and nothing came back"
    assert told(ending) == ("left", "host-a", why, ())


# How a drop or a refusal is known: what is seen without it, and what tells.
TOLD = {
    "a rule": (
        {"way": ARRIVED[:2]}, {"passes": [DROP]},
        ("dropped", "host-a", "rule 2 of filter DOCKER-USER drops it", ("the kernel's trace",)),
    ),
    "a rule that is gone": (
        {"way": ARRIVED[:2]}, {"passes": [traced("DROP", number=0)]},
        ("dropped", "host-a", "a rule that is gone since of filter DOCKER-USER drops it",
         ("the kernel's trace",)),
    ),
    "a policy": (
        {"way": ARRIVED[:2]}, {"passes": [traced("", policy=True)]},
        ("dropped", "host-a", "the policy of filter FORWARD drops it", ("the kernel's trace",)),
    ),
    "a rule where it begins": (
        {}, {"passes": [traced("DROP", namespace="host-a/web")]},
        ("dropped", "host-a/web", "rule 2 of filter DOCKER-USER drops it",
         ("the kernel's trace",)),
    ),
    "a rule for the answer": (
        {"way": ARRIVED, "answer": on_the_way_back(SYN_ACK)[:2]}, {"answer_passes": [DROP]},
        ("dropped", "host-a", "the answer came as far as veth0a1b20b of host-a, and rule 2 of "
         "filter DOCKER-USER drops it in host-a", ("the kernel's trace",)),
    ),
    "too large for the sender": (
        {}, {"outcome": "EMSGSIZE", "error": "Message too long"},
        ("dropped", "host-a/web", "host-a/web cannot send 4000 bytes in one piece: they do not "
         "fit the MTU of the interface on the way", ("its kernel says: Message too long",)),
    ),
    "the sender's route": (
        {}, {"outcome": "ENETUNREACH", "error": "Network is unreachable"},
        ("dropped", "host-a/web", "host-a/web has no route to 172.18.0.3",
         ("its kernel says: Network is unreachable",)),
    ),
    "another error of the sender's": (
        {}, {"outcome": "ENOBUFS", "error": "No buffer space"},
        ("dropped", "host-a/web", "host-a/web cannot send to 172.18.0.3",
         ("its kernel says: No buffer space",)),
    ),
    "the sender's ARP request": (
        {}, {"sights": [arp("host-a/web", "eth1", 1, DB, WEB)]},
        ("dropped", "host-a/web",
         "nobody on eth1 of host-a/web answers its ARP request for 172.18.0.3", ()),
    ),
    "an ARP request on the way": (
        {"way": ARRIVED[:2]}, {"sights": [arp("host-a", "br-323322e22ed2", 1, DB, "172.18.0.1")]},
        ("dropped", "host-a",
         "nobody on br-323322e22ed2 of host-a answers its ARP request for 172.18.0.3", ()),
    ),
    "the reverse path filter": (
        {"way": ARRIVED[:2]}, {"counters": {"host-a": {"TcpExt.IPReversePathFilter": 1}}},
        ("dropped", "host-a", "it came in by veth0a1b209 and went no further: the reverse path "
         "filter: its answer would leave elsewhere: TcpExt.IPReversePathFilter counted 1 more "
         "there", ("the reverse path filter: its answer would leave elsewhere: "
                   "TcpExt.IPReversePathFilter counted 1 more there",)),
    ),
    "the counter of no routes": (
        {"way": ARRIVED[:2]}, {"counters": {"host-a": {"IpExt.InNoRoutes": 2}}},
        ("dropped", "host-a", "it came in by veth0a1b209 and went no further: no route: "
         "IpExt.InNoRoutes counted 2 more there",
         ("no route: IpExt.InNoRoutes counted 2 more there",)),
    ),
    "the counter of packets too large": (
        {"way": ARRIVED[:2]}, {"counters": {"host-a": {"Ip.FragFails": 1}}},
        ("dropped", "host-a", "it came in by veth0a1b209 and went no further: larger than the "
         "next MTU, and not to be cut up: Ip.FragFails counted 1 more there",
         ("larger than the next MTU, and not to be cut up: Ip.FragFails counted 1 more there",)),
    ),
    "no route": (
        {"way": ARRIVED[:2]}, {"no_route": True},
        ("dropped", "host-a", "host-a has no route to 172.18.0.3",
         ("asked for a route, its kernel says: Network is unreachable",)),
    ),
    "a route that forbids": (
        {"way": ARRIVED[:2], "routes": (
            Route("default", "198.18.0.1", "eth0", "", "unicast", "", "", 0),
            Route("172.18.0.0/16", "", "", "", "blackhole", "", "", 0),
        )}, {"no_route": True},
        ("dropped", "host-a", "the route blackhole 172.18.0.0/16 of host-a forbids it",
         ("asked for a route, its kernel says: Network is unreachable",)),
    ),
    "an RST": (
        {"way": ARRIVED}, {"answer": on_the_way_back(RST), "outcome": "ECONNREFUSED"},
        ("refused", "host-a/db", "nothing listens on port 80 there", ("RST",)),
    ),
    "an RST from beyond the hosts": (
        {"way": ARRIVED[:1]},
        {"answer": on_the_way_back(RST)[-1:], "outcome": "ECONNREFUSED"},
        ("refused", DB, "the connection was refused", ("RST",)),
    ),
    "a rule that sends an RST": (
        {"way": ARRIVED[:2]}, {"answer": on_the_way_back(RST)[2:], "outcome": "ECONNREFUSED",
                               "passes": [REJECT]},
        ("refused", "host-a", "rule 2 of filter DOCKER-USER refuses it", ("RST",)),
    ),
    "a rule that sends an ICMP error": (
        {"way": ARRIVED[:2]}, {"answer": on_the_way_back(icmp(3, 3))[2:], "passes": [REJECT]},
        ("refused", "host-a", "rule 2 of filter DOCKER-USER refuses it",
         ("ICMP from 172.18.0.3: destination unreachable",)),
    ),
    **{
        f"ICMP {protocol} {kind} {code}": (
            {"way": ARRIVED}, {"answer": on_the_way_back(icmp(kind, code, protocol))},
            (outcome, "host-a/db", why, ("ICMP from 172.18.0.3: destination unreachable",)),
        )
        for protocol, kind, code, outcome, why in [
            ("icmp", 3, 3, "refused", "no socket has port 80 there"),
            ("icmp", 3, 13, "refused", "a rule there forbids it"),
            ("icmp", 3, 1, "dropped", "host-a/db has no way to 172.18.0.3"),
            ("icmp", 3, 4, "dropped",
             "it is larger than the next MTU from host-a/db on, and is not to be cut up"),
            ("icmp", 11, 0, "dropped", "its TTL ran out"),
            ("icmp", 12, 0, "dropped", "host-a/db reports: destination unreachable"),
            ("ipv6-icmp", 1, 4, "refused", "no socket has port 80 there"),
            ("ipv6-icmp", 1, 1, "refused", "a rule there forbids it"),
            ("ipv6-icmp", 1, 0, "dropped", "host-a/db has no way to 172.18.0.3"),
            ("ipv6-icmp", 2, 0, "dropped",
             "it is larger than the next MTU from host-a/db on, and is not to be cut up"),
            ("ipv6-icmp", 3, 0, "dropped", "its TTL ran out"),
        ]
    },
}  # fmt: skip


@pytest.mark.parametrize(("seen", "evidence", "expected"), TOLD.values(), ids=TOLD.keys())
def test_what_dropped_or_refused_it_is_told_by_its_evidence_alone(seen, evidence, expected):
    assert told(ended(**{**seen, **evidence})) == expected
    assert ended(**seen).outcome not in BLAMING


@pytest.mark.parametrize(
    ("seen", "evidence"),
    [
        ({"way": ARRIVED[:2]}, {"passes": [DROP]}),
        ({}, {"passes": [traced("DROP", namespace="host-a/web")]}),
        ({"way": ARRIVED, "answer": on_the_way_back(SYN_ACK)[:2]}, {"answer_passes": [DROP]}),
    ],
    ids=["on the way", "where it begins", "on the way back"],
)
def test_the_rule_and_the_passes_that_ended_it_are_in_the_ending(seen, evidence):
    [[found]] = evidence.values()
    ending = ended(**seen, **evidence)
    assert (ending.rule, ending.passes) == (found.matches[-1], (found,))


LOST = {
    "nowhere": ({}, "host-a/web", "it was seen on no interface of host-a/web"),
    "on a wire": (
        {"way": ARRIVED[:1]}, "host-a/web",
        "it went out by eth1 and did not come in at veth0a1b209 of host-a",
    ),
    "where nobody listened": (
        {"way": ARRIVED[:1], "deaf": ["host-a"]}, "host-a/web",
        "it went out by eth1 to veth0a1b209 of host-a, where nobody listened",
    ),
    "in a bridge": (
        {"way": [hop("host-a", "br-323322e22ed2", "out", packet(WEB, DB))]}, "host-a",
        "it went out by br-323322e22ed2 and was seen at none of its ports",
    ),
    "in a tunnel": (
        {"way": [hop("host-a/overlay:mesh", "vxlan0", "out", packet(WEB, DB))]},
        "host-a/overlay:mesh", "it went out by vxlan0 and was seen in no packet on the LAN",
    ),
    "in a namespace": (
        {"way": ARRIVED[:2]}, "host-a", "it came in by veth0a1b209 and went no further"
    ),
    "as an answer": (
        {"way": ARRIVED, "answer": on_the_way_back(SYN_ACK)[:3]}, "host-a",
        "the answer came as far as veth0a1b209 of host-a",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("seen", "namespace", "why"), LOST.values(), ids=LOST.keys())
def test_what_went_missing_without_evidence_is_lost(seen, namespace, why):
    assert told(ended(**seen)) == ("lost", namespace, why, ())


@pytest.mark.parametrize(("seen", "namespace", "why"), LOST.values(), ids=LOST.keys())
def test_counters_that_others_may_have_moved_are_told_and_are_no_verdict(seen, namespace, why):
    counters = {namespace: {"Ip.InAddrErrors": 3, "Udp.NoPorts": 1}}
    said = "its destination is not an address of that namespace: Ip.InAddrErrors counted 3 more"
    assert told(ended(**seen, counters=counters)) == ("lost", namespace, why, (f"{said} there",))


def test_counters_of_another_namespace_say_nothing():
    counters = {"host-b": {"IpExt.InNoRoutes": 1}}
    assert told(ended(ARRIVED[:2], counters=counters)) == told(ended(ARRIVED[:2]))


def test_an_arp_request_that_was_answered_dropped_nothing():
    asked, answered = (
        arp("host-a/web", "eth1", 1, DB, WEB), arp("host-a/web", "eth1", 2, WEB, DB, "in")
    )  # fmt: skip
    assert ended(sights=[asked]).outcome == "dropped"
    assert ended(sights=[asked, answered]).outcome == "lost"


def test_an_arp_request_that_a_bridge_passes_on_is_not_the_hosts_own():
    passed_on = arp("host-a", "veth0a1b209", 1, DB, WEB)
    assert ended(ARRIVED[:2], sights=[passed_on]).outcome == "lost"


def test_a_rule_says_more_than_a_counter():
    counters = {"host-a": {"IpExt.InNoRoutes": 1}}
    ending = ended(ARRIVED[:2], passes=[DROP], counters=counters)
    assert ending.evidence == ("the kernel's trace",)


ELSEWHERE = Connection(Flow("tcp", WEB, 43210, "172.18.0.1", 80), Flow("tcp", DB, 9000, WEB, 43210))


@pytest.mark.parametrize(
    ("rule", "connection", "after"),
    [
        ("172.18.0.3:8000", None, "172.18.0.3:8000"),
        ("172.18.0.3", None, "172.18.0.3"),
        ("172.18.0.3:8000", ELSEWHERE, "172.18.0.3:9000"),
    ],
    ids=["by the rule", "by the rule, without a port", "by the connection"],
)
def test_a_destination_that_changed_after_the_last_hop_is_where_it_arrived(rule, connection, after):
    text = f"-j DNAT --to-destination {rule}"
    nat = traced("DNAT", "accept", namespace="host-a/db", text=text)
    last = hop("host-a/db", "eth0", "in", packet(WEB, "172.18.0.1"))
    ending = ended([dataclasses.replace(last, connection=connection)], passes=[nat])
    assert (ending.outcome, ending.passes) == ("unanswered", (nat,))
    where = "filter DOCKER-USER, rule 2"
    assert ending.changes == (Change("DNAT", "destination", "172.18.0.1:80", after, where),)


@pytest.mark.parametrize(
    ("rule", "after", "to"),
    [
        ("-j DNAT --to-destination 10.0.0.3", "10.0.0.3", "10.0.0.3"),
        ("-j DNAT --to-destination 10.0.0.3:80-90", "10.0.0.3:80-90", "10.0.0.3"),
        ("-j DNAT --to-destination 10.0.0.3:80-90/80", "10.0.0.3:80-90/80", "10.0.0.3"),
        ("-j DNAT --to-destination 10.0.0.3:80 --random", "10.0.0.3:80", "10.0.0.3"),
        ("-j DNAT --to-destination 10.0.0.3-10.0.0.5", "10.0.0.3-10.0.0.5", "10.0.0.3-10.0.0.5"),
        (
            "-j DNAT --to-destination 10.0.0.3-10.0.0.5:80-90",
            "10.0.0.3-10.0.0.5:80-90",
            "10.0.0.3-10.0.0.5",
        ),
        ("-j DNAT --to-destination fd00::3", "fd00::3", "fd00::3"),
        ("-j DNAT --to-destination fd00::3-fd00::5", "fd00::3-fd00::5", "fd00::3-fd00::5"),
        ("-j DNAT --to-destination [fd00::3]:80", "[fd00::3]:80", "fd00::3"),
        (
            "-j DNAT --to-destination [fd00::3-fd00::5]:80-90",
            "[fd00::3-fd00::5]:80-90",
            "fd00::3-fd00::5",
        ),
        ("-j DNAT --to-destination :8000", ":8000", DB),
        ("-j DNAT --to-destination [broken", "[broken", "broken"),
        ("-j DNAT", None, DB),
        ("-j REDIRECT --to-ports 8000", ":8000", DB),
        ("-j REDIRECT", None, DB),
        ("tcp dport 80 dnat to 10.0.0.3", "10.0.0.3", "10.0.0.3"),
        ("tcp dport 80 dnat ip to 10.0.0.3:80 persistent", "10.0.0.3:80", "10.0.0.3"),
        ('log prefix "dnat to 1 " dnat to 10.0.0.3:80 comment "to DB"', "10.0.0.3:80", "10.0.0.3"),
        ("dnat ip6 to [fd00::3]:80 fully-random", "[fd00::3]:80", "fd00::3"),
        ("dnat to 10.0.0.3-10.0.0.5:80", "10.0.0.3-10.0.0.5:80", "10.0.0.3-10.0.0.5"),
        ("dnat to :8000", ":8000", DB),
        ("redirect to :8000 random", ":8000", DB),
        ("redirect", None, DB),
    ],
)
def test_what_a_rule_says_of_the_destination_is_where_the_probe_goes(rule, after, to):
    nat = traced("DNAT", "accept", namespace="host-a/db", text=rule)
    last = hop("host-a/db", "eth0", "in", packet(WEB, DB))
    changes = tuple(translations(last, [nat]))
    assert [change.after for change in changes] == ([after] if after else [])
    assert _destination(last, changes) == to
    assert ended([last], passes=[nat]).outcome == ("unanswered" if to == DB else "lost")


@pytest.mark.parametrize(
    ("to", "outcome"),
    [("10.0.0.3-10.0.0.5:80", "lost"), ("10.0.0.3", "lost"), (":80", "dropped")],
)
def test_a_route_that_is_missing_for_the_old_destination_says_nothing_of_the_new(to, outcome):
    nat = traced("DNAT", "accept", text=f"-j DNAT --to-destination {to}")
    assert ended(ARRIVED[:2], passes=[nat], no_route=True).outcome == outcome


@pytest.mark.parametrize(
    ("error", "why"),
    [(RST, "nothing listens on port 8000 there"), (icmp(3, 3), "no socket has port 8000 there")],
    ids=["RST", "ICMP"],
)
def test_a_refusal_names_the_port_that_the_probe_had_in_the_end(error, why):
    translated = dataclasses.replace(packet(WEB, DB), flow=Flow("tcp", WEB, 43210, DB, 8000))
    way = [hop("host-a/db", "eth0", "in", translated)]
    assert ended(way, on_the_way_back(error), outcome="ECONNREFUSED").why == why


def test_flooded_copies_are_no_part_of_the_way():
    copy = hop("host-a/netns:blue", "veth-blue", "in", packet(WEB, DB))
    way = [*ARRIVED, dataclasses.replace(copy, copy=True)]
    assert ended(way).namespace == "host-a/db"


HINTS = ("Ip.OutNoRoutes", "Ip.InHdrErrors", "Ip.InAddrErrors", "TcpExt.ListenDrops", "Udp.NoPorts")


@settings(deadline=None, max_examples=300)
@given(
    way=st.lists(st.sampled_from([*ARRIVED, hop("host-a", "eth0", "out", packet(WEB, DB))])),
    answer=st.lists(st.sampled_from(on_the_way_back(SYN_ACK))),
    passes=st.lists(st.sampled_from([traced("ACCEPT", "accept"), traced("DNAT", "accept")])),
    counters=st.dictionaries(
        st.sampled_from(["host-a", "host-a/web", "host-a/db"]),
        st.dictionaries(st.sampled_from(HINTS), st.integers(0, 3)),
    ),
    deaf=st.sets(st.sampled_from(["host-a", "host-a/db"])),
    outcome=st.sampled_from(["silence", "connected", "answered"]),
    protocol=st.sampled_from(["tcp", "udp", "icmp"]),
)
def test_nothing_is_dropped_or_refused_without_evidence(passes, **seen):
    assert ended(passes=passes, answer_passes=passes, **seen).outcome not in BLAMING


def test_only_what_looks_for_evidence_can_say_that_something_was_dropped():
    modules = Path(drops.__file__).parent.glob("*.py")
    assert [it.name for it in modules if '"dropped"' in it.read_text()] == ["drops.py"]
    drop = drops.Drop("host-a", "why", ("evidence",), DROP.matches[-1])
    assert drops.ended_by(drop, (DROP,)) == Ending(
        "dropped", "host-a", "why", ("evidence",), DROP.matches[-1], (DROP,)
    )
