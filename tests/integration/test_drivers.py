"""Each network driver, created and used once on the VM engine.

Of what `make test` runs the lessons prove the same. This is for a new QEMU or a new Engine, which
may change what the lessons print: scripts/newer_qemu.py and scripts/drift.py.
"""

import time

import pytest

from tests.hosts import make_swarm, ok

pytestmark = [pytest.mark.engine, pytest.mark.exhaustive]


def test_bridge_resolves_names_and_the_default_one_does_not(fresh):
    a = fresh.host("a")
    ok(a, "docker run -d --name web toolbox; docker run -d --name client toolbox sleep 600")
    assert a.run("docker exec client ping -c 1 web").code == 2
    ok(a, "docker network create n; docker network connect n web; docker network connect n client")
    ok(a, "docker exec client ping -c 1 -W 2 web")
    assert "you are 172.18.0.3" in ok(a, "docker exec client curl -s http://web")


def test_a_published_port_is_reached_from_the_other_host(fresh):
    ok(fresh.host("a"), "docker run -d --name web -p 8080:80 toolbox")
    assert "you are 198.18.0.12" in ok(fresh.host("b"), "curl -s -m 5 http://198.18.0.11:8080")


def test_a_port_that_is_taken_is_said_by_docker(fresh):
    a = fresh.host("a")
    ok(a, "docker run -d -p 8080:80 toolbox")
    result = a.run("docker run -d -p 8080:80 toolbox")
    assert result.code == 125
    assert "port is already allocated" in result.stderr


def test_host_shares_the_hosts_interfaces_and_none_has_only_loopback(fresh):
    a = fresh.host("a")
    assert "198.18.0.11/24" in ok(a, "docker run --rm --network host toolbox ip -br addr")
    names = ok(a, "docker run --rm --network none toolbox ip -br link").splitlines()
    assert [line.split()[0] for line in names] == ["lo"]


def test_macvlan_on_a_vlan_reaches_the_other_hosts_container(fresh):
    for name, octet in (("a", 1), ("b", 2)):
        host = fresh.host(name)
        ok(host, "docker network create -d macvlan --subnet 10.5.0.0/24 -o parent=eth0.5 v")
        ok(host, f"docker run -d --name client --network v --ip 10.5.0.1{octet} toolbox")
    assert "you are 10.5.0.11" in ok(
        fresh.host("a"), "docker exec client curl -s -m 10 http://10.5.0.12"
    )
    assert " id 5 " in ok(fresh.host("a"), "ip -d link show eth0.5")


def test_ipvlan_l2_carries_between_hosts(fresh):
    for name, octet in (("a", 1), ("b", 2)):
        host = fresh.host(name)
        ok(host, "docker network create -d ipvlan --subnet 10.6.0.0/24 -o parent=eth0 v")
        ok(host, f"docker run -d --name client --network v --ip 10.6.0.1{octet} toolbox")
    assert "you are 10.6.0.11" in ok(
        fresh.host("a"), "docker exec client curl -s -m 10 http://10.6.0.12"
    )


def test_ipvlan_l3_routes_between_hosts(fresh):
    for name, octet, other, via in (("a", 1, 2, 12), ("b", 2, 1, 11)):
        host = fresh.host(name)
        ok(
            host,
            f"docker network create -d ipvlan --subnet 10.6.{octet}.0/24 -o parent=eth0"
            " -o ipvlan_mode=l3 v",
        )
        ok(host, f"docker run -d --name client --network v --ip 10.6.{octet}.10 toolbox")
        # L3 mode routes by the host's own table, and sends no ARP for the containers' subnets.
        ok(host, f"ip route add 10.6.{other}.0/24 via 198.18.0.{via}")
    assert "default dev eth0" in ok(fresh.host("a"), "docker exec client ip route")
    assert "you are 10.6.1.10" in ok(
        fresh.host("a"), "docker exec client curl -s -m 10 http://10.6.2.10"
    )


def test_overlay_service_answers_on_its_virtual_address_through_ipvs(fresh):
    a, b = fresh.host("a"), fresh.host("b")
    make_swarm(a, b)
    ok(a, "docker network create -d overlay --attachable net")
    ok(
        a,
        "docker service create -d --name web --network net --replicas 2"
        " --replicas-max-per-node 1 --no-resolve-image toolbox",
    )
    deadline = time.monotonic() + 120
    listing = "docker service ps web -f desired-state=running --format '{{.CurrentState}}'"
    while (running := a.run(listing).stdout).count("Running") < 2:
        assert time.monotonic() < deadline, running
        time.sleep(1)
    ok(a, "docker run -d --name client --network net toolbox sleep 600")
    vip = ok(a, "docker exec client dig +short web")
    inspected = ok(a, "docker service inspect web -f '{{json .Endpoint.VirtualIPs}}'")
    assert f'"{vip}/24"' in inspected
    answered = {
        ok(a, f"docker exec client curl -s -m 10 http://{vip}").split()[2] for _ in range(4)
    }
    assert len(answered) == 2, answered
