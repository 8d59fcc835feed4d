"""What lesson 06 claims of macvlan, and its outputs do not tell.

After the quiz only the reset follows, so checks there change what they like.
"""

import json

from between_cells import after

import sandbox
from tests.hosts import mac, nobody_answers, ok, until


def containers(host):
    """By a container's IPv4 address on eth0, what runs a command in its network namespace, and its
    MAC address. docker exec takes seconds where the processors are busy.
    """
    said = ok(
        host,
        "for ns in /run/docker/netns/*; do"
        " echo $ns $(nsenter --net=$ns ip -j addr show eth0); done",
    )
    found = {}
    for line in said.splitlines():
        space, _, shown = line.partition(" ")
        [eth0] = json.loads(shown)
        [address] = [it["local"] for it in eth0["addr_info"] if it["family"] == "inet"]
        found[address] = f"nsenter --net={space}", eth0["address"]
    return found


def answering(host, asking, address):
    """Every MAC address that answers for address, asked from the container that has asking."""
    there, _ = containers(host)[asking]
    said = ok(host, f"{there} busybox arping -b -c 2 -I eth0 {address}")
    return {word.strip("[]") for word in said.split() if word.startswith("[")}


@after("shim=198.18.0.159")
def a_network_without_a_container_leaves_its_parent_as_it_was(a, b):
    assert "promiscuity 0" in ok(a, "ip -d link show eth0")


@after("bridge fdb show dev eth0")
def host_b_finds_each_container_at_its_own_mac_address_which_the_parent_lists(a, b):
    seen, listed = ok(b, "ip neigh show dev eth0"), ok(a, "bridge fdb show dev eth0")
    assert f"198.18.0.11 lladdr {mac(a)} " in seen
    own = {address: its for address, (_, its) in containers(a).items()}
    assert set(own) == {"198.18.0.128", "198.18.0.129"}
    for address, its in own.items():
        assert f"{address} lladdr {its} " in seen
        assert f"{its} self permanent" in listed


@after('outcome("web, on the other host")')
def an_address_given_out_twice_is_answered_for_by_both(a, b):
    (_, api), (_, web) = (containers(host)["198.18.0.128"] for host in (a, b))
    assert api != web
    # The next cells show which of the two client believes. Asking from .130, which is watch, leaves
    # what client knows as it is.
    assert answering(a, "198.18.0.130", "198.18.0.128") == {api, web}


@after("sandbox.quiz(")
def an_address_given_out_once_is_answered_for_by_one(a, b):
    _, api = containers(a)["198.18.0.128"]
    assert answering(a, "198.18.0.129", "198.18.0.128") == {api}


@after("sandbox.quiz(")
def a_container_of_another_host_reaches_a_private_one(a, b):
    desk, _ = containers(b)["10.10.0.128"]
    ok(b, f"{desk} ping -c 1 -W 9 10.10.0.65")


@after("sandbox.quiz(")
def a_switch_that_lets_one_mac_address_pass_drops_the_containers_arp_as_well(a, b):
    # It answers for host-a's address too, by a MAC address that the switch drops.
    ok(a, "ip link del shim")
    ok(b, "ip neigh flush dev eth0; ping -c 1 -W 9 198.18.0.128 && ping -c 1 -W 9 198.18.0.11")
    ok(
        a,
        "nft add table netdev port; nft add chain netdev port out"
        " '{ type filter hook egress device eth0 priority 0; }'; nft add rule netdev port out"
        f" ether saddr != {mac(a)} drop",
    )
    ok(b, "ping -c 1 -W 9 198.18.0.11")
    nobody_answers(b, "ping -c 1 -W 3 198.18.0.128")
    # Once api has forgotten host-b it cannot answer.
    api, _ = containers(a)["198.18.0.128"]
    ok(a, f"{api} ip neigh flush dev eth0")
    ending = sandbox.journey("host-b", "host-a/api").passage.ending
    assert (ending.outcome, ending.namespace) == ("unanswered", "host-a/api")
    assert "answer cannot leave: nobody on eth0 of host-a/api answers its ARP" in ending.why
    ok(a, "nft delete table netdev port")
    # What waits for an ARP answer is thrown away with the third request that got none.
    until("api answers", lambda: b.run("ping -c 1 -W 2 198.18.0.128").code == 0, 30)


@after("sandbox.quiz(")
def a_journey_from_a_macvlan_ends_as_the_port_says(a, b):
    # A frame has one time stamp at the parent and at its macvlan, and tests/unit/test_journey.py
    # has all orders that they may be told in.
    assert sandbox.journey("host-b/web", "host-a").outcome == "answered"
    assert sandbox.journey("host-b/web", "host-a", tcp=81).outcome == "refused"
