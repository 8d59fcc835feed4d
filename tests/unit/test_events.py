"""Following the Engines' events: told of each, once of an outage, and ended by close()."""

import threading
import time

import pytest

from sandbox.hosts import events
from sandbox.hosts.events import EngineEvents


class Stream:
    """An event stream that a test feeds."""

    def __init__(self, *listed):
        self.listed, self.closed = list(listed), threading.Event()

    def __iter__(self):
        yield from self.listed
        self.closed.wait(10)

    def close(self):
        self.closed.set()


class Engine:
    """A host whose event streams are these, one after the other, and then none."""

    name = "host-a"

    def __init__(self, *streams):
        self.streams = list(streams)
        self.asked = 0

    @property
    def client(self):
        return self

    def events(self, **_):
        self.asked += 1
        if not self.streams:
            raise ConnectionError("nobody answers")
        return self.streams.pop(0)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(events, "RETRY_SECONDS", 0.01)


def until(true):
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_change_is_told_and_a_command_in_a_container_is_not():
    told = []
    stream = Stream({"Action": "start"}, {"Action": "exec_create: ls"}, {"Action": "connect"})
    following = EngineEvents([Engine(stream)], lambda: told.append(1))
    until(lambda: len(told) == 3)  # the stream's begin and two events
    following.close()
    until(stream.closed.is_set)


def test_an_outage_is_told_once_however_long_it_lasts():
    told = []
    ended = Stream()
    ended.close()
    engine = Engine(ended)
    following = EngineEvents([engine], lambda: told.append(1))
    until(lambda: engine.asked > 5)
    following.close()
    assert len(told) == 2  # begin and end


def test_a_stream_that_begins_while_it_is_closed_is_closed_too():
    begun, go = threading.Event(), threading.Event()
    stream = Stream()

    class Slow(Engine):
        def events(self, **options):
            begun.set()
            go.wait(5)
            return super().events(**options)

    following = EngineEvents([Slow(stream)], lambda: None)
    assert begun.wait(5)
    following.close()
    go.set()
    until(stream.closed.is_set)
