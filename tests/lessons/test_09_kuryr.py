"""Kuryr as its makers released it turns Docker's calls into Neutron's."""

import json

import pytest

from tests.hosts import answers, nobody_answers, ok

API = "http://198.18.0.11:9696/v2.0"
NETWORK = (
    "docker network create -d kuryr --ipam-driver kuryr --subnet 10.40.0.0/24 --gateway 10.40.0.1"
)

pytestmark = pytest.mark.engine


@pytest.fixture
def cloud(fresh):
    """Both hosts with Kuryr, and one Neutron on host-a."""
    ok(fresh.host("a"), "/opt/kuryr/start neutron")
    for name in "ab":
        ok(fresh.host(name), "/opt/kuryr/start kuryr")
    return fresh.host("a"), fresh.host("b")


def test_it_is_a_release_for_the_hosts_python(fresh):
    a = fresh.host("a")
    metadata = ok(a, "cat /opt/kuryr/site/kuryr_libnetwork-18.0.0.dist-info/METADATA")
    version = ok(a, "python3 -V").removeprefix("Python ").rpartition(".")[0]
    assert f"Programming Language :: Python :: {version}" in metadata


def calls(host, *services):
    """What was asked, in order, as service, method and path; looks and probes left out."""
    lines = [line.split()[:3] for line in ok(host, "cat /var/log/calls.log").splitlines()]
    return [
        (method, path) for service, method, path in lines
        if service in services and method != "GET"
    ]  # fmt: skip


def ports(host):
    return json.loads(ok(host, f"curl -s {API}/ports"))["ports"]


def test_a_networks_life_is_made_of_docker_calls_and_each_leads_to_neutrons(cloud):
    a, _ = cloud
    ok(a, "> /var/log/calls.log")
    ok(a, f"{NETWORK} net; docker run --rm --network net toolbox true; docker network rm net")
    # A network's and an endpoint's part in the order of moby's libnetwork/docs/remote.md.
    asked = [path.rpartition(".")[2] for _, path in calls(a, "docker")]
    expected = [
        "RequestPool", "RequestAddress", "CreateNetwork",
        "RequestAddress", "CreateEndpoint", "Join",
        "Leave", "DeleteEndpoint", "ReleaseAddress",
        "ReleaseAddress", "ReleasePool", "DeleteNetwork",
    ]  # fmt: skip
    assert [name for name in asked if name in expected] == expected, asked
    made = [path for method, path in calls(a, "neutron") if method == "POST"]
    assert made == [f"/v2.0/{kind}" for kind in ("subnetpools", "networks", "subnets", "ports")]
    assert ports(a) == []
    kinds = ("networks", "subnets", "subnetpools")
    assert [json.loads(ok(a, f"curl -s {API}/{kind}"))[kind] for kind in kinds] == [[], [], []]


def test_one_neutron_gives_all_hosts_and_virtual_machines_different_addresses(cloud):
    a, b = cloud
    created = ok(a, f"""curl -s {API}/networks -d '{{"network": {{"name": "blue"}}}}'""")
    blue = json.loads(created)["network"]["id"]
    given = {"subnet": {"network_id": blue, "cidr": "10.40.0.0/24", "ip_version": 4}}
    ok(a, f"curl -s {API}/subnets -d '{json.dumps(given)}'")
    ok(a, f"curl -s {API}/ports -d '{json.dumps({'port': {'network_id': blue}})}'")
    for host, name in ((a, "web"), (b, "box")):
        ok(host, f"{NETWORK} -o neutron.net.name=blue blue")
        ok(host, f"docker run -d --name {name} --network blue toolbox")
    assert "inet 10.40.0.3/24" in ok(a, "docker exec web ip addr show eth0")
    seen = {
        one["fixed_ips"][0]["ip_address"]: (one["device_owner"], one["binding:host_id"])
        for one in ports(a)
    }
    assert seen == {
        "10.40.0.2": ("", ""),
        "10.40.0.3": ("compute:kuryr", "host-a"),
        "10.40.0.4": ("compute:kuryr", "host-b"),
    }
    bridges = [ok(host, "basename /sys/class/net/brq*") for host in cloud]
    assert bridges == [f"brq{blue[:11]}"] * 2

    # Neutron decides and Kuryr plugs; the wire between hosts is for an agent.
    ping = "docker exec box ping -c 1 -W 2 10.40.0.3"
    nobody_answers(b, ping)
    for host, other in ((a, 12), (b, 11)):
        ok(host, f"ip link add vx7 type vxlan id 7 dstport 4789 remote 198.18.0.{other}")
        ok(host, f"ip link set vx7 master {bridges[0]} up")
    assert answers(b, ping)
    assert ok(b, "docker exec box curl -s http://10.40.0.3").endswith("10.40.0.4")

    # A plugin that is dead when a container goes leaves its port in Neutron.
    ok(b, "kill $(cat /run/kuryr.pid); docker rm -f box")
    assert "10.40.0.4" in [one["fixed_ips"][0]["ip_address"] for one in ports(a)]
