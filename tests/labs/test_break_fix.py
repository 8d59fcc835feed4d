"""Every fault of lab 14 breaks something, and its reference repair leaves all as it was."""

import importlib.util
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

import sandbox
from sandbox.labs import Draw, nothing_else_changed
from sandbox.labs.checking import check, run_commands
from sandbox.labs.lab import Task
from sandbox.labs.scene import read_raw, snapshot_of
from tests.hosts import ok, until

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]
LOG = "/var/log/dockerd.log"
PATH = Path(__file__).parents[2] / "labs/14-break-fix/lab.py"
_spec = importlib.util.spec_from_file_location("break_fix", PATH)
lab = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(lab)


@pytest.fixture(scope="module")
def facts(sandbox_up):
    """The lab with nothing broken; each test leaves it so."""
    sandbox.up(2, fresh=True)
    facts = lab.drawn(Draw("test"), "dns")
    run_commands(sandbox_up, lab.setup(facts), "Setting it up")
    found = look(sandbox_up, lab.calls(facts), None, settle=30)
    assert all(it.passed for it in found), found
    return facts


def look(hosts, conditions, start, settle):
    [found] = check([Task("calls", 1, tuple(conditions))], hosts, start, {}, settle=settle)
    return found


# That of dockerd is the one below. `make test-all` has them all.
@pytest.mark.parametrize(
    "word",
    [
        word
        if word in ("dns", "mtu", "vxlan")
        else pytest.param(word, marks=pytest.mark.exhaustive)
        for word in lab.CAUSES
        if word != "dockerd"
    ],
)
def test_a_fault_breaks_a_call_and_its_repair_leaves_nothing(sandbox_up, facts, word):
    it = replace(facts, fault=word)
    start = snapshot_of(read_raw(sandbox_up))
    host, broken, repair = lab.breaks(it)
    run_commands(sandbox_up, [(host, broken)], "Breaking")
    try:
        found = look(sandbox_up, lab.calls(it), start, settle=0)
        assert not all(one.passed for one in found), f"{word} breaks nothing: {found}"
    finally:
        run_commands(sandbox_up, [(host, repair)], "Repairing")
    after = (*lab.calls(it), nothing_else_changed(*lab._unavoidable(it)))
    found = look(sandbox_up, after, start, settle=90)
    assert all(one.passed for one in found), [one for one in found if not one.passed]


def test_an_engine_that_was_stopped_comes_back_with_all_it_ran_though_its_manager_is_slow(
    sandbox_up, facts
):
    """dockerd starts a container of an overlay once, and gives the manager 20 s to admit it."""
    it = replace(facts, fault="dockerd")
    manager, worker = (sandbox_up.host(name) for name in "ab")
    start = snapshot_of(read_raw(sandbox_up))
    host, broken, repair = lab.breaks(it)
    run_commands(sandbox_up, [(host, f"{broken}\n: > {LOG}")], "Breaking")
    found = look(sandbox_up, lab.calls(it), start, settle=0)
    assert not all(one.passed for one in found), f"it breaks nothing: {found}"
    ok(manager, "pkill -STOP dockerd")
    gave_up = f"grep -q 'failed to start swarm container' {LOG}"
    try:
        with ThreadPoolExecutor() as pool:
            repaired = pool.submit(run_commands, sandbox_up, [(host, repair)], "Repairing")
            until("it gives up", lambda: worker.run(gave_up).code == 0)
            ok(manager, "pkill -CONT dockerd")
            repaired.result()
    finally:
        manager.run("pkill -CONT dockerd")
    after = (*lab.calls(it), nothing_else_changed(*lab._unavoidable(it)))
    found = look(sandbox_up, after, start, settle=90)
    assert all(one.passed for one in found), [one for one in found if not one.passed]
