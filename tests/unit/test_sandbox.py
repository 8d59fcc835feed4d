"""What the public functions say to bad input, and what the hosts' plan holds; no engine."""

import ipaddress
import json
import subprocess
import sys
import time
from dataclasses import replace
from unittest import mock

import pytest

import sandbox
import sandbox.hosts.sandbox as sandboxes
from sandbox import record
from sandbox.__main__ import main
from sandbox.engine import assets
from sandbox.engine import choose as engines
from sandbox.engine.vm import VMEngine
from sandbox.errors import SandboxError
from sandbox.hosts import plan
from sandbox.hosts.host import Result
from sandbox.labs import names, session
from sandbox.labs.grade import grade
from sandbox.labs.lab import load
from sandbox.labs.submission import Submission
from sandbox.steps import Quiet


def test_the_public_surface_is_pinned():
    assert sandbox.__all__ == [
        "CellFailed",
        "Host",
        "Sandbox",
        "SandboxError",
        "Snapshot",
        "compare_bridges",
        "compare_journeys",
        "diff",
        "dissect",
        "down",
        "find",
        "firewall",
        "follow",
        "host",
        "journey",
        "lab",
        "my_progress",
        "outcome",
        "panel",
        "practice",
        "predict",
        "quiz",
        "reset",
        "restore_progress",
        "share_progress",
        "snapshot",
        "stop_sharing",
        "topology",
        "topology_text",
        "up",
    ]


def test_importing_it_loads_nothing_heavy():
    heavy = {"docker", "ipywidgets", "anywidget", "matplotlib", "pyroute2", "pyvis", "scapy"}
    code = f"import sys, sandbox; sys.exit(', '.join({heavy} & set(sys.modules)) or 0)"
    loaded = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert loaded.stderr == b""


def test_subnets_of_hosts_and_lan_never_overlap():
    subnets = [ipaddress.ip_network(plan.LAN), ipaddress.ip_network("198.19.255.0/24")]
    for name in plan.names(4):
        for argument in plan.dockerd_arguments(name):
            if "bip=" in argument or "base=" in argument:
                text = argument.split("base=")[-1].split("bip=")[-1].split(",")[0]
                subnets.append(ipaddress.ip_interface(text).network)
    assert len(subnets) == 2 + 4 * 3
    for first in subnets:
        assert [other for other in subnets if other.overlaps(first)] == [first]


@pytest.mark.parametrize("name", ["a", "A", "host-a", " host-a "])
def test_a_host_has_a_short_name_too(name):
    assert plan.full_name(name) == "host-a"


@pytest.mark.parametrize("count", [0, 5, -1, "2", 1.0])
def test_a_wrong_number_of_hosts_is_one_message(count):
    with pytest.raises(SandboxError, match="1 to 4 hosts"):
        sandbox.up(hosts=count)


@pytest.mark.parametrize("name", ["UPPER", "a/b", "../up", "-x", "x" * 40])
def test_a_bad_id_is_one_message(name):
    with pytest.raises(SandboxError, match="cannot be a sandbox's id"):
        sandbox.find(id=name)


def test_an_unknown_engine_is_one_message(monkeypatch):
    monkeypatch.setenv("SANDBOX_ENGINE", "podman")
    with pytest.raises(SandboxError, match="docker or vm"):
        sandbox.up(id="none-such")


@pytest.mark.parametrize("seconds", ["soon", "-1", "inf", "nan"])
def test_a_wrong_time_until_a_pause_is_one_message(monkeypatch, cache, seconds):
    monkeypatch.setenv("SANDBOX_IDLE_SECONDS", seconds)
    with pytest.raises(SandboxError, match="SANDBOX_IDLE_SECONDS is"):
        VMEngine().start("x", plan.recipe(1), internet=False, steps=Quiet())


def test_nothing_installed_says_what_to_install(monkeypatch, cache):
    monkeypatch.setattr(assets.shutil, "which", lambda *_a, **_k: None)
    monkeypatch.delenv("SANDBOX_ENGINE")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{cache}/none.sock")
    with pytest.raises(SandboxError) as caught:
        sandbox.up(id="none-such")
    for part in ("No engine works here", "apt install", "qemu-system-x86", "mmdebstrap"):
        assert part in str(caught.value)


def test_the_command_line_gives_one_line_and_status_1(capsys, cache):
    assert main(["shell", "host-a"]) == 1
    said = capsys.readouterr().err
    assert "is not running" in said
    assert "Traceback" not in said


def test_status_of_nothing_is_1_and_json_when_asked(capsys, cache):
    assert main(["status", "--json"]) == 1
    assert '"running": false' in capsys.readouterr().out


class OneHost:
    """A sandbox whose host-a has that lab's marker; None: it does not answer."""

    engine, hosts, internet = "vm", ("host-a", "host-b"), False

    def __init__(self, marker):
        self.marker, self.id = marker, sandboxes.default_id()

    def host(self, _name):
        return self

    def run(self, _command, timeout):
        if self.marker is None:
            raise SandboxError("host-a does not answer.")
        return Result(0, self.marker, "")


def begin_lab(**more):
    record.begin(LAB, 100, {})
    record.change(lambda kept: replace(kept, labs={LAB: replace(kept.labs[LAB], **more)}))


LAB = "01-two-tiers"
MARK = f"{LAB}/616461\n"


def test_hosts_of_a_lab_under_way_are_not_replaced_without_a_word(monkeypatch):
    begin_lab(best=40, started=time.time() - 25 * 60 - 5)
    monkeypatch.setattr(sandboxes, "find", lambda _id: OneHost(MARK))
    refuse = mock.Mock(side_effect=AssertionError("it was replaced"))
    monkeypatch.setattr(engines, "choose", refuse)
    for more in ({}, {"hosts": 3}, {"internet": True}):
        with pytest.raises(SandboxError) as told:
            sandboxes.up(fresh=True, **more)
        assert "in the middle of the lab 01-two-tiers" in told.value.what
        assert told.value.why == (
            "you started it 25 min ago; your best result so far is 40 of 100 points"
        )
        assert "SANDBOX_ID=second" in told.value.fix
        assert "--fresh --leave-lab" in told.value.fix
    # What leaves them as they are, and what says so, goes on to the engine.
    for wanted in ({}, {"fresh": True, "leave_lab": True}):
        with pytest.raises(AssertionError, match="it was replaced"):
            sandboxes.up(**wanted)


class Removed(Exception):
    """The hosts were replaced, or removed."""


@pytest.fixture
def hosts_of_a_lab(monkeypatch):
    """A sandbox whose hosts have a lab that was begun; whatever erases them raises Removed."""
    begin_lab(best=40)
    engine = mock.Mock(
        name="engine", remove=mock.Mock(side_effect=Removed), reset=mock.Mock(side_effect=Removed)
    )
    engine.name = "vm"
    found = sandboxes.Sandbox(sandboxes.default_id(), engine, plan.recipe(2), internet=False)
    monkeypatch.setattr(found, "host", OneHost(MARK).host)
    monkeypatch.setattr(sandboxes, "find", lambda _id=None: found)
    monkeypatch.setattr(engines, "remove", engine.remove)
    monkeypatch.setattr("sandbox.__main__.sandbox_ids", lambda: [found.id])
    return found


ERASE = {
    "sandbox.reset()": lambda _box, more: sandbox.reset(**more),
    "sandbox.down()": lambda _box, more: sandbox.down(**more),
    "sb.reset()": lambda box, more: box.reset(Quiet(), **more),
    "sb.down()": lambda box, more: box.down(**more),
}


@pytest.mark.parametrize("act", ERASE)
@pytest.mark.parametrize("id", ["", "mine"])
def test_a_lab_under_way_is_not_erased_without_a_word(hosts_of_a_lab, monkeypatch, act, id):
    monkeypatch.setattr("IPython.get_ipython", object)
    if id:
        hosts_of_a_lab.id = id
    with pytest.raises(SandboxError) as told:
        ERASE[act](hosts_of_a_lab, {"id": id} if id and "sandbox" in act else {})
    assert "in the middle of the lab 01-two-tiers" in told.value.what
    assert "best result so far is 40 of 100" in told.value.why
    named = f', id="{id}"' if id else ""
    call = f"sandbox.{act.split('.')[1][:-2]}(leave_lab=True{named})"
    assert told.value.fix == f"finish the lab first. To give the lab up: {call}"
    with pytest.raises(Removed):
        ERASE[act](hosts_of_a_lab, {"leave_lab": True})
    assert record.read().lab(LAB).best == 40


@pytest.mark.parametrize(
    "words",
    [["down"], ["down", "--all"], ["down", "--cache"], ["down", "--all", "--cache"], ["reset"]],
)
def test_the_command_line_asks_too_and_says_what_was_given_up(
    hosts_of_a_lab, monkeypatch, capsys, words
):
    clear = mock.Mock(return_value=[])
    monkeypatch.setattr("sandbox.engine.assets.clear", clear)
    monkeypatch.setattr("sandbox.engine.docker.DockerEngine.purge", list)
    assert main(words) == 1
    said = capsys.readouterr()
    assert (said.out, clear.called) == ("", False)
    assert said.err.count("in the middle of the lab 01-two-tiers") == 1
    told, _, command = said.err.strip().rpartition(" -m sandbox ")
    assert (told.count("To give the lab up: "), command.split()) == (1, [*words, "--leave-lab"])
    # That command does it.
    hosts_of_a_lab._engine.reset.side_effect = hosts_of_a_lab._engine.remove.side_effect = None
    monkeypatch.setattr("sandbox.engine.choose.lives", lambda _name: False)
    assert main(command.split()) == 0
    erased = hosts_of_a_lab._engine.reset if words == ["reset"] else hosts_of_a_lab._engine.remove
    assert erased.called
    assert ("your work on the lab 01-two-tiers" in capsys.readouterr().out) == ("down" in words)


def test_a_record_that_cannot_be_read_keeps_nothing_from_being_repaired(hosts_of_a_lab):
    record.path().write_text("{")
    for act in ERASE.values():
        with pytest.raises(Removed):
            act(hosts_of_a_lab, {})


def test_grading_erases_no_lab_that_it_did_not_set_up(hosts_of_a_lab):
    with pytest.raises(SandboxError, match="in the middle of the lab"):
        grade(load("01-two-tiers", "ada"), Submission("", "", (), {}), id=hosts_of_a_lab.id)


@pytest.mark.parametrize(
    ("kept", "marker"),
    [
        # Finished, or done in an earlier version; put back as new; another's; silent.
        ({"finished": True}, MARK),
        ({"started": 0.0}, MARK),
        ({}, ""),
        ({}, "02-routing/616461\n"),
        ({}, None),
    ],
)
def test_hosts_without_a_lab_under_way_are_replaced_at_once(kept, marker):
    begin_lab(**kept)
    sandboxes.keep_lab(OneHost(marker), "")


def test_a_lab_done_in_an_earlier_version_is_not_under_way():
    begin_lab(done=60.0)
    kept = json.loads(record.path().read_text())
    del kept["labs"][LAB]["finished"]
    record.path().write_text(json.dumps(kept))
    assert record.under_way() == {}


def test_another_labs_start_asks_too_and_its_own_does_not(monkeypatch):
    begin_lab()
    monkeypatch.setattr(session, "find", lambda _id: OneHost(MARK))
    monkeypatch.setattr(session, "up", mock.Mock(side_effect=AssertionError("it was replaced")))
    with pytest.raises(SandboxError, match=r'lab\("02-.*"\).start\(leave_lab=True\)'):
        sandbox.lab(names()[1], "ada").start()
    with pytest.raises(AssertionError, match="it was replaced"):
        sandbox.lab("01-two-tiers", "ada").start()
