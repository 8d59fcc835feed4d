"""What lesson 06 says of macvlan, on the VM engine."""

import time

import pytest

import sandbox
from tests.hosts import mac, nobody_answers, ok, until

pytestmark = pytest.mark.engine

LAN = "docker network create -d macvlan -o parent=eth0 --subnet 198.18.0.0/24 --gateway 198.18.0.1"
PING = "ping -c 1 -W 9"  # long enough for ARP to give up and say so


def promiscuity(host):
    return ok(host, "ip -d link show eth0 | grep -o 'promiscuity [0-9]*'")


def answering(host, address):
    """Every MAC address that answers for address, asked from the container client."""
    said = ok(host, f"docker exec client busybox arping -b -c 2 -I eth0 {address}")
    return {word.strip("[]") for word in said.split() if word.startswith("[")}


def test_macvlan_containers_have_mac_addresses_of_their_own_which_the_switch_must_let_pass(fresh):
    a, b = fresh.host("a"), fresh.host("b")
    ok(a, f"{LAN} --ip-range 198.18.0.128/27 lan")
    assert promiscuity(a) == "promiscuity 0"
    ok(a, "docker run -d --name api --network lan toolbox")

    ok(b, f"{PING} 198.18.0.128 && {PING} 198.18.0.11")
    seen = ok(b, "ip -4 neigh show dev eth0 | awk '/lladdr/ {print $1, $3}'").split("\n")
    by_address = dict(line.split() for line in seen)
    assert by_address["198.18.0.128"] == mac(a, "docker exec api") != mac(a)
    assert by_address["198.18.0.11"] == mac(a)

    assert f"{mac(a, 'docker exec api')} self permanent" in ok(a, "bridge fdb show dev eth0")
    assert promiscuity(a) == "promiscuity 1"

    # A switch that lets one MAC address pass cuts the container off, and not the host.
    ok(a, "nft add table netdev port; nft add chain netdev port out"
          " '{ type filter hook egress device eth0 priority 0; }'; nft add rule netdev port out"
          f" ether saddr != {mac(a)} drop")  # fmt: skip
    ok(b, f"{PING} 198.18.0.11")
    nobody_answers(b, "ping -c 1 -W 3 198.18.0.128")
    # It drops the container's ARP as well, so once api has forgotten host-b it cannot answer.
    ok(a, "nsenter -n -t $(docker inspect -f '{{.State.Pid}}' api) ip neigh flush dev eth0")
    ending = sandbox.journey("host-b", "host-a/api").passage.ending
    assert (ending.outcome, ending.namespace) == ("unanswered", "host-a/api")
    assert "answer cannot leave: nobody on eth0 of host-a/api answers its ARP" in ending.why
    ok(a, "nft delete table netdev port")
    # What waits for an ARP answer is thrown away with the third request that got none.
    until("api answers", lambda: b.run("ping -c 1 -W 2 198.18.0.128").code == 0, 30)

    # One parent carries one kind.
    ok(a, "docker network create -d ipvlan -o parent=eth0 --subnet 10.7.0.0/24 other")
    refused = a.run("docker run --rm --network other toolbox true")
    assert refused.code == 125
    assert "failed to create the ipvlan port: device or resource busy" in refused.stderr


def test_a_host_reaches_its_own_macvlan_containers_only_by_a_shim(fresh):
    a, b = fresh.host("a"), fresh.host("b")
    ok(a, f"{LAN} --ip-range 198.18.0.128/27 --aux-address shim=198.18.0.159 lan")
    ok(a, "docker run -d --name api --network lan toolbox")
    ok(b, f"{PING} 198.18.0.128")
    nobody_answers(a, f"{PING} 198.18.0.128")
    nobody_answers(a, f"docker exec api {PING} 198.18.0.11")

    ok(a, "ip link add shim link eth0 type macvlan mode bridge")
    ok(a, "ip addr add 198.18.0.159/32 dev shim && ip link set shim up")
    ok(a, "ip route add 198.18.0.128/27 dev shim")
    assert "you are 198.18.0.159" in ok(a, "curl -s -m 10 http://198.18.0.128")
    ok(a, f"docker exec api {PING} 198.18.0.11")
    found_at = ok(a, "docker exec api ip neigh show 198.18.0.11 | awk '{print $5}'")
    assert found_at == ok(a, "cat /sys/class/net/shim/address")


def test_private_containers_reach_others_and_not_each_other(fresh):
    a, b = fresh.host("a"), fresh.host("b")
    vlan = "docker network create -d macvlan -o parent=eth0.10 --subnet 10.10.0.0/24"
    ok(a, f"{vlan} -o macvlan_mode=private --ip-range 10.10.0.64/26 --gateway 10.10.0.1 guests")
    ok(b, f"{vlan} --ip-range 10.10.0.128/26 --gateway 10.10.0.1 guests")
    for name in "guest1", "guest2":
        ok(a, f"docker run -d --name {name} --network guests toolbox")
    ok(b, "docker run -d --name desk --network guests toolbox")
    for name in "guest1", "guest2":
        ok(a, f"docker exec {name} {PING} 10.10.0.128")
    ok(b, f"docker exec desk {PING} 10.10.0.65")
    nobody_answers(a, f"docker exec guest1 {PING} 10.10.0.65")


def test_a_container_sees_broadcasts_of_the_lan_and_not_what_is_for_others(fresh):
    a, b = fresh.host("a"), fresh.host("b")
    ok(a, f"{LAN} --ip-range 198.18.0.128/27 lan")
    ok(a, "docker run -d --name watch --network lan toolbox tcpdump -Z root -n -t -l -i eth0"
          " 'src host 198.18.0.12 and (icmp or arp[6:2] = 1)'")  # fmt: skip
    log = "docker logs watch 2>&1"

    def wait_for(text):
        deadline = time.monotonic() + 30
        while text not in (said := ok(a, log)):
            assert time.monotonic() < deadline, f"no {text!r} in:\n{said}"
            time.sleep(0.2)
        return said

    wait_for("listening on eth0")
    ok(b, f"ip neigh flush dev eth0; {PING} 198.18.0.11 && {PING} 198.18.0.128")
    said = wait_for("198.18.0.12 > 198.18.0.128: ICMP echo request")
    assert "who-has 198.18.0.11 tell 198.18.0.12" in said
    assert "> 198.18.0.11:" not in said


def test_two_engines_give_out_one_address_twice_unless_their_ranges_differ(fresh):
    a, b = fresh.host("a"), fresh.host("b")
    for host, name in (a, "api"), (b, "web"):
        ok(host, f"{LAN} --ip-range 198.18.0.128/27 lan")
        ok(host, f"docker run -d --name {name} --network lan toolbox")
    ok(a, "docker run -d --name client --network lan toolbox")
    api, web = mac(a, "docker exec api"), mac(b, "docker exec web")
    assert api != web
    assert answering(a, "198.18.0.128") == {api, web}

    ok(b, "docker network disconnect lan web && docker network rm lan")
    ok(b, f"{LAN} --ip-range 198.18.0.160/27 lan")
    ok(b, "docker network connect lan web")
    assert answering(a, "198.18.0.128") == {api}
    # A frame has one time stamp at the parent and at its macvlan.
    for _ in range(3):
        assert sandbox.journey("host-b/web", "host-a").outcome == "answered"
        assert sandbox.journey("host-b/web", "host-a", tcp=81).outcome == "refused"
