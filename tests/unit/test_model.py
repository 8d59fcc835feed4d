"""The model of real hosts' states, captured by tests/states/capture.py, against what ip(8) said."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.model import links
from sandbox.model.firewall.read import option, read_nft, read_save
from sandbox.model.read import read_host
from sandbox.model.state import InterfaceRef, Listener, Published, Snapshot, Subnet
from tests.states import capture

ADDRESSES = {"host-a": "198.18.0.11", "host-b": "198.18.0.12"}


def host(scenario, name="host-a"):
    return read_host(name, ADDRESSES[name], capture.load(scenario)[name]["state"])


CAPTURED = [(scenario, name) for scenario in capture.SCENARIOS for name in ADDRESSES]


@pytest.fixture(scope="module", params=CAPTURED, ids="-".join)
def captured(request):
    """A host's state as the model has it, and what ip(8) said, by inode."""
    scenario, name = request.param
    return host(scenario, name), capture.load(scenario)[name]["ip"]


def test_nothing_of_a_real_host_is_left_unread(captured):
    state, _ = captured
    assert [space.unread for space in state.namespaces if space.unread] == []
    assert state.unread == ""


def test_interfaces_are_those_that_ip_shows(captured):
    state, said = captured
    assert len(state.namespaces) == len(said)
    for space in state.namespaces:
        links, _, _ = said[str(space.inode)]
        assert [
            (it.index, it.name, it.mtu, it.state, it.enabled, it.master) for it in space.interfaces
        ] == [
            (
                it["ifindex"],
                it["ifname"],
                it["mtu"],
                it["operstate"],
                "UP" in it["flags"],
                it.get("master", ""),
            )
            for it in links
        ]
        for interface, link in zip(space.interfaces, links, strict=True):
            info = link.get("linkinfo", {})
            data = info.get("info_data", {})
            assert interface.kind == info.get("info_kind", "loopback"), interface
            assert interface.mac == link["address"]
            assert (interface.status == "no carrier") == ("NO-CARRIER" in link["flags"])
            assert set(interface.addresses) == {
                f"{it['local']}/{it['prefixlen']}" for it in link["addr_info"]
            }
            assert interface.mode == data.get("mode", "")
            assert interface.vlan == (data["id"] if interface.kind == "vlan" else None)
            assert interface.vni == (data["id"] if interface.kind == "vxlan" else None)
            assert interface.port == data.get("port")


def test_peers_have_the_index_that_ip_shows(captured):
    state, said = captured
    spaces = {space.id: space for space in state.namespaces}
    for space in state.namespaces:
        for interface, link in zip(space.interfaces, said[str(space.inode)][0], strict=True):
            other = interface.peer or interface.parent
            if other:
                far = spaces[other.namespace].interface(other.name)
                assert far.index == link.get("link_index", 0) or far.name == link["link"]
            else:
                # Only the host's own way to the LAN leads out of what was read.
                far_away = "link_index" in link and interface.kind != "vxlan"
                assert not far_away or interface.name == "eth0"


def test_both_ends_of_a_veth_pair_name_each_other(captured):
    state, _ = captured
    interfaces = {it.ref: it for space in state.namespaces for it in space.interfaces}
    for interface in interfaces.values():
        if interface.peer:
            assert interfaces[interface.peer].peer == interface.ref


def test_routes_are_those_that_ip_shows(captured):
    state, said = captured
    for space in state.namespaces:
        _, routes, _ = said[str(space.inode)]
        mine = [it for it in space.routes if ":" not in it.destination + it.gateway]
        assert sorted((it.destination, it.gateway, it.interface, it.source) for it in mine) == (
            sorted(
                (
                    it["dst"] if it["dst"] == "default" else whole(it["dst"]),
                    it.get("gateway", ""),
                    it["dev"],
                    it.get("prefsrc", ""),
                )
                for it in routes
            )
        )


def whole(destination):
    return destination if "/" in destination else f"{destination}/32"


def test_forwarding_entries_are_those_that_bridge_shows(captured):
    state, said = captured
    for space in state.namespaces:
        _, _, entries = said[str(space.inode)]
        assert {(it.mac, it.interface, it.destination) for it in space.forwarding} == {
            (it["mac"], it["ifname"], it.get("dst", "")) for it in entries
        }


def test_a_bridge_state_by_hand():
    a = host("bridge")
    web, client = a.container("web"), a.container("client")
    assert (a.engine[:5], a.swarm, a.manager) == ("28.5.", "inactive", False)
    assert [network.name for network in a.networks] == ["bridge", "cellar", "host", "none", "shop"]
    shop = a.network("shop")
    assert shop.interface == f"br-{shop.id[:12]}"
    assert shop.subnets == (
        Subnet("172.18.0.0/24", "172.18.0.1"),
        Subnet("fd00:5::/64", "fd00:5::1"),
    )
    assert (shop.ipv6, shop.internal, a.network("cellar").internal) == (True, False, True)
    assert a.network("bridge").interface == "docker0"
    assert web.published == (
        Published("udp", "127.0.0.1", 5353, 53),
        Published("tcp", "0.0.0.0", 8080, 80),
        Published("tcp", "::", 8080, 80),
    )
    assert str(web.published[2]) == "[::]:8080 → 80/tcp"
    default, endpoint = web.endpoints
    assert (default.network, default.address, default.names) == ("bridge", "172.17.0.2/16", ())
    assert (default.interface, endpoint.interface) == ("eth0", "eth1")
    assert (endpoint.address, endpoint.address6) == ("172.18.0.2/24", "fd00:5::2/64")
    assert endpoint.aliases == ("front",)
    assert endpoint.names == ("web", "front", web.id[:12])
    assert (client.namespace, a.container("guest").namespace) == ("host-a/client",) * 2
    assert a.container("guest").network_mode == f"container:{client.id}"
    assert (a.container("later").state, a.container("later").namespace) == ("created", "")
    space = next(space for space in a.namespaces if space.id == "host-a/client")
    assert space.containers == ("client", "guest")
    plug = a.namespace.interface(space.interface("eth1").peer.name)
    assert (plug.kind, plug.master) == ("veth", shop.interface)
    assert plug.peer == InterfaceRef("host-a/client", "eth1")
    assert Listener("tcp", "0.0.0.0", 8080) in a.namespace.listeners
    assert Listener("tcp", "::", 8080) in a.namespace.listeners
    assert Listener("udp", "127.0.0.1", 5353) in a.namespace.listeners


def test_published_ports_have_an_order_of_their_own_whatever_the_engines_is():
    raw = json.loads(json.dumps(capture.load("bridge")["host-a"]["state"]))
    [web] = [it for it in raw["engine"]["containers"] if it["Name"] == "/web"]
    ports = web["NetworkSettings"]["Ports"]
    web["NetworkSettings"]["Ports"] = {
        name: ports[name] and ports[name][::-1] for name in sorted(ports, reverse=True)
    }
    again = read_host("host-a", "198.18.0.11", raw).container("web")
    assert again.published == host("bridge").container("web").published


def test_published_ports_are_seen_in_the_firewall():
    rules = host("bridge").namespace.rules
    [dnat] = [it for it in rules if it.target == "DNAT" and "8080" in it.text and it.family == "ip"]
    assert (dnat.table, dnat.chain, dnat.packets) == ("nat", "DOCKER", 0)
    assert option(dnat.text, "--to-destination") == "172.18.0.2:80"
    chains = {(it.table, it.name): it.policy for it in host("bridge").namespace.chains}
    assert chains["filter", "FORWARD"] in ("ACCEPT", "DROP")
    assert chains["filter", "DOCKER-USER"] == ""


def test_a_state_of_lan_drivers_by_hand():
    a = host("lan")
    assert a.container("in-host").namespace == "host-a"
    assert a.namespace.containers == ("in-host",)
    alone = next(space for space in a.namespaces if space.id == "host-a/alone")
    assert [it.name for it in alone.interfaces] == ["lo"]
    mac = next(
        it
        for space in a.namespaces
        if space.id == "host-a/mac"
        for it in space.interfaces
        if it.kind == "macvlan"
    )
    assert (mac.mode, mac.parent) == ("bridge", InterfaceRef("host-a", "eth0.10"))
    tagged = a.namespace.interface("eth0.10")
    assert (tagged.kind, tagged.vlan, tagged.parent) == ("vlan", 10, InterfaceRef("host-a", "eth0"))
    ipv = next(
        it
        for space in a.namespaces
        if space.id == "host-a/ipv"
        for it in space.interfaces
        if it.kind == "ipvlan"
    )
    assert (ipv.mode, ipv.parent) == ("l3", InterfaceRef("host-a", "eth0"))
    assert ipv.mac == a.namespace.interface("eth0").mac
    assert a.container("ipv").endpoints[0].interface == ipv.name
    assert a.network("tagged").interface == "eth0.10"
    assert a.network("routed").interface == "eth0"
    blue = next(space for space in a.namespaces if space.kind == "named")
    assert (blue.id, blue.interface("v1").peer) == (
        "host-a/netns:blue",
        InterfaceRef("host-a", "v0"),
    )
    assert blue.interface("v1").addresses == ("10.9.0.2/24",)


def test_rules_of_hand_made_tables_are_kept():
    rules = host("lan").namespace.rules
    mine = [it for it in rules if it.table == "mine"]
    assert [(it.family, it.chain, it.text, it.target, it.packets) for it in mine] == [
        ("inet", "watch", "tcp dport { 22, 80 } drop", "DROP", 0)
    ]
    user = [it for it in rules if it.chain == "DOCKER-USER"]
    assert [(it.text, it.target) for it in user] == [
        ("-p tcp -m conntrack --ctorigdstport 8080 -j DROP", "DROP")
    ]


def test_an_overlay_state_by_hand():
    a, b = host("overlay"), host("overlay", "host-b")
    assert (a.manager, a.node, b.manager, b.swarm) == (True, "198.18.0.11", False, "active")
    span = a.network("span")
    assert (span.scope, span.attachable, span.peers) == (
        "swarm",
        True,
        ("198.18.0.11", "198.18.0.12"),
    )
    assert set(span.services) == {"shop"}
    kinds = {space.id.partition("/")[2]: space.kind for space in a.namespaces}
    assert kinds["overlay:span"] == "overlay"
    assert kinds["lb:span"] == "lb"
    assert kinds["ingress"] == "ingress"
    overlay = next(space for space in a.namespaces if space.id == "host-a/overlay:span")
    vxlan = next(it for it in overlay.interfaces if it.kind == "vxlan")
    assert (vxlan.vni, vxlan.port, vxlan.master) == (4097, 4789, "br0")
    left = next(space for space in a.namespaces if space.id == "host-a/left")
    assert left.interface("eth0").peer.namespace == "host-a/overlay:span"
    assert left.interface("eth0").mtu == 1450
    # The other host is a remote VTEP, as gossip told it.
    assert "198.18.0.12" in {it.destination for it in overlay.forwarding}
    assert b.container("right").endpoints[0].address.startswith("10.7.0.")


def test_all_of_a_snapshot_is_json_ready():
    snapshot = Snapshot(1.0, "198.18.0.0/24", (host("bridge"), host("overlay")))
    again = json.loads(json.dumps(snapshot.to_dict()))
    assert again["hosts"][0]["namespaces"][0]["interfaces"][0]["name"] == "lo"


def test_a_virtual_machine_is_told_by_its_process_and_the_taps_that_it_holds():
    raw = capture.load("lan")["host-a"]["state"]
    own = next(space for space in raw["namespaces"] if space["own"])
    v0 = host("lan").namespace.interface("v0")
    common = {"inode": own["inode"], "taps": [], "macvtaps": []}
    words = ["qemu-system-x86_64", "-name", "vm,process=x", "-netdev", "user,id=net"]
    raw["machines"] = [
        {"pid": 7, "command": words, **common},
        {"pid": 8, "command": ["qemu-system-x86_64"], **common, "taps": ["eth0"]},
        {"pid": 9, "command": ["qemu-system-x86_64"], **common, "macvtaps": [v0.index]},
    ]
    found = read_host("host-a", ADDRESSES["host-a"], raw).machines
    assert [(it.name, it.user_mode, [ref.name for ref in it.interfaces]) for it in found] == [
        ("pid:8", False, ["eth0"]),
        ("pid:9", False, ["v0"]),
        ("vm", True, []),
    ]


def test_a_host_whose_engine_is_silent_still_has_its_interfaces():
    raw = capture.load("bridge")["host-a"]["state"]
    raw["engine"] = {"error": "connection refused"}
    state = read_host("host-a", "198.18.0.11", raw)
    assert "does not answer: connection refused" in state.unread
    assert state.namespace.interface("docker0").kind == "bridge"
    assert [space.kind for space in state.namespaces] == ["host", "other", "other"]


@given(
    st.sampled_from(["links", "addresses", "routes", "neighbours", "forwarding", "rules"]),
    st.integers(0, 4000),
    st.binary(min_size=1, max_size=40),
)
def test_a_damaged_dump_is_told_and_the_rest_still_read(part, at, junk):
    raw = capture.load("bridge")["host-b"]["state"]
    [own] = raw["namespaces"]
    if part == "rules":
        own[part] = junk.decode("latin-1") + own[part][at:]
    else:
        data = bytearray(base64.b64decode(own[part]))
        at = min(at, len(data) - 1)
        data[at : at + len(junk)] = junk
        own[part] = base64.b64encode(bytes(data)).decode()
    state = read_host("host-b", "198.18.0.12", raw)
    assert [space.id for space in state.namespaces] == ["host-b"]


@given(st.text())
def test_no_text_makes_the_rule_parsers_fail(text):
    for _, rules in (read_save(text, "ip"), read_nft(text)):
        assert all(isinstance(rule.text, str) for rule in rules)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["FORWARD", "DOCKER-USER", "x"]),
            st.sampled_from(["ACCEPT", "DROP", "DOCKER", "A-B"]),
            st.integers(0, 2**63),
            st.integers(0, 2**63),
        )
    )
)
def test_rules_come_back_as_they_were_saved(listed):
    text = "".join(
        f"[{packets}:{size}] -A {chain} -i eth0 -j {target}\n"
        for chain, target, packets, size in listed
    )
    _, rules = read_save(f"*filter\n{text}COMMIT\n", "ip")
    assert [(it.chain, it.target, it.packets, it.bytes) for it in rules] == listed
    assert {it.table for it in rules} <= {"filter"}


@given(
    st.lists(
        st.tuples(
            st.integers(1, 2**20),
            st.text("abcdef0123456789.", min_size=1, max_size=15),
            st.integers(68, 65535),
        ),
        max_size=8,
        unique_by=lambda it: it[0],
    )
)
def test_any_list_of_links_is_decoded(listed):
    raw = b"".join(link_message(*link) for link in listed)
    problems = []
    found = links.links(base64.b64encode(raw).decode(), problems)
    assert problems == []
    assert [(it.index, it.name, it.mtu) for it in found] == sorted(listed)


def link_message(index, name, mtu):
    """An RTM_NEWLINK message (linux/rtnetlink.h) of an interface that has a name and an MTU."""
    import struct

    attributes = b""
    for kind, value in ((3, name.encode() + b"\0"), (4, struct.pack("=I", mtu))):
        attributes += struct.pack("=HH", 4 + len(value), kind) + value
        attributes += b"\0" * (-len(attributes) % 4)
    body = struct.pack("=BxHiII", 0, 1, index, 1, 0) + attributes
    return struct.pack("=IHHII", 16 + len(body), 16, 0, 1, 0) + body


@given(st.binary(max_size=200))
def test_what_is_no_netlink_dump_is_told_and_does_no_harm(data):
    for decode in (links.links, links.addresses):
        problems = []
        assert len(decode(base64.b64encode(data).decode(), problems)) <= len(data)
        assert all(isinstance(problem, str) for problem in problems)


def test_one_message_that_cannot_be_decoded_costs_no_other():
    raw = [
        link_message(1, "lo", 65536),
        bytearray(link_message(2, "eth0", 1500)),
        link_message(3, "eth1", 1500),
    ]
    # The name's attribute claims to be longer than its message.
    raw[1][32:34] = b"\xff\x0f"
    problems = []
    found = links.links(base64.b64encode(b"".join(raw)).decode(), problems)
    assert [link.name for link in found] == ["lo", "eth1"]
    assert "IFLA_IFNAME" in problems[0]
