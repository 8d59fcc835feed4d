"""What lesson 08 says of the drivers is in the table that it measures; nbval measures it again."""

import pytest

from scripts import cheat_sheet


@pytest.fixture(scope="module")
def table():
    """By fact, for each driver what was measured."""
    rows = [line for line in cheat_sheet.page().splitlines() if line.startswith("|")]
    (_, *drivers), _, *facts = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]
    return {fact: dict(zip(drivers, cells, strict=True)) for fact, *cells in facts}


def drivers(table, fact, value):
    return {name for name, found in table[fact].items() if found == value}


def test_only_where_it_has_an_interface_there_does_host_a_reach_its_own_container(table):
    assert drivers(table, "host-a itself", "no") == {
        "none",
        "overlay",
        "macvlan",
        "ipvlan",
        "ipvlan l3",
    }


def test_names_cross_hosts_on_an_overlay_alone(table):
    assert drivers(table, "web by name, on host-b", "yes") == {"overlay"}
    assert drivers(table, "web by name, on host-a", "no") == {"host", "none"}


def test_ports_are_published_on_bridge_and_overlay_alone(table):
    port = "host-b, port 8080 of host-a"
    published = drivers(table, port, "198.18.0.12")
    assert published == {"bridge", "overlay"}
    assert drivers(table, port, "no") == set(table[port]) - published


def test_macvlan_has_a_mac_address_of_its_own_on_the_lan_and_ipvlan_has_not(table):
    assert table["web's MAC address"]["macvlan"] == "its own"
    assert table["web's MAC address"]["ipvlan"] == "the host's"


def test_the_lan_drivers_add_one_interface_and_no_rule(table):
    links, rules = table["links added on host-a"], table["firewall rules added on host-a"]
    for name in ("macvlan", "ipvlan", "ipvlan l3"):
        assert (links[name], rules[name]) == ("1", "0")
    for name in ("host", "none"):
        assert links[name] == "0"


def test_an_overlay_takes_50_bytes_of_the_mtu(table):
    mtu = dict(table["web's MTU"])
    assert mtu.pop("overlay") == "1450"
    assert mtu.pop("none") == "none"
    assert set(mtu.values()) == {"1500"}
