"""What a hostile newcomer gives the functions: a message, never a traceback through our lines."""

from unittest import mock

import pytest

import sandbox
from sandbox.errors import SandboxError
from sandbox.hosts import cell, plan
from sandbox.hosts.host import Host
from sandbox.hosts.sandbox import Sandbox

NAMES = [5, b"x", ["x"], object(), "\0", "Ä", "a b", "../x"]
BOX = Sandbox("default", mock.Mock(), plan.recipe(2), internet=False)
HOST = Host("host-a", "198.18.0.11", "unix:///nowhere", "/nowhere")

CALLS = {
    "up, count": (sandbox.up, [0, 5, -1, 2.0, True, "2", None, [2], object()]),
    "up, needs": (lambda it: sandbox.up(needs=it), [5, "x", ["x"], [["ipvs"]], object()]),
    "up, id": (lambda it: sandbox.up(id=it), NAMES),
    "find": (sandbox.find, NAMES),
    "reset": (lambda it: sandbox.reset(id=it), NAMES),
    "down": (lambda it: sandbox.down(id=it), NAMES),
    "snapshot": (lambda it: sandbox.snapshot(id=it), NAMES),
    "host": (BOX.host, [*NAMES, None, "", "z", "host-host-a"]),
    "run": (
        HOST.run,
        [None, 5, b"ls", [], [1], ["a", None], {"a": 1}, "a\0b", ["a\0"], "\0" * 10**6, object()],
    ),
    "run, timeout": (lambda it: HOST.run("ls", timeout=it), [None, "5", [5]]),
    "lab": (sandbox.lab, [*NAMES, None, "", "99-nosuch", "01-two-tiers\n"]),
    "lab, learner": (lambda it: sandbox.lab("01-two-tiers", it), [5, b"x", ["x"]]),
    "quiz": (sandbox.quiz, [5, None, b"x", ["x"], "", "nosuch", "/proc"]),
    "topology": (sandbox.topology, [5, "before", b"x", object()]),
    "topology, since": (lambda it: sandbox.topology(since=it), [5, "before", ["x"]]),
    "topology_text": (sandbox.topology_text, [5, "before", b"x", object()]),
    "diff": (lambda it: sandbox.diff(it, it), [None, 5, "before", object()]),
    "firewall": (lambda it: sandbox.firewall("a", since=it), [5, "before", object()]),
    "break_shop": (sandbox.lessons.break_shop, [*NAMES, None, "", {}]),
    "compare_drivers": (sandbox.lessons.compare_drivers, [5, "bridge", [5], [["x"]], object()]),
    "restore_progress": (sandbox.restore_progress, [5, None, b"x", "", "nosuch", "/proc"]),
    "%%host": (
        lambda it: cell.run_cell(it, "ls\n", print),
        [
            "",
            "a b",
            "a --head",
            "a --head x",
            "a --head -1",
            "a --head 0",
            "a --head ²",
            "'",
            "a --save",
            "a --save ''",
            "a --save '\0'",
            "a --expect-failure=1",
            "--help",
            "a 'b",
        ],
    ),
}


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(
    ("call", "given"), [(name, it) for name, (_, some) in CALLS.items() for it in some]
)
def test_what_cannot_be_is_one_message(monkeypatch, call, given):
    monkeypatch.setattr(cell, "host", lambda _name: HOST)
    act, _ = CALLS[call]
    with pytest.raises(SandboxError) as told:
        act(given)
    assert told.value.what.endswith(".")
    assert len(str(told.value)) < 2000
