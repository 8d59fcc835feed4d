"""The supervisor's loop: a wake that meets other requests, a disk that is full; no VM."""

import contextlib
import json
import os
import selectors
import shutil
import socket
import threading

import pytest

from sandbox import paths
from sandbox.engine import link, qemu
from sandbox.engine import supervisor as supervisors
from sandbox.engine.control import CONTROL, Settings
from sandbox.engine.supervisor import Supervisor
from sandbox.engine.vm import VMEngine
from sandbox.errors import SandboxError
from sandbox.hosts.host import Host
from sandbox.paths import run_dir, state_dir
from tests.hosts import until


class Silent:
    """A QEMU and a link of which only what is asked of them is kept."""

    def __init__(self, fails=False):
        self.asked, self.opened, self.frames, self.fails = [], [], 0, fails

    def execute(self, name):
        self.asked.append(name)
        if self.fails:
            raise SandboxError("QEMU does not answer.")

    def events(self):
        return []

    def open(self, sock, target):
        self.opened.append(target)
        sock.close()

    def targets(self):
        return []


@pytest.fixture
def supervisor(cache):
    name = f"unit{os.getpid()}"
    made = Supervisor(
        name,
        Settings(
            base="",
            snapshot="",
            memory=0,
            accelerator="tcg",
            hosts=["host-a"],
            internet=False,
            recipe="",
            idle=0.01,
        ),
    )
    folder = run_dir(name)
    folder.mkdir()
    made._monitor = made._mux = Silent()
    yield made
    # Its process would end now.
    if isinstance(made._mux, supervisors.Mux):
        made._mux.close()
    for key in [*made._loop.selector.get_map().values()]:
        if isinstance(key.fileobj, socket.socket):
            key.fileobj.close()
    made._loop.close()
    shutil.rmtree(folder)


def test_a_wake_and_a_question_at_once_are_both_served(supervisor, monkeypatch):
    """A wake runs the loop until the guest's clock is set, and takes what is of the same round."""
    supervisor._paused = True
    monkeypatch.setattr(supervisor, "_resumed", lambda internet: supervisor._loop.step(0.1))
    listener = link.listen(
        supervisor._loop, supervisor._awake, supervisor._run / "a.sock", "host-a"
    )
    supervisor._listen_control()
    supervisor._loop.call(lambda: None)
    with (
        link.connect(str(supervisor._run / "a.sock")),
        link.connect(str(supervisor._run / CONTROL)) as question,
        listener,
    ):
        question.sendall(b'{"do": "status"}\n')
        steps = threading.Thread(target=lambda: [supervisor._loop.step(0.1) for _ in range(3)])
        steps.daemon = True
        steps.start()
        steps.join(10)
        assert not steps.is_alive()
        assert json.loads(question.makefile().readline())["recipe"] == ""
    assert not supervisor._paused
    assert supervisor._monitor.asked == ["cont"]
    assert supervisor._mux.opened == ["host-a"]


def test_who_ends_it_while_it_wakes_does_not_wait_for_the_guest(supervisor, monkeypatch):
    def told_to_end(_timeout):
        raise SystemExit

    kept, ended = [], []
    monkeypatch.setattr(supervisor._mux, "open", lambda sock, target: kept.append(sock))
    monkeypatch.setattr(supervisor._loop, "step", told_to_end)

    def wake():
        with pytest.raises(SystemExit):
            supervisor._resumed(internet=False)
        ended.append(True)

    waking = threading.Thread(target=wake, daemon=True)
    waking.start()
    waking.join(10)
    assert ended == [True]
    kept.pop().close()


def test_a_qemu_that_does_not_answer_ends_no_sandbox(supervisor, capsys):
    supervisor._monitor = Silent(fails=True)
    supervisor._used = 0
    supervisor._rest()
    # It may stop later, so the next use has it go on.
    assert supervisor._paused
    supervisor._wake()
    assert supervisor._monitor.asked == ["stop", "cont"]
    assert supervisor._paused
    supervisor._monitor.fails = False
    supervisor._resumed = lambda internet: None
    supervisor._wake()
    assert not supervisor._paused
    assert "QEMU does not answer" in capsys.readouterr().err


FULL = {
    "device": "data",
    "operation": "write",
    "action": "stop",
    "nospace": True,
    "reason": "No space left on device",
}


class Qemu:
    """QEMU's side of a monitor's socket: it does what it is told, and says what a test has it say.

    fails: its BLOCK_IO_ERROR for each write, or None.
    """

    def __init__(self):
        self.fails, self.asked, self.state = None, [], "running"
        ours, theirs = socket.socketpair()
        self._sock = theirs
        self._say({"QMP": {}})
        threading.Thread(target=self._answer, daemon=True).start()
        self.monitor = qemu.Monitor(ours)

    def _say(self, *said):
        with contextlib.suppress(BrokenPipeError):
            self._sock.sendall(b"".join(json.dumps(it).encode() + b"\n" for it in said))

    def _answer(self):
        for line in self._sock.makefile():
            order = json.loads(line)
            name = order["execute"]
            event = {"cont": "RESUME", "stop": "STOP"}.get(name)
            # To stop a machine that does not run changes nothing (do_vm_stop, system/cpus.c).
            if event and (name == "cont" or self.state == "running"):
                self.state = {"cont": "running", "stop": "paused"}[name]
                self._say({"event": event})
            self.asked.append(name)
            self._say({"return": {"status": self.state}, "id": order["id"]})
            if name == "cont" and self.fails:
                self.write()

    def write(self):
        """Fail a write that stops the VM."""
        self.state = "io-error"
        self._say({"event": "BLOCK_IO_ERROR", "data": self.fails}, {"event": "STOP"})

    def close(self):
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()


@pytest.fixture
def machine(supervisor, monkeypatch):
    """A supervisor that serves, and its QEMU. told: times that the guest was told the time."""
    monkeypatch.setattr(supervisors, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(supervisors, "TRIAL_SECONDS", 0.1)
    for module in (supervisors, paths):
        monkeypatch.setattr(module, "free", lambda _folder: machine.room)
    machine = Qemu()
    machine.room, machine.told = paths.ROOM_BYTES - 1, 0
    ours, guest = socket.socketpair()
    supervisor._state.mkdir(parents=True)
    supervisor._monitor = machine.monitor
    supervisor._mux = supervisors.Mux(supervisor._loop, ours.detach())

    def resumed(internet):
        machine.told += 1

    monkeypatch.setattr(supervisor, "_resumed", resumed)
    supervisor._loop.watch(machine.monitor.sock, selectors.EVENT_READ, supervisor._hear)
    for name, target in (("host-a.sock", "engine"), ("host-a.agent.sock", "agent")):
        link.listen(supervisor._loop, supervisor._awake, supervisor._run / name, target)
    supervisor._listen_control()
    serving = threading.Thread(target=supervisor.serve, daemon=True)
    serving.start()
    yield machine
    supervisor._loop.call(lambda: setattr(supervisor, "_running", False))
    serving.join(5)
    machine.monitor.close()
    machine.close()
    guest.close()


def of(supervisor):
    """host-a of that supervisor's sandbox, as a notebook has it."""
    engine, name = VMEngine(), supervisor._run.name
    return Host(
        "host-a",
        "198.18.0.11",
        engine.host_url(name, "host-a"),
        engine.agent_path(name, "host-a"),
        lambda: engine.last_words(name),
    )


def test_whoever_waits_is_told_at_once_which_disk_is_full(supervisor, machine):
    host, failed = of(supervisor), []

    def wait(act):
        with pytest.raises(SandboxError) as caught:
            act()
        failed.append(caught.value)

    def conversation():
        with host.converse({"op": "capture"}) as talk:
            talk.hear(60)

    waiting = [
        threading.Thread(target=wait, args=(act,), daemon=True)
        for act in (lambda: host.run("dd"), host.read_state, lambda: host.client, conversation)
    ]
    for thread in waiting:
        thread.start()
    until("all are connected", lambda: len(supervisor._mux.targets()) == len(waiting), 5)
    machine.fails = FULL
    machine.write()
    for thread in waiting:
        thread.join(3)
    assert len(failed) == len(waiting)
    wait(lambda: host.run("true"))
    for error in failed:
        assert error.what.startswith(f"The disk at {paths.mount_point(supervisor._state)} is full")
        assert "34 MB are free" in error.why
        assert str(supervisor._state) in error.why
        assert "continues by itself" in error.fix
    problem = VMEngine().state(supervisor._run.name).problem
    assert str(problem) == str(failed[0])


def test_a_full_disk_goes_on_when_there_is_room_and_not_before(supervisor, machine):
    machine.fails = FULL
    machine.write()
    until("it is seen", lambda: supervisor._failed, 5)
    # Nothing is tried while there is no room, nor does a connection wake the VM.
    with link.connect(str(supervisor._run / "host-a.sock")) as refused:
        assert refused.recv(1) == b""
    assert "cont" not in machine.asked
    # Room that is not enough for the write that failed.
    machine.room = paths.ROOM_BYTES
    until("it is tried", lambda: machine.asked.count("cont") >= 2, 5)
    assert VMEngine().state(supervisor._run.name).problem
    machine.fails = None
    until("it goes on", lambda: supervisor._failed is None, 5)
    assert machine.told == 1
    assert VMEngine().state(supervisor._run.name).problem is None
    with link.connect(str(supervisor._run / "host-a.sock")):
        until("a connection is taken", supervisor._mux.targets, 5)


def test_a_write_that_fails_for_another_reason_is_told_with_it(supervisor, machine):
    machine.fails = {**FULL, "nospace": False, "reason": "Disk quota exceeded"}
    machine.room = 10 * paths.ROOM_BYTES
    machine.write()
    with pytest.raises(SandboxError, match="cannot be written to") as caught:
        until("it is told", lambda: of(supervisor).run("true"), 5)
    assert "Disk quota exceeded" in caught.value.why
    machine.fails = None
    until("it goes on", lambda: supervisor._failed is None, 5)


def test_a_stop_that_nobody_asked_for_is_told_though_its_error_comes_late(supervisor, machine):
    machine.state = "io-error"
    machine._say({"event": "STOP"})
    until("it is seen", lambda: supervisor._failed is not None, 5)
    machine.room = paths.ROOM_BYTES
    until("it goes on", lambda: supervisor._failed is None, 5)


def test_a_paused_vm_whose_last_write_fails_is_told_and_goes_on(supervisor, machine):
    until("it is paused", lambda: supervisor._paused, 5)
    machine.fails = FULL
    machine.write()
    with pytest.raises(SandboxError, match="is full"):
        until("it is told", lambda: of(supervisor).run("true"), 5)
    machine.fails, machine.room = None, paths.ROOM_BYTES
    until("it goes on", lambda: supervisor._failed is None, 5)


def test_a_pause_and_a_wake_are_no_failure_however_their_events_come(supervisor, machine):
    path = str(supervisor._run / "host-a.sock")
    for _ in range(20):
        until("it is paused", lambda: machine.asked[-1] == "stop" or supervisor._paused, 5)
        with link.connect(path) as conn:
            conn.settimeout(0.02)
            # Nobody closes it.
            with pytest.raises(TimeoutError):
                conn.recv(1)
    assert machine.told > 0
    assert supervisor._failed is None


def test_a_qemu_that_ends_is_heard_and_not_listened_to_for_ever(supervisor, machine):
    machine.close()
    until("it ends", lambda: not supervisor._running, 5)


def test_a_sandbox_on_a_full_disk_does_not_start(cache, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    cache.mkdir(parents=True)
    monkeypatch.setattr(supervisors.companion, "starting", refuse)
    with pytest.raises(SandboxError, match="is full, so the sandbox cannot start"):
        VMEngine().start("s", None, internet=False, steps=None)
    assert not state_dir("s").exists()


def asked(supervisor, said, *, end=False):
    """The supervisor's answer to what is sent to its control socket."""
    with link.connect(str(supervisor._run / CONTROL)) as conn:
        with contextlib.suppress(BrokenPipeError):
            conn.sendall(said)
        if end:
            conn.shutdown(socket.SHUT_WR)
        return json.loads(conn.makefile().readline())


@pytest.mark.parametrize(
    "said",
    [
        b"{}\n",
        b"[]\n",
        b"7\n",
        b"null\n",
        b'"do"\n',
        b"\n",
        b"\xff\n",
        b"{nothing",
        b'{"do": []}\n',
        b'{"do": "dance"}\n',
        b"[" * 4000 + b"\n",
        b"9" * 4000,
        b"x" * 10_000_000,
    ],
    ids=lambda said: repr(said[:12]),
)
def test_whatever_is_no_order_is_answered_and_ends_nothing(supervisor, machine, said):
    assert "orders status, reset and stop" in asked(supervisor, said, end=True)["what"]
    assert asked(supervisor, b'{"do": "status"}\n')["recipe"] == ""


def test_who_asks_slowly_or_not_at_all_holds_nobody_up(supervisor, machine):
    first = None
    with contextlib.ExitStack() as idle:
        for _ in range(2 * supervisors.ASKING):
            conn = idle.enter_context(link.connect(str(supervisor._run / CONTROL)))
            conn.sendall(b"{")
            first = first or conn
        assert asked(supervisor, b'{"do": "status"}\n')["recipe"] == ""
        # The first of them is not waited for any more.
        first.settimeout(5)
        assert first.recv(1) == b""


def test_a_reset_that_fails_is_told(supervisor, machine, monkeypatch):
    def resume():
        raise OSError("no such file")

    monkeypatch.setattr(supervisor, "_resume", resume)
    assert asked(supervisor, b'{"do": "reset"}\n')["why"] == "no such file"
