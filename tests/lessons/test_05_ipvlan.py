"""What lesson 05 says of ipvlan, on the VM engine."""

import pytest

from tests.hosts import ok

pytestmark = pytest.mark.engine

LAN = "docker network create -d ipvlan -o parent=eth0 --subnet 198.18.0.0/24 --gateway 198.18.0.1"
L3 = "docker network create -d ipvlan -o parent=eth0"
PING = "ping -c 1 -W 9"  # long enough for ARP to give up and say so


def nobody_answers(host, command):
    """A ping that ran and got no reply; any other failure is none of this."""
    result = host.run(command)
    assert result.code == 1, f"{command}\n{result.stdout}{result.stderr}"
    assert " 0 received" in result.stdout, result.stdout
    return result.stdout


def mac(host, command=""):
    return ok(host, f"{command} cat /sys/class/net/eth0/address".strip())


def counted(host, chain, match):
    """Packets that a rule of this match has counted."""
    rule = ok(host, f"iptables -S {chain} -v | grep -F -- '{match}'")
    return int(rule.split(" -c ")[1].split()[0])


def test_ipvlan_containers_are_on_the_lan_with_their_parents_mac_address(fresh):
    a, b = fresh.host("a"), fresh.host("b")
    ok(a, f"{LAN} --ip-range 198.18.0.128/27 --aux-address printer=198.18.0.128 lan")
    ok(b, f"{LAN} --ip-range 198.18.0.160/27 lan")
    ok(a, "docker run -d --name api --network lan toolbox")
    ok(b, "docker run -d --name web --network lan toolbox")

    # The true address arrives, and nothing is published.
    answer = ok(a, "docker exec api curl -s -m 10 http://198.18.0.160")
    assert "you are 198.18.0.129" in answer

    assert mac(a, "docker exec api") == mac(a)
    assert mac(b, "docker exec web") == mac(b) != mac(a)
    ok(b, f"{PING} 198.18.0.129 && {PING} 198.18.0.11")
    seen = ok(b, "ip -4 neigh show dev eth0 | awk '/lladdr/ {print $1, $3}'").split("\n")
    by_address = dict(line.split() for line in seen)
    assert by_address["198.18.0.129"] == by_address["198.18.0.11"] == mac(a)

    # host-b has just reached it; the host that runs it does not, in neither direction.
    assert "Destination Host Unreachable" in nobody_answers(a, f"{PING} 198.18.0.129")
    nobody_answers(a, f"docker exec api {PING} 198.18.0.11")

    refused = a.run(f"{L3} -o ipvlan_mode=l3 --subnet 10.6.1.0/24 left")
    assert refused.code
    assert "already using parent interface eth0" in refused.stderr


def test_a_vlan_reaches_its_own_and_no_other(fresh):
    a, b = fresh.host("a"), fresh.host("b")

    def network(host, vlan, octet):
        ok(host, f"docker network create -d ipvlan -o parent=eth0.{vlan} --subnet 10.10.0.0/24"
                 f" --gateway 10.10.0.1 --ip-range 10.10.0.{octet}/26 red")  # fmt: skip

    network(a, 10, 64)
    network(b, 10, 128)
    assert "vlan protocol 802.1Q id 10" in ok(a, "ip -d link show eth0.10")
    ok(a, "docker run -d --name red-a --network red toolbox")
    ok(b, "docker run -d --name red-b --network red toolbox")
    probe = f"docker exec red-a {PING} "
    ok(a, f"{probe} 10.10.0.128")

    # The same subnet on another VLAN of the same wire: only the tag differs.
    ok(b, "docker network disconnect red red-b && docker network rm red")
    assert b.run("ip link show eth0.10").code  # Docker removed what it had made
    network(b, 11, 192)
    ok(b, "docker network connect red red-b")
    assert "Destination Host Unreachable" in nobody_answers(a, f"{probe} 10.10.0.192")

    ok(b, "docker network disconnect red red-b && docker network rm red")
    network(b, 10, 192)
    ok(b, "docker network connect red red-b")
    ok(a, f"{probe} 10.10.0.192")


def test_l3_needs_a_route_back_and_only_l3s_shows_the_host_what_comes_in(fresh):
    a, b = fresh.host("a"), fresh.host("b")
    ok(a, f"{L3} -o ipvlan_mode=l3 --subnet 10.6.1.0/24 left")
    ok(a, "docker run -d --name app --network left toolbox")
    assert "NOARP" in ok(a, "docker exec app ip link show eth0")
    assert "default dev eth0" in ok(a, "docker exec app ip route")

    ok(b, "iptables -I INPUT -s 10.6.1.0/24")
    nobody_answers(a, "docker exec app ping -c 3 -W 2 198.18.0.12")
    assert counted(b, "INPUT", "-s 10.6.1.0/24") == 3
    nobody_answers(b, f"{PING} 10.6.1.1")
    ok(b, "ip route add 10.6.1.0/24 via 198.18.0.11")
    ok(b, f"{PING} 10.6.1.1")
    assert not ok(a, "docker exec app ip neigh")
    assert "10.6.1." not in ok(b, "ip neigh")

    ok(b, f"{L3} -o ipvlan_mode=l3s --subnet 10.6.2.0/24 right")
    ok(b, "docker run -d --name db --network right toolbox")
    ok(a, "ip route add 10.6.2.0/24 via 198.18.0.12")
    for host, address in (a, "10.6.1.1"), (b, "10.6.2.1"):
        ok(host, f"iptables -I INPUT -d {address} && iptables -I OUTPUT -s {address}")
    ok(a, "docker exec app ping -c 3 -W 5 10.6.2.1")
    assert counted(a, "OUTPUT", "-s 10.6.1.1/32") == 3
    assert counted(a, "INPUT", "-d 10.6.1.1/32") == 0
    assert counted(b, "OUTPUT", "-s 10.6.2.1/32") == 3
    assert counted(b, "INPUT", "-d 10.6.2.1/32") == 3
