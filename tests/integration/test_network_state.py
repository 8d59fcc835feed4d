"""The model against the hosts themselves: exact, whole, and what a command changed."""

import json
import random

import pytest

import sandbox
from sandbox.hosts import actions
from sandbox.hosts.cell import run_cell
from sandbox.model.read import read_host
from sandbox.steps import Quiet
from tests.hosts import until
from tests.states import capture
from tests.states.compare import lasting

pytestmark = pytest.mark.engine


def cell(line, text):
    written = []
    run_cell(line, text, written.append)
    return "".join(written)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("scenario", list(capture.SCENARIOS))
def test_the_captured_states_are_still_what_real_hosts_give(fresh, scenario):
    capture.build(fresh, scenario)
    kept = capture.load(scenario)
    for name in fresh.hosts:
        host = fresh.host(name)
        [now] = sandbox.snapshot(name).hosts
        assert lasting(now) == lasting(read_host(name, host.address, kept[name]["state"]))


CONTAINERS = 10


@pytest.mark.timeout(400)
def test_peers_and_addresses_of_a_random_topology_are_those_that_ip_shows(fresh):
    chance = random.Random(20)
    a = fresh.host("a")
    networks = [f"n{number}" for number in range(5)]
    for name in networks:
        a.client.networks.create(name)
    for number in range(CONTAINERS):
        first, *others = chance.sample(networks, chance.randint(1, 3))
        container = a.client.containers.run(
            "toolbox", "sleep infinity", name=f"c{number:02}", detach=True, network=first
        )
        for other in others:
            a.client.networks.get(other).connect(container)
    [state] = sandbox.snapshot("a").hosts
    # ip(8), run separately in each namespace, and the kernel's own peer index in sysfs.
    said = a.run(
        "ip -j address; for c in $(docker ps -q); do"
        " pid=$(docker inspect -f '{{.State.Pid}}' $c); nsenter -t $pid -n ip -j address; done"
    ).stdout.splitlines()
    own, *theirs = (json.loads(line) for line in said if line.strip())
    by_index = {link["ifindex"]: link["ifname"] for link in own}
    bridges = {link["ifname"]: link.get("master", "") for link in own}
    expected = {
        (
            link["address"],
            by_index[link["link_index"]],
            *sorted(f"{it['local']}/{it['prefixlen']}" for it in link["addr_info"]),
        )
        for links in theirs
        for link in links
        if link["ifname"] != "lo"
    }
    found = {
        (it.mac, it.peer.name, *sorted(it.addresses))
        for space in state.namespaces
        if space.kind == "container"
        for it in space.interfaces
        if it.kind == "veth"
    }
    assert len(theirs) == CONTAINERS
    assert found == expected
    # Docker's view of who is on which network, against the wires.
    for container in state.containers:
        space = next(it for it in state.namespaces if it.id == container.namespace)
        for endpoint in container.endpoints:
            plug = space.interface(endpoint.interface).peer
            assert bridges[plug.name] == state.network(endpoint.network).interface
            assert state.namespace.interface(plug.name).peer.namespace == space.id


def test_diff_says_what_docker_run_did(fresh):
    said = cell("a --diff", "docker run -d --name web -p 8080:80 toolbox > /dev/null")
    for part in (
        "What changed on host-a:",
        "docker      + container web: running, image toolbox, on bridge",
        "namespaces  + a network namespace: web's",
        "(port of docker0) ↔ eth0 of web",
        "~ docker0 has its carrier",
        "addresses   + 172.17.0.2/16 on eth0 of web",
        "+ DNAT tcp 8080 → 172.17.0.2:80, not in by docker0 [nat DOCKER]",
        "sockets     + tcp 0.0.0.0:8080 is listened on",
    ):
        assert part in said
    assert cell("a --diff", "true") == "Nothing changed.\n"


def test_diff_is_shown_after_a_cell_that_fails(fresh):
    written = []
    with pytest.raises(sandbox.CellFailed):
        run_cell("a --diff", "ip link add dummy7 type dummy\nfalse", written.append)
    assert "+ dummy dummy7" in "".join(written)


def test_a_hand_made_veth_pair_between_containers_is_matched(fresh):
    a = fresh.host("a")
    a.run("docker run -d --name left --network none toolbox sleep infinity")
    a.run("docker run -d --name right --network none toolbox sleep infinity")
    enter = (
        "ip link add one netns $(docker inspect -f '{{.State.Pid}}' left) type veth peer name two"
    )
    assert a.run(f"{enter} netns $(docker inspect -f '{{{{.State.Pid}}}}' right)").code == 0
    by_ref = {it.ref: it for it in sandbox.snapshot("a").interfaces()}
    peers = {f"{it.ref}": f"{it.peer}" for it in by_ref.values() if it.name in ("one", "two")}
    assert peers == {
        "one of host-a/left": "two of host-a/right",
        "two of host-a/right": "one of host-a/left",
    }


def test_a_snapshot_leaves_nothing_behind(fresh):
    a = fresh.host("a")
    count = "ls /proc/$(pgrep -f 'agent.py host')/fd | wc -l; ls -d /proc/[0-9]* | wc -l"

    def counted():
        return a.run(count).stdout

    def settled():
        found = counted()
        return found if counted() == found else None

    rules = "iptables-save | grep -v ^#; nft list ruleset; ip netns; ip -o link"
    as_new = a.run(rules).stdout
    sandbox.snapshot()
    before = until("the same count twice", settled, seconds=10)
    for _ in range(10):
        sandbox.snapshot()
    # What served the last request may take a moment to close.
    until(f"{before} again", lambda: counted() == before, seconds=10)
    assert a.run(rules).stdout == as_new


def test_a_host_with_a_dead_engine_is_told_and_still_seen(fresh):
    fresh.host("b").run("pkill -9 dockerd; sleep 1")
    a, b = sandbox.snapshot().hosts
    assert a.unread == ""
    assert "does not answer" in b.unread
    assert b.namespace.interface("docker0").kind == "bridge"
    fresh.reset(Quiet())


def test_no_such_host_is_one_message(fresh):
    with pytest.raises(sandbox.SandboxError, match="no host 'z'"):
        sandbox.snapshot("z")


STEPS = [
    actions.create_network("shop", subnet="10.40.0.0/24", gateway="10.40.0.254"),
    actions.create_network("cellar", internal=True),
    actions.create_network("six", ipv6=True, subnet=""),
    actions.create_network(
        "lan", "macvlan", subnet="10.50.0.0/24", parent="eth0", vlan=30, mode="private"
    ),
    actions.create_network("flat", "ipvlan", subnet="10.60.0.0/24", parent="eth0", mode="l3s"),
    actions.run("toolbox", name="web", network="shop", ports="8080:80, 127.0.0.1:5353:53/udp"),
    actions.run("toolbox", name="tool", command="sleep infinity"),
    actions.run("toolbox", name="alone", network="none"),
    actions.run("toolbox", name="bare", network="host", command="sleep infinity"),
    actions.run("toolbox", name="mac", network="lan"),
    actions.run("toolbox", name="guest", network="container:tool", command="sleep infinity"),
    actions.connect("cellar", "web"),
    actions.connect("shop", "tool"),
    actions.disconnect("bridge", "tool"),
    actions.stop("alone"),
    actions.start("alone"),
    actions.remove("bare"),
    actions.remove_network("flat"),
]


@pytest.mark.timeout(400)
def test_the_command_that_the_panel_shows_does_what_the_panel_does(fresh):
    a, b = fresh.host("a"), fresh.host("b")
    for step in STEPS:
        actions.perform(a, step)
        result = b.run(str(step))
        assert result.code == 0, f"{step}\n{result.stderr}"
    states = [lasting(sandbox.snapshot(name).hosts[0]) for name in fresh.hosts]
    states[1] = states[1].replace("host-b", "host-a").replace("198.18.0.12", "198.18.0.11")
    # Their pools of addresses differ: see hosts.dockerd_arguments.
    for first in (17, 18):
        states[1] = states[1].replace(f"172.{first + 4}.", f"172.{first}.")
    assert states[0] == states[1]


@pytest.mark.parametrize(
    ("action", "field", "reason"),
    [
        (actions.run("toolbox", name="web"), "name", "already in use"),
        (actions.run("toolbox", ports="8080:80"), "ports", "already allocated"),
        (actions.run("no-such-image"), "image", "No such image"),
        (actions.run("toolbox", network="nowhere"), "network", "nowhere not found"),
        (actions.run("toolbox", command="no-such-program"), "command", "not found"),
        (actions.create_network("bridge"), "name", "predefined"),
        (actions.create_network("x1", subnet="172.17.0.0/24"), "subnet", "overlaps"),
        (actions.create_network("x2", "macvlan", parent="eth7"), "parent", "eth7"),
        (actions.create_network("x3", "overlay"), "driver", "swarm"),
        (actions.remove_network("nowhere"), "network", "not found"),
        (actions.stop("nobody"), "container", "No such container"),
    ],
    ids=lambda it: str(it) if isinstance(it, actions.Action) else "",
)
def test_what_the_engine_refuses_is_said_at_its_field(occupied, action, field, reason):
    a = occupied.host("a")
    before = {it.name for it in a.client.containers.list(all=True)}
    with pytest.raises(actions.Refused, match=reason) as refused:
        actions.perform(a, action)
    assert refused.value.field == field
    assert {it.name for it in a.client.containers.list(all=True)} == before


@pytest.fixture(scope="module")
def occupied(sandbox_up):
    """Hosts on which web has port 8080."""
    sandbox.up(2, fresh=True)
    actions.perform(sandbox_up.host("a"), actions.run("toolbox", name="web", ports="8080:80"))
    return sandbox_up
