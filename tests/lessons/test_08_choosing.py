"""What lesson 08 says of the drivers, measured again; its cheat sheet is its table."""

from pathlib import Path

import pytest

import sandbox
from scripts import cheat_sheet

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def measured(sandbox_up):
    """By driver, the facts."""
    found = sandbox.compare_drivers()
    return {one.driver: one for one in found.measured}


def drivers(measured, fact, value):
    return {name for name, one in measured.items() if one.facts[fact] == value}


@pytest.mark.engine
def test_only_where_it_has_an_interface_there_does_host_a_reach_its_own_container(measured):
    assert drivers(measured, "host-a itself", "no") == {
        "none", "overlay", "macvlan", "ipvlan", "ipvlan l3",
    }  # fmt: skip


@pytest.mark.engine
def test_names_cross_hosts_on_an_overlay_alone(measured):
    assert drivers(measured, "web by name, on host-b", "yes") == {"overlay"}
    assert drivers(measured, "web by name, on host-a", "no") == {"host", "none"}


@pytest.mark.engine
def test_ports_are_published_on_bridge_and_overlay_alone(measured):
    published = drivers(measured, "host-b, port 8080 of host-a", "198.18.0.12")
    assert published == {"bridge", "overlay"}
    assert drivers(measured, "host-b, port 8080 of host-a", "no") == set(measured) - published


@pytest.mark.engine
def test_macvlan_has_a_mac_address_of_its_own_on_the_lan_and_ipvlan_has_not(measured):
    assert measured["macvlan"].facts["web's MAC address"] == "its own"
    assert measured["ipvlan"].facts["web's MAC address"] == "the host's"


@pytest.mark.engine
def test_the_lan_drivers_add_one_interface_and_no_rule(measured):
    for name in ("macvlan", "ipvlan", "ipvlan l3"):
        facts = measured[name].facts
        assert facts["links added on host-a"] == "1"
        assert facts["firewall rules added on host-a"] == "0"
    for name in ("host", "none"):
        assert measured[name].facts["links added on host-a"] == "0"


@pytest.mark.engine
def test_an_overlay_takes_50_bytes_of_the_mtu(measured):
    mtu = {name: one.facts["web's MTU"] for name, one in measured.items()}
    assert mtu.pop("overlay") == "1450"
    assert mtu.pop("none") == "none"
    assert set(mtu.values()) == {"1500"}


@pytest.mark.engine
def test_whoever_reaches_web_has_a_round_trip_and_a_throughput(measured):
    for name, one in measured.items():
        expected = set() if name == "none" else {"client on host-a", "remote on host-b"}
        assert set(one.round_trip) == set(one.throughput) == expected
        assert all(value > 0 for value in (*one.round_trip.values(), *one.throughput.values()))


@pytest.mark.engine
def test_a_driver_that_is_not_compared_is_one_message(sandbox_up):
    with pytest.raises(sandbox.SandboxError, match="'vxlan' is not compared"):
        sandbox.compare_drivers(["vxlan"])


def test_the_cheat_sheet_is_the_lessons_table():
    assert (ROOT / "lessons/cheat-sheet.md").read_text(encoding="utf-8") == cheat_sheet.page()
