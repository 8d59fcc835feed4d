"""A bridge network by hand has the parts that Docker's has, and lives as long as it is held."""

import pytest

import sandbox
from tests.hosts import answers, nobody_answers, ok, until

SERVER = (
    "cd /srv; echo 'hello from red' > index.html; ip netns exec red python3 -m http.server 80"
    " > /dev/null 2>&1 & echo $! > /run/red.pid"
)
DNAT = "-p tcp --dport 8080 -m addrtype --dst-type LOCAL -j DNAT --to-destination 10.5.0.2:80"

pytestmark = pytest.mark.engine


@pytest.fixture
def by_hand(fresh):
    """host-a with two namespaces on a bridge, without a way out or in; and host-b."""
    a, b = fresh.host("a"), fresh.host("b")
    ok(a, "ip link add hand0 type bridge; ip addr add 10.5.0.1/24 dev hand0; ip link set hand0 up")
    for name, number in (("red", 2), ("blue", 3)):
        ok(a, f"ip netns add {name}; ip -n {name} link set lo up")
        ok(a, f"ip link add wire-{name} type veth peer name eth0 netns {name}")
        ok(a, f"ip link set wire-{name} master hand0 up")
        ok(a, f"ip -n {name} addr add 10.5.0.{number}/24 dev eth0; ip -n {name} link set eth0 up")
    return a, b


def test_a_new_namespace_is_empty(fresh):
    a = fresh.host("a")
    ok(a, "ip netns add red")
    assert ok(a, "ip -n red -br link | awk '{print $1, $2}'") == "lo DOWN"
    assert ok(a, "ip -n red route show table all") == ""
    assert "-A" not in ok(a, "ip netns exec red iptables -S")


def test_out_needs_a_route_then_a_masquerade(by_hand):
    a, b = by_hand
    ping = "ip netns exec red ping -c 1 -W 2 198.18.0.12"
    assert answers(a, "ip netns exec blue ping -c 1 10.5.0.2")
    assert "Network is unreachable" in a.run(ping + " 2>&1").stdout
    ok(a, "ip -n red route add default via 10.5.0.1")
    assert ok(a, "sysctl -n net.ipv4.ip_forward") == "1"
    ok(b, "timeout 30 tcpdump -i eth0 -n -c 1 icmp > /root/seen 2> /dev/null & sleep 2")
    nobody_answers(a, ping)
    assert "10.5.0.2 > 198.18.0.12: ICMP echo request" in answers(b, "grep . /root/seen")
    ok(a, "iptables -t nat -A POSTROUTING -s 10.5.0.0/24 ! -o hand0 -j MASQUERADE")
    ok(a, ping)
    flow = ok(a, "conntrack -L -p icmp 2> /dev/null | grep src=10.5.0.2")
    assert "dst=198.18.0.11" in flow.partition("src=198.18.0.12")[2]


def test_in_needs_a_dnat_where_packets_come_in_and_one_where_they_begin(by_hand):
    a, b = by_hand
    ok(a, "ip -n red route add default via 10.5.0.1")
    ok(a, SERVER)
    answers(a, "ip netns exec blue curl -s -m 2 http://10.5.0.2")
    call = "curl -s -m 5 http://198.18.0.11:8080"
    ok(a, f"iptables -t nat -A PREROUTING {DNAT}")
    assert ok(b, call) == "hello from red"
    assert a.run(call).code == 7
    ok(a, f"iptables -t nat -A OUTPUT {DNAT}")
    assert ok(a, call) == "hello from red"


def test_the_parts_by_hand_are_those_of_docker_and_docker_adds_the_guards(by_hand):
    a, b = by_hand
    ok(a, "ip -n red route add default via 10.5.0.1; ip -n blue route add default via 10.5.0.1")
    ok(a, "iptables -t nat -A POSTROUTING -s 10.5.0.0/24 ! -o hand0 -j MASQUERADE")
    ok(a, f"iptables -t nat -A PREROUTING {DNAT}")
    ok(a, SERVER)
    ok(a, "docker network create --subnet 10.6.0.0/24 app")
    ok(a, "docker run -d --name web --network app -p 8081:80 toolbox")
    ok(a, "docker run -d --name client --network app toolbox sleep infinity")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in str(sandbox.compare_bridges("a", "hand0", "app")).splitlines()
    ]
    table = {name: (hand, docker) for name, hand, docker in rows[2:]}
    assert rows[0] == ["", "hand0", "app"]
    assert table["veth pairs into namespaces"] == ("2", "2")
    assert table["default gateway inside"] == ("10.5.0.1", "10.6.0.1")
    assert (
        table["NAT on the way out"][0].replace("10.5.", "10.6.") == table["NAT on the way out"][1]
    )
    assert "→ 10.5.0.2:80" in table["NAT on the way in"][0]
    assert "→ 10.6.0.2:80" in table["NAT on the way in"][1]
    for part in ("rules in filter", "rules in raw", "proxy on the host", "names answered inside"):
        assert table[part][0] == "none"
        assert table[part][1] != "none"
    # Whoever has a route reaches what nothing guards.
    ok(b, "ip route add 10.5.0.0/24 via 198.18.0.11; ip route add 10.6.0.0/24 via 198.18.0.11")
    assert answers(b, "curl -s -m 3 http://10.5.0.2") == "hello from red"
    assert b.run("curl -s -m 3 http://10.6.0.2").code == 28
    with pytest.raises(sandbox.SandboxError, match="no bridge 'absent'"):
        sandbox.compare_bridges("a", "absent")
    with pytest.raises(sandbox.SandboxError, match="No bridge is named"):
        sandbox.compare_bridges("a")


def test_a_containers_namespace_is_entered_three_ways_and_shared(fresh):
    a = fresh.host("a")
    ok(a, "docker run -d --name web toolbox")
    pid = ok(a, "docker inspect -f '{{.State.Pid}}' web")
    key = ok(a, "docker inspect -f '{{.NetworkSettings.SandboxKey}}' web")
    ok(a, f"ip netns attach web {pid}")
    inode = "readlink /proc/self/ns/net"
    found = {
        ok(a, f"nsenter --target {pid} --net {inode}"),
        ok(a, f"nsenter --net={key} {inode}"),
        ok(a, f"ip netns exec web {inode}"),
        ok(a, f"docker run --rm --network container:web toolbox {inode}"),
    }
    assert len(found) == 1
    assert found != {ok(a, inode)}


def test_a_namespace_ends_with_the_last_that_holds_it_and_takes_its_wire(by_hand):
    a, _ = by_hand
    ok(a, SERVER)
    answers(a, "ip netns exec blue curl -s -m 2 http://10.5.0.2")
    ok(a, "ip netns del red")
    assert ok(a, "ip netns exec blue curl -s -m 2 http://10.5.0.2") == "hello from red"
    ok(a, "kill $(cat /run/red.pid)")
    until("wire-red is gone", lambda: a.run("ip link show wire-red").code, 15)
