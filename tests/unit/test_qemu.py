"""QEMU's command line."""

from dataclasses import fields
from pathlib import Path

import pytest

from sandbox import memory
from sandbox.engine import qemu


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
    sizes = {"SC_PHYS_PAGES": 2**23, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(memory.os, "sysconf", sizes.__getitem__)
    assert value(command("tcg"), "-accel") == f"tcg,thread=multi,tb-size={room}"


@pytest.mark.parametrize("accelerator", ["tcg", "kvm"])
def test_the_guest_reaches_nothing_unless_it_may(accelerator):
    assert "restrict=on" in value(command(accelerator), "-netdev")
