"""What changed between two snapshots, in words."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.model.difference import GROUPS, diff, steady
from sandbox.model.firewall.words import describe
from sandbox.model.read import read_host
from sandbox.model.state import Rule, Snapshot
from tests.states import capture
from tests.unit import snapshots


def snapshot(scenario, *names):
    captured = capture.load(scenario)
    hosts = (read_host(name, "198.18.0.11", captured[name]["state"]) for name in names)
    return Snapshot(1.0, "198.18.0.0/24", tuple(hosts))


@pytest.fixture(scope="module")
def new():
    """A host on which nothing was done yet."""
    return snapshot("bridge", "host-b")


@pytest.fixture(scope="module")
def bridge():
    """The same host, as it were, after the commands of the bridge scenario."""
    [host] = snapshot("bridge", "host-a").hosts
    return host


def changes(before, after):
    return {(change.group, change.sign, change.text) for change in diff(before, after).changes}


def test_nothing_changed_is_said(new):
    assert not diff(new, new)
    assert str(diff(new, new)) == "Nothing changed."


def test_counters_neighbours_and_learned_addresses_are_no_change(new):
    [host] = new.hosts
    [space] = host.namespaces
    rules = tuple(dataclasses.replace(rule, packets=7, bytes=420) for rule in space.rules)
    busy = dataclasses.replace(space, rules=rules, neighbours=(), forwarding=())
    later = dataclasses.replace(host, namespaces=(busy,))
    assert not diff(new, Snapshot(2.0, new.lan, (later,)))
    assert steady(later) == steady(host)


def test_a_veth_pair_is_one_sentence_that_names_both_ends(bridge):
    before = with_containers(bridge, "client", "guest", "later")
    said = changes(before, only(bridge))
    [pair] = [
        text
        for group, sign, text in said
        if (group, sign) == ("links", "+") and "eth0 of web" in text
    ]
    plug = bridge.namespaces[[it.id for it in bridge.namespaces].index("host-a/web")]
    assert pair == f"veth pair {plug.interface('eth0').peer.name} (port of docker0) ↔ eth0 of web"
    assert ("namespaces", "+", "a network namespace: web's") in said
    assert ("addresses", "+", "172.17.0.2/16 on eth0 of web") in said
    assert ("docker", "+", "published port 0.0.0.0:8080 → 80/tcp of web") in said
    assert ("names", "+", "web asks Docker's embedded DNS server at 127.0.0.11") in said
    assert not any("127.0.0.11" in text for group, _, text in said if group == "firewall")


def only(host):
    return Snapshot(1.0, "198.18.0.0/24", (host,))


def with_containers(host, *names):
    """That host as if only those containers were there."""
    kept = tuple(it for it in host.containers if it.name in names)
    spaces = {it.namespace for it in kept} | {host.name}
    namespaces = []
    for space in host.namespaces:
        if space.id in spaces:
            left = tuple(
                it for it in space.interfaces if it.peer is None or it.peer.namespace in spaces
            )
            namespaces.append(dataclasses.replace(space, interfaces=left))
    return only(dataclasses.replace(host, containers=kept, namespaces=tuple(namespaces)))


def test_what_goes_away_is_told_with_a_minus(bridge):
    said = changes(only(bridge), with_containers(bridge, "client", "guest", "later"))
    assert ("docker", "-", "container web") in said
    assert ("namespaces", "-", "a network namespace: web's") in said


def test_a_container_that_started_again_has_a_new_namespace_even_with_the_same_inode(bridge):
    started = tuple(
        dataclasses.replace(it, started="later") if it.name == "web" else it
        for it in bridge.containers
    )
    said = changes(only(bridge), only(dataclasses.replace(bridge, containers=started)))
    assert ("docker", "~", "container web was started again") in said
    assert ("namespaces", "-", "a network namespace: web's") in said
    assert ("namespaces", "+", "a network namespace: web's") in said


def test_the_first_container_in_host_mode_leaves_the_hosts_namespace_as_it_was(bridge):
    agent = snapshots.container(bridge.name, "agent", mode="host", namespace=bridge.name)
    own, *others = bridge.namespaces
    joined = dataclasses.replace(own, containers=("agent", *own.containers))
    with_it = dataclasses.replace(
        bridge, containers=(agent, *bridge.containers), namespaces=(joined, *others)
    )
    assert {group for group, _, _ in changes(only(bridge), only(with_it))} == {"docker"}


def test_a_link_that_is_switched_off_and_one_that_lost_its_carrier_are_told(bridge):
    changed = {"eth0": {"enabled": False}, "docker0": {"carrier": False, "state": "DOWN"}}
    own = bridge.namespace
    interfaces = tuple(dataclasses.replace(it, **changed.get(it.name, {})) for it in own.interfaces)
    down = dataclasses.replace(own, interfaces=interfaces)
    spaces = tuple(down if it is own else it for it in bridge.namespaces)
    said = changes(only(bridge), only(dataclasses.replace(bridge, namespaces=spaces)))
    assert said == {
        ("links", "~", "eth0 is switched off"),
        ("links", "~", "docker0 has no carrier"),
    }


def test_what_the_kernel_writes_down_late_is_no_change(bridge):
    late = [{"state": "LOWERLAYERDOWN"}, {"addresses": ("198.18.0.11/24", "fe80::1/64")}]
    for fields in late:
        own = bridge.namespace
        interfaces = tuple(
            dataclasses.replace(it, **fields) if it.name == "eth0" else it for it in own.interfaces
        )
        space = dataclasses.replace(own, interfaces=interfaces)
        spaces = tuple(space if it is own else it for it in bridge.namespaces)
        later = dataclasses.replace(bridge, namespaces=spaces)
        assert not diff(only(bridge), only(later))
        assert steady(later) == steady(bridge)


def test_the_text_has_a_heading_a_host_and_a_label_a_group(bridge):
    text = str(diff(with_containers(bridge), only(bridge)))
    assert text.splitlines()[0] == "What changed on host-a:"
    labels = [line[:12].strip() for line in text.splitlines()[1:]]
    assert [label for label in labels if label] == [
        group
        for group in GROUPS
        if group in ("docker", "namespaces", "links", "addresses", "routes", "names")
    ]


@pytest.mark.parametrize("scenario", list(capture.SCENARIOS))
def test_the_way_back_undoes_the_way_there(scenario):
    there, back = snapshot(scenario, "host-a"), snapshot("bridge", "host-b")
    renamed = dataclasses.replace(back.hosts[0], name="host-a")
    back = dataclasses.replace(back, hosts=(renamed,))
    signs = {"+": "-", "-": "+", "~": "~"}

    def counted(before, after):
        return sorted((c.group, c.sign) for c in diff(before, after).changes if c.sign != "~")

    assert counted(there, back) == sorted(
        (group, signs[sign]) for group, sign in counted(back, there)
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80",
            "DNAT tcp 8080 → 172.17.0.2:80, not in by docker0",
        ),
        (
            "-s 172.18.0.0/24 ! -o br-1 -j MASQUERADE",
            "MASQUERADE from 172.18.0.0/24, not out by br-1",
        ),
        ("-d 172.17.0.2/32 ! -i docker0 -j DROP", "DROP to 172.17.0.2, not in by docker0"),
        (
            "-o br-1 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            "ACCEPT out by br-1, state RELATED,ESTABLISHED",
        ),
        ("-j DOCKER-USER", "go to DOCKER-USER"),
        ("-m owner --uid-owner 0 -j ACCEPT", "-m owner --uid-owner 0 -j ACCEPT"),
        ("! -p tcp -j DROP", "! -p tcp -j DROP"),
        ('-m comment --comment "a b" -j DROP', '-m comment --comment "a b" -j DROP'),
        ("tcp dport 80 drop", "tcp dport 80 drop"),
    ],
)
def test_a_rule_in_words(text, said):
    assert describe(Rule("ip", "filter", "X", text, "")) == said


@given(st.text())
def test_any_rule_has_words(text):
    assert isinstance(describe(Rule("ip", "filter", "X", text, "")), str)
