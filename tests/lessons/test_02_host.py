"""What lesson 02 claims of host mode."""

import time

import pytest

from tests.hosts import ok

pytestmark = pytest.mark.engine


def answers(host, command):
    """What command prints once it succeeds: a server listens a moment after docker run."""
    deadline = time.monotonic() + 15
    while (result := host.run(command)).code:
        assert time.monotonic() < deadline, f"{command}\n{result.stdout}{result.stderr}"
    return result.stdout.strip()


def test_a_container_in_host_mode_shares_the_hosts_network_namespace_and_no_other(fresh):
    a = fresh.host("a")
    ok(a, "docker run -d --name client --network host toolbox sleep 600")
    ok(a, "docker run -d --name inner toolbox")
    same = "[ /proc/$(docker inspect -f '{{.State.Pid}}' %s)/ns/%s -ef /proc/self/ns/%s ]"
    found = {
        (name, kind): a.run(same % (name, kind, kind)).code == 0
        for name in ("client", "inner")
        for kind in ("net", "mnt", "pid")
    }
    assert [it for it, is_same in found.items() if is_same] == [("client", "net")]
    for command in ("ip -br -4 addr", "ip route", "hostname", "cat /etc/hosts"):
        assert ok(a, f"docker exec client {command}") == ok(a, command)


def test_a_server_in_host_mode_is_reached_on_its_own_port_and_not_on_the_published_one(fresh):
    a, b = fresh.host("a"), fresh.host("b")
    rules = "iptables-save | grep -v '^[#:]'; ip -br link | cut -d' ' -f1"
    before = ok(a, rules)
    started = a.run("docker run -d --name web --network host -p 8080:80 toolbox")
    assert started.code == 0
    assert "Published ports are discarded when using host network mode" in started.stderr
    answer = answers(b, "curl -s -m 5 http://198.18.0.11")
    assert answer == "hello from host-a, you are 198.18.0.12"
    assert b.run("curl -s -m 5 http://198.18.0.11:8080").code == 7
    assert ok(a, rules) == before


def test_a_published_port_on_the_hosts_loopback_goes_through_the_proxy(fresh):
    a = fresh.host("a")
    ok(a, "docker run -d --name web --network host toolbox")
    ok(a, "docker run -d --name front -p 8080:80 toolbox")
    assert answers(a, "curl -s http://127.0.0.1:80").endswith("you are 127.0.0.1")
    assert answers(a, "curl -s http://127.0.0.1:8080").endswith("you are 172.17.0.1")
    assert ok(a, "docker exec web curl -s http://127.0.0.1:8080").endswith("you are 172.17.0.1")
    held = ok(a, "ss -Hltnp 'sport = :80 or sport = :8080' | awk '{print $4, $6}'").splitlines()
    holders = {line.split()[0].rpartition(":")[2]: line.split('"')[1] for line in held}
    assert holders == {"80": "busybox", "8080": "docker-proxy"}
    counted = ok(a, "iptables -t nat -vnxL DOCKER | awk '/dpt:8080/ {print $1}'")
    assert counted == "0", "the DNAT rule rewrote what the proxy should have taken"


def test_a_container_in_host_mode_reaches_a_bridge_by_address_and_not_by_name(fresh):
    a = fresh.host("a")
    ok(a, "docker network create shop")
    ok(a, "docker run -d --name inner --network shop toolbox")
    ok(a, "docker run -d --name client --network host toolbox sleep 600")
    assert answers(a, "docker exec client curl -s http://172.18.0.2").endswith("172.18.0.1")
    assert a.run("docker exec client curl -s -m 9 http://inner").code == 6
    assert "127.0.0.11" not in ok(a, "docker exec client grep ^nameserver /etc/resolv.conf")
    refused = a.run("docker network connect shop client")
    assert refused.code == 1
    assert "cannot be connected to any other network" in refused.stderr


def test_loopback_and_traffic_of_the_host_are_open_to_a_container_in_host_mode(fresh):
    a = fresh.host("a")
    ok(a, "mkdir -p /srv/admin; echo secret > /srv/admin/index.html")
    ok(a, "busybox httpd -p 127.0.0.1:9000 -h /srv/admin")
    ok(a, "docker run -d --name inner toolbox")
    ok(a, "docker run -d --name client --network host toolbox sleep 600")
    assert ok(a, "docker exec client curl -s http://127.0.0.1:9000") == "secret"
    assert a.run("docker exec inner curl -s http://127.0.0.1:9000").code == 7
    listen = "tcpdump -Z root -tn -i eth0 -c 1 'icmp[icmptype] = icmp-echo' 2> /dev/null"
    seen = ok(a, f"ping -c 20 198.18.0.12 > /dev/null & docker exec client {listen}")
    assert seen.startswith("IP 198.18.0.11 > 198.18.0.12: ICMP echo request")


def test_only_net_admin_lets_a_container_change_the_hosts_interfaces_which_then_stay(fresh):
    a = fresh.host("a")
    add = "toolbox ip link add spare0 type dummy"
    refused = a.run(f"docker run --rm --network host {add}")
    assert "Operation not permitted" in refused.stderr
    assert a.run("ip link show spare0").code == 1
    ok(a, f"docker run --rm --cap-add NET_ADMIN {add}")
    assert a.run("ip link show spare0").code == 1, "on a bridge it changed the host"
    ok(a, f"docker run --rm --network host --cap-add NET_ADMIN {add}")
    assert ok(a, "docker ps -aq") == ""
    ok(a, "ip link show spare0")


def test_a_port_that_is_taken_ends_the_second_server_and_docker_run_says_nothing(fresh):
    a = fresh.host("a")
    ok(a, "docker run -d --name web --network host toolbox")
    answers(a, "curl -s http://127.0.0.1")
    started = a.run("docker run -d --name second --network host toolbox")
    assert (started.code, started.stderr) == (0, "")
    assert ok(a, "docker wait second") == "1"
    logged = a.run("docker logs second")
    assert "Address already in use" in logged.stdout + logged.stderr
    published = a.run("docker run -d --name third -p 80:80 toolbox")
    assert published.code == 125
    assert "failed to bind host port" in published.stderr
    assert "address already in use" in published.stderr
    ok(a, "docker run -d --name other --network host toolbox serve 81")
    assert answers(a, "curl -s http://127.0.0.1:81") == "hello from host-a, you are 127.0.0.1"
