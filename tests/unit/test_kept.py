"""``up`` deletes nothing unless it is told to: a sandbox that is not the one asked for stays."""

from types import SimpleNamespace

import pytest

import sandbox
from sandbox import hosts as host_plan
from sandbox.engine import choose
from sandbox.engine.base import EngineState, OtherSandbox, Site
from sandbox.host import Host
from sandbox.progress import Quiet


class Engine:
    """One that runs two hosts of the version ``made_by``."""

    name = "vm"
    hosts, internet, made_by = ("host-a", "host-b"), False, "this version"

    def __init__(self):
        self.done = []

    def state(self, _id):
        return EngineState("unix:///none", Site("", {}, ""), "", 0, self.hosts, self.internet)

    def start(self, _id, recipe, *, internet, progress):
        same = (recipe.hosts, internet, self.made_by) == (self.hosts, self.internet, "this version")
        self.done.append("attached" if same else "left")
        if not same:
            raise OtherSandbox("")

    def reset(self, _id, recipe, *, internet, progress):
        self.done.append("replaced")

    def host_url(self, _id, host):
        return ""

    agent_path = host_url

    def last_words(self, _id):
        return ""


@pytest.fixture
def engine(monkeypatch, cache):
    running = Engine()
    monkeypatch.setattr(choose, "running", lambda _id: running)
    monkeypatch.setattr(choose, "choose", lambda _id: running)
    api = SimpleNamespace(
        containers=lambda **_: [1, 2, 3],
        networks=lambda: [{"Name": name} for name in ("bridge", "none", "host", "mine")],
    )
    monkeypatch.setattr(Host, "client", SimpleNamespace(api=api))
    return running


def refused(engine, *arguments, **options):
    with pytest.raises(sandbox.SandboxError, match="was left as it is") as caught:
        sandbox.up(*arguments, **options, progress=Quiet())
    assert engine.done == ["left"]
    return caught.value


@pytest.mark.parametrize("count", [1, 2])
def test_a_sandbox_that_has_what_is_asked_for_is_attached_to(engine, count):
    assert sandbox.up(count, progress=Quiet()).hosts == ("host-a", "host-b")
    assert engine.done == ["attached"]


def test_after_an_upgrade_the_running_sandbox_is_kept_and_told(engine):
    engine.made_by = "another version"
    error = refused(engine, 2)
    assert "another version of the course" in error.why
    assert "host-a: 3 containers, 1 network of yours; host-b: 3 containers" in error.why
    assert "sb = sandbox.find()" in error.fix
    assert "sandbox.find('mine')" in refused_again(engine, 2, id="mine").fix


def refused_again(engine, *arguments, **options):
    engine.done.clear()
    return refused(engine, *arguments, **options)


def test_more_hosts_than_there_are_do_not_replace_them(engine):
    error = refused(engine, 3)
    assert "it has 2 hosts, and you ask for 3" in error.why
    assert "sandbox.up(3, fresh=True)" in error.fix
    assert "python -m sandbox up --id" not in error.fix
    assert "python -m sandbox up --hosts 3 --fresh" in error.fix


@pytest.mark.parametrize("internet", [True, False])
def test_another_way_out_does_not_replace_them(engine, internet):
    engine.internet = not internet
    error = refused(engine, 2, internet=internet, id="mine")
    assert "reaches this machine's networks" in error.why
    assert ("internet=True" in error.fix) == ("--internet" in error.fix) == internet
    assert 'id="mine"' in error.fix
    assert "--id mine" in error.fix


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_explicit_word_replaces(engine, count):
    engine.made_by = "another version"
    assert sandbox.up(count, fresh=True, progress=Quiet()).hosts == host_plan.names(count)
    assert engine.done == ["replaced"]


def test_a_host_that_does_not_answer_is_no_second_trouble(engine, monkeypatch):
    monkeypatch.setattr(Host, "client", None)
    assert "host-a does not answer" in refused(engine, 3).why


def test_what_the_engine_says_is_told(engine, monkeypatch):
    def start(*_arguments, **_options):
        engine.done.append("left")
        raise OtherSandbox("your Docker says that wbw-x-host-a is exited")

    monkeypatch.setattr(engine, "start", start)
    assert "host-a is exited" in refused(engine, 2).why
