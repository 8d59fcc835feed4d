"""What makes a network on a bridge, of real hosts' states captured by tests/states/capture.py."""

import dataclasses

import pytest

import sandbox
from sandbox import show
from sandbox.model.bridged import bridged, parts
from sandbox.model.state import Rule, Snapshot
from tests.unit.test_model import host


def found(name, *rules):
    """The parts of a captured bridge, on a host that has these rules of the table nat too."""
    state = host("bridge")
    own = state.namespace
    more = tuple(Rule("ip", "nat", chain, text, target) for chain, target, text in rules)
    changed = dataclasses.replace(own, rules=own.rules + more)
    namespaces = tuple(changed if it is own else it for it in state.namespaces)
    return parts(bridged(dataclasses.replace(state, namespaces=namespaces), name))


def test_a_docker_network_has_every_part():
    assert found("shop") == {
        "bridge": "up, 172.18.0.1/24, fd00:5::1/64",
        "veth pairs into namespaces": "2",
        "addresses inside": "172.18.0.2/24, fd00:5::2/64, 172.18.0.3/24, fd00:5::3/64",
        "default gateway inside": "172.18.0.1",
        "NAT on the way out": "MASQUERADE from 172.18.0.0/24, not out by BRIDGE; "
        "MASQUERADE from fd00:5::/64, not out by BRIDGE",
        "NAT on the way in": "DNAT udp 5353 → 172.18.0.2:53, to 127.0.0.1, not in by BRIDGE; "
        "DNAT tcp 8080 → 172.18.0.2:80, not in by BRIDGE; "
        "DNAT tcp 8080 → [fd00:5::2]:80, not from fe80::/10, not in by BRIDGE",
        "rules in filter": "7 ACCEPT, 4 DROP",
        "rules in raw": "4 DROP",
        "proxy on the host": "port 5353, port 8080",
        "names answered inside": "yes",
    }


def test_an_internal_network_without_containers_lacks_most():
    said = found("cellar")
    assert said.pop("bridge") == "no carrier, 172.18.1.1/24"
    assert said.pop("rules in filter") == "1 ACCEPT, 2 DROP"
    assert set(said.values()) == {"none"}


def test_a_bridge_is_found_by_its_own_name_and_by_its_networks():
    assert found("docker0") == found("bridge")
    # Both containers go out by the other network.
    assert found("docker0")["default gateway inside"] == "none"


@pytest.mark.parametrize("name", ["eth0", "absent", "host", "none"])
def test_what_is_no_bridge_is_none(name):
    assert bridged(host("bridge"), name) is None


@pytest.mark.parametrize("destination", ["172.17.0.2:80", "172.17.0.2"])
def test_a_rule_by_hand_is_a_way_in_where_it_leads_behind_the_bridge(destination):
    rule = ("PREROUTING", "DNAT", f"-p tcp --dport 8081 -j DNAT --to-destination {destination}")
    assert found("docker0", rule)["NAT on the way in"] == f"DNAT tcp 8081 → {destination}"
    assert "8081" not in found("shop", rule)["NAT on the way in"]


def test_a_veth_pair_between_two_bridges_leads_into_no_namespace():
    state = host("bridge")
    own = state.namespace
    ends = [
        dataclasses.replace(it, peer=own.interface(to).ref, kind="veth", master=bridge)
        for it, to, bridge in (
            (own.interface("eth0"), "lo", "docker0"),
            (own.interface("lo"), "eth0", ""),
        )
    ]
    rest = [it for it in own.interfaces if it.name not in ("eth0", "lo")]
    changed = dataclasses.replace(own, interfaces=(*rest, *ends))
    namespaces = tuple(changed if it is own else it for it in state.namespaces)
    joined = dataclasses.replace(state, namespaces=namespaces)
    assert bridged(joined, "docker0") == bridged(state, "docker0")


@pytest.mark.parametrize(
    "destination", ["[fd00:5::2]:80", "fd00:5::2", "172.18.0.2:80-90", "172.18.0.2:80-90/80"]
)
def test_every_form_of_a_destination_is_a_way_in(destination):
    rule = ("PREROUTING", "DNAT", f"-p tcp --dport 8081 -j DNAT --to-destination {destination}")
    assert f"DNAT tcp 8081 → {destination}" in found("shop", rule)["NAT on the way in"]


@pytest.mark.parametrize("destination", ["172.18.0.2-172.18.0.3:80", ":80", "["])
def test_a_destination_that_is_not_one_address_is_no_way_in(destination):
    rule = ("PREROUTING", "DNAT", f"-p tcp --dport 8081 -j DNAT --to-destination {destination}")
    assert found("shop", rule) == found("shop")


def test_a_rule_for_another_subnet_is_no_way_out():
    rule = ("POSTROUTING", "MASQUERADE", "-s 10.9.0.0/24 -j MASQUERADE")
    assert found("docker0", rule) == found("docker0")


def test_a_bridge_that_is_not_there_is_one_message(monkeypatch):
    now = Snapshot(0.0, "198.18.0.0/24", (host("bridge"),))
    monkeypatch.setattr(show, "settled", lambda *_, **__: now)
    assert str(sandbox.compare_bridges("a", "docker0")).startswith("|  | docker0 |")
    with pytest.raises(sandbox.SandboxError, match="no bridge 'absent'"):
        sandbox.compare_bridges("a", "absent")
    with pytest.raises(sandbox.SandboxError, match="No bridge is named"):
        sandbox.compare_bridges("a")
