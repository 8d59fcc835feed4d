"""What lesson 04 claims of overlay networks, and its outputs do not tell."""

import base64
import io
import json
import re
from contextlib import contextmanager
from pathlib import Path

from between_cells import after
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.utils import rdpcap

import sandbox
from tests.hosts import ok, until

LESSON = Path(__file__).parents[3] / "lessons/04-overlay.ipynb"
VNI = 4097  # of the first overlay that a swarm makes after its ingress
ENCRYPTED_VNI = 4098
WEBS_MAC = "02:42:0a:00:01:02"


def frames_in(host, path):
    """The frames of a capture file, as scapy decodes Ethernet."""
    return rdpcap(io.BytesIO(base64.b64decode(ok(host, f"base64 {path}"))))


@contextmanager
def captured_on_the_lan(host):
    """Frames that leave or reach host while the block runs."""
    ok(
        host,
        "tcpdump -U --immediate-mode -i eth0 -w /root/t.pcap > /root/t.err 2>&1 &"
        " echo $! > /root/t.pid",
    )
    until("tcpdump listens", lambda: host.run("grep -q listening /root/t.err").code == 0)
    frames = []
    yield frames
    ok(
        host,
        "kill $(cat /root/t.pid); while kill -0 $(cat /root/t.pid) 2>/dev/null; do sleep 0.1; done",
    )
    frames += frames_in(host, "/root/t.pcap")
    ok(host, "rm /root/t.*")


def vxlan_headers(frames):
    """(outer packet, VNI, inner frame) of each VXLAN packet, by RFC 7348's eight bytes."""
    for frame in frames:
        if frame.haslayer(UDP) and frame[IP].frag == 0 and frame[UDP].dport == 4789:
            data = bytes(frame[UDP].payload)
            assert data[0] == 0x08, "the flag that says that the VNI is valid"
            vni = int.from_bytes(data[4:7], "big")
            assert frame[VXLAN].vni == vni, "scapy reads the VNI that the bytes have"
            yield frame[IP], vni, Ether(data[8:])


@after('dissect("b", "/root/lan.pcap")')
def a_ping_crosses_the_lan_as_vxlan_with_the_networks_vni(a, b):
    [(outer, vni, inner)] = vxlan_headers(frames_in(b, "/root/lan.pcap"))
    assert (outer.src, outer.dst) == ("198.18.0.12", "198.18.0.11")
    assert (inner[IP].src, inner[IP].dst) == ("10.0.1.4", "10.0.1.2")
    assert inner.dst == WEBS_MAC
    assert inner[ICMP].type == 8
    assert vni == VNI
    assert outer.len - inner[IP].len == 50


@after("bridge -n span fdb show dev vxlan0")
def the_engine_wrote_down_where_webs_mac_address_is(a, b):
    table = ok(b, "bridge -n span fdb show dev vxlan0").splitlines()
    [entry] = [line for line in table if line.startswith(f"{WEBS_MAC} dst")]
    assert " dst 198.18.0.11 " in entry
    assert entry.endswith(" permanent")
    assert f"10.0.1.2 dev vxlan0 lladdr {WEBS_MAC} PERMANENT" in ok(b, "ip -n span neigh")


@after('sandbox.journey("host-a", "host-b", tcp=8080)')
def a_request_takes_the_way_that_the_lesson_shows(a, b):
    """nbval does not compare that cell: in which order Docker joins a task to its networks varies,
    and with it which of them is the task's eth0, and the whole picture.
    """
    [cell] = [
        cell
        for cell in json.loads(LESSON.read_text(encoding="utf-8"))["cells"]
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


@after('dissect("b", "/root/vault.pcap")')
def an_encrypted_network_shows_esp_and_no_vxlan_of_its_vni(a, b):
    options = json.loads(ok(a, "docker network inspect vault -f '{{json .Options}}'"))
    assert options["com.docker.network.driver.overlay.vxlanid_list"] == str(ENCRYPTED_VNI)
    with captured_on_the_lan(b) as frames:
        ping = "ping -i 0.2 -W 5 -p c0ffee"
        said = ok(b, f"docker exec client sh -c '{ping} -c 2 web.vault && {ping} -c 1 web.span'")
    assert "PING web.vault (10.0.2.2)" in said
    assert "PING web.span (10.0.1.2)" in said
    # That the readable network is seen proves that the capture sees what there is.
    assert {vni for _, vni, _ in vxlan_headers(frames)} == {VNI}
    secret = [frame for frame in frames if frame.haslayer(ESP)]
    assert len(secret) >= 4
    assert not any(b"\xc0\xff\xee" * 4 in bytes(frame) for frame in secret)
    assert any(b"\xc0\xff\xee" * 4 in bytes(frame) for frame in frames)


@after("docker swarm leave")
def a_container_started_by_hand_has_nothing_but_lo_once_its_node_left(a, b):
    # The cell lists interfaces that have an IPv4 address.
    client = "nsenter -n -t $(docker inspect -f '{{.State.Pid}}' client)"
    links = ok(b, f"{client} ip -br link").splitlines()
    assert [line.split()[0] for line in links] == ["lo"]
