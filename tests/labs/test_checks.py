"""Every condition on hosts where it holds and where it does not, and where it cannot tell."""

from dataclasses import replace

import pytest

import sandbox
from sandbox.labs import (
    Finding,
    built_like,
    check,
    firewall_drops,
    has_mac,
    has_route,
    in_swarm,
    isolated,
    network,
    nothing_else_changed,
    published,
    reaches,
    resolves,
    runs,
    same_l2,
    shares_parent_mac,
    source_seen,
    spread,
    survives_restart,
)
from sandbox.labs.checking import check as check_tasks
from sandbox.labs.checks import FAILED, PASSED, UNKNOWN, look
from sandbox.labs.scene import look_at, snapshot_of
from sandbox.model.difference import diff
from tests.hosts import answers, make_swarm, ok, until

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def world(sandbox_up):
    """Both hosts with one of each network; conditions leave it as it is."""
    sandbox.up(2, fresh=True)
    a, b = (sandbox_up.host(name) for name in "ab")
    make_swarm(a, b)
    run = "docker run -d --name"
    ok(
        a,
        "set -e\n"
        "docker network create --subnet 10.21.1.0/24 front\n"
        "docker network create --internal --subnet 10.21.2.0/24 back\n"
        "for n in twin1 twin2; do docker network create $n; done\n"
        "docker network create -d macvlan -o parent=eth0 --subnet 198.18.0.0/24"
        " --gateway 198.18.0.1 --ip-range 198.18.0.128/27 wire\n"
        "docker network create -d ipvlan -o parent=eth0.20 --subnet 10.21.3.0/24 flat\n"
        f"{run} web --network front --restart always -p 8080:80 toolbox\n"
        "docker network connect back web\n"
        f"{run} db --network back toolbox\n"
        f"{run} shop --network front -p 8082:80 toolbox\n"
        f"{run} loop --network front -p 127.0.0.1:8081:80 toolbox\n"
        f"{run} lanly --network front -p 198.18.0.11:8083:80 toolbox\n"
        f"{run} client --network front toolbox sleep infinity\n"
        f"{run} mac1 --network wire toolbox; {run} mac2 --network wire toolbox\n"
        f"{run} ip1 --network flat toolbox; {run} ip2 --network flat toolbox\n"
        f"{run} hostly --network host toolbox serve 8090\n"
        f"{run} lonely --network none toolbox\n"
        f"{run} old toolbox true\n"
        "iptables -I DOCKER-USER -p tcp -s 198.18.0.12 -m conntrack --ctorigdstport 8080 -j DROP\n"
        "docker service create -d --name api --replicas 2 --replicas-max-per-node 1"
        " --publish 7070:80 --no-resolve-image toolbox serve",
    )
    ok(b, f"{run} other -p 80:80 toolbox")
    answers(a, "curl -s -m 5 http://198.18.0.12")
    listing = "docker service ps api -f desired-state=running --format '{{.CurrentState}}'"
    until("both tasks run", lambda: a.run(listing).stdout.count("Running") == 2, 60)
    return sandbox_up


@pytest.fixture(scope="module")
def start(world):
    return look_at(world).now


@pytest.fixture(scope="module")
def scene(world, start):
    """What conditions look at. They change nothing, so all may look at one."""
    return look_at(world, start)


FRONT = network("front", host="a")
ON_FRONT = ("client", "lanly", "loop", "shop", "web")
HOLD = [
    reaches("client", "web", tcp=80, by="web"),
    reaches("client", "web"),
    reaches("client", "198.18.0.12", tcp=80, by="other"),
    reaches("host-b", "198.18.0.11", tcp=8082, by="shop"),
    reaches("web", "db", tcp=80, by="db"),
    isolated("client", "db", tcp=80),
    isolated("client", "db"),
    isolated("lonely", "web", tcp=80),
    resolves("client", "web"),
    resolves("client", "web", to="web"),
    resolves("client", "shop", to="10.21.1.3"),
    published("a", 8082, by="shop"),
    published("a", 8081, by="loop", on="127.0.0.1"),
    published("a", 8083, by="lanly", on="198.18.0.11"),
    source_seen("client", "web", is_="client"),
    source_seen("client", "198.18.0.12", is_="host-a"),
    same_l2("mac1", "mac2"),
    same_l2("mac1", "host-b"),
    same_l2("client", "web"),
    has_mac("mac1"),
    has_mac("web"),
    shares_parent_mac("ip1", "ip2"),
    FRONT.driver_is("bridge").subnet_is("10.21.1.0/24").has(*ON_FRONT),
    network("back").is_internal().has("db", "web"),
    network("wire").driver_is("macvlan").option_is("parent", "eth0"),
    firewall_drops("client", "db", tcp=80),
    firewall_drops("host-b", "198.18.0.11", tcp=8080, chain="DOCKER-USER"),
    survives_restart("web"),
    runs("hostly", host="a", mode="host"),
    runs("lonely", image="toolbox", mode="none"),
    has_route("client", "default", via="10.21.1.1"),
    has_route("db", "10.21.2.0/24"),
    built_like("a", "twin1", "twin2"),
    in_swarm("a", manager=True),
    in_swarm("b", manager=False),
    spread("api", over="ab"),
    nothing_else_changed(),
]
FAIL = [
    (reaches("client", "db", tcp=80), "no answer within 2 s"),
    (reaches("client", "10.21.1.99"), "no answer within 2 s"),
    (reaches("client", "web", tcp=81), "Connection refused"),
    (reaches("client", "nobody", tcp=80), "No address associated with hostname"),
    (reaches("client", "web", tcp=80, by="shop"), "hello from"),
    (reaches("old", "web", tcp=80), "old does not run: it is exited"),
    (isolated("client", "web", tcp=80), "hello from"),
    (isolated("client", "web"), "an answer"),
    (isolated("client", "nobody", tcp=80), "there is no container nobody"),
    (resolves("client", "db"), "No address associated with hostname"),
    (resolves("client", "web", to="shop"), "10.21.1.2"),
    (published("a", 8081, by="loop"), "at 198.18.0.11: Connection refused"),
    (published("a", 8083, by="lanly"), "at 127.0.0.1: Connection refused"),
    (published("a", 8080, by="web"), "from host-b: no answer within 2 s"),
    (published("a", 8082, by="shop", on="127.0.0.1"), "at 198.18.0.11: hello from"),
    (published("a", 8082, by="web"), "hello from"),
    (source_seen("client", "198.18.0.12", is_="client"), "you are 198.18.0.11"),
    (same_l2("client", "host-b"), "198.18.0.12 answers, by a router"),
    (same_l2("client", "db"), "no answer within 2 s"),
    (has_mac("ip1"), "its parent"),
    (has_mac("web", is_="02:00:00:00:00:99"), "web has"),
    (has_mac("lonely"), "lonely has no interface"),
    (shares_parent_mac("mac1"), "its parent"),
    (FRONT.driver_is("macvlan"), "front of host-a is bridge"),
    (FRONT.subnet_is("10.21.9.0/24"), "10.21.1.0/24"),
    (FRONT.is_internal(), "front of host-a is bridge"),
    (FRONT.has("web"), "on it client, lanly, loop, shop, web"),
    (network("wire").option_is("parent", "eth1"), "parent eth0"),
    (network("gone"), "there is no network gone"),
    (network("front", host="b"), "there is no network front"),
    (firewall_drops("client", "web", tcp=80), "answered"),
    (firewall_drops("client", "db", tcp=80, chain="DOCKER-USER"), "dropped"),
    (survives_restart("client"), "its restart policy is no"),
    (runs("web", host="b"), "there is no container host-b/web"),
    (runs("web", mode="host"), "network front"),
    (runs("old"), "it is exited"),
    (has_route("db", "default"), "10.21.2.0/24 dev eth0"),
    (has_route("client", "default", via="10.21.1.9"), "default via 10.21.1.1"),
    (has_route("lonely", "default"), "it has no route"),
    (built_like("a", "back", "front"), ", where front has "),
    (built_like("a", "br99", "front"), "host-a has no bridge br99"),
    (in_swarm("b", manager=True), "its swarm mode is active"),
    (spread("nope", over="ab"), "tasks of nope run on no host"),
]


@pytest.mark.parametrize("condition", HOLD, ids=lambda it: it.wanted)
def test_it_holds(scene, condition):
    found = look(condition, scene)
    assert found.state == PASSED, found


@pytest.mark.parametrize(("condition", "seen"), FAIL, ids=lambda it: getattr(it, "wanted", ""))
def test_it_fails_and_says_what_is_seen(scene, condition, seen):
    found = look(condition, scene)
    assert found.state == FAILED, found
    assert seen in found.seen


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        (
            isolated("client", "db", tcp=81),
            "nothing answers at db on TCP port 81, even from itself",
        ),
        (nothing_else_changed(), "was not kept"),
    ],
    ids=lambda it: getattr(it, "wanted", ""),
)
def test_it_cannot_tell(world, condition, why):
    found = look(condition, look_at(world))
    assert found.state == UNKNOWN
    assert why in found.seen


def test_conditions_change_nothing_that_they_look_at(world, start, scene):
    for condition in HOLD:
        look(condition, scene)
    now = until("it is as before", lambda: not diff(start, look_at(world).now) or None, 10)
    assert now


def test_what_is_slow_to_come_is_waited_for(world):
    a = world.host("a")
    a.run("(sleep 3; docker run -d --name late --network front toolbox) > /dev/null 2>&1 &")
    [found] = check_tasks([check("late", 1, runs("late"))], world, None, {}, settle=30)
    assert found == (Finding(PASSED, "late runs", found[0].seen, ("late",)),)
    ok(a, "docker rm -f late")


def test_a_change_is_told_unless_it_is_allowed(world, start):
    a = world.host("a")
    ok(a, "docker network create extra; ip route add 192.0.2.0/24 dev eth0")
    try:
        scene = look_at(world, start)
        told = look(nothing_else_changed("extra", "br-"), scene)
        assert told.state == FAILED
        assert told.seen == "host-a: + 192.0.2.0/24 dev eth0"
        allowed = nothing_else_changed("extra", "br-", r"^192\.0\.2\.0")
        assert look(allowed, scene).passed, look(allowed, scene)
    finally:
        ok(a, "docker network rm extra; ip route del 192.0.2.0/24 dev eth0")


def test_a_host_that_cannot_be_read_is_no_failure_of_the_learner(world, start):
    scene = look_at(world, start)
    gone = replace(scene.now.hosts[0], unread="it is gone")
    now = replace(scene.now, hosts=(gone, *scene.now.hosts[1:]))
    found = look(nothing_else_changed(), replace(scene, now=now))
    assert (found.state, found.seen) == (UNKNOWN, "host-a could not be read.; it is gone")


def test_a_state_that_is_kept_is_the_same_snapshot(world):
    from sandbox.labs.scene import read_raw

    raw = read_raw(world)
    assert snapshot_of(raw).hosts == snapshot_of(raw).hosts
