"""What belongs together on real hosts, of the states captured by tests/states/capture.py."""

import dataclasses
import functools

import pytest

from sandbox.model.networks import (
    bridge_of,
    endpoint_of,
    find_interface,
    find_namespace,
    members,
    namespace_beyond,
    network_of,
    on_lan,
    parent_of,
    peer_of,
    published_ports,
    real_interfaces,
    remotes,
    shown_networks,
    tunnels,
)
from sandbox.model.state import InterfaceRef, Published
from tests.states import capture
from tests.unit import snapshots
from tests.unit.test_model import host as read

host = functools.cache(read)
HOSTS = [(scenario, name) for scenario in capture.SCENARIOS for name in ("host-a", "host-b")]


@pytest.fixture(params=HOSTS, ids="-".join, scope="module")
def captured(request):
    return host(*request.param)


def interface(state, namespace, name):
    return find_interface(state, InterfaceRef(namespace, name))


def interfaces(state):
    return [found for namespace in state.namespaces for found in namespace.interfaces]


def without(state, namespace):
    """A host of which that namespace could not be read."""
    kept = tuple(found for found in state.namespaces if found.id != namespace)
    return dataclasses.replace(state, namespaces=kept)


def test_an_interface_is_found_by_its_reference(captured):
    for found in interfaces(captured):
        assert find_interface(captured, found.ref) is found


@pytest.mark.parametrize(
    "ref", [None, InterfaceRef("host-a", "eth9"), InterfaceRef("host-a/gone", "eth0")], ids=str
)
def test_what_is_not_there_is_not_found(ref):
    assert find_interface(host("bridge"), ref) is None


def test_a_namespace_is_found_by_its_id():
    state = host("lan")
    assert find_namespace(state, "host-a") is state.namespace
    assert find_namespace(state, "host-a/netns:blue").kind == "named"
    assert find_namespace(state, "blue") is None


def test_loopback_and_idle_tunnels_are_no_real_interfaces():
    host_side = snapshots.Host("host-a", "198.18.0.11")
    host_side.link("host-a", "tunl0", "ipip", enabled=False)
    host_side.link("host-a", "sit0", "sit", enabled=True)
    state = host_side.state()
    assert [it.name for it in real_interfaces(state.namespace)] == ["eth0", "sit0"]


def test_real_interfaces_are_by_number(captured):
    for namespace in captured.namespaces:
        found = real_interfaces(namespace)
        assert [it.index for it in found] == sorted(it.index for it in found)
        assert {it.name for it in namespace.interfaces} - {it.name for it in found} == {"lo"}


def test_real_interfaces_are_by_number_however_they_were_listed():
    space = host("bridge").namespace
    listed = dataclasses.replace(space, interfaces=space.interfaces[::-1])
    assert real_interfaces(listed) == real_interfaces(space)
    assert len(real_interfaces(space)) > 2


# Wires


def test_the_peer_of_a_peer_is_the_interface_itself(captured):
    pairs = [it for it in interfaces(captured) if it.peer]
    for found in pairs:
        assert peer_of(captured, peer_of(captured, found)) is found
    assert {peer_of(captured, it) for it in interfaces(captured) if it not in pairs} == {None}


def test_a_containers_wire_leads_to_a_port_of_its_networks_bridge():
    state = host("bridge")
    for name, network in (("eth0", "bridge"), ("eth1", "shop")):
        inside = interface(state, "host-a/web", name)
        assert namespace_beyond(state, inside) is state.namespace
        bridge = bridge_of(state, peer_of(state, inside))
        assert network_of(state, bridge) is state.network(network)
        assert namespace_beyond(state, peer_of(state, inside)).id == "host-a/web"


def test_a_wire_to_an_overlay_leads_into_its_namespace():
    state = host("overlay", "host-b")
    inside = interface(state, "host-b/right", "eth0")
    assert namespace_beyond(state, inside).id == "host-b/overlay:span"
    assert bridge_of(state, peer_of(state, inside)).ref == InterfaceRef(
        "host-b/overlay:span", "br0"
    )


def test_a_wire_that_stays_in_its_namespace_leads_nowhere():
    both = snapshots.Host("host-a", "198.18.0.11")
    for name, other in (("v0", "v1"), ("v1", "v0")):
        both.link("host-a", name, "veth", peer=InterfaceRef("host-a", other))
    state = both.state()
    one = interface(state, "host-a", "v0")
    assert peer_of(state, one).name == "v1"
    assert namespace_beyond(state, one) is None


def test_a_wire_whose_other_end_was_not_read_leads_nowhere():
    state = without(host("bridge"), "host-a/web")
    ends = [it for it in interfaces(state) if it.peer and it.peer.namespace == "host-a/web"]
    assert len(ends) == 2
    for end in ends:
        assert peer_of(state, end) is None
        assert namespace_beyond(state, end) is None


def test_an_interface_is_a_port_of_a_bridge_of_its_own_namespace_alone():
    state = host("overlay")
    port = interface(state, "host-a/overlay:span", "vxlan0")
    assert bridge_of(state, port).namespace == "host-a/overlay:span"
    assert bridge_of(state, interface(state, "host-a", "docker0")) is None
    assert bridge_of(state, interface(state, "host-a/left", "eth0")) is None


def test_one_interface_of_a_host_is_on_the_lan(captured):
    assert [it.ref for it in interfaces(captured) if on_lan(captured, it)] == [
        InterfaceRef(captured.name, "eth0")
    ]


def test_the_hosts_address_in_another_namespace_is_not_the_lan():
    state = host("lan")
    eth0 = dataclasses.replace(interface(state, "host-a", "eth0"), namespace="host-a/netns:blue")
    assert not on_lan(state, eth0)


# Docker's networks


@pytest.mark.parametrize(
    ("scenario", "shown"),
    [
        ("bridge", ["bridge", "cellar", "shop"]),
        ("lan", ["bridge", "host", "none", "routed", "tagged"]),
        ("overlay", ["bridge", "docker_gwbridge", "ingress", "span"]),
    ],
)
def test_host_and_none_are_shown_when_a_container_uses_them(scenario, shown):
    assert [network.name for network in shown_networks(host(scenario))] == shown


@pytest.mark.parametrize(
    ("scenario", "namespace", "name", "network"),
    [
        ("bridge", "host-a", "docker0", "bridge"),
        ("bridge", "host-a", "eth0", ""),
        ("bridge", "host-a/web", "eth0", ""),
        ("lan", "host-a", "eth0.10", "tagged"),
        ("lan", "host-a", "eth0", "routed"),
        ("lan", "host-a/ipv", "eth0", ""),
        ("overlay", "host-a/overlay:span", "br0", "span"),
        ("overlay", "host-a/overlay:ingress", "vxlan0", "ingress"),
        ("overlay", "host-a/lb:span", "eth0", ""),
    ],
)
def test_a_network_is_known_by_the_interface_that_carries_it(scenario, namespace, name, network):
    state = host(scenario)
    found = network_of(state, interface(state, namespace, name))
    assert (found.name if found else "") == network


def test_macvlan_and_ipvlan_alone_have_a_parent():
    state = host("lan")
    parents = {network.name: parent_of(network) for network in state.networks}
    assert {name: parent for name, parent in parents.items() if parent} == {
        "routed": "eth0",
        "tagged": "eth0.10",
    }
    assert state.network("bridge").interface


def test_members_of_a_network_are_its_containers_by_name_running_or_not():
    state = host("bridge")
    found = [(it.name, end.address) for it, end in members(state, state.network("bridge"))]
    assert found == [("client", "172.17.0.3/16"), ("later", ""), ("web", "172.17.0.2/16")]
    assert list(members(state, state.network("cellar"))) == []


@pytest.mark.parametrize(
    ("scenario", "namespace", "name", "place"),
    [
        ("bridge", "host-a/web", "eth1", ("web", "shop")),
        # guest is in the namespace of client, whose endpoint it is.
        ("bridge", "host-a/client", "eth0", ("client", "bridge")),
        ("bridge", "host-a/client", "lo", None),
        ("bridge", "host-a", "docker0", None),
        ("lan", "host-a/mac", "eth0", ("mac", "tagged")),
        ("lan", "host-a/netns:blue", "v1", None),
        ("overlay", "host-a/left", "eth0", ("left", "span")),
        # It leads to docker_gwbridge, of which Docker tells no endpoint.
        ("overlay", "host-a/left", "eth1", None),
    ],
)
def test_an_endpoint_is_known_by_its_interface(scenario, namespace, name, place):
    state = host(scenario)
    found = endpoint_of(state, interface(state, namespace, name))
    assert (found and (found[0].name, found[1].network)) == place


def test_a_port_published_on_both_families_is_one():
    web = host("bridge").container("web")
    assert [tuple(map(str, ports)) for ports in published_ports(web)] == [
        ("127.0.0.1:5353 → 53/udp",),
        ("0.0.0.0:8080 → 80/tcp", "[::]:8080 → 80/tcp"),
    ]


def test_published_ports_are_in_the_order_of_the_hosts_ports():
    ports = [Published("tcp", "0.0.0.0", 8080, 80), Published("tcp", "0.0.0.0", 90, 8080)]
    found = published_ports(snapshots.container("host-a", "web", published=tuple(ports)))
    assert [one.host_port for [one] in found] == [90, 8080]


# Tunnels between hosts


def quiet(state):
    """A host whose VXLAN interfaces send to nobody."""
    return dataclasses.replace(
        state,
        networks=tuple(dataclasses.replace(it, peers=()) for it in state.networks),
        namespaces=tuple(dataclasses.replace(it, forwarding=()) for it in state.namespaces),
    )


@pytest.fixture
def swarm():
    return host("overlay"), host("overlay", "host-b")


def test_a_vtep_sends_to_the_other_hosts_alone(swarm):
    for state, other in (swarm, swarm[::-1]):
        vxlans = [it for it in interfaces(state) if it.vni is not None]
        assert [remotes(state, it) for it in vxlans] == [[other.address]] * 2


def test_a_vtep_sends_where_its_own_forwarding_entries_lead(swarm):
    state = dataclasses.replace(quiet(swarm[0]), namespaces=swarm[0].namespaces)
    vxlan = interface(state, "host-a/overlay:span", "vxlan0")
    assert remotes(state, vxlan) == ["198.18.0.12"]
    assert remotes(state, dataclasses.replace(vxlan, name="vxlan1")) == []


def test_a_vtep_sends_to_its_networks_peers(swarm):
    state = quiet(swarm[0])
    peers = {"ingress": ("198.18.0.11", "198.18.0.12"), "span": ("198.18.0.11", "198.18.0.13")}
    networks = tuple(dataclasses.replace(it, peers=peers.get(it.name, ())) for it in state.networks)
    state = dataclasses.replace(state, networks=networks)
    assert remotes(state, interface(state, "host-a/overlay:span", "vxlan0")) == ["198.18.0.13"]


def test_a_host_is_known_by_its_nodes_address_in_the_swarm_too(swarm):
    a, b = (dataclasses.replace(it, address=f"10.0.0.{n}") for n, it in enumerate(swarm, 1))
    assert a.node != a.address
    vxlan = interface(a, "host-a/overlay:span", "vxlan0")
    assert remotes(a, vxlan) == [b.node]
    assert len(list(tunnels(a, b))) == 2


def test_a_tunnel_joins_what_has_one_vni(swarm):
    found = [(here.ref, there.ref) for here, there in tunnels(*swarm)]
    assert found == [
        (
            InterfaceRef(f"host-a/overlay:{it}", "vxlan0"),
            InterfaceRef(f"host-b/overlay:{it}", "vxlan0"),
        )
        for it in ("ingress", "span")
    ]


def test_it_is_enough_for_a_tunnel_that_one_end_sends(swarm):
    a, b = swarm
    assert len(list(tunnels(quiet(a), b))) == len(list(tunnels(a, quiet(b)))) == 2
    assert list(tunnels(quiet(a), quiet(b))) == []


def test_hosts_without_a_common_network_have_no_tunnel(swarm):
    assert list(tunnels(swarm[0], host("bridge", "host-b"))) == []
