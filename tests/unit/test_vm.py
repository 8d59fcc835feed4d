"""The hosts' command vm: what it asks QEMU for, and how it talks with the machine's shell."""

import os
import threading
import time

import pytest

from sandbox.guest import vm


def test_the_command_in_lines_is_the_command():
    words = vm.command("user,id=net", "/run/vm") + vm.booting("/files")
    lines = vm.lines(words)
    assert [word for line in lines for word in line] == words
    assert all(line[0].startswith("-") for line in lines[1:])


@pytest.mark.parametrize("ports", ["8080", "8080:", "a:b", "1:2:3", "8080:80,restrict=off"])
def test_a_port_that_is_none_is_refused(ports, capsys):
    assert vm.main(["start", "--port", ports]) == 1
    assert "8080:80" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["tap", "macvtap"])
def test_an_interface_that_is_not_there_is_refused_with_the_command_that_makes_it(kind, capsys):
    assert vm.main(["start", f"--{kind}", "absent9"]) == 1
    said = capsys.readouterr().err
    assert "absent9 is no" in said
    assert "absent9" in said.partition("; ip ")[2]


@pytest.mark.parametrize("words", [["stop"], ["exec", "true"]])
def test_without_a_machine_that_is_said(words, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(vm, "RUN", str(tmp_path))
    assert vm.main(words) == (1 if words == ["stop"] else 125)
    assert "no VM runs on this host" in capsys.readouterr().err


def test_what_the_system_refuses_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(vm, "RUN", str(tmp_path))
    monkeypatch.setattr(vm, "running", os.getpid)
    assert vm.main(["exec", "true"]) == 125
    said = capsys.readouterr().err
    assert said.startswith("vm: ")
    assert "shell.in" in said
    assert said.count("\n") == 1


def test_a_process_that_took_the_machines_number_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(vm, "RUN", str(tmp_path))
    (tmp_path / "pid").write_text(str(os.getpid()))
    assert vm.running() is None


@pytest.fixture
def shell(tmp_path):
    """Answers one command with these pieces, as the machine's shell would."""
    vm.make_pipes(str(tmp_path))
    threads = []

    def answer(*pieces, before=b""):
        asked, answers = (os.open(tmp_path / f"shell.{it}", os.O_RDWR) for it in ("in", "out"))
        if before:
            os.write(answers, before)

        def run():
            token, count = os.read(asked, 999).split(b"\n")[0].split()
            told.append(int(count))
            for piece in pieces:
                os.write(answers, piece.replace(b"TOKEN", token))
                time.sleep(0.01)
            os.close(asked)
            os.close(answers)

        told = []
        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return told

    yield answer
    for thread in threads:
        thread.join(5)


def ask(folder, line="ls", seconds=5.0, alive=lambda: True):
    shown = []
    status = vm.ask(str(folder), line, shown.append, time.monotonic() + seconds, alive)
    return status, b"".join(shown)


@pytest.mark.parametrize(
    "pieces",
    [
        [b"TOKEN begin\none\ntwo\n\nTOKEN 3\n"],
        [b"TOKEN begin\none\nt", b"wo\n", b"\n", b"TOKEN 3", b"\n"],
        [b"TOKEN", b" begin\none\ntwo\n\nTOKEN ", b"3\n"],
        [b"TOKEN begin\none\ntwo\n\nTOKEN 3\nof a job in the background\n"],
        [b"TOKEN begin\none\ntwo\n\nTOKEN 3", b"\nof a job in the"],
    ],
)
def test_an_answer_is_whole_however_it_comes(shell, tmp_path, pieces):
    shell(*pieces)
    assert ask(tmp_path) == (3, b"one\ntwo\n")


def test_what_an_earlier_command_left_is_not_shown(shell, tmp_path):
    shell(b"TOKEN begin\nnew\n\nTOKEN 0\n", before=b"old\n\n0123456789abcdef 0\n")
    assert ask(tmp_path) == (0, b"new\n")


def test_a_command_of_several_lines_says_how_many(shell, tmp_path):
    told = shell(b"TOKEN begin\n\nTOKEN 0\n")
    ask(tmp_path, "one\ntwo\nthree")
    assert told == [3]


def test_a_machine_that_does_not_answer_is_waited_for_that_long(shell, tmp_path):
    shell(b"TOKEN begin\nstill ")
    with pytest.raises(vm.Refused, match="no answer in time"):
        ask(tmp_path, seconds=0.3)


def test_a_machine_that_ended_is_not_waited_for(shell, tmp_path, monkeypatch):
    monkeypatch.setattr(vm, "LOOK_SECONDS", 0.01)
    shell(b"TOKEN begin\nstill ")
    with pytest.raises(vm.Refused, match="the VM ended"):
        ask(tmp_path, seconds=60, alive=lambda: False)


def test_what_is_longer_than_a_pipe_holds_does_not_outlast_the_deadline(tmp_path):
    vm.make_pipes(str(tmp_path))
    with pytest.raises(vm.Late):
        ask(tmp_path, "x" * (1 << 20), seconds=0.3)


def test_one_at_a_time_talks_with_the_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(vm, "RUN", str(tmp_path))
    now = time.monotonic()
    with vm.locked(now), pytest.raises(vm.Late, match="another command"), vm.locked(now + 0.2):
        pass
    with vm.locked(time.monotonic()):
        pass
