"""``up`` deletes nothing unless it is told to: a sandbox that is not the one asked for stays."""

from types import SimpleNamespace

import pytest

import sandbox
from sandbox.engine import choose
from sandbox.engine.base import EngineState, OtherSandbox, Site
from sandbox.hosts import plan
from sandbox.hosts.host import Host
from sandbox.steps import Quiet


class Engine:
    """One that runs two hosts of the version ``made_by``."""

    name = "vm"
    hosts, internet, made_by = ("host-a", "host-b"), False, "this version"

    def __init__(self):
        self.done = []

    def state(self, _id):
        return EngineState("unix:///none", Site("", {}, ""), "", 0, self.hosts, self.internet)

    def start(self, _id, recipe, *, internet, steps):
        same = (recipe.hosts, internet, self.made_by) == (self.hosts, self.internet, "this version")
        self.done.append("attached" if same else "left")
        if not same:
            raise OtherSandbox("")

    def reset(self, _id, recipe, *, internet, steps):
        self.done.append("replaced")

    def host_url(self, _id, host):
        return ""

    agent_path = host_url

    def last_words(self, _id):
        return ""


@pytest.fixture
def engine(monkeypatch, cache):
    running = Engine()
    monkeypatch.setattr(choose, "running", lambda id: (running, running.state(id)))
    monkeypatch.setattr(choose, "choose", lambda _id, _runs_on: running)
    api = SimpleNamespace(
        containers=lambda **_: [1, 2, 3],
        networks=lambda: [{"Name": name} for name in ("bridge", "none", "host", "mine")],
    )
    monkeypatch.setattr(Host, "client", SimpleNamespace(api=api))
    return running


def refused(engine, *arguments, **options):
    with pytest.raises(
        sandbox.SandboxError, match=r"not the one you asked for\. Nothing was changed\."
    ) as caught:
        sandbox.up(*arguments, **options, steps=Quiet())
    assert engine.done == ["left"]
    return caught.value


@pytest.mark.parametrize("count", [1, 2])
def test_a_sandbox_that_has_what_is_asked_for_is_attached_to(engine, count):
    assert sandbox.up(count, steps=Quiet()).hosts == ("host-a", "host-b")
    assert engine.done == ["attached"]


def test_after_an_upgrade_the_running_sandbox_is_kept_and_told(engine):
    engine.made_by = "another version"
    error = refused(engine, 2)
    assert "another version of the course" in error.why
    assert "host-a: 3 containers, 1 network of yours; host-b: 3 containers" in error.why
    assert error.fix.startswith("keep using it as it is\n")


@pytest.mark.parametrize("id", ["", "mine"])
def test_in_a_notebook_the_advice_is_python(engine, monkeypatch, id):
    monkeypatch.setattr("IPython.get_ipython", object)
    named = f', id="{id}"' if id else ""
    error = refused(engine, 3, internet=True, id=id or None)
    wanted = f'"{id}"' if id else ""
    assert f"sb = sandbox.find({wanted})" in error.fix
    assert f"sandbox.up(3, internet=True, fresh=True{named})" in error.fix
    assert "python -m" not in error.fix


def test_more_hosts_than_there_are_do_not_replace_them(engine):
    error = refused(engine, 3)
    assert "it has 2 hosts and you asked for 3" in error.why
    assert "--id" not in error.fix
    assert "python -m sandbox up --hosts 3 --fresh" in error.fix


@pytest.mark.parametrize("internet", [True, False])
def test_another_way_out_does_not_replace_them(engine, internet):
    engine.internet = not internet
    error = refused(engine, 2, internet=internet, id="mine")
    assert f"it can{'not' if internet else ''} reach this machine's networks" in error.why
    assert ("--internet" in error.fix) == internet
    assert "--fresh --id mine" in error.fix


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_explicit_word_replaces(engine, count):
    engine.made_by = "another version"
    assert sandbox.up(count, fresh=True, steps=Quiet()).hosts == plan.names(count)
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
