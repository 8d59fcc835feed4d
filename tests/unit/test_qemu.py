"""QEMU's command line."""

import gc
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import pytest

from sandbox import memory
from sandbox.engine import child, qemu
from sandbox.errors import SandboxError
from tests.hosts import until


def command(accelerator):
    values = {it.name: Path("file") for it in fields(qemu.VMSpec)} | {"internet": False}
    return qemu.command(qemu.VMSpec(**values), accelerator, monitor_fd=3, port_fd=4)


def value(arguments, option):
    return arguments[arguments.index(option) + 1]


def test_what_slows_down_emulation_is_left_out_under_it():
    emulated = command("tcg")
    assert value(emulated, "-cpu") == "max,-erms,-fsrm,-la57,-smap"
    assert "norandmaps" in value(emulated, "-append").split()


def test_a_real_processor_is_passed_on_as_it_is():
    real = command("kvm")
    assert value(real, "-cpu") == "host"
    assert "norandmaps" not in value(real, "-append").split()


def test_no_second_processor_runs_what_the_kernel_patches_under_emulation():
    assert value(command("tcg"), "-smp") == "1"
    assert value(command("kvm"), "-smp") == "2"


@pytest.mark.parametrize(
    ("limit", "room"), [("2147483648", 160), ("8589934592", 256), ("max", 512)]
)
def test_translated_code_has_a_share_of_the_memory(tmp_path, monkeypatch, limit, room):
    (tmp_path / "memory.max").write_text(limit + "\n")
    monkeypatch.setattr(memory, "_LIMITS", (tmp_path / "memory.max", tmp_path / "none"))
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: SimpleNamespace(total=2**35))
    assert value(command("tcg"), "-accel") == f"tcg,thread=multi,tb-size={room}"


@pytest.mark.parametrize("accelerator", ["tcg", "kvm"])
def test_the_guest_reaches_nothing_unless_it_may(accelerator):
    assert "restrict=on" in value(command(accelerator), "-netdev")


def test_the_monitor_is_named_as_old_and_new_versions_know_it():
    # QEMU 11.1 warns of -mon, and QEMU 7.2 knows no -object monitor-qmp.
    arguments = command("tcg")
    assert value(arguments, "-qmp") == "chardev:monitor"
    assert not {"-mon", "-monitor"} & {*arguments}


@pytest.mark.parametrize("does", ["echo no such machine; exit 1", "exec sleep 60"])
def test_a_qemu_that_does_not_start_is_told_and_leaves_nothing(tmp_path, monkeypatch, does):
    program = tmp_path / "qemu"
    program.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\n{does}\n")
    program.chmod(0o755)
    monkeypatch.setattr(qemu, "QEMU", str(program))
    monkeypatch.setattr(qemu, "ANSWER_SECONDS", 1.0)
    values = {it.name: tmp_path / it.name for it in fields(qemu.VMSpec)} | {"internet": False}
    # What earlier tests left is closed now, and not in between.
    gc.collect()
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(SandboxError, match="QEMU did not start") as caught:
        qemu.spawn(qemu.VMSpec(**values), "tcg", tmp_path / "log")
    assert caught.value.why
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


STARTS = """
import subprocess, sys
from sandbox.engine import child
print(subprocess.Popen(child.bound(["sleep", "60"])).pid, flush=True)
sys.stdin.read()
"""


def test_a_program_ends_with_whoever_started_it():
    with subprocess.Popen(
        [sys.executable, "-c", STARTS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as starter:
        process = Path(f"/proc/{starter.stdout.readline().strip()}")
        until("it runs", lambda: (process / "comm").read_text() == "sleep\n", 5)
        starter.kill()
    until("it has ended", lambda: not (process / "exe").exists(), 5)


def test_a_program_whose_starter_ended_before_it_began_does_not_run(tmp_path):
    left = child.bound(["touch", str(tmp_path / "ran")])
    # Its parent is not the one that it was started for.
    assert subprocess.run(["sh", "-c", '"$@"; exit', "sh", *left], check=False).returncode
    assert not (tmp_path / "ran").exists()
    assert (
        subprocess.run(
            child.bound(["echo", "$HOME;", "*"]), check=True, capture_output=True, text=True
        ).stdout
        == "$HOME; *\n"
    )


@pytest.mark.parametrize("setpriv", ["", "#!/bin/sh\nexit 1\n"])
def test_without_a_setpriv_that_can_the_program_runs_all_the_same(tmp_path, monkeypatch, setpriv):
    if setpriv:
        (tmp_path / "setpriv").write_text(setpriv)
        (tmp_path / "setpriv").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(child, "works", child.works.__wrapped__)
    assert child.bound(["true"]) == ["true"]


RUNS = """
import sys
from sandbox.engine import child
end = "trap 'echo I end >&2; rm $WORK; exit' TERM"
child.run(["sh", "-c", end + "; touch $WORK; sleep 60 & echo $! > $WORK; wait"],
          {"WORK": sys.argv[1]})
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP, signal.SIGINT])
def test_a_program_that_starts_others_ends_with_all_of_them_and_cleans_up(tmp_path, number):
    work = tmp_path / "work"
    with subprocess.Popen([sys.executable, "-c", RUNS, work], stderr=subprocess.DEVNULL) as starter:
        until("it works", lambda: work.exists() and work.read_text(), 10)
        others = Path(f"/proc/{work.read_text().strip()}/exe")
        assert others.exists()
        starter.send_signal(number)
    until("it has cleaned up", lambda: not work.exists(), 5)
    until("all have ended", lambda: not others.exists(), 5)


def test_a_program_that_starts_others_gives_its_output_and_status():
    ran = child.run(["sh", "-c", "echo $X; echo err >&2; exit 3"], {"X": "out"})
    assert (ran.returncode, ran.stdout, ran.stderr) == (3, "out\n", "err\n")
    assert child.run(["true"], {}).returncode == 0
