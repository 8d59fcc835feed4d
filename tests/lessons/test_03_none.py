"""What lesson 03 claims of containers without a network, and of wires made by hand."""

import time

import pytest

from tests.hosts import ok

pytestmark = pytest.mark.engine

PLUG = """
pid=$(docker inspect -f '{{.State.Pid}}' job)
ip link add wire type veth peer name eth0 netns "$pid" &&
ip link set wire master docker0 up &&
nsenter -t "$pid" -n ip addr add 172.17.100.2/16 dev eth0 &&
nsenter -t "$pid" -n ip link set eth0 up
"""


def answers(host, command):
    """What command prints once it succeeds: a server listens a moment after docker run."""
    deadline = time.monotonic() + 15
    while (result := host.run(command)).code:
        assert time.monotonic() < deadline, f"{command}\n{result.stdout}{result.stderr}"
    return result.stdout.strip()


def unreachable(host, container, address):
    result = host.run(f"docker exec {container} ping -c 1 -W 2 {address}")
    return result.code == 2 and result.stderr.strip() == "ping: connect: Network is unreachable"


def test_a_container_on_none_has_loopback_and_reaches_nobody_else(fresh):
    a = fresh.host("a")
    firewall = ok(a, "iptables-save | grep -v '^[#:]'")
    ok(a, "docker run -d --name job --network none toolbox")
    assert ok(a, "iptables-save | grep -v '^[#:]'") == firewall
    ok(a, "docker run -d --name web toolbox")
    assert ok(a, "docker exec job ls /sys/class/net") == "lo"
    assert ok(a, "docker exec job ip route") == ""
    for address in ("172.17.0.2", "172.17.0.1", "198.18.0.12"):
        assert unreachable(a, "job", address)
    lost = a.run("docker exec web ping -c 1 -W 1 198.18.0.99")
    assert "100% packet loss" in lost.stdout, "a probe that is sent must look different"
    asked = a.run("docker exec job dig +tries=1 docs.docker.com")
    assert "network unreachable" in asked.stdout
    assert answers(a, "docker exec job curl -s http://127.0.0.1").endswith("you are 127.0.0.1")


def test_files_and_output_need_no_network(fresh):
    a = fresh.host("a")
    ok(a, "printf '3\\n5\\n8\\n' > /root/numbers")
    run = "docker run --rm --network none -v /root/numbers:/numbers:ro toolbox wc -l /numbers"
    assert ok(a, run) == "3 /numbers"


def test_none_excludes_other_networks_until_it_is_left(fresh):
    a = fresh.host("a")
    ok(a, "docker network create shop; docker run -d --name job --network none toolbox")
    refused = a.run("docker network connect shop job")
    assert refused.code == 1
    assert "private (none) mode" in refused.stderr
    ok(a, "docker network disconnect none job; docker network connect shop job")
    look = "docker exec job ip -br -4 addr show eth0"
    assert "172.18.0.2/24" in ok(a, look)
    ok(a, "docker restart -t 0 job")
    assert "172.18.0.2/24" in ok(a, look), "what Docker connected did not come back"


def test_a_wire_made_by_hand_carries_and_docker_does_not_know_of_it(fresh):
    a, b = fresh.host("a"), fresh.host("b")
    ok(b, "docker run -d --name far -p 8080:80 toolbox")
    ok(a, "docker run -d --name web toolbox; docker run -d --name job --network none toolbox")
    firewall = ok(a, "iptables-save | grep -v '^[#:]'")
    ok(a, PLUG)
    assert "Operation not permitted" in a.run("docker exec job ip link set eth0 down").stderr
    assert answers(a, "docker exec job curl -s http://172.17.0.2").endswith("172.17.100.2")
    ok(a, "docker exec job ping -c 1 -W 5 172.17.0.1")
    assert unreachable(a, "job", "198.18.0.12")
    pid = ok(a, "docker inspect -f '{{.State.Pid}}' job")
    ok(a, f"nsenter -t {pid} -n ip route add default via 172.17.0.1")
    answer = answers(a, "docker exec job curl -s -m 5 http://198.18.0.12:8080")
    assert answer.endswith("you are 198.18.0.11")
    assert ok(a, "iptables-save | grep -v '^[#:]'") == firewall
    known = "docker inspect -f '{{.NetworkSettings.Networks.none.IPAddress}}' job"
    assert ok(a, known) == ""
    listed = "docker network inspect bridge -f '{{range .Containers}}{{.Name}} {{end}}'"
    assert ok(a, listed) == "web"


def test_docker_gives_out_an_address_that_was_taken_by_hand(fresh):
    a = fresh.host("a")
    ok(a, "docker run -d --name job --network none toolbox")
    ok(a, PLUG.replace("172.17.100.2", "172.17.0.2"))
    ok(a, "docker run -d --name web toolbox")
    assert "172.17.0.2/16" in ok(a, "docker exec web ip -br -4 addr show eth0")


def test_a_restart_takes_both_ends_of_the_wire(fresh):
    a = fresh.host("a")
    ok(a, "docker run -d --name job --network none toolbox")
    ok(a, PLUG)
    ok(a, "ip link show wire")
    ok(a, "docker restart -t 0 job")
    assert ok(a, "docker exec job ls /sys/class/net") == "lo"
    assert a.run("ip link show wire").code == 1
    ok(a, PLUG)
    ok(a, "docker exec job ping -c 1 -W 5 172.17.0.1")


def test_a_wire_between_two_containers_reaches_nobody_else(fresh):
    a = fresh.host("a")
    ok(a, "docker run -d --name web toolbox; docker run -d --name vault --network none toolbox")
    ends = (("vault", "eth0", "10.9.0.1/30"), ("web", "eth1", "10.9.0.2/30"))
    vault, web = (ok(a, f"docker inspect -f '{{{{.State.Pid}}}}' {name}") for name, *_ in ends)
    ok(a, f"ip link add eth0 netns {vault} type veth peer name eth1 netns {web}")
    for pid, (_, interface, address) in zip((vault, web), ends, strict=True):
        ok(a, f"nsenter -t {pid} -n ip addr add {address} dev {interface}")
        ok(a, f"nsenter -t {pid} -n ip link set {interface} up")
    answer = answers(a, "docker exec vault curl -s -m 5 http://10.9.0.2")
    assert answer.endswith("you are 10.9.0.1")
    assert unreachable(a, "vault", "172.17.0.1")
    assert ok(a, "ip route get 10.9.0.1").startswith("10.9.0.1 via 198.18.0.1 dev eth0")
