"""What lesson 05 claims of ipvlan, and its outputs do not tell."""

from between_cells import after

from tests.hosts import mac, nobody_answers, ok


@after("for ip in 11 129 130")
def host_b_finds_the_containers_at_the_mac_address_of_their_parent(a, b):
    parents, seen = mac(a), ok(b, "ip neigh show dev eth0")
    for address in "198.18.0.11", "198.18.0.129", "198.18.0.130":
        assert f"{address} lladdr {parents} " in seen


# The next cell removes the containers, and with them what they learn of the shim.
@after("--expect-failure\ndocker network create")
def a_shim_joins_the_host_and_its_containers_and_the_parent_is_not_promiscuous(a, b):
    ok(a, "ip link add shim link eth0 type ipvlan mode l2")
    ok(a, "ip addr add 198.18.0.159/32 dev shim && ip link set shim up")
    ok(a, "ip route add 198.18.0.128/27 dev shim")
    assert "you are 198.18.0.159" in ok(a, "curl -s -m 10 http://198.18.0.129")
    assert "promiscuity 0" in ok(a, "ip -d link show eth0")
    ok(a, "ip link del shim")


@after("parent=eth0.11")
def docker_removed_the_vlan_that_it_had_made(a, b):
    links = ok(b, "ip -br link")
    assert "eth0.11@eth0" in links
    assert "eth0.10@eth0" not in links


@after("sandbox.quiz(")
def without_a_route_nobody_answers_in_l3_mode(a, b):
    ok(b, "ping -c 1 -W 5 10.6.1.1")
    ok(b, "ip route del 10.6.1.0/24")
    # Long enough for ARP to give up and say so.
    nobody_answers(b, "ping -c 1 -W 9 10.6.1.1")
