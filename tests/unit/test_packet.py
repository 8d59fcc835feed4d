"""Frames that scapy makes are told from the outside in; what is no capture is said."""

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw
from scapy.utils import PcapNgWriter, PcapWriter

from sandbox import SandboxError
from sandbox.model.packet import headers
from sandbox.views.packet import Dissection, read_frames

A, B = "02:00:00:00:00:01", "02:00:00:00:00:02"
PING = Ether(src=A, dst=B) / IP(src="10.0.1.2", dst="10.0.1.3") / ICMP() / Raw(b"x" * 56)
TUNNELLED = (
    Ether(src=A, dst=B)
    / IP(src="198.18.0.11", dst="198.18.0.12")
    / UDP(sport=45678, dport=4789)
    / VXLAN(vni=4097, flags=8)
    / PING
)


def said(frame, **names):
    return [(h.depth, h.protocol, h.text) for h in headers(bytes(frame), names)]


@pytest.fixture
def capture(tmp_path):
    def written(*frames, writer=PcapWriter, **options):
        with writer(str(tmp_path / "capture"), **options) as out:
            for frame in frames:
                out.write(frame)
        return (tmp_path / "capture").read_bytes()

    return written


def test_a_frame_in_a_vxlan_tunnel_has_two_ethernet_headers():
    assert [(depth, protocol) for depth, protocol, _ in said(TUNNELLED)] == [
        (0, "Ethernet"),
        (0, "IPv4"),
        (0, "UDP"),
        (0, "VXLAN"),
        (1, "Ethernet"),
        (1, "IPv4"),
        (1, "ICMP"),
        (1, "payload"),
    ]
    texts = [text for _, _, text in said(TUNNELLED)]
    assert texts[1] == "198.18.0.11 → 198.18.0.12, 134 bytes, TTL 64"
    assert texts[2:4] == ["port 45678 → port 4789", "VNI 4097"]
    assert texts[5:] == ["10.0.1.2 → 10.0.1.3, 84 bytes, TTL 64", "echo request", "56 bytes"]


def test_who_has_an_address_is_named():
    text = said(PING, **{A: "host-a/web"})[0][2]
    assert text == f"{A} (host-a/web) → {B}"


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (Dot1Q(vlan=10) / IP(), (0, "802.1Q", "VLAN 10")),
        (ARP(psrc="10.0.0.1", pdst="10.0.0.2"), (0, "ARP", "who has 10.0.0.2? tell 10.0.0.1")),
        (ARP(op=2, psrc="10.0.0.2", hwsrc=B), (0, "ARP", f"10.0.0.2 is at {B}")),
        (IP() / ESP(data=b"x" * 40), (0, "ESP", "48 bytes, encrypted")),
        (IP() / TCP(sport=40000, dport=80), (0, "TCP", "port 40000 → port 80, flags S")),
        (IP() / ICMP(type=3, code=1), (0, "ICMP", "host unreachable")),
        (
            IP() / ICMP(type=3, code=4, nexthopmtu=1450),
            (0, "ICMP", "fragmentation needed, next MTU 1450"),
        ),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
def test_what_each_header_says(layers, expected):
    assert expected in said(Ether(src=A, dst="ff:ff:ff:ff:ff:ff") / layers)


def test_a_broadcast_is_for_everybody():
    assert said(Ether(src=A, dst="ff:ff:ff:ff:ff:ff") / ARP())[0][2].endswith("(everybody)")


@pytest.mark.parametrize("writer", [PcapWriter, PcapNgWriter])
def test_the_first_frames_of_a_capture_file_are_read(capture, writer):
    frames = read_frames(capture(TUNNELLED, PING, PING, writer=writer), 2)
    assert frames == [bytes(TUNNELLED), bytes(PING)]


def test_too_few_frames_are_said_with_their_number(capture):
    with pytest.raises(SandboxError, match="has 1 of 2 frames"):
        read_frames(capture(PING), 2)


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"x" * 400])
def test_what_is_no_capture_is_said(data):
    with pytest.raises(SandboxError, match="no capture file"):
        read_frames(data, 1)


def test_a_capture_on_any_has_no_ethernet_header(capture):
    with pytest.raises(SandboxError, match="link type 276"):
        read_frames(capture(PING, linktype=276), 1)


def test_a_capture_that_was_cut_off_says_how_many_frames_it_has(capture):
    with pytest.raises(SandboxError, match="has 1 of 2"):
        read_frames(capture(PING, PING)[:-9], 2)


def test_text_and_boxes_say_the_same():
    shown = Dissection([bytes(TUNNELLED)], {A: "<host-a>"})
    assert repr(shown).startswith("frame 1\n   Ethernet")
    assert "\n      ICMP      echo request" in repr(shown)
    html = shown._repr_html_()
    assert html.count("<div") == html.count("</div>")
    assert "&lt;host-a&gt;" in html
