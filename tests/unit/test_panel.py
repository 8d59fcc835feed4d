"""What the panel offers, of hosts that a test makes up."""

import dataclasses

import pytest

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
        return dataclasses.make_dataclass("Host", ["name"])(name)

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


@pytest.mark.parametrize("key", ["container", "network", "vm_network"])
def test_what_is_chosen_stays_while_a_host_cannot_be_read(panel, hosts, key):
    control = panel.fields[key].control
    chosen = control.value = control.options[1]
    assert chosen != control.options[0]
    whole = hosts.now
    silent = tuple(unreachable(it.name, it.address, "it is put back") for it in whole.hosts)
    hosts.now = dataclasses.replace(whole, hosts=silent)
    panel._look()
    assert panel._shown is hosts.now
    assert control.value == chosen
    hosts.now = whole
    panel._look()
    assert control.value == chosen


def test_what_a_reset_removed_is_no_longer_offered(panel, hosts):
    assert panel.fields["container"].control.options
    empty = tuple(dataclasses.replace(it, containers=()) for it in hosts.now.hosts)
    hosts.now = dataclasses.replace(hosts.now, hosts=empty)
    panel._look()
    assert panel.fields["container"].control.options == ()


def test_what_goes_wrong_while_it_looks_is_said_and_it_looks_again(panel, hosts, monkeypatch):
    def fail():
        raise ValueError("a state of a shape that nobody knows")

    monkeypatch.setattr(hosts, "snapshot", fail)
    panel._wanted.set()
    until("it is said", lambda: "nobody knows" in panel.console.answer, 10)
    monkeypatch.undo()
    hosts.now = dataclasses.replace(hosts.now, hosts=hosts.now.hosts[:1])
    panel._wanted.set()
    until("it looks again", lambda: panel._shown is hosts.now, 10)
