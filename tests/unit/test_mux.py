"""Streams over one link, on socket pairs and a server of the test's own."""

import contextlib
import gc
import json
import os
import queue
import random
import selectors
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from sandbox.guest import agent, mux, wire
from sandbox.guest.mux import HEADER, WINDOW, Loop, Mux
from tests.hosts import until


class Ends:
    """A supervisor's and a guest's mux over a socket pair, each with its loop in a thread."""

    def __init__(self, dial):
        a, b = socket.socketpair()
        self.loops = Loop(), Loop()
        self.near = Mux(self.loops[0], a.detach())
        self.far = Mux(self.loops[1], b.detach(), dial=dial)
        self.deaf, self.opened = queue.Queue(), []
        self.running = True
        self.threads = [threading.Thread(target=self._run, args=(loop,)) for loop in self.loops]
        for thread in self.threads:
            thread.start()

    def _run(self, loop):
        while self.running:
            loop.step(0.5)

    def open(self, target):
        ours, theirs = socket.socketpair()
        ours.settimeout(10)
        self.opened.append(ours)
        self.loops[0].call(lambda: self.near.open(theirs, target))
        return ours

    def close(self):
        self.running = False
        for loop in self.loops:
            loop.call(lambda: None)
        for thread in self.threads:
            thread.join(5)
        for end in (*self.opened, self.near, self.far, *self.loops):
            end.close()


def echo(sock):
    # The other end may go away while something of it is still on its way.
    with sock, contextlib.suppress(ConnectionError):
        while data := sock.recv(65536):
            sock.sendall(data)


@pytest.fixture
def ends():
    stuck = []

    def dial(target):
        if target == "nowhere":
            raise ConnectionRefusedError("nobody is there")
        if target == "nonsense":
            raise json.JSONDecodeError("what an Engine says", "\udcff", 0)
        ours, theirs = socket.socketpair()
        if target == "echo":
            threading.Thread(target=echo, args=(ours,), daemon=True).start()
        elif target == "deaf":
            pair.deaf.put(ours)
        else:
            stuck.append(ours)
        return theirs

    pair = Ends(dial)
    yield pair
    pair.close()
    for sock in stuck:
        sock.close()


def read_all(sock):
    data = b""
    while more := sock.recv(65536):
        data += more
    return data


def test_bytes_come_back_in_order_however_many(ends):
    sent = os.urandom(3 * WINDOW + 17)
    with ends.open("echo") as sock:
        writer = threading.Thread(target=lambda: (sock.sendall(sent), sock.shutdown(1)))
        writer.start()
        assert read_all(sock) == sent
        writer.join(5)


def test_streams_do_not_mix(ends):
    socks = [ends.open("echo") for _ in range(20)]
    for number, sock in enumerate(socks):
        sock.sendall(b"%d" % number * 1000)
        sock.shutdown(1)
    for number, sock in enumerate(socks):
        assert read_all(sock) == b"%d" % number * 1000


def test_an_end_knows_what_is_open_and_whether_anything_came(ends):
    conn = ends.open("echo")
    conn.sendall(b"x")
    assert conn.recv(1) == b"x"
    assert ends.near.targets() == ends.far.targets() == ["echo"]
    frames = ends.near.frames
    conn.sendall(b"y")
    assert conn.recv(1) == b"y"
    assert ends.near.frames > frames
    conn.close()
    until("the stream is closed", lambda: not ends.near.targets(), 10)


@pytest.mark.parametrize("target", ["nowhere", "nonsense"])
def test_a_target_that_refuses_ends_the_stream(ends, target):
    with ends.open(target) as sock:
        assert sock.recv(1) == b""


def noise(seed):
    """Frames of every kind for streams that are open and not, each with any payload."""
    draw = random.Random(seed)
    for _ in range(200):
        payload = draw.randbytes(draw.choice([0, 1, 4, 300]))
        yield HEADER.pack(draw.randrange(9), draw.choice([0, 1, 99]), len(payload)) + payload


@pytest.mark.parametrize("end", ["near", "far"])
@pytest.mark.parametrize(
    "said",
    [
        HEADER.pack(mux.OPEN, 7, 2) + b"\xff\xfe",
        HEADER.pack(mux.OPEN, 1, 4) + b"echo",
        HEADER.pack(99, 1, 0),
        HEADER.pack(99, 99, 1) + b"x",
        HEADER.pack(mux.CREDIT, 1, 9) + b"\xff" * 9,
        HEADER.pack(mux.DATA, 1, 2**32 - 1) + b"x" * 1000,
        *(b"".join(noise(seed)) for seed in range(3)),
    ],
)
def test_whatever_comes_over_the_link_both_ends_go_on(ends, end, said):
    with ends.open("echo") as before:
        before.sendall(b"x")
        assert before.recv(1) == b"x"
        index = ["near", "far"].index(end)
        other = [ends.far, ends.near][index]

        def say():
            other._outbox += said
            other._flush()

        ends.loops[1 - index].call(say)
        with contextlib.suppress(OSError):
            # Whatever became of the stream of before, it is known in time.
            before.sendall(b"y")
            before.recv(1)
    with ends.open("echo") as sock:
        sock.sendall(b"through")
        sock.shutdown(1)
        assert read_all(sock) == b"through"
    assert all(thread.is_alive() for thread in ends.threads)


def test_a_link_that_fails_is_served_again(monkeypatch):
    served = []

    def serve(again):
        served.append(again)
        if len(served) == 4:
            raise SystemExit
        if len(served) != 2:
            raise KeyError("Pid")

    monkeypatch.setattr(agent, "serve_port", serve)
    with pytest.raises(SystemExit):
        agent.keep_serving_port()
    # After a failure the other side is told; after a link that closed there is no need.
    assert served == [False, True, False, True]


def test_a_port_that_is_served_again_holds_nothing_of_before(monkeypatch):
    def open_files():
        return len(list(Path("/proc/self/fd").iterdir()))

    def fails(_target):
        raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "mux", mux)
    monkeypatch.setattr(agent, "port_device", lambda: "/dev/null")
    monkeypatch.setattr(agent, "dial", fails)
    gc.collect()
    before = open_files()
    for _ in range(3):
        ours, theirs = socket.socketpair()
        monkeypatch.setattr(agent.os, "open", lambda *_: theirs.detach())  # noqa: B023
        ours.sendall(HEADER.pack(mux.OPEN, 1, 1) + b"x")
        with pytest.raises(KeyboardInterrupt):
            agent.serve_port(again=True)
        assert ours.recv(9) == HEADER.pack(mux.HELLO, 0, 0)
        ours.close()
    assert open_files() == before


@pytest.mark.parametrize("sent", [b"last words", b"x" * 2 * WINDOW])
def test_what_was_said_is_read_though_its_speaker_listens_no_more(ends, sent):
    with ends.open("deaf") as sock:
        sock.sendall(b"said to nobody")
        deaf = ends.deaf.get(timeout=5)
        writer = threading.Thread(target=lambda: (deaf.sendall(sent), deaf.close()))
        writer.start()
        time.sleep(0.2)
        with contextlib.suppress(BrokenPipeError):
            sock.sendall(b"said to nobody")
        time.sleep(0.2)
        assert wire.read_exactly(sock, len(sent)) == sent
        writer.join(5)


def test_a_reader_that_never_reads_holds_up_no_other_stream(ends):
    with ends.open("stuck") as slow, ends.open("echo") as quick:
        slow.settimeout(0.5)
        with pytest.raises(TimeoutError):
            slow.sendall(bytes(8 * WINDOW))
        quick.sendall(b"through")
        assert quick.recv(7) == b"through"


def test_the_links_end_ends_every_stream(ends):
    with ends.open("echo") as sock:
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        ends.loops[1].call(ends.far.close)
        assert sock.recv(1) == b""


def test_hello_forgets_the_streams_of_an_earlier_session(ends):
    with ends.open("echo") as sock:
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        ends.loops[0].call(ends.near.hello)
        deadline = time.monotonic() + 5
        while ends.far._streams and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not ends.far._streams


def test_a_callback_may_run_the_loop_that_calls_it():
    loop, (ours, theirs), called = Loop(), socket.socketpair(), []

    def wait(_events):
        ours.recv(1)
        loop.step(1)

    loop.watch(ours, selectors.EVENT_READ, wait)
    theirs.sendall(b"x")
    loop.call(lambda: called.append("call"))
    loop.step(1)
    assert called == ["call"]
    ours.close()
    theirs.close()
