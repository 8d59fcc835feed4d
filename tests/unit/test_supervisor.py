"""The supervisor's loop where a wake meets other requests; no VM."""

import json
import os
import shutil
import threading

import pytest

from sandbox.engine import link
from sandbox.engine.supervisor import CONTROL, Settings, Supervisor
from sandbox.errors import SandboxError
from sandbox.paths import run_dir


class Silent:
    """A QEMU and a link of which only what is asked of them is kept."""

    def __init__(self, fails=False):
        self.asked, self.opened, self.frames, self.fails = [], [], 0, fails

    def execute(self, name):
        self.asked.append(name)
        if self.fails:
            raise SandboxError("QEMU does not answer.")

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
        Settings(base="", snapshot="", memory=0, accelerator="tcg", hosts=["host-a"],
                 internet=False, recipe="", idle=0.01),
    )  # fmt: skip
    folder = run_dir(name)
    folder.mkdir()
    made._monitor = made._mux = Silent()
    yield made
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
