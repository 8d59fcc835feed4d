"""What the panel offers, of hosts that a test makes up."""

import dataclasses
import gc
from types import SimpleNamespace

import pytest

from sandbox.errors import SandboxError
from sandbox.hosts.actions import Refused
from sandbox.model.read import unreachable
from sandbox.widgets.panel import Panel
from tests.hosts import until
from tests.unit import snapshots


class Hosts:
    """A sandbox whose hosts are those of a snapshot that a test may change; no Engine answers."""

    id = "made-up"

    def __init__(self, snapshot):
        self.now = snapshot
        self.hosts = tuple(host.name for host in snapshot.hosts)

    def host(self, name):
        return SimpleNamespace(name=name, address="198.18.0.11")

    def snapshot(self, names=None):
        return self.now


@pytest.fixture
def hosts():
    return Hosts(snapshots.everything())


@pytest.fixture
def panel(hosts):
    panel = Panel(hosts)
    yield panel
    panel.close()


def field(panel, title, name):
    (tab,) = (it for it in panel.tabs if it.title == title)
    return tab.fields[name]


def press(panel, label):
    """Press a button and wait until what it set going is done."""
    (button,) = (it for it in panel._runner._buttons if it.description == label)
    answered = panel.console.answered
    button.click()
    until("it is answered", lambda: panel.console.answered > answered, 10)


@pytest.mark.parametrize(
    "key", [("Containers", "container"), ("Containers", "network"), ("VM", "vm_network")]
)
def test_what_is_chosen_stays_while_a_host_cannot_be_read(panel, hosts, key):
    control = field(panel, *key).control
    chosen = control.value = control.options[1]
    assert chosen != control.options[0]
    whole = hosts.now
    silent = tuple(unreachable(it.name, it.address, "it is put back") for it in whole.hosts)
    hosts.now = dataclasses.replace(whole, hosts=silent)
    panel._picture.look()
    assert panel._picture.shown is hosts.now
    assert control.value == chosen
    hosts.now = whole
    panel._picture.look()
    assert control.value == chosen


def test_what_a_reset_removed_is_no_longer_offered(panel, hosts):
    assert field(panel, "Containers", "container").control.options
    empty = tuple(dataclasses.replace(it, containers=()) for it in hosts.now.hosts)
    hosts.now = dataclasses.replace(hosts.now, hosts=empty)
    panel._picture.look()
    assert field(panel, "Containers", "container").control.options == ()


@pytest.mark.parametrize("first", ["event", "answer"])
def test_what_a_click_made_is_chosen(panel, hosts, first):
    whole = hosts.now
    host = whole.hosts[0]
    container = dataclasses.replace(host.containers[-1], id="f" * 64, name="newest")
    network = dataclasses.replace(host.networks[-1], id="e" * 64, name="-x ")
    endpoint = field(panel, "Containers", "endpoint")
    of_networks = [field(panel, "Networks", "network"), endpoint]
    for made, fields in (
        (container, [field(panel, "Containers", "container")]),
        (network, of_networks),
    ):
        kind = "containers" if made is container else "networks"
        more = dataclasses.replace(host, **{kind: (*getattr(host, kind), made)})
        hosts.now = dataclasses.replace(whole, hosts=(more, *whole.hosts[1:]))
        steps = [panel._picture.look, lambda made=made: panel._choose_made(made.id)]
        for step in steps if first == "event" else reversed(steps):
            step()
        assert [it.value for it in fields] == [made.name] * len(fields)
    # It is chosen once: what a person chooses then stays.
    other = endpoint.control.options[0]
    endpoint.control.value = other
    panel._offer()
    assert endpoint.value == other


def test_a_click_clears_the_answer_to_the_last_one(panel, monkeypatch):
    found = []

    def perform(host, action):
        found.append((panel.console.answer, panel.console.failed))
        return ""

    monkeypatch.setattr("sandbox.hosts.actions.perform", perform)
    panel.console.say("of the last click", failed=True)
    press(panel, "Launch")
    assert found == [("", False)]


@pytest.mark.parametrize(
    ("label", "blamed", "key"),
    [
        ("Launch", "network", ("Containers", "network")),
        ("Connect", "network", ("Containers", "endpoint")),
        ("Remove network", "network", ("Networks", "network")),
        ("Ping", "container", ("Probe", "container")),
    ],
)
def test_what_was_refused_is_said_beside_its_field_until_the_next_click(
    panel, monkeypatch, label, blamed, key
):
    def refuse(host, action):
        raise Refused(blamed, "It is not to be.")

    monkeypatch.setattr("sandbox.hosts.actions.perform", refuse)
    field(panel, "Probe", "to").control.value = "web"
    press(panel, label)
    said = [
        (tab.title, name)
        for tab in panel.tabs
        for name, it in tab.fields.items()
        if "It is not to be." in it._error.value
    ]
    assert said == [key]
    monkeypatch.setattr("sandbox.hosts.actions.perform", lambda host, action: "")
    press(panel, "Terminal on host")
    assert field(panel, *key)._error.value == ""


@pytest.mark.parametrize("works", [True, False])
def test_a_terminal_opens_once_a_shell_was_proved_to_start(panel, monkeypatch, works):
    opened = []
    monkeypatch.setattr(panel.console, "open_terminal", opened.append)

    def perform(host, action):
        assert str(action) == f"docker exec -it {name} sh"
        if not works:
            raise Refused("container", "Container web is not running.")
        return "It opens."

    monkeypatch.setattr("sandbox.hosts.actions.perform", perform)
    name = field(panel, "Containers", "container").value
    press(panel, "Terminal in container")
    where = [panel.host.value, name, "--id", "made-up"]
    assert [argv[-4:] for argv in opened] == ([where] if works else [])
    assert works or "is not running" in panel.console.answer


def test_what_goes_wrong_while_it_looks_is_said_and_it_looks_again(panel, hosts, monkeypatch):
    def fail():
        raise ValueError("a state of a shape that nobody knows")

    monkeypatch.setattr(hosts, "snapshot", fail)
    panel._picture.look_again()
    until("it is said", lambda: "nobody knows" in panel.console.answer, 10)
    monkeypatch.undo()
    hosts.now = dataclasses.replace(hosts.now, hosts=hosts.now.hosts[:1])
    panel._picture.look_again()
    until("it looks again", lambda: panel._picture.shown is hosts.now, 10)


@pytest.mark.parametrize("part", ["drawn", "offered"])
def test_a_picture_that_came_to_nothing_is_made_up_for_at_the_next_event(
    panel, hosts, monkeypatch, part
):
    def fail(*_, **__):
        raise ValueError("a state of a shape that nobody knows")

    if part == "drawn":
        monkeypatch.setattr(panel.topology, "show", fail)
    else:
        monkeypatch.setattr(panel.tabs[0], "offer", fail)
    empty = tuple(dataclasses.replace(it, containers=()) for it in hosts.now.hosts)
    hosts.now = dataclasses.replace(hosts.now, hosts=empty)
    panel._picture.look_again()
    until("it is said", lambda: "nobody knows" in panel.console.answer, 10)
    monkeypatch.undo()
    container = field(panel, "Containers", "container").control
    assert container.options
    panel._picture.look_again()
    until("it is drawn", lambda: "0 containers" in panel.topology.picture["summary"], 10)
    until("it is offered", lambda: container.options == (), 10)


@pytest.mark.parametrize("error", [SandboxError("No sandbox runs."), ValueError("odd")])
def test_a_click_that_cannot_look_at_the_hosts_says_so(panel, hosts, monkeypatch, error):
    def fail(names=None):
        raise error

    monkeypatch.setattr(hosts, "snapshot", fail)
    press(panel, "Start VM")
    assert str(error.args[0]) in panel.console.answer
    assert panel.console.failed


def test_a_click_that_waited_while_the_panel_was_closed_does_nothing(panel, caplog):
    (button,) = (it for it in panel._runner._buttons if it.description == "Launch")
    panel.close()
    button.click()
    assert (panel.console.answered, panel.console.busy, panel.console.command) == (0, "", "")
    assert caplog.text == ""


def test_a_panel_that_cannot_be_made_says_why_alone(hosts, monkeypatch):
    def fail(names=None):
        raise SandboxError("No sandbox runs.")

    monkeypatch.setattr(hosts, "snapshot", fail)
    unheard = []
    monkeypatch.setattr("sys.unraisablehook", unheard.append)
    with pytest.raises(SandboxError, match="No sandbox runs"):
        Panel(hosts)
    gc.collect()
    assert unheard == []
