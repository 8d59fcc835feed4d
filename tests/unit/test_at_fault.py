"""A lab's picture is red where something is wrong, for each kind of condition."""

import dataclasses

import pytest

from sandbox.labs import (
    Finding,
    firewall_drops,
    has_mac,
    has_route,
    holds,
    in_swarm,
    isolated,
    load,
    network,
    nothing_else_changed,
    published,
    reaches,
    resolves,
    runs,
    same_l2,
    shares_parent_mac,
    source_seen,
    spread,
    survives_restart,
)
from sandbox.labs.checks import FAILED, look
from sandbox.labs.report import Report, TaskResult
from sandbox.labs.scene import Scene
from sandbox.labs.session import Session
from sandbox.model.state import Snapshot
from sandbox.views.graph import build, mark
from tests.unit import snapshots

LAB = "01-two-tiers"


def looked(condition, hosts, start=None):
    """A finding on made-up hosts, and which nodes it is told at."""
    scene = Scene("none", {it.name: None for it in hosts}, Snapshot(1.0, "", hosts), start)
    return look(condition, scene)


def lesson_hosts(**changes):
    """The hosts of a lesson; changes: of host-a, by field a function of what it has."""
    first, *rest = snapshots.lesson().hosts
    new = {name: change(getattr(first, name)) for name, change in changes.items()}
    return (dataclasses.replace(first, **new), *rest)


def stopped(name):
    return lambda containers: tuple(
        dataclasses.replace(it, state="exited", namespace="") if it.name == name else it
        for it in containers
    )


def fails(_scene):
    return False, "s"


@pytest.mark.parametrize(
    ("condition", "at_fault"),
    [
        (network("shop", host="a").driver_is("macvlan"), ["host-a/network:shop"]),
        (network("shop").subnet_is("10.9.9.0/24"), ["host-a/network:shop", "host-b/network:shop"]),
        (network("shop", host="b").is_internal(), ["host-b/network:shop"]),
        (network("shop", host="a").option_is("parent", "eth0"), ["host-a/network:shop"]),
        (network("lost", host="b"), ["host-b"]),
        (network("lost"), ["host-a", "host-b"]),
        (network("shop", host="a").has("api"), ["host-a/web"]),
        (network("shop", host="a").has("api", "web", "client"), ["host-a/client"]),
        (network("shop", host="a").has("api", "web", "nobody"), ["host-a/network:shop"]),
        (runs("client", mode="host"), ["host-a/client", "host-b/client"]),
        (runs("nobody", host="b"), ["host-b"]),
        (in_swarm("b"), []),
        (spread("shop", over=["a", "b"]), ["host-a", "host-b"]),
        (holds("w", fails, places=["client", "web"]), []),
        (holds("w", fails, places=["client", "web"], at_fault=lambda _: ["host-b"]), ["host-b"]),
        (has_route("client", "10.0.0.0/8"), []),
    ],
)
def test_what_is_wrong_is_at_fault_and_not_what_is_right(condition, at_fault):
    found = looked(condition, lesson_hosts())
    assert (found.state, [*found.at_fault]) == (FAILED, at_fault)
    # What is wrong by itself, or else the places, is there to be drawn red.
    assert found.at_fault or found.places


def test_what_holds_has_nothing_at_fault():
    assert looked(network("shop").driver_is("bridge"), lesson_hosts()).at_fault == ()


@pytest.mark.parametrize(
    "condition",
    [
        reaches("client", "host-a/api"),
        isolated("client", "host-a/api"),
        source_seen("client", "host-a/api", is_="10.0.0.1"),
        resolves("host-a/api", "web"),
        published("a", 80, by="host-a/api"),
        same_l2("client", "host-a/api"),
        has_mac("host-a/api"),
        has_route("host-a/api", "default"),
        survives_restart("host-a/api"),
        firewall_drops("client", "host-a/api"),
        shares_parent_mac("host-a/api"),
    ],
    ids=lambda it: it.wanted,
)
def test_a_container_that_does_not_run_is_at_fault(condition):
    hosts = lesson_hosts(containers=stopped("api"))
    at_fault = condition.at_fault(Scene("none", {}, Snapshot(1.0, "", hosts)))
    assert [*at_fault] == ["host-a/api"]


def test_a_port_that_answers_wrong_is_at_fault():
    scene = Scene("none", {}, Snapshot(1.0, "", lesson_hosts()))
    [web] = [it for it in scene.now.hosts[0].containers if it.name == "web"]
    port = web.published[0]
    [node] = published("a", port.host_port, by="host-a/web").at_fault(scene)
    assert node in {it.id for it in build(scene.now, "simple").nodes}
    assert [*published("a", 9999, by="host-a/web").at_fault(scene)] == ["host-a/web"]


def test_a_change_is_at_fault_on_its_host():
    start = Snapshot(1.0, "", lesson_hosts())
    found = looked(nothing_else_changed(), lesson_hosts(networks=lambda _: ()), start)
    assert found.at_fault == ("host-a",)


def test_each_thing_at_fault_is_red_by_itself():
    session = Session(load(LAB, "ada"), "none")
    found = Finding(FAILED, "w", "s", ("api", "web"), ("host-a/network:shop", "host-a/web"))
    session._report = Report(LAB, "ada", (TaskResult("one", 10, (found,)),), 1.0)
    assert [it.nodes for it in session.marks(snapshots.lesson())] == [
        ("host-a/network:shop",),
        ("host-a/web",),
    ]
    for detail in ("simple", "full"):
        graph = mark(build(snapshots.lesson(), detail), session.marks(snapshots.lesson()))
        assert {it.id for it in graph.nodes if it.change == "wrong"} == {*found.at_fault}
