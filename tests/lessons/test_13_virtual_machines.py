"""A VM has a kernel of its own; its network is user-mode NAT, a tap in a bridge, or a macvtap."""

import pytest

import sandbox
from tests.hosts import answers, ok

BOOT_ID = "cat /proc/sys/kernel/random/boot_id"
SERVER = "docker run -d --name {0} --hostname {0} {1} toolbox"
FETCH = "wget -q -O - -T 20"

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]


@pytest.fixture
def two(fresh):
    """host-a with the container web, and host-b with a server that says who called."""
    a, b = fresh.host("a"), fresh.host("b")
    ok(a, SERVER.format("web", ""))
    ok(b, SERVER.format("api", "-p 80:80"))
    return a, b


def machine():
    (found,) = sandbox.snapshot("a").hosts[0].machines
    return found


def test_user_mode_nat_is_a_process_with_sockets_of_the_host(two):
    a, b = two
    before = sandbox.snapshot("a")
    ok(a, "vm start --port 8080:80")
    changed = str(sandbox.diff(before, sandbox.snapshot("a")))
    assert "+ virtual machine vm: user-mode NAT" in changed
    assert (machine().user_mode, machine().interfaces) == (True, ())
    assert ok(a, BOOT_ID) == ok(a, f"docker exec web {BOOT_ID}") != ok(a, f"vm exec {BOOT_ID}")
    memory = "grep MemTotal /proc/meminfo"
    assert ok(a, memory) == ok(a, f"docker exec web {memory}") != ok(a, f"vm exec {memory}")
    assert "lease of 10.0.2.15 obtained from 10.0.2.2" in ok(a, "vm exec udhcpc -i eth0 -q -n 2>&1")

    assert ok(a, f"vm exec {FETCH} http://198.18.0.12") == "hello from api, you are 198.18.0.11"
    answers(a, "docker exec web curl -s http://198.18.0.12")
    flows = ok(a, "conntrack -L -p tcp --dport 80 2> /dev/null")
    assert "src=172.17.0.2 dst=198.18.0.12" in flows
    assert "src=198.18.0.11 dst=198.18.0.12" in flows
    assert "10.0.2.15" not in flows

    assert "qemu-system" in ok(a, "ss -lntp sport = :8080")
    assert ok(b, "curl -s -m 20 http://198.18.0.11:8080") == "hello from vm, you are 198.18.0.12"

    assert ok(a, "curl -s -m 20 http://127.0.0.1:8080") == "hello from vm, you are 10.0.2.2"

    # What its root does stays inside; a container's root may not even try.
    refused = a.run("docker exec web ip link add dummy0 type dummy")
    assert "Operation not permitted" in refused.stderr
    ok(a, "vm exec 'modprobe dummy && ip link show dummy0'")
    ok(a, "vm exec 'modprobe nf_tables && nft add table ip own'")
    assert "own" in ok(a, "vm exec nft list tables")
    assert a.run("ip link show dummy0").code == 1
    tables = ok(a, "nft list tables").splitlines()
    assert "table ip nat" in tables
    assert "table ip own" not in tables

    # Allowed to, a container makes one in its own namespace.
    ok(a, SERVER.format("admin", "--cap-add NET_ADMIN"))
    ok(a, "docker exec admin ip link add dummy0 type dummy")
    assert ok(a, "docker exec admin ip -br link show dummy0").startswith("dummy0")
    assert a.run("ip link show dummy0").code == 1

    late = a.run("vm exec --timeout 2 sleep 6")
    assert (late.code, late.stderr.count("\n")) == (125, 1)
    assert "no answer in time" in late.stderr
    assert ok(a, "vm exec 'echo one\necho two'") == "one\ntwo"
    assert a.run("vm exec 'exit 7'").code == 7
    assert "runs already" in a.run("vm start").stderr
    ok(a, "vm stop")
    assert sandbox.snapshot("a").hosts[0].machines == ()
    assert "no VM runs" in a.run("vm exec true").stderr


def test_on_macvtap_it_is_on_the_lan_without_its_host_by_the_macvtaps_address_alone(two):
    a, b = two
    ok(a, "ip link add macvtap0 link eth0 type macvtap mode bridge; ip link set macvtap0 up")
    ok(a, "vm start --macvtap macvtap0")
    ok(a, "vm exec ip addr add 198.18.0.100/24 dev eth0")
    assert [str(ref) for ref in machine().interfaces] == ["macvtap0 of host-a"]
    assert "virtual machine vm  ─ macvtap0 on eth0" in sandbox.topology_text()

    ping = "vm exec ping -c 1 -W 8"
    assert "100% packet loss" in a.run(f"{ping} 198.18.0.11").stdout
    assert ok(b, "curl -s -m 20 http://198.18.0.100") == "hello from vm, you are 198.18.0.12"

    # What is for another address than the macvtap's does not come in.
    other = "52:54:00:00:00:99"
    ok(a, f"vm exec 'ip link set eth0 down; ip link set eth0 address {other} up'")
    assert "100% packet loss" in a.run(f"{ping} 198.18.0.12").stdout
    assert other in ok(b, "ip neigh show 198.18.0.100")
    ok(a, f"ip link set macvtap0 address {other}")
    assert " 0% packet loss" in ok(a, f"{ping} 198.18.0.12")


def test_a_bridge_without_an_address_of_the_host_is_internal(fresh):
    a = fresh.host("a")
    create = (
        "docker network create {} -o com.docker.network.bridge.gateway_mode_ipv4=isolated alone"
    )
    assert "internal" in a.run(create.format("")).stderr
    ok(a, create.format("--internal"))
    bridge = "br-$(docker network inspect -f '{{slice .Id 0 12}}' alone)"
    assert ok(a, f"ip -o link show {bridge}")
    assert ok(a, f"ip -o -4 address show {bridge}") == ""
