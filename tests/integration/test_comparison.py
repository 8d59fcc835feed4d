"""Drivers are measured by one application, and say of each other what the lessons say."""

import pytest

import sandbox

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def measured(sandbox_up):
    found = sandbox.compare_drivers(["bridge", "host", "macvlan"])
    return {one.driver: one for one in found.measured}


def facts(measured, name):
    return [one.facts[name] for one in measured.values()]


def test_only_a_bridge_publishes_and_only_macvlan_is_out_of_its_hosts_reach(measured):
    assert facts(measured, "host-b, port 8080 of host-a") == ["198.18.0.12", "no", "no"]
    assert facts(measured, "host-a itself") == ["172.18.0.1", "198.18.0.11", "no"]


def test_callers_on_the_lan_are_seen_as_they_are(measured):
    assert facts(measured, "remote on host-b") == ["no", "198.18.0.12", "198.18.0.96"]
    assert facts(measured, "web by name, on host-a") == ["yes", "no", "yes"]


def test_host_mode_adds_nothing_to_the_host_and_macvlan_one_interface(measured):
    assert facts(measured, "links added on host-a") == ["2", "0", "1"]
    assert facts(measured, "firewall rules added on host-a")[1:] == ["0", "0"]
    assert facts(measured, "web's MAC address") == ["its own", "the host's", "its own"]


def test_every_caller_has_a_round_trip_and_a_throughput(measured):
    for one in measured.values():
        assert (
            set(one.round_trip) == set(one.throughput) == {"client on host-a", "remote on host-b"}
        )
        assert min(*one.round_trip.values(), *one.throughput.values()) > 0


def test_a_driver_that_is_not_compared_is_one_message(sandbox_up):
    with pytest.raises(sandbox.SandboxError, match="'vxlan' is not compared"):
        sandbox.compare_drivers(["vxlan"])
