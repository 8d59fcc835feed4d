"""Lesson 07: what its driver is asked, what it leaves, and what its mesh carries."""

from between_cells import after

from tests.hosts import ok

# The cell before the last, which puts the hosts back as new.
QUIZ = "quizzes/07-plugins.toml"


def calls(host):
    return [
        name.removeprefix("NetworkDriver.")
        for name in ok(host, "cut -d' ' -f1 /var/log/wire.log").splitlines()
    ]


@after("kill $(cat /run/mesh.pid)")
def connections_too_outlive_the_driver(a, b):
    assert "you are 10.8.0.120" in ok(b, "docker exec box curl -s -m 5 http://10.8.0.110")


@after(QUIZ)
def the_mesh_takes_what_vxlan_leaves_of_the_lans_1500_bytes(a, b):
    ping = "docker exec server ping -c 1 -W 2 -M do -s {} 10.8.0.120"
    ok(a, ping.format(1422))
    assert a.run(ping.format(1423)).code == 1


@after(QUIZ)
def the_end_is_asked_in_the_documented_order_and_nothing_is_left(a, b):
    begun = ["CreateNetwork", *2 * ["CreateEndpoint", "Join", "EndpointOperInfo"]]
    assert calls(a) == begun
    ok(a, "docker rm -f client; docker rm -f web server; docker network rm net mesh")
    # libnetwork/docs/remote.md of moby.
    assert calls(a) == [*begun, *2 * ["Leave", "DeleteEndpoint"], "DeleteNetwork"]
    # What an Engine has once a driver gave no gateway.
    assert ok(a, "ls /sys/class/net").split() == ["docker0", "docker_gwbridge", "eth0", "lo"]


@after(QUIZ)
def what_the_driver_cannot_do_is_said_by_docker(a, b):
    result = a.run("docker network create -d mesh --subnet 10.7.0.0/24 other")
    assert result.code == 1
    assert "'vni'" in result.stderr


@after(QUIZ)
def a_driver_that_gives_no_interface_leads_out_by_docker_gwbridge(a, b):
    ok(
        a,
        "kill $(cat /run/wire.pid); rm /run/docker/plugins/wire.sock; cd /opt/wire;"
        " python3 listen.py > /var/log/wire.log 2>&1 &"
        " until [ -S /run/docker/plugins/wire.sock ]; do sleep 0.1; done",
    )
    ok(a, "docker network create -d wire --subnet 10.9.0.0/24 net")
    route = ok(a, "docker run --rm --network net toolbox ip route show default")
    gateway = "{{range .IPAM.Config}}{{.Gateway}}{{end}}"
    assert route.split()[2] == ok(a, f"docker network inspect -f '{gateway}' docker_gwbridge")
