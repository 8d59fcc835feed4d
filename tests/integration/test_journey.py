"""Journeys against captures that tcpdump made beside them, and against the rules' counters."""

import contextlib
import difflib
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from scapy.layers.l2 import Dot1Q
from scapy.utils import rdpcap

import sandbox
from sandbox.model.state import Snapshot
from tests.hosts import answers, make_swarm, ok, run_on_overlay, until

pytestmark = [pytest.mark.engine, pytest.mark.timeout(400)]
OUTER = "198.18.0.11"


@pytest.fixture(scope="module")
def world(sandbox_up):
    """Both hosts with one of each network that a probe may cross; tests leave it as it is."""
    sandbox.up(2, fresh=True)
    a, b = (sandbox_up.host(name) for name in "ab")
    make_swarm(a, b)
    ok(
        a,
        "set -e; for n in front back; do docker network create $n; done\n"
        "for n in shop secret; do docker network create -d overlay --attachable"
        " $([ $n = shop ] || echo --opt encrypted) $n; done\n"
        "docker run -d --name web -p 8080:80 -p 8053:53/udp --network front toolbox\n"
        "docker run -d --name client --network front toolbox sleep infinity\n"
        "docker run -d --name db --network back toolbox\n"
        "docker run -d --name lonely --network none toolbox sleep infinity\n"
        "docker run -d --name near --network shop toolbox sleep infinity\n"
        "docker run -d --name hidden --network secret toolbox sleep infinity\n"
        "docker service create -d --name api --network shop --publish 7070:80"
        " --constraint node.hostname==host-b --no-resolve-image toolbox serve",
    )
    # host-b makes what each of them needs of networks, and is not to do so for two at once.
    until("api answers", lambda: a.run(f"curl -s -m 5 http://{OUTER}:7070").code == 0, 60)
    run_on_overlay(b, "far", "shop")
    run_on_overlay(b, "mine", "secret")
    answers(a, "docker exec near curl -s -m 5 http://far")
    answers(a, "docker exec hidden curl -s -m 5 http://mine")
    return sandbox_up


def places(hops):
    return {(hop.namespace, hop.interface, hop.direction) for hop in hops}


class Tcpdump:
    """tcpdump in every namespace of both hosts, from entering it to leaving it."""

    def __init__(self, sandbox_up):
        self.hosts = [sandbox_up.host(name) for name in "ab"]

    def __enter__(self):
        for host in self.hosts:
            ok(
                host,
                "mkdir /tmp/seen; cd /tmp/seen\n"
                "for path in /proc/1/ns/net /run/docker/netns/*; do\n"
                "  name=$(stat -L -c %i $path)\n"
                "  nsenter --net=$path tcpdump -i any -nnS -U -Z root -w $name -B 1024"
                " 'tcp or udp or icmp' 2> $name.said & echo $! >> pids\n"
                "done\n"
                "for said in *.said; do until grep -q 'listening on' $said; do sleep 0.1; done;"
                " done",
            )
        return self

    def __exit__(self, *_):
        # What is on its way to a file gets there.
        time.sleep(1)
        self.said = {}
        for host in self.hosts:
            text = ok(
                host,
                "cd /tmp/seen; kill $(cat pids); wait; sleep 0.5\n"
                # A file has numbers of interfaces, which mean something in their namespace only.
                "for path in /proc/1/ns/net /run/docker/netns/*; do\n"
                "  name=$(stat -L -c %i $path); echo == $name\n"
                "  nsenter --net=$path tcpdump -nnS -r $name 2> /dev/null\n"
                "done; rm -r /tmp/seen",
            )
            for part in text.split("== ")[1:]:
                inode, _, lines = part.partition("\n")
                self.said[int(inode)] = lines

    def places(self, snapshot: Snapshot, mark: str):
        """Where a packet was seen whose line has that mark, outside of a tunnel or in one."""
        found = set()
        for space in snapshot.namespaces():
            # The second line of a VXLAN packet is the packet in it.
            text = re.sub(r"\n(?!\d\d:)\s*", " ", self.said.get(space.inode, ""))
            for line in text.splitlines():
                seen = re.match(r"\S+ (\S+) +(In|Out|P|B|M) +", line)
                if seen and re.search(mark, line):
                    found.add((space.id, seen[1], "out" if seen[2] == "Out" else "in"))
        return found


WATCHED = {
    "on one bridge": ("host-a/client", "host-a/web", {"tcp": 80}),
    "to a published port": ("host-b", "host-a", {"tcp": 8080}),
    "across bridges": ("host-a/client", "host-a/db", {"tcp": 80}),
    "over an overlay": ("host-a/near", "host-b/far", {"tcp": 80}),
    "over an encrypted overlay": ("host-a/hidden", "host-b/mine", {"tcp": 80}),
    "to a service": ("host-a/near", "api", {"tcp": 80}),
    "through the routing mesh": ("host-b", "host-a", {"tcp": 7070}),
    "by the proxy": ("host-a", "127.0.0.1", {"tcp": 8080}),
}


@pytest.fixture(scope="module")
def watched(world):
    """Journeys by their names, and what tcpdump saw meanwhile."""
    with Tcpdump(world) as tcpdump:
        made = {
            name: sandbox.journey(source, destination, **protocol)
            for name, (source, destination, protocol) in WATCHED.items()
        }
    return made, tcpdump


@pytest.mark.parametrize("name", list(WATCHED)[:-1])
def test_the_hops_are_those_that_tcpdump_sees(watched, name):
    made, tcpdump = watched
    journey = made[name]
    isn = journey.passage.probe.isn
    snapshot = journey.passage.snapshot
    syn = tcpdump.places(snapshot, rf"Flags \[S\], .*seq {isn},")
    assert places(journey.passage.leg("probe")) == syn
    answered = tcpdump.places(snapshot, rf"Flags \[S\.\], .*ack {isn + 1},")
    assert places(journey.passage.leg("answer")) == answered
    assert len(syn) > 1
    assert bool(answered) == (journey.outcome == "answered")


def test_the_second_connection_of_a_proxy_is_the_one_that_tcpdump_sees(watched):
    made, tcpdump = watched
    journey = made["by the proxy"]
    snapshot = journey.passage.snapshot
    [first, *_] = journey.passage.leg("proxied")
    flow = first.packet.flow
    ends = f"{flow.source}.{flow.source_port} > {flow.destination}.{flow.destination_port}"
    carrying = tcpdump.places(snapshot, rf"{re.escape(ends)}: Flags \[P\.\]")
    assert places(journey.passage.leg("proxied")) == carrying
    assert places(journey.passage.leg("probe")) == {("host-a", "lo", "out"), ("host-a", "lo", "in")}
    [change] = [it for it in first.changes if it.kind == "proxy"]
    assert "docker-proxy" in change.evidence
    assert change.after == f"{flow.destination}:80"


@pytest.mark.parametrize(
    ("source", "destination", "protocol", "outcome", "place", "why"),
    [
        ("client", "host-a/web", {"tcp": 81}, "refused", "host-a/web", "listens on port 81"),
        ("client", "host-a/web", {"udp": 53}, "refused", "host-a/web", "no socket has port 53"),
        ("client", "host-a/web", {}, "answered", "host-a/web", "its answer came back"),
        ("client", "web", {"tcp": 80}, "answered", "host-a/web", "its answer came back"),
        ("client", "host-a/web", {"icmp": True, "size": 1400}, "answered", "host-a/web", "answer"),
        ("client", "host-a/web", {"icmp": True, "size": 1473}, "dropped", "host-a/client", "MTU"),
        ("near", "host-b/far", {"udp": 9, "size": 1423}, "dropped", "host-a/near", "MTU"),
        ("client", "host-a/db", {"tcp": 80}, "dropped", "host-a", "raw PREROUTING"),
        ("client", "FRONT.99", {"tcp": 80}, "dropped", "host-a/client", "ARP"),
        ("lonely", "host-a/web", {"tcp": 80}, "dropped", "host-a/lonely", "no route"),
        ("lonely", "host-a/lonely", {"tcp": 80}, None, "", "has no address"),
        ("client", "outside", {}, "answered", "198.18.0.1", "its answer came back"),
        ("client", "203.0.113.9", {"tcp": 80}, "dropped", "198.18.0.1", "no way to 203.0.113.9"),
        ("client", OUTER, {"tcp": 8080}, "answered", "host-a/web", "its answer came back"),
    ],
)
def test_where_it_ends(world, source, destination, protocol, outcome, place, why):
    [web] = sandbox.snapshot("a").hosts[0].container("web").endpoints
    destination = destination.replace("FRONT", web.address.rpartition(".")[0])
    if outcome is None:
        with pytest.raises(sandbox.SandboxError, match=why):
            sandbox.journey(f"host-a/{source}", destination, **protocol)
        return
    ending = sandbox.journey(f"host-a/{source}", destination, **protocol).passage.ending
    assert (ending.outcome, ending.namespace) == (outcome, place), ending
    assert why in ending.why


@pytest.fixture
def rules(world):
    """Adds rules to a host, and takes them out again."""
    taken = []

    def add(command):
        ok(world.host("a"), command)
        taken.append(re.sub(r" -([AI]) ", " -D ", command).replace("ip route add", "ip route del"))

    yield add
    for command in reversed(taken):
        ok(world.host("a"), command)


@pytest.mark.parametrize(
    ("rule", "outcome", "text"),
    [
        ("-j DROP", "dropped", "rule 1 of filter DOCKER-USER drops it"),
        ("-j REJECT", "refused", "rule 1 of filter DOCKER-USER refuses it"),
        ("-j REJECT --reject-with tcp-reset", "refused", "rule 1 of filter DOCKER-USER refuses it"),
    ],
)
def test_the_rule_that_ended_it_is_named(world, rules, rule, outcome, text):
    rules(f"iptables -I DOCKER-USER -p tcp -m conntrack --ctorigdstport 8080 {rule}")
    ending = sandbox.journey("host-b", "host-a", tcp=8080).passage.ending
    assert (ending.outcome, ending.namespace, ending.why) == (outcome, "host-a", text)
    assert ending.rule.rule.target == rule.split()[1]
    # It was translated before it was dropped, and nobody has seen it since.
    [web] = sandbox.snapshot("a").hosts[0].container("web").endpoints
    address = web.address.partition("/")[0]
    assert [(it.kind, it.after) for it in ending.changes] == [("DNAT", f"{address}:80")]


@pytest.mark.parametrize("protocol", [{"udp": 8053}, {"udp": 8053, "size": 1000}])
def test_a_datagram_that_a_rule_dropped_was_not_delivered(world, rules, protocol):
    rules("iptables -I DOCKER-USER -p udp -m conntrack --ctorigdstport 8053 -j DROP")
    ending = sandbox.journey("host-b", "host-a", **protocol).passage.ending
    assert (ending.outcome, ending.namespace) == ("dropped", "host-a"), ending
    assert ending.why == "rule 1 of filter DOCKER-USER drops it"


def test_an_answer_that_is_dropped_is_told_from_a_probe_that_is(world, rules):
    rules("iptables -I DOCKER-USER -p tcp --sport 80 -j DROP")
    journey = sandbox.journey("host-b", "host-a", tcp=8080)
    assert (journey.outcome, journey.passage.ending.namespace) == ("dropped", "host-a")
    assert "the answer came as far as" in journey.passage.ending.why
    assert "rule 1 of filter DOCKER-USER drops it in host-a" in journey.passage.ending.why
    assert journey.passage.leg("probe")[-1].namespace == "host-a/web"


@pytest.mark.parametrize(
    ("route", "why"),
    [
        ("blackhole 203.0.113.0/24", "the route blackhole 203.0.113.0/24 of host-a forbids it"),
        ("unreachable 203.0.113.0/24", "host-a has no way to 203.0.113.9"),
        ("203.0.113.0/24 dev eth0 mtu 1000", "larger than the next MTU from host-a on"),
    ],
)
def test_the_route_that_ended_it_is_named(world, rules, route, why):
    rules(f"ip route add {route}")
    ending = sandbox.journey("host-a/client", "203.0.113.9", icmp=True, size=1200).passage.ending
    assert (ending.outcome, ending.namespace) == ("dropped", "host-a")
    assert why in ending.why


def test_what_the_reverse_path_filter_drops_is_told_by_the_kernels_counter(world, rules):
    a, b = (world.host(name) for name in "ab")
    rules("ip route add 172.30.0.0/24 dev docker0")
    address = ok(a, "sysctl -qw net.ipv4.conf.eth0.rp_filter=1; cat /sys/class/net/eth0/address")
    try:
        ok(
            b,
            "ip netns add other; ip link add m0 link eth0 netns other type macvlan mode bridge\n"
            "ip -n other addr add 172.30.0.7/24 dev m0; ip -n other link set m0 up\n"
            "ip -n other route add default dev m0\n"
            # It would not answer an ARP request from there, either.
            f"ip -n other neigh add {OUTER} lladdr {address} dev m0",
        )
        journey = sandbox.journey("host-b/netns:other", OUTER, udp=9)
    finally:
        ok(b, "ip netns del other")
        ok(a, "sysctl -qw net.ipv4.conf.eth0.rp_filter=0")
    assert (journey.outcome, journey.passage.ending.namespace) == ("dropped", "host-a")
    assert "IPReversePathFilter" in journey.passage.ending.why


def test_the_rules_are_those_whose_counters_moved(world):
    before = sandbox.snapshot()
    journey = sandbox.journey("host-b", "host-a", tcp=8080)
    after = sandbox.snapshot()
    moved = set()
    [then, now] = (it.host("host-a").namespace.rules for it in (before, after))
    for old, new in zip(then, now, strict=True):
        if new.packets != old.packets and new.table in ("nat", "raw"):
            moved.add((new.table, new.chain, new.text))
    told = {
        (found.table, match.rule.chain, match.rule.text)
        for hop in journey.hops
        for found in hop.passes
        for match in found.matches
        if match.rule and found.namespace == "host-a" and found.table in ("nat", "raw")
    }
    assert told
    assert told == moved


def test_traffic_beside_it_does_not_confuse_it(world):
    a = world.host("a")
    quiet = sandbox.journey("host-a/client", "host-a/web", tcp=80)
    ping = "ping -q -c 100 -i 0.01 web"
    command = (
        "docker exec client sh -c 'end=$(($(date +%s) + 30)); while [ $(date +%s) -lt $end ] &&"
        f" [ ! -e /tmp/enough ]; do {ping} & {ping} & {ping}; wait; done'"
    )
    noise = threading.Thread(target=lambda: a.run(command))
    noise.start()
    try:
        counter = "docker exec web sh -c 'cat /sys/class/net/eth0/statistics/[rt]x_packets'"
        since = sum(map(int, ok(a, counter).split()))
        busy = [sandbox.journey("host-a/client", "host-a/web", tcp=80) for _ in range(2)]
        ping = sandbox.journey("host-a/client", "host-a/web")
        beside = sum(map(int, ok(a, counter).split())) - since
    finally:
        ok(a, "docker exec client touch /tmp/enough")
        noise.join()
    assert beside > 300
    for journey in busy:
        assert [(h.leg, h.namespace, h.interface, h.direction) for h in journey.hops] == [
            (h.leg, h.namespace, h.interface, h.direction) for h in quiet.hops
        ]
    assert ping.outcome == "answered"
    assert len(ping.hops) == len(quiet.hops)


def left_behind(world):
    """Rules, sockets of our kinds and processes of both hosts, in every namespace."""
    look = "nft list tables; cat /proc/net/packet | wc -l"
    command = (
        f"{look}\n"
        # A pipe from ps would show grep and sort, or not yet. dockerd asks crun for its version now
        # and then, in a swarm.
        "all=$(ps -e -o args=)\n"
        "grep -v -e '^ps ' -e '^bash -c ' -e containerd -e defunct -e '^/usr/bin/crun --version$'"
        ' <<< "$all" | sort\n'
        f"for path in /run/docker/netns/*; do nsenter --net=$path sh -c '{look}'; done"
    )
    with ThreadPoolExecutor() as pool:
        return [*pool.map(lambda name: ok(world.host(name), command), "ab")]


@pytest.fixture(scope="module")
def at_rest(world):
    """What left_behind gives once it gives that twice: other tests' processes may still end."""
    last = left_behind(world)
    for _ in range(20):
        time.sleep(0.5)
        last, before = left_behind(world), last
        if last == before:
            return last
    raise AssertionError(f"the hosts do not come to rest: {before} and then {last}")


def assert_nothing_is_left(world, before):
    now = []

    def gone():
        now[:] = left_behind(world)
        return now == before

    try:
        until("nothing of it is left", gone, 20)
    except AssertionError:
        told = [
            difflib.ndiff(b.splitlines(), n.splitlines()) for b, n in zip(before, now, strict=True)
        ]
        pytest.fail("\n".join(line for host in told for line in host if line[0] in "+-?"))


@pytest.mark.parametrize("when", ["after the state", "while it listens", "while it waits"])
def test_it_leaves_nothing_whenever_it_is_broken_off(world, at_rest, when, monkeypatch):
    from sandbox.hosts.capture import Capture
    from sandbox.hosts.host import Conversation

    met = []

    def broken_off(*_args, **_more):
        met.append(when)
        raise KeyboardInterrupt

    if when == "after the state":
        hear, count = Conversation.hear, iter(range(100))
        monkeypatch.setattr(
            Conversation,
            "hear",
            lambda self, timeout: hear(self, timeout) if next(count) < 4 else broken_off(),
        )
    elif when == "while it listens":
        monkeypatch.setattr(Capture, "send", broken_off)
    else:
        # The probe is sent, its answer is not waited for.
        monkeypatch.setattr(Conversation, "hear", lambda *_: broken_off())
    with pytest.raises(KeyboardInterrupt):
        sandbox.journey("host-a/client", "203.0.113.9", tcp=80)
    monkeypatch.undo()
    assert met
    assert_nothing_is_left(world, at_rest)
    # No lock is left, either.
    assert sandbox.journey("host-a/client", "host-a/web", tcp=80).outcome == "answered"


def test_an_agent_that_is_killed_leaves_nothing(world, at_rest):
    a = world.host("a")
    with a.converse({"op": "capture", "cookie": "0123456789abcdef", "isn": 7}) as conversation:
        for _ in range(3):
            conversation.hear(30)
        assert left_behind(world)[0] != at_rest[0]
        # The host's first process starts another one in its place.
        pid = ok(a, "pgrep -of '[a]gent.py host'")
        a.run(f"setsid sh -c 'sleep 1; kill -9 {pid}' < /dev/null > /dev/null 2>&1 &")
        with pytest.raises(sandbox.SandboxError):
            conversation.hear(10)

    def answered():
        with contextlib.suppress(sandbox.SandboxError):
            return left_behind(world)

    until("another agent answers", answered, 20)
    assert_nothing_is_left(world, at_rest)


def test_two_journeys_at_once_take_their_turns(world):
    ends = ["host-a/web", "host-b"]
    with ThreadPoolExecutor() as pool:
        made = list(pool.map(lambda end: sandbox.journey("host-a/client", end), ends))
    assert [journey.outcome for journey in made] == ["answered", "answered"]


def test_a_capture_is_what_wireshark_reads(world, tmp_path):
    journey = sandbox.journey("host-a/near", "host-b/far", tcp=80)
    path = journey.to_pcap(tmp_path / "journey.pcapng")
    frames = rdpcap(str(path))
    assert [bytes(frame) for frame in frames] == [hop.frame for hop in journey.hops]
    assert "VXLAN" in frames[[h.packet.depth for h in journey.hops].index(1)]


def test_what_cannot_be_is_said(world):
    for arguments, words in {
        ("host-a/nobody", "host-a/web"): "no container, host or namespace 'host-a/nobody'",
        ("host-a/client", "host-a/nobody"): "no container, host or namespace 'host-a/nobody'",
        ("host-a/client", "nobody"): "finds no address of 'nobody'",
    }.items():
        with pytest.raises(sandbox.SandboxError, match=re.escape(words)):
            sandbox.journey(*arguments, tcp=80)
    with pytest.raises(sandbox.SandboxError, match="has no address on back"):
        sandbox.journey("host-a/client", "host-a/web", tcp=80, network="back")


# The tests from here on change the hosts, and begin with new ones.


def test_macvlan_containers_reach_each_other_and_not_their_host(fresh):
    a = fresh.host("a")
    ok(
        a,
        "docker network create -d macvlan --subnet 198.18.0.0/24 --ip-range 198.18.0.64/27"
        " -o parent=eth0 lan; for n in one two; do docker run -d --name $n --network lan toolbox;"
        " done",
    )
    answers(a, "docker exec one curl -s -m 5 http://two")
    there = sandbox.journey("host-a/one", "host-a/two", tcp=80)
    assert there.outcome == "answered"
    assert not any(hop.passes for hop in there.hops)
    ending = sandbox.journey("host-a", "host-a/two", tcp=80).passage.ending
    assert (ending.outcome, ending.namespace) == ("dropped", "host-a")
    assert "nobody on eth0 of host-a answers its ARP request for 198.18.0.6" in ending.why
    other = sandbox.journey("host-b", "host-a/two", tcp=80)
    assert other.outcome == "answered"
    assert ("host-a", "eth0", "in") in places(other.hops)


def test_a_vlan_tag_comes_and_goes(fresh, tmp_path):
    for name, octet in (("a", 1), ("b", 2)):
        host = fresh.host(name)
        ok(host, "docker network create -d macvlan --subnet 10.5.0.0/24 -o parent=eth0.5 v")
        ok(host, f"docker run -d --name c{octet} --network v --ip 10.5.0.1{octet} toolbox")
    answers(fresh.host("a"), "docker exec c1 curl -s -m 5 http://10.5.0.12")
    journey = sandbox.journey("host-a/c1", "host-b/c2", tcp=80)
    way = journey.passage.leg("probe")
    assert [(h.namespace, h.interface, h.direction, h.vlan) for h in way] == [
        ("host-a/c1", "eth0", "out", None),
        ("host-a", "eth0.5", "out", None),
        ("host-a", "eth0", "out", 5),
        ("host-b", "eth0", "in", 5),
        ("host-b", "eth0.5", "in", None),
        ("host-b/c2", "eth0", "in", None),
    ]
    tags = [(c.before, c.after) for hop in way for c in hop.changes if c.kind == "tagging"]
    assert tags == [("", "5"), ("5", "")]
    frames = rdpcap(str(journey.to_pcap(tmp_path / "journey.pcapng")))
    assert [frame[Dot1Q].vlan for frame in frames if Dot1Q in frame] == [5, 5] * 2


@pytest.mark.parametrize("mode", ["l2", "l3"])
def test_ipvlan_crosses_the_lan(fresh, mode):
    for name, octet, other in (("a", 1, 2), ("b", 2, 1)):
        host = fresh.host(name)
        ok(
            host,
            f"docker network create -d ipvlan --subnet 10.6.{octet}.0/24 -o parent=eth0"
            f" -o ipvlan_mode={mode} v",
        )
        route = f"10.6.{other}.0/24 via 198.18.0.1{other}"
        inside = f"10.6.{other}.0/24 dev eth0"
        ok(
            host,
            f"docker run -d --name c{octet} --network v toolbox; ip route add {route};"
            f" pid=$(docker inspect -f '{{{{.State.Pid}}}}' c{octet});"
            f" nsenter -t $pid -n ip route replace {inside}",
        )
    journey = sandbox.journey("host-a/c1", "host-b/c2", tcp=80)
    way = [(hop.namespace, hop.interface, hop.direction) for hop in journey.passage.leg("probe")]
    assert way[:2] == [("host-a/c1", "eth0", "out"), ("host-a", "eth0", "out")]
    # By l3 the parent only routes, and nobody on the LAN is asked who has the address.
    if mode == "l2":
        assert journey.outcome == "answered"
        assert way[-1] == ("host-b/c2", "eth0", "in")


def test_a_container_on_the_hosts_network_is_the_host(fresh):
    a = fresh.host("a")
    ok(a, "docker run -d --name web --network host toolbox")
    answers(a, "curl -s -m 5 http://127.0.0.1")
    journey = sandbox.journey("host-b", "host-a/web", tcp=80)
    assert journey.outcome == "answered"
    assert places(journey.passage.leg("probe")) == {
        ("host-b", "eth0", "out"),
        ("host-a", "eth0", "in"),
    }


def test_without_the_userland_proxy_a_hairpin_is_translated(fresh):
    a = fresh.host("a")
    ok(
        a,
        "args=$(tr '\\0' ' ' < /proc/$(pgrep -x dockerd)/cmdline); pkill -x dockerd\n"
        "while [ -e /run/docker.pid ]; do sleep 0.2; done\n"
        "setsid $args --userland-proxy=false > /tmp/dockerd.log 2>&1 < /dev/null &\n"
        "for i in $(seq 150); do docker version > /dev/null 2>&1 && break; sleep 0.2; done",
    )
    ok(a, "docker run -d --name web -p 8080:80 toolbox; docker run -d --name client toolbox")
    answers(a, f"docker exec client curl -s -m 5 http://{OUTER}:8080")
    hairpin = sandbox.journey("host-a/client", OUTER, tcp=8080)
    assert hairpin.outcome == "answered"
    assert hairpin.passage.leg("proxied") == ()
    kinds = {change.kind for hop in hairpin.hops for change in hop.changes}
    assert "DNAT" in kinds
    own = sandbox.journey("host-a", "127.0.0.1", tcp=8080)
    assert own.outcome == "answered"
    assert {"DNAT", "MASQUERADE"} <= {c.kind for hop in own.hops for c in hop.changes}
