"""Lesson 09: what Kuryr makes in Neutron, on which host, and what it takes away again."""

import json

from between_cells import after

from tests.hosts import ok

API = "http://198.18.0.11:9696/v2.0"
# The cell before the last, which puts the hosts back as new.
QUIZ = "quizzes/09-kuryr.toml"


def neutrons(host, kind):
    return json.loads(ok(host, f"curl -s {API}/{kind}"))[kind]


@after("docker run -d --name box")
def one_neutron_has_the_ports_of_both_hosts_and_of_the_virtual_machine(a, b):
    found = {
        one["fixed_ips"][0]["ip_address"]: (one["device_owner"], one["binding:host_id"])
        for one in neutrons(a, "ports")
    }
    assert found == {
        "10.40.0.2": ("", ""),
        "10.40.0.3": ("compute:kuryr", "host-a"),
        "10.40.0.4": ("compute:kuryr", "host-b"),
    }


@after("docker run -d --name box")
def the_bridge_has_the_networks_name_on_both_hosts(a, b):
    [blue] = neutrons(a, "networks")
    bridges = [ok(host, "basename /sys/class/net/brq*") for host in (a, b)]
    assert bridges == [f"brq{blue['id'][:11]}"] * 2


@after("dstport 4789 remote 198.18.0.11")
def the_wire_carries_connections_and_the_server_sees_who_calls(a, b):
    assert ok(b, "docker exec box curl -s http://10.40.0.3").endswith("10.40.0.4")


@after(QUIZ)
def it_is_a_release_for_the_hosts_python(a, b):
    metadata = ok(a, "cat /opt/kuryr/site/kuryr_libnetwork-18.0.0.dist-info/METADATA")
    version = ok(a, "python3 -V").removeprefix("Python ").rpartition(".")[0]
    assert f"Programming Language :: Python :: {version}" in metadata


def everything(host):
    kinds = ("networks", "subnets", "subnetpools", "ports")
    return {kind: {one["id"] for one in neutrons(host, kind)} for kind in kinds}


def calls(host, *services):
    """What was asked, in order, as method and path; looks and probes left out."""
    lines = [line.split()[:3] for line in ok(host, "cat /var/log/calls.log").splitlines()]
    return [
        (method, path) for service, method, path in lines if service in services and method != "GET"
    ]


@after(QUIZ)
def a_networks_life_is_made_of_docker_calls_and_each_leads_to_neutrons(a, b):
    before = everything(a)
    ok(a, "> /var/log/calls.log")
    ok(
        a,
        "docker network create -d kuryr --ipam-driver kuryr --subnet 10.41.0.0/24"
        " --gateway 10.41.0.1 own",
    )
    ok(a, "docker run --rm --network own toolbox true; docker network rm own")
    # A network's and an endpoint's part in the order of moby's libnetwork/docs/remote.md.
    asked = [path.rpartition(".")[2] for _, path in calls(a, "docker")]
    expected = [
        "RequestPool",
        "RequestAddress",
        "CreateNetwork",
        "RequestAddress",
        "CreateEndpoint",
        "Join",
        "Leave",
        "DeleteEndpoint",
        "ReleaseAddress",
        "ReleaseAddress",
        "ReleasePool",
        "DeleteNetwork",
    ]
    assert [name for name in asked if name in expected] == expected, asked
    made = [path for method, path in calls(a, "neutron") if method == "POST"]
    assert made == [f"/v2.0/{kind}" for kind in ("subnetpools", "networks", "subnets", "ports")]
    assert everything(a) == before
