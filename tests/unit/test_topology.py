"""The picture of a snapshot: what is in it, where it stands, and how it reaches a page."""

import dataclasses
import gzip
import html.parser
import itertools
import json
import re
import subprocess
import sys
import types
from base64 import b64decode
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.errors import SandboxError
from sandbox.model.networks import remotes
from sandbox.model.read import read_host
from sandbox.model.state import (
    ForwardingEntry,
    InterfaceRef,
    Neighbour,
    Snapshot,
    VirtualMachine,
)
from sandbox.views import topology
from sandbox.views.graph import DETAILS, Mark, build, compare, mark
from sandbox.views.layout import arrange, box
from sandbox.views.names import short_name
from sandbox.views.picture import KINDS, draw, to_pyvis
from sandbox.views.text import topology_text
from sandbox.views.topology import Topology, to_script
from scripts import front_end
from tests.states import capture
from tests.unit import snapshots

ROOT = Path(__file__).parents[2]


@st.composite
def random_snapshots(draw_from, least_hosts=0):
    """Hosts with a few bridges, and containers on any of them, running or not."""
    names = st.text(min_size=1, max_size=24)
    hosts = []
    for number in range(draw_from(st.integers(least_hosts, 3))):
        host = snapshots.Host(f"host-{number}", f"198.18.0.{11 + number}")
        bridges = draw_from(st.lists(names, max_size=3, unique=True))
        for at, name in enumerate(bridges):
            host.bridge(name, subnet=f"172.{17 + at}.0.0/16", device=f"br{at}")
        for at, name in enumerate(draw_from(st.lists(names, max_size=6, unique=True))):
            places = [
                (bridge, f"172.{17 + b}.0.{at + 2}/16", f"eth{b}", f"br{b}")
                for b, bridge in enumerate(bridges)
                if draw_from(st.booleans())
            ]
            ports = snapshots.PUBLISHED if draw_from(st.booleans()) else ()
            if draw_from(st.booleans()):
                host.run(name, *places, published=ports)
            else:
                host.run(name, *((*place[:3], "") for place in places), state="exited")
        hosts.append(host.state())
    return Snapshot(taken=0.0, lan="198.18.0.0/24", hosts=tuple(hosts))


def kinds(graph):
    return {node.kind for node in graph.nodes}


def edges(graph, kind):
    return {(edge.source, edge.target) for edge in graph.edges if edge.kind == kind}


def node(graph, name):
    return next(found for found in graph.nodes if found.id == name)


def overlaps(nodes, layout):
    boxes = {n.id: box(n, layout.places[n.id]) for n in nodes}
    return [
        (one, other)
        for one, other in itertools.combinations(boxes, 2)
        if boxes[one][0] < boxes[other][2]
        and boxes[other][0] < boxes[one][2]
        and boxes[one][1] < boxes[other][3]
        and boxes[other][1] < boxes[one][3]
    ]


# What is in the picture


def test_the_full_picture_has_every_kind_but_the_short_form_of_an_endpoint():
    assert kinds(build(snapshots.everything(), "full")) == set(KINDS) - {"endpoint"}


def test_the_simple_picture_leaves_interfaces_out():
    hidden = {"nic", "vlan", "vxlan", "bridge", "veth", "interface"}
    assert kinds(build(snapshots.everything(), "simple")) == set(KINDS) - hidden


def test_each_kind_has_a_shape_of_its_own():
    shapes = [shape for shape, _ in KINDS.values()]
    assert len(set(shapes)) == len(shapes)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_each_kind_has_a_colour_of_its_own_in_both_themes(theme):
    light, dark = topology.front_end("topology.css").split('[data-theme="dark"] {', 1)
    rules = {"light": light, "dark": dark.split("}")[0]}[theme]
    colours = dict(re.findall(r"--wbw-([a-z]+): (#[0-9a-f]{6});", rules))
    used = [colours[name] for name in [*KINDS, "new", "changed", "gone"]]
    assert len(set(used)) == len(used)


def test_every_interface_but_lo_is_in_the_full_picture():
    snapshot = snapshots.everything()
    shown = [
        n
        for n in build(snapshot, "full").nodes
        if n.title.endswith(tuple("0123456789")) and "interface number" in n.title
    ]
    assert len(shown) == sum(found.name != "lo" for found in snapshot.interfaces())


def test_a_wire_leads_from_the_container_to_its_bridge():
    graph = build(snapshots.everything(), "full")
    assert ("host-a/db", "host-a/db:eth0") in edges(graph, "inside")
    assert ("host-a/db:eth0", "host-a/db:eth0:peer") in edges(graph, "veth")
    assert ("host-a/db:eth0:peer", "host-a/network:shop:bridge") in edges(graph, "port")
    assert ("host-a/network:shop", "host-a/network:shop:bridge") in edges(graph, "carries")


def test_each_veth_pair_is_drawn_once():
    pairs = edges(build(snapshots.everything(), "full"), "veth")
    assert len(pairs) == len({frozenset(pair) for pair in pairs}) == 6


def test_a_virtual_machine_is_plugged_into_the_bridge_by_its_tap():
    full, simple = (build(snapshots.everything(), detail) for detail in ("full", "simple"))
    assert ("host-a/machine:vm", "host-a:tap0") in edges(full, "inside")
    assert ("host-a:tap0", "host-a/network:bridge:bridge") in edges(full, "port")
    assert ("host-a/machine:vm", "host-a/network:bridge") in edges(simple, "attached")


@pytest.mark.parametrize(
    ("interface", "user_mode", "edge"),
    [
        (None, True, "user-mode NAT"),
        (snapshots.interface("host-a", "tap1", 9, "tun"), False, "tap1"),
        (
            snapshots.interface(
                "host-a", "macvtap0", 9, "macvtap", parent=InterfaceRef("host-a", "eth0")
            ),
            False,
            "on eth0",
        ),
    ],
)
def test_a_virtual_machine_without_a_bridge_stands_on_its_host(interface, user_mode, edge):
    host = snapshots.Host("host-a", "198.18.0.11")
    held = ()
    if interface:
        host.interfaces["host-a"].append(interface)
        held = (interface.ref,)
    machine = VirtualMachine("host-a", "vm", 42, ("qemu",), held, user_mode)
    snapshot = Snapshot(1.0, "198.18.0.0/24", (host.state(machines=(machine,)),))
    joined = [it for it in build(snapshot, "simple").edges if it.source == "host-a/machine:vm"]
    assert [(it.target, it.label) for it in joined] == [("host-a", edge)]


def test_a_macvlan_container_hangs_on_its_vlan_interface():
    graph = build(snapshots.everything(), "full")
    assert ("host-a/lan-client:eth0", "host-a/network:wire10") in edges(graph, "attached")
    assert {("host-a/network:wire10", "host-a:eth0.10"), ("host-a:eth0.10", "host-a:eth0")} <= (
        edges(graph, "parent")
    )


@pytest.mark.parametrize(
    ("detail", "ends"),
    [
        ("simple", ("host-a/network:mesh", "host-b/network:mesh")),
        ("full", ("host-a/overlay:mesh:vxlan0", "host-b/overlay:mesh:vxlan0")),
    ],
)
def test_a_vxlan_tunnel_joins_the_two_hosts(detail, ends):
    assert edges(build(snapshots.everything(), detail), "tunnel") == {ends}


def test_a_vtep_that_knows_no_other_has_no_tunnel():
    snapshot = snapshots.everything()
    hosts = [
        dataclasses.replace(
            host,
            networks=tuple(dataclasses.replace(n, peers=()) for n in host.networks),
            namespaces=tuple(dataclasses.replace(n, forwarding=()) for n in host.namespaces),
        )
        for host in snapshot.hosts
    ]
    alone = dataclasses.replace(snapshot, hosts=tuple(hosts))
    assert edges(build(alone, "full"), "tunnel") == set()


def test_remotes_are_the_other_hosts_alone():
    host = snapshots.everything().hosts[0]
    vxlan = next(i for n in host.namespaces for i in n.interfaces if i.vni == 4097)
    assert remotes(host, vxlan) == ["198.18.0.12"]


def test_containers_of_one_namespace_are_joined():
    for detail in DETAILS:
        graph = build(snapshots.everything(), detail)
        assert edges(graph, "shares") == {("host-a/sidecar", "host-a/web")}


def test_a_port_published_on_both_families_is_one_node():
    graph = build(snapshots.everything(), "simple")
    port = node(graph, "host-a/web:8080→80/tcp")
    assert port.label == "0.0.0.0:8080\n→ 80/tcp"
    assert "[::]:8080 → 80/tcp" in port.title


def test_a_link_local_address_is_left_out_as_it_follows_from_the_mac():
    addresses = ("172.18.0.3/24", "fe80::42:acff:fe12:3/64")
    snapshot = replace_interface(snapshots.lesson(), "host-a/api", "eth0", addresses=addresses)
    shown = node(build(snapshot, "full"), "host-a/api:eth0")
    assert shown.label == "eth0\n172.18.0.3/24"
    assert "fe80" not in shown.title


def test_a_hosts_veth_into_the_lan_is_its_network_interface():
    snapshot = replace_interface(snapshots.lesson(), "host-a", "eth0", kind="veth", peer=None)
    graph = build(snapshot, "full")
    assert node(graph, "host-a:eth0").kind == "nic"
    assert ("host-a:eth0", "LAN") in edges(graph, "cable")


def test_a_swarm_task_is_shown_without_its_id():
    assert short_name("shop.1.v0fox1q3vmjs0paxa308o5yvf") == "shop.1"
    assert short_name("shop.1.web") == "shop.1.web"


def test_unused_host_and_none_networks_are_left_out():
    ids = {n.id for n in build(snapshots.everything(), "simple").nodes}
    assert "host-a/network:none" in ids
    assert "host-b/network:none" not in ids


def test_details_are_in_the_text_on_hover():
    graph = build(snapshots.everything(), "full")
    assert "MTU 1450" in node(graph, "host-a:eth0").title
    assert "mode l3" in node(graph, "host-b/routed:eth0").title
    assert "state exited" in node(graph, "host-a/old").title
    assert "route default via 198.18.0.1 dev eth0" in node(graph, "host-a").title
    assert "parent=eth0.10" in node(graph, "host-a/network:wire10").title


@pytest.mark.parametrize("detail", ["", "Simple", "both"])
def test_a_wrong_detail_is_refused_with_what_to_write(detail):
    with pytest.raises(SandboxError, match=f"no level of detail '{detail}'") as refused:
        Topology(snapshots.lesson(), detail=detail)
    assert 'detail="simple"' in refused.value.fix


# What changed


def changes(now, before, detail="full"):
    graph = compare(build(now, detail), build(before, detail))
    return {n.id: n.change for n in graph.nodes if n.change}


def test_nothing_has_changed_between_two_equal_snapshots():
    assert changes(snapshots.everything(), snapshots.everything()) == {}


def test_new_and_gone_things_are_marked():
    more, less = snapshots.lesson(), snapshots.lesson(client=False)
    assert changes(more, less, "simple")["host-a/client"] == "new"
    assert changes(less, more, "simple") == {
        f"host-{host}/client{end}": "gone" for host in "ab" for end in ("", "@bridge")
    }


def replace_interface(snapshot, namespace, name, **fields):
    def namespaces(host):
        return tuple(
            dataclasses.replace(
                space,
                interfaces=tuple(
                    dataclasses.replace(i, **fields) if i.name == name else i
                    for i in space.interfaces
                ),
            )
            if space.id == namespace
            else space
            for space in host.namespaces
        )

    hosts = [dataclasses.replace(h, namespaces=namespaces(h)) for h in snapshot.hosts]
    return dataclasses.replace(snapshot, hosts=tuple(hosts))


@pytest.mark.parametrize(
    "fields", [{"addresses": ("172.18.0.9/24",)}, {"carrier": False}, {"enabled": False}], ids=str
)
def test_an_interface_with_another_address_or_state_is_changed(fields):
    before = snapshots.lesson()
    now = replace_interface(before, "host-a/api", "eth0", **fields)
    assert changes(now, before) == {"host-a/api:eth0": "changed"}


def test_an_interface_that_left_its_bridge_is_changed():
    before = snapshots.lesson()
    peer = before.hosts[0].namespaces[1].interface("eth0").peer
    now = replace_interface(before, "host-a", peer.name, master="")
    assert changes(now, before) == {"host-a/api:eth0:peer": "changed"}
    graph = compare(build(now, "full"), build(before, "full"))
    assert [e.target for e in graph.edges if e.change == "gone"] == ["host-a/network:shop:bridge"]


def test_learned_neighbours_and_counters_are_no_change():
    before = snapshots.lesson()
    hosts = [
        dataclasses.replace(
            host,
            namespaces=tuple(
                dataclasses.replace(
                    space,
                    neighbours=(Neighbour("172.17.0.1", "aa", "eth0", "STALE"),),
                    forwarding=(ForwardingEntry("aa", "x", "docker0", "", None, False),),
                )
                for space in host.namespaces
            ),
        )
        for host in before.hosts
    ]
    assert changes(dataclasses.replace(before, taken=2.0, hosts=tuple(hosts)), before) == {}


@pytest.mark.parametrize("detail", DETAILS)
def test_what_is_wrong_is_marked_at_a_node_or_from_one_to_another(detail):
    marks = [
        Mark(("host-a/web",), "web has no route"),
        Mark(("host-a/client", "host-a/web"), "no answer"),
        Mark(("host-a/client", "host-a/web"), "no name"),
        Mark(("host-a/client", "host-a/nobody"), "is left out"),
    ]
    plain = build(snapshots.lesson(), detail)
    graph = mark(plain, marks)
    assert [(it.id, it.title.splitlines()[-1]) for it in graph.nodes if it.change == "wrong"] == [
        ("host-a/web", "✗ web has no route")
    ]
    assert [
        (it.source, it.target, it.kind, it.title) for it in graph.edges if it not in plain.edges
    ] == [("host-a/client", "host-a/web", "check", "✗ no answer\n✗ no name")]
    view = draw(snapshots.lesson(), detail=detail, marks=marks).data["views"][detail]
    [drawn] = [it for it in view["edges"] if it["kind"] == "check"]
    assert (drawn["change"], drawn["title"], drawn["arrows"]) == (
        "wrong",
        "✗ no answer\n✗ no name",
        "to",
    )


def test_what_is_gone_stays_at_its_old_place():
    first = Topology(snapshots.lesson())
    second = Topology(
        snapshots.lesson(client=False), before=snapshots.lesson(), positions=first.positions
    )
    assert (
        second.positions["simple"].places["host-a/client"]
        == (first.positions["simple"].places["host-a/client"])
    )


# Where things stand


@pytest.mark.parametrize("detail", DETAILS)
@pytest.mark.parametrize(
    "snapshot",
    [snapshots.lesson(), snapshots.everything(), snapshots.many(8)],
    ids=["lesson", "everything", "eight containers"],
)
def test_no_labels_overlap(snapshot, detail):
    graph = build(snapshot, detail)
    assert overlaps(graph.nodes, arrange(graph, detail)) == []


@pytest.mark.parametrize("detail", DETAILS)
@pytest.mark.parametrize("scenario", capture.SCENARIOS)
def test_no_labels_overlap_of_real_hosts(scenario, detail):
    states = capture.load(scenario)
    hosts = [
        read_host(name, f"198.18.0.{11 + number}", states[name]["state"])
        for number, name in enumerate(sorted(states))
    ]
    graph = build(Snapshot(0.0, "198.18.0.0/24", tuple(hosts)), detail)
    assert len(graph.nodes) > 10
    assert overlaps(graph.nodes, arrange(graph, detail)) == []


@settings(deadline=None, max_examples=60)
@given(random_snapshots(), random_snapshots(), st.sampled_from(DETAILS))
def test_known_nodes_stay_and_no_two_nodes_share_a_place(before, now, detail):
    earlier = build(before, detail)
    known = arrange(earlier, detail)
    graph = compare(build(now, detail), earlier)
    layout = arrange(graph, detail, known)
    assert {name: layout.places[name] for name in known.places} == known.places
    assert len(set(layout.places.values())) == len(graph.nodes)
    new = {n.id for n in graph.nodes if n.change == "new"}
    assert [pair for pair in overlaps(graph.nodes, layout) if new & {*pair}] == []


def test_places_do_not_depend_on_the_names_of_veths_and_bridges():
    one = draw(snapshots.lesson(), detail="full")
    other = draw(snapshots.lesson(veth="vethfffffff", shop_id="0123456789ab"), detail="full")
    assert one.positions == other.positions


def test_hosts_stand_side_by_side_under_the_lan():
    layout = Topology(snapshots.lesson()).positions["full"]
    a, b = layout.frames["host-a"], layout.frames["host-b"]
    assert a[2] < b[0]
    assert a[3] == b[3]
    assert layout.places["LAN"][1] < a[1]


def test_a_new_container_in_a_full_host_stays_within_its_frame():
    less = snapshots.lesson(client=False)
    layout = draw(snapshots.lesson(), detail="full", before=less).positions["full"]
    for host in ("host-a", "host-b"):
        x, y = layout.places[f"{host}/client"]
        left, top, right, bottom = layout.frames[host]
        assert left < x < right
        assert top < y < bottom
    assert layout.frames["host-a"][2] < layout.frames["host-b"][0]


def test_pyvis_gets_every_node_and_edge_and_no_physics():
    graph = build(snapshots.everything(), "full")
    network = to_pyvis(graph, arrange(graph, "full"))
    assert [n["id"] for n in network.nodes] == [n.id for n in graph.nodes]
    assert len(network.edges) == len(graph.edges)
    assert network.options["physics"] == {"enabled": False}


# Text


def test_the_text_is_a_tree():
    assert topology_text(snapshots.lesson()).splitlines()[:8] == [
        "host-a  198.18.0.11  Docker Engine 28.5.2",
        "├─ network bridge (bridge)  172.17.0.0/16  docker0",
        "│  ├─ client  eth0 172.17.0.3/16  ─ veth0a1b206",
        "│  └─ web     eth0 172.17.0.2/16  ─ veth0a1b208",
        "└─ network shop (bridge)  172.18.0.0/24  br-323322e22ed2",
        "   ├─ api  eth0 172.18.0.3/24  ─ veth0a1b204",
        "   └─ web  eth1 172.18.0.2/24  ─ veth0a1b20a",
        "published  0.0.0.0, [::]:8080 → web:80/tcp",
    ]


def test_the_text_of_a_lesson_is_short():
    assert len(topology_text(snapshots.lesson()).splitlines()) <= 25


@pytest.mark.parametrize(
    "said",
    [
        "old  (exited)",
        "vlan eth0.10  VLAN 10 on eth0",
        "virtual machine vm  ─ tap0 on docker0",
        "macvlan bridge on eth0.10",
        "network l3 (ipvlan l3)  10.30.0.0/24  on eth0",
        "VXLAN VNI 4097 → 198.18.0.12",
        "sidecar  in the namespace of web",
        "veth-blue  172.17.0.99/16  ─ veth0a1b20e on docker0",
        "127.0.0.1:5353 → web:53/udp",
        "LAN 198.18.0.0/24: host-a 198.18.0.11, host-b 198.18.0.12",
    ],
)
def test_the_text_says(said):
    assert said in re.sub(r"(\w) {2,}", r"\1  ", topology_text(snapshots.everything()))


def test_the_texts_padding_does_not_depend_on_a_veths_name():
    one = topology_text(snapshots.lesson())
    other = topology_text(snapshots.lesson(veth="veth00000000000"))
    assert re.sub("veth[0-9a-f]+", "veth", one) == re.sub("veth[0-9a-f]+", "veth", other)


def test_a_name_cannot_steer_the_terminal():
    host = snapshots.Host("host-a", "198.18.0.11")
    host.run("evil\x1b[2J\nname")
    text = topology_text(Snapshot(0.0, "", (host.state(),)))
    assert "\x1b" not in text
    assert "evil�[2J�name" in text


# In a page


class Page(html.parser.HTMLParser):
    """Collects a page's scripts as a browser would cut them, and the text of its pre."""

    def __init__(self, text):
        super().__init__()
        self.scripts, self.pre, self.tag = [], "", ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tag = tag
        if tag == "script":
            self.scripts.append([dict(attrs).get("type"), ""])

    def handle_endtag(self, tag):
        self.tag = ""

    def handle_data(self, data):
        if self.tag == "script":
            self.scripts[-1][1] += data
        elif self.tag == "pre":
            self.pre += data


def hostile(name):
    host = snapshots.Host("host-a", "198.18.0.11")
    host.bridge(name, subnet="172.17.0.0/16", device="docker0")
    host.run(name, (name, "172.17.0.2/16", "eth0", "docker0"), published=snapshots.PUBLISHED)
    return Snapshot(0.0, "198.18.0.0/24", (host.state(),))


@settings(deadline=None, max_examples=40)
@given(
    st.text(min_size=1)
    | st.sampled_from(
        ["</script><script>alert(1)</script>", "<!--<script>", "\"'`${x}", "\u2028", "</pre><b>"]
    )
)
def test_any_name_survives_the_page(name):
    snapshot = hostile(name)
    expected = draw(snapshot, detail="simple").data
    del expected["text"]
    page = Page(Topology(snapshot)._html(carry=False))
    assert [kind for kind, _ in page.scripts] == ["application/json", None]
    assert json.loads(page.scripts[0][1]) == json.loads(json.dumps(expected))
    assert page.pre == topology_text(snapshot)


@given(st.recursive(st.text() | st.integers(), st.lists))
def test_json_in_a_script_is_the_same_value(value):
    text = to_script(value)
    assert json.loads(text) == value
    assert not re.search("[<>&\u2028\u2029]", text)


def test_the_carried_library_is_pyvis_copy_with_its_licence():
    source = gzip.decompress(b64decode(topology.packed_library()))
    assert b"@license" in source[:1000]
    assert b"Apache 2.0" in source[:1000]
    assert len(topology.packed_library()) < 180_000


def test_the_newest_library_of_pyvis_is_carried(tmp_path, monkeypatch):
    for version in ("9.1.2", "10.0.1", "9.9"):
        folder = tmp_path / f"templates/lib/vis-{version}"
        folder.mkdir(parents=True)
        (folder / "vis-network.min.js").write_text(version)
    monkeypatch.setattr("pyvis.__file__", str(tmp_path / "__init__.py"))
    packed = topology.packed_library.__wrapped__()
    assert gzip.decompress(b64decode(packed)) == b"10.0.1"


def test_a_lessons_stored_output_is_small():
    for detail in DETAILS:
        assert len(Topology(snapshots.lesson(), detail=detail)._html(carry=False).encode()) < 25_000


@pytest.mark.parametrize("path", sorted(ROOT.glob("lessons/*.ipynb")), ids=lambda path: path.stem)
def test_stored_pictures_carry_the_front_end_of_today(path):
    """scripts/front_end.py renews them; nbval would find it too, half an hour later."""
    cells = json.loads(path.read_text())["cells"]
    shown = [output.get("data", {}) for cell in cells for output in cell.get("outputs", ())]
    pages = ["".join(data["text/html"]) for data in shown if "text/html" in data]
    carrying = [page for page in pages if "class Picture" in page]
    parts = topology.drawing_script(), to_script(topology.style())
    assert all(part in page for page in carrying for part in parts)
    assert len(carrying) == any("wire-by-wire-topology" in page for page in pages)


@pytest.fixture
def notebook(monkeypatch):
    """Runs a cell: run(cell's id, request's id, number of topologies) → which carry."""
    monkeypatch.setattr(topology, "_carrier", topology._Carrier())

    def run(cell, request, count=1):
        metadata = {"cellId": cell} if cell else {}
        shell = types.SimpleNamespace(
            get_parent=lambda: {"metadata": metadata, "header": {"msg_id": request}}
        )
        monkeypatch.setattr("IPython.get_ipython", lambda: shell)
        shown = Topology(snapshots.lesson())
        return ["H4sI" in shown._repr_mimebundle_()["text/html"] for _ in range(count)]

    return run


def test_an_older_front_end_is_renewed_and_what_is_drawn_stays(tmp_path):
    lesson = ROOT / "lessons/04-overlay.ipynb"
    older = lesson.read_text().replace("class Picture", "class Drawn").replace("10000", "9000")
    assert older.count("class Drawn") == 1
    path = tmp_path / lesson.name
    path.write_text(older)
    assert front_end.renew(path)
    assert path.read_text() == lesson.read_text()
    assert not front_end.renew(path)


def test_only_the_first_output_carries_the_library(notebook):
    assert notebook("one", "r1") == [True]
    assert notebook("two", "r2") == [False]


def test_the_cell_that_carried_it_carries_it_again(notebook):
    assert notebook("one", "r1", count=2) == [True, False]
    assert notebook("two", "r2") == [False]
    assert notebook("one", "r3", count=2) == [True, False]


def test_without_cell_ids_it_is_carried_once(notebook):
    assert notebook("", "r1") == [True]
    assert notebook("", "r2") == [False]


def test_an_output_is_the_same_each_time(notebook):
    one, other = Topology(snapshots.everything()), Topology(snapshots.everything())
    assert one._html(carry=True) == other._html(carry=True)


def test_where_no_script_runs_the_text_is_seen():
    shown = Topology(snapshots.lesson())._repr_mimebundle_()
    assert shown["text/plain"] == topology_text(snapshots.lesson())
    assert Page(shown["text/html"]).pre == shown["text/plain"]


def test_a_saved_page_asks_nothing_of_another_machine(tmp_path):
    path = Topology(snapshots.lesson()).save(tmp_path / "lesson.html")
    text = path.read_text()
    assert "<title>Topology of host-a, host-b</title>" in text
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", text)
    assert [found.name for found in tmp_path.iterdir()] == ["lesson.html"]


def test_a_page_that_cannot_be_saved_is_one_message(tmp_path):
    with pytest.raises(SandboxError, match="could not be saved") as failed:
        Topology(snapshots.lesson()).save(tmp_path / "none" / "lesson.html")
    assert failed.value.why == "No such file or directory"
    assert failed.value.fix


# The widget


def test_the_widget_keeps_places_and_marks_changes():
    from sandbox.widgets.live import LiveTopology

    live = LiveTopology(snapshots.lesson(client=False), detail="full")
    before = live.positions["full"].places
    assert not any(n.get("change") for n in live.picture["views"]["full"]["nodes"])
    live.show(snapshots.lesson())
    drawn = {n["id"]: n for n in live.picture["views"]["full"]["nodes"]}
    assert drawn["host-a/client"]["change"] == "new"
    assert {name: (drawn[name]["x"], drawn[name]["y"]) for name in before} == before
    live.show(snapshots.lesson())
    assert not any(n.get("change") for n in live.picture["views"]["full"]["nodes"])


def test_places_are_kept_when_changes_are_marked_since_an_older_snapshot():
    from sandbox.widgets.live import LiveTopology

    oldest = snapshots.lesson(client=False)
    live = LiveTopology(oldest)
    live.show(snapshots.lesson())
    places = live.positions["simple"].places
    live.show(snapshots.lesson(), before=oldest)
    assert live.positions["simple"].places == places
    drawn = {n["id"]: n for n in live.picture["views"]["simple"]["nodes"]}
    assert drawn["host-a/client"]["change"] == "new"


@settings(deadline=None, max_examples=30)
@given(random_snapshots(), random_snapshots(), random_snapshots())
def test_the_last_pictures_places_are_kept_whatever_is_marked(oldest, last, now):
    positions = draw(last, detail="full").positions
    picture = draw(now, detail="full", before=oldest, positions=positions)
    for level, layout in picture.positions.items():
        known = positions[level].places
        kept = known.keys() & layout.places.keys()
        assert {name: layout.places[name] for name in kept} == {n: known[n] for n in kept}
        assert len(set(layout.places.values())) == len(layout.places)


def test_an_empty_widget_shows_its_first_snapshot_without_changes():
    from sandbox.widgets.live import LiveTopology

    live = LiveTopology()
    live.show(snapshots.lesson())
    assert not any(n.get("change") for n in live.picture["views"]["simple"]["nodes"])


def test_the_course_starts_without_the_drawing_libraries():
    code = (
        "import sys, sandbox, sandbox.views.topology as t\n"
        "heavy = {'pyvis', 'anywidget', 'ipywidgets', 'docker', 'jinja2'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
