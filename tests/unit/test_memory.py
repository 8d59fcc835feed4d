"""Memory and processes, asked in a way that macOS has too."""

import os
import subprocess
import sys

import psutil
import pytest

from sandbox import memory
from sandbox.engine import companion, qemu


@pytest.fixture
def without_proc(monkeypatch):
    """As on macOS, where psutil asks the kernel otherwise: Python itself finds no /proc there,
    nor what sysconf(3) lacks.
    """
    monkeypatch.setattr(os, "sysconf_names", {"SC_PAGE_SIZE": 30})

    def watch(event, arguments):
        if watching and event == "open" and str(arguments[0]).startswith("/proc"):
            frame = sys._getframe(1)
            while frame:
                if "psutil" in frame.f_code.co_filename:
                    return
                frame = frame.f_back
            raise FileNotFoundError(arguments[0])

    watching = [True]
    sys.addaudithook(watch)
    yield
    watching.clear()


def test_memory_is_told_without_proc(without_proc):
    assert 0 < memory.available() <= memory.limit() <= psutil.virtual_memory().total
    assert memory.resident(os.getpid()) > 2**20
    assert memory.resident(2**22) == 0


def test_a_companion_is_found_without_proc(without_proc):
    # A program of that name, with the words of a companion.
    child = subprocess.Popen(
        [sys.executable, "-m", "http.server", "0"],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        assert companion.pids("http.server", "0") == [child.pid]
        assert companion.pids("http.server", "1") == []
    finally:
        child.kill()
        child.wait()


def test_the_processor_has_a_name_or_none_without_proc(without_proc):
    assert isinstance(qemu.cpu(), str)
