"""What lesson 04 claims about overlay networks, services and encryption.

A swarm takes most of the time, so the tests share one. They leave it as it was, but for the last.
"""

import base64
import io
import json
import re
from contextlib import contextmanager
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.utils import rdpcap

import sandbox
from tests.hosts import make_swarm, ok, run_on_overlay, until

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]
VNI = 4097  # of the first overlay that a swarm makes after its ingress
ENCRYPTED_VNI = 4098


@contextmanager
def captured_on_the_lan(host):
    """Frames that leave or reach host while the block runs, as scapy decodes Ethernet."""
    ok(host, "rm -f /root/t.*; tcpdump -U --immediate-mode -i eth0 -w /root/t.pcap > /root/t.err"
             " 2>&1 & echo $! > /root/t.pid")  # fmt: skip
    until("tcpdump listens", lambda: host.run("grep -q listening /root/t.err").code == 0)
    frames = []
    yield frames
    ok(host, "kill $(cat /root/t.pid); while kill -0 $(cat /root/t.pid) 2>/dev/null;"
             " do sleep 0.1; done")  # fmt: skip
    raw = base64.b64decode(ok(host, "base64 /root/t.pcap"))
    frames += rdpcap(io.BytesIO(raw))


def vxlan_headers(frames):
    """(outer packet, VNI, inner frame) of each VXLAN packet, by RFC 7348's eight bytes."""
    for frame in frames:
        if frame.haslayer(UDP) and frame[IP].frag == 0 and frame[UDP].dport == 4789:
            data = bytes(frame[UDP].payload)
            assert data[0] == 0x08, "the flag that says that the VNI is valid"
            yield frame[IP], int.from_bytes(data[4:7], "big"), Ether(data[8:])


@pytest.fixture(scope="module")
def swarm(sandbox_up):
    """Host-a a manager, host-b a worker; web on a and client on b, on span and on vault."""
    sandbox.up(2, fresh=True)
    a, b = sandbox_up.host("a"), sandbox_up.host("b")
    make_swarm(a, b)
    ok(a, "docker network create -d overlay --attachable span")
    ok(a, "docker network create -d overlay --attachable --opt encrypted vault")
    ok(a, "docker run -d --name web --network span toolbox; docker network connect vault web")
    run_on_overlay(b, "client", "span", "sleep infinity")
    ok(b, "docker network connect vault client")
    return a, b


@pytest.fixture(scope="module")
def service(swarm):
    """front, published on 8080, both tasks on host-a; returns its virtual IP on span."""
    a, b = swarm
    ok(a, "docker service create -d --no-resolve-image --name front --network span -p 8080:80"
          " --replicas 2 --constraint node.hostname==host-a toolbox")  # fmt: skip
    until(
        "host-b knows both tasks",
        lambda: len(ok(b, "docker exec client dig +short tasks.front").split()) == 2,
    )
    return ok(b, "docker exec client dig +short front")


def test_two_hosts_have_containers_in_one_subnet_and_the_name_resolves(swarm):
    a, b = swarm
    assert "10.0.1.2/24" in ok(a, "docker exec web ip -br -4 addr")
    assert "10.0.1.4/24" in ok(b, "docker exec client ip -br -4 addr")
    assert ok(b, "docker exec client dig +short web.span") == "10.0.1.2"
    assert "via 198.18.0.1 " in ok(b, "ip route get 10.0.1.2")


def test_a_ping_crosses_the_lan_as_vxlan_with_the_networks_vni(swarm):
    a, b = swarm
    options = json.loads(ok(a, "docker network inspect span -f '{{json .Options}}'"))
    assert options["com.docker.network.driver.overlay.vxlanid_list"] == str(VNI)
    with captured_on_the_lan(b) as frames:
        ok(b, "docker exec client ping -c 2 -W 5 web.span")
    sent = [
        (outer, vni, inner)
        for outer, vni, inner in vxlan_headers(frames)
        if inner.haslayer(ICMP) and inner[ICMP].type == 8
    ]
    assert sent
    for outer, vni, inner in sent:
        assert (outer.src, outer.dst) == ("198.18.0.12", "198.18.0.11")
        assert (inner[IP].src, inner[IP].dst) == ("10.0.1.4", "10.0.1.2")
        assert vni == VNI
        assert outer.len - inner[IP].len == 50


def test_scapy_reads_the_vni_that_the_bytes_have(swarm):
    _, b = swarm
    with captured_on_the_lan(b) as frames:
        ok(b, "docker exec client ping -c 1 -W 5 web.span")
    read = {frame[VXLAN].vni for frame in frames if frame.haslayer(VXLAN)}
    assert read == {vni for _, vni, _ in vxlan_headers(frames)} == {VNI}


def test_the_mtu_inside_is_1450_and_one_byte_more_does_not_go(swarm):
    _, b = swarm
    assert ok(b, "cat /sys/class/net/eth0/mtu") == "1500"
    assert ok(b, "docker exec client cat /sys/class/net/eth0/mtu") == "1450"
    ok(b, "docker exec client ping -c 1 -W 5 -M do -s 1422 web.span")
    refused = b.run("docker exec client ping -c 1 -W 5 -M do -s 1423 web.span")
    assert refused.code == 1
    assert "too long" in refused.stdout + refused.stderr


def test_the_engine_wrote_down_where_webs_mac_address_is(swarm):
    _, b = swarm
    id = ok(b, "docker network inspect span -f '{{.Id}}'")[:10]
    inside = f"nsenter --net=/run/docker/netns/1-{id}"
    table = ok(b, f"{inside} bridge fdb show dev vxlan0").splitlines()
    (entry,) = (line for line in table if line.startswith("02:42:0a:00:01:02 dst"))
    assert " dst 198.18.0.11 " in entry
    assert entry.endswith(" permanent")
    assert "10.0.1.2 dev vxlan0 lladdr 02:42:0a:00:01:02 PERMANENT" in ok(b, f"{inside} ip neigh")
    assert f" id {VNI} " in ok(b, f"{inside} ip -d link show vxlan0")


def test_an_encrypted_network_shows_esp_and_no_vxlan_of_its_vni(swarm):
    a, b = swarm
    options = json.loads(ok(a, "docker network inspect vault -f '{{json .Options}}'"))
    assert options["com.docker.network.driver.overlay.vxlanid_list"] == str(ENCRYPTED_VNI)
    with captured_on_the_lan(b) as frames:
        ok(b, "docker exec client ping -c 2 -W 5 -p c0ffee web.vault")
        ok(b, "docker exec client ping -c 1 -W 5 -p c0ffee web.span")
    # That the readable network is seen proves that the capture sees what there is.
    assert {vni for _, vni, _ in vxlan_headers(frames)} == {VNI}
    secret = [frame for frame in frames if frame.haslayer(ESP)]
    assert len(secret) >= 4
    assert not any(b"\xc0\xff\xee" * 4 in bytes(frame) for frame in secret)
    assert any(b"\xc0\xff\xee" * 4 in bytes(frame) for frame in frames)
    assert ok(b, "docker exec client cat /sys/class/net/eth2/mtu") == "1424"


def test_the_routing_mesh_answers_on_a_host_without_a_task(service, swarm):
    _, b = swarm
    assert ok(b, "docker ps --format '{{.Names}}'") == "client"
    answer = ok(b, "curl -s -m 10 --retry 5 --retry-all-errors http://198.18.0.12:8080")
    assert answer.endswith("you are 10.0.0.3"), "the node's end of ingress, not the caller"


def test_a_request_takes_the_way_that_the_lesson_shows(service, swarm):
    """nbval does not compare that cell: in which order Docker joins a task to its networks varies,
    and with it which of them is the task's eth0, and the whole picture.
    """
    [cell] = [
        cell
        for cell in json.loads((ROOT / "lessons/04-overlay.ipynb").read_text())["cells"]
        if "nbval-ignore-output" in cell["metadata"].get("tags", ())
    ]
    assert "".join(cell["source"]) == 'sandbox.journey("host-a", "host-b", tcp=8080)'
    stored = "".join(cell["outputs"][0]["data"]["text/plain"])
    assert shape(str(sandbox.journey("host-a", "host-b", tcp=8080))) == shape(stored)


def shape(text):
    """A journey's lines without numbers, names that Docker makes up, and the columns' widths."""
    text = re.sub(r"\b[0-9a-f]{2}(:[0-9a-f]{2}){5}\b", "MAC", text)
    text = re.sub(r"veth[0-9a-f]{7}", "veth", text)
    return [" ".join(re.sub(r"\d+", "N", line).split()) for line in text.splitlines()]


def test_a_services_address_is_no_tasks_and_is_balanced_over_them(service, swarm):
    _, b = swarm
    tasks = ok(b, "docker exec client dig +short tasks.front").split()
    assert len(tasks) == 2
    assert service not in tasks
    loop = "for n in 1 2 3 4; do curl -s -m 10 http://front; done"
    answers = ok(b, f"docker exec client sh -c '{loop}'").splitlines()
    who = [line.split()[2] for line in answers]
    assert sorted(map(who.count, set(who))) == [2, 2]


def test_without_udp_4789_names_resolve_and_packets_are_lost(swarm):
    a, b = swarm
    ok(b, "docker exec client ping -c 1 -W 5 web.span")
    ok(b, "iptables -I INPUT -p udp --dport 4789 -j DROP")
    try:
        assert ok(b, "docker exec client dig +short web.span") == "10.0.1.2"
        assert b.run("docker exec client ping -c 2 -W 1 web.span").code == 1
        assert ok(a, "docker node ls --format '{{.Status}}'").split() == ["Ready", "Ready"]
    finally:
        ok(b, "iptables -D INPUT -p udp --dport 4789 -j DROP")
    ok(b, "docker exec client ping -c 1 -W 5 web.span")


def test_a_task_moves_when_its_node_leaves_and_a_container_does_not(service, swarm):
    a, b = swarm
    ok(a, "docker service create -d --no-resolve-image --name mover toolbox")
    # The scheduler takes the node with fewer tasks.
    until("mover runs on host-b", lambda: ok(b, "docker ps -q -f name=mover"))
    ok(b, "docker swarm leave")
    until("mover runs on host-a", lambda: ok(a, "docker ps -q -f name=mover"))
    links = ok(b, "docker exec client ip -br link").splitlines()
    assert [line.split()[0] for line in links] == ["lo"]
