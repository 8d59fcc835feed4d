"""The probe's panel; nothing is sent here."""

import time

import pytest

from sandbox.errors import SandboxError
from sandbox.views.journey import Journey
from sandbox.widgets import follow
from sandbox.widgets.follow import Follow
from tests.unit import snapshots
from tests.unit.test_journey import WHOLE


class Hosts:
    id, hosts = "made-up", ("host-a", "host-b")

    def snapshot(self):
        return snapshots.everything()


@pytest.fixture
def sent(monkeypatch):
    """What was asked for, in place of its being sent."""
    asked = []

    def journey(source, destination, **options):
        asked.append((source, destination, options))
        if destination == "nobody":
            raise SandboxError("There is no nobody.", fix="Name somebody.")
        return Journey(WHOLE)

    monkeypatch.setattr(follow, "journey", journey)
    return asked


@pytest.fixture
def panel(sent):
    panel = Follow(Hosts())
    yield panel
    panel.close()


def press(panel):
    panel.send.click()
    deadline = time.monotonic() + 5
    while panel._busy:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_offers_the_containers_that_run_and_the_hosts(panel):
    assert "host-a/web" in panel.source.options
    assert panel.source.options[-2:] == ("host-a", "host-b")
    assert panel.destination.options[-1] == "outside"


@pytest.mark.parametrize(
    ("protocol", "options"), [("tcp", {"tcp": 8080}), ("udp", {"udp": 8080}), ("icmp", {})]
)
def test_what_is_picked_is_sent_and_its_journey_shown(panel, sent, protocol, options):
    panel.source.value, panel.destination.value = " host-a/web ", "db"
    panel.protocol.value, panel.port.value = protocol, 8080
    assert panel.port.disabled == (protocol == "icmp")
    press(panel)
    assert sent == [("host-a/web", "db", {"id": "made-up", **options})]
    assert len(panel.topology.picture["journey"]["steps"]) == 8
    assert "tcp host-a/web" in panel._message.value


def test_what_went_wrong_is_said_and_the_button_is_back(panel):
    panel.source.value, panel.destination.value = "host-a", "nobody"
    press(panel)
    assert 'role="alert"' in panel._message.value
    assert "There is no nobody." in panel._message.value
    assert not panel.send.disabled
    assert repr(panel) == "<Follow on host-a, host-b>"
