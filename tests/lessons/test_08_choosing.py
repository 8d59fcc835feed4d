"""What lesson 08 measures and does not store, because it varies."""

import pytest

import sandbox

pytestmark = pytest.mark.engine


def test_whoever_reaches_web_has_a_round_trip_and_a_throughput(sandbox_up):
    for one in sandbox.compare_drivers(["overlay", "none"]).measured:
        expected = set() if one.driver == "none" else {"client on host-a", "remote on host-b"}
        assert set(one.round_trip) == set(one.throughput) == expected
        assert all(value > 0 for value in (*one.round_trip.values(), *one.throughput.values()))


def test_a_driver_that_is_not_compared_is_one_message(sandbox_up):
    with pytest.raises(sandbox.SandboxError, match="'vxlan' is not compared"):
        sandbox.compare_drivers(["vxlan"])
