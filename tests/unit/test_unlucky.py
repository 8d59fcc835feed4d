"""What a machine refuses is one message that names the path and what to do; no traceback."""

import os
import subprocess
import sys

import pytest

import sandbox
from sandbox.__main__ import main
from sandbox.engine import assets, qemu
from sandbox.errors import SandboxError
from sandbox.paths import cache_dir, refused, state_dir
from sandbox.steps import Quiet

UNSHARE = ["unshare", "--mount", *(["--user", "--map-root-user"] if os.getuid() else [])]
# A mount of their own for the cache: read-only, or full to the last byte.
MOUNTS = {
    "read-only": "mount -t tmpfs tmpfs {0} && mkdir {0}/wire-by-wire && mount -o remount,ro {0}",
    "full": "mount -t tmpfs -o size=64k tmpfs {0} && mkdir -p {0}/wire-by-wire/sandboxes/mine &&"
    " cat /dev/zero > {0}/filler 2> /dev/null",
}


def told(text):
    """That text is one of our messages, for people."""
    assert "Traceback" not in text
    assert text.startswith("sandbox: ")
    assert "What to do: " in text
    return text


def fake_qemu(folder, monkeypatch, script):
    """That shell script as the one QEMU that is installed."""
    folder.mkdir()
    program = folder / qemu.QEMU
    program.write_text(script)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


@pytest.mark.parametrize(
    "script",
    [
        "#!/bin/sh\nexit 0",
        "#!/bin/sh\necho broken library >&2; exit 127",
        "#!/bin/sh\necho hello",
        "#!/bin/sh\necho 'QEMU emulator version '",
        "#!/bin/sh\nkill -9 $$",
        "#!/none",
        "",
        "#!/bin/sh\nexec /bin/sleep 10",
        "#!/bin/sh\nprintf '\\377\\376'",
    ],
)
def test_a_qemu_that_does_not_say_its_version_is_one_message(tmp_path, monkeypatch, script):
    fake_qemu(tmp_path / "bin", monkeypatch, script)
    monkeypatch.setattr(qemu, "VERSION_SECONDS", 0.5)
    with pytest.raises(SandboxError, match="reports no version") as caught:
        qemu.version()
    assert caught.value.why
    assert caught.value.fix


def test_a_version_is_read(tmp_path, monkeypatch):
    fake_qemu(tmp_path / "bin", monkeypatch, "#!/bin/sh\necho QEMU emulator version 9.2.1 '(x)'")
    assert qemu.version() == "9.2.1"


@pytest.mark.parametrize("reason", ["there is no /dev/kvm", "this account may not open /dev/kvm"])
def test_kvm_that_is_asked_for_and_does_not_work_is_one_message(monkeypatch, reason, sockets):
    monkeypatch.setenv("SANDBOX_ACCELERATOR", "kvm")
    monkeypatch.setattr(qemu, "_found", lambda _base, _seconds: ("tcg", reason))
    monkeypatch.setattr("sandbox.engine.vm.assets.lacks", list)
    with pytest.raises(SandboxError, match="KVM does not work here") as caught:
        sandbox.up(1, id="mine", steps=Quiet())
    assert caught.value.why == reason
    assert "unset SANDBOX_ACCELERATOR" in caught.value.fix


@pytest.mark.parametrize("works", [True, False])
def test_kvm_that_is_asked_for_must_run_the_kernel(monkeypatch, cache, works):
    monkeypatch.setenv("SANDBOX_ACCELERATOR", "kvm")
    monkeypatch.setattr(qemu, "version", lambda: "10.0")
    monkeypatch.setattr(qemu, "_kvm_boots", lambda _base, _seconds: works)
    monkeypatch.setattr(qemu.os.path, "exists", lambda _path: True)
    monkeypatch.setattr(qemu.os, "access", lambda *_: True)
    if works:
        assert qemu.accelerator(cache)[0] == "kvm"
    else:
        with pytest.raises(SandboxError, match="KVM does not work here"):
            qemu.accelerator(cache)


def test_an_unknown_accelerator_is_one_message(monkeypatch):
    monkeypatch.setenv("SANDBOX_ACCELERATOR", "hvf")
    with pytest.raises(SandboxError, match="'hvf'"):
        qemu.accelerator()


@pytest.mark.parametrize("trouble", MOUNTS)
@pytest.mark.parametrize(
    "command",
    [
        ["up", "--id", "mine"],
        ["build"],
        ["down", "--id", "mine"],
        ["status", "--id", "mine"],
        ["doctor"],
        ["down", "--all", "--cache"],
    ],
)
def test_a_cache_that_cannot_be_written_to_is_one_message(tmp_path, command, trouble):
    (tmp_path / "cache").mkdir()
    script = MOUNTS[trouble].format(tmp_path / "cache")
    ran = subprocess.run(
        [
            *UNSHARE,
            "sh",
            "-c",
            f'{script}; exec "$@"',
            "sh",
            sys.executable,
            "-m",
            "sandbox",
            *command,
        ],
        env={**os.environ, "WIRE_BY_WIRE_CACHE": str(tmp_path / "cache"), "TMPDIR": "/tmp"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = "".join(line for line in ran.stderr.splitlines(True) if not line.startswith("["))
    assert "Traceback" not in said
    if command[0] in ("up", "build"):
        assert str(tmp_path / "cache") in told(said)
        assert ran.returncode == 1
    elif said:
        told(said)


def test_a_disk_that_is_full_when_the_sandbox_starts_is_named(tmp_path):
    """All is built; what the process beside the sandbox says of it is a traceback in its log."""
    (tmp_path / "cache").mkdir()
    code = """
from sandbox.engine import companion
from sandbox.errors import SandboxError
try:
    companion.launch("no.such.module", "mine", {})
except SandboxError as error:
    print(error)
"""
    ran = subprocess.run(
        [
            *UNSHARE,
            "sh",
            "-c",
            f'{MOUNTS["full"].format(tmp_path / "cache")}; exec "$@"',
            "sh",
            sys.executable,
            "-c",
            code,
        ],
        env={**os.environ, "WIRE_BY_WIRE_CACHE": str(tmp_path / "cache"), "TMPDIR": "/tmp"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stderr == ""
    assert f"The disk at {tmp_path}/cache is full." in ran.stdout


def test_a_file_in_the_way_is_one_message(cache, capsys, monkeypatch):
    monkeypatch.setattr("sandbox.engine.vm.assets.lacks", list)
    (cache_dir() / "sandboxes").touch()
    assert main(["up", "--id", "mine"]) == 1
    assert str(cache / "sandboxes") in told(capsys.readouterr().err)


@pytest.mark.parametrize("number", [1, 2, 5, 13, 20, 21, 28, 30, 36, 122])
def test_every_refusal_names_the_path_and_what_to_do(cache, number):
    path = state_dir("mine") / "disk"
    said = refused(OSError(number, os.strerror(number), str(path)))
    assert str(path) in said.what
    assert "WIRE_BY_WIRE_CACHE" in said.fix
    # Writing to an open file, the system does not say which.
    assert refused(OSError(number, os.strerror(number))).fix


def test_a_program_that_fails_while_building_is_one_message(cache):
    with (
        pytest.raises(SandboxError, match="ls failed") as caught,
        assets.building(cache_dir() / "base-1", Quiet()),
    ):
        subprocess.run(["ls", "/no such"], check=True, capture_output=True)
    assert "/no such" in caught.value.why


@pytest.mark.parametrize(
    "locale",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
    ],
)
def test_a_terminal_without_every_character_is_no_trouble(tmp_path, locale):
    name = tmp_path / "Übung"
    name.mkdir()
    ran = subprocess.run(
        [sys.executable, "-m", "sandbox", "doctor"],
        capture_output=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(name), "SANDBOX_ENGINE": "vm", **locale},
    )
    assert b"Traceback" not in ran.stderr
    assert b"Machine: " in ran.stdout


def test_a_reader_that_had_enough_is_no_trouble(cache):
    ran = subprocess.run(
        ["sh", "-c", f"({sys.executable} -m sandbox doctor; echo status $? >&2) | true"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in ran.stderr
    assert "Something that the sandbox needs" not in ran.stderr
