"""The driver that lesson 07 writes, taken from its cells, is asked in the documented order."""

import json
from pathlib import Path

import pytest

from sandbox.magic import run_cell
from tests.hosts import ok

LESSON = Path(__file__).parents[2] / "lessons/07-plugins.ipynb"
START = (
    "cd /opt/wire; python3 {0}.py > /var/log/{0}.log 2>&1 & echo $! > /run/{0}.pid;"
    " until [ -S /run/docker/plugins/{1}.sock ]; do sleep 0.1; done"
)

pytestmark = pytest.mark.engine


@pytest.fixture
def written(fresh):
    """Both hosts with the lesson's files."""
    for cell in json.loads(LESSON.read_text())["cells"]:
        line, _, text = "".join(cell["source"]).partition("\n")
        if line.startswith("%%host a --save"):
            for host in "ab":
                run_cell(line.removeprefix("%%host").replace(" a ", f" {host} "), text, str)
    return fresh


def calls(host, log):
    return ok(host, f"cut -d' ' -f1 /var/log/{log}.log").splitlines()


def test_calls_come_in_the_documented_order(written):
    # libnetwork/docs/remote.md of moby; the container's life from create to remove.
    a = written.host("a")
    ok(a, START.format("driver", "wire"))
    ok(a, "docker network create -d wire --subnet 10.9.0.0/24 net")
    ok(a, "docker run --rm --network net toolbox true; docker network rm net")
    assert calls(a, "driver") == ["Plugin.Activate", *(f"NetworkDriver.{name}" for name in (
        "GetCapabilities", "CreateNetwork", "CreateEndpoint", "Join", "EndpointOperInfo",
        "Leave", "DeleteEndpoint", "DeleteNetwork"))]  # fmt: skip


def test_containers_reach_each_other_by_name_and_nothing_is_left_of_them(written):
    a = written.host("a")
    links = ok(a, "ip -br link | awk '{print $1}'")
    ok(a, START.format("driver", "wire"))
    ok(a, "docker network create -d wire --subnet 10.9.0.0/24 net")
    ok(a, "docker run -d --name web --network net toolbox")
    assert ok(a, "docker run --rm --network net toolbox ping -c 1 web")
    assert written.snapshot().host("host-a").network("net").interface.startswith("wire")
    ok(a, "docker rm -f web; docker network rm net")
    assert ok(a, "ip -br link | awk '{print $1}'") == links


def test_a_driver_that_gives_no_interface_leads_out_by_docker_gwbridge(written):
    a = written.host("a")
    ok(a, START.format("listen", "wire"))
    ok(a, "docker network create -d wire --subnet 10.9.0.0/24 net")
    route = ok(a, "docker run --rm --network net toolbox ip route show default")
    gateway = "{{range .IPAM.Config}}{{.Gateway}}{{end}}"
    assert route.split()[2] == ok(a, f"docker network inspect -f '{gateway}' docker_gwbridge")


def test_what_the_driver_cannot_do_is_said_by_docker(written):
    a = written.host("a")
    ok(a, START.format("mesh", "mesh"))
    result = a.run("docker network create -d mesh --subnet 10.8.0.0/24 net")
    assert result.code == 1
    assert "'vni'" in result.stderr


def test_the_mesh_joins_two_hosts_and_outlives_its_driver(written):
    for name, peer in (("a", "198.18.0.12"), ("b", "198.18.0.11")):
        host = written.host(name)
        ok(host, START.format("mesh", "mesh"))
        ok(host, START.format("shares", "shares"))
        ok(host, "docker network create -d mesh --ipam-driver shares --subnet 10.8.0.0/24"
                 f" -o vni=42 -o peers={peer} mesh")  # fmt: skip
        ok(host, "docker run -d --name box --network mesh toolbox")
    a, b = written.host("a"), written.host("b")
    assert "you are 10.8.0.120" in ok(b, "docker exec box curl -s -m 5 http://10.8.0.110")
    ok(b, "kill $(cat /run/mesh.pid)")
    assert "you are 10.8.0.120" in ok(b, "docker exec box curl -s -m 5 http://10.8.0.110")
    # The largest packet that fits: 1500 bytes of the LAN without VXLAN's 50.
    ok(a, "docker exec box ping -c 1 -W 2 -M do -s 1422 10.8.0.120")
    assert a.run("docker exec box ping -c 1 -W 2 -M do -s 1423 10.8.0.120").code == 1
