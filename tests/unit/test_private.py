"""What a learner did, and what a sandbox writes, is its owner's alone, whatever the umask."""

import os
import stat
import sys
from contextlib import closing

import pytest

from sandbox import record
from sandbox.engine import companion, docker
from sandbox.engine.daemon import Daemon
from sandbox.errors import SandboxError
from sandbox.paths import data_dir, run_dir, state_dir
from sandbox.room import wall
from sandbox.steps import Quiet
from tests.alive import alive

START = {"host-a": {}}
LEFT = """
import sys, pathlib
from sandbox.engine import companion
from sandbox.paths import state_dir
companion.hold_alive(sys.argv[1])
for name in ("disk", "console"):
    (state_dir(sys.argv[1]) / name).touch()
"""


@pytest.fixture(autouse=True)
def _careless():
    before = os.umask(0)
    yield
    os.umask(before)


def open_to_others(folder):
    """Files and folders there, and that one, that somebody else could read."""
    found = [it for it in (folder, *folder.rglob("*")) if it.lstat().st_mode & 0o077]
    return [str(it.relative_to(folder)) for it in found]


def keep():
    record.learner("ada")
    record.begin("01-two-tiers", 10, START)
    with closing(wall.Room(data_dir() / "wall.sqlite")):
        pass


def test_what_a_learner_did_is_private():
    keep()
    assert (data_dir() / "starts" / "01-two-tiers.json").exists()
    assert open_to_others(data_dir()) == []


def test_what_was_open_before_becomes_private():
    keep()
    folder = data_dir()
    for it in (folder, *folder.rglob("*")):
        it.chmod(0o755 if it.is_dir() else 0o644)
    keep()
    assert open_to_others(folder) == []


def test_what_sqlite_keeps_beside_an_open_room_becomes_private():
    path = data_dir() / "wall.sqlite"
    beside = [path.with_name(f"{path.name}-{it}") for it in ("wal", "shm")]
    with closing(wall.Room(path)):
        for it in beside:
            it.chmod(0o644)
        with closing(wall.Room(path)):
            assert [stat.S_IMODE(it.stat().st_mode) for it in beside] == [0o600, 0o600]


def test_what_is_no_room_keeps_its_mode(tmp_path):
    folder, notes = tmp_path / "web", tmp_path / "notes.txt"
    folder.mkdir(mode=0o755)
    notes.write_text("No database. " * 100)
    notes.chmod(0o644)
    for path in (folder, notes):
        before = path.stat().st_mode
        with pytest.raises(SandboxError, match="cannot be kept"):
            wall.Room(path)
        assert path.stat().st_mode == before


def test_a_named_folder_with_other_things_keeps_its_mode(tmp_path, monkeypatch):
    monkeypatch.setenv("WIRE_BY_WIRE_DATA", str(tmp_path))
    (tmp_path / "web").mkdir(mode=0o755)
    tmp_path.chmod(0o755)
    keep()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "web").stat().st_mode) == 0o755
    assert open_to_others(tmp_path / "starts") == []
    assert not (tmp_path / "progress.json").stat().st_mode & 0o077


def test_a_folder_of_everybody_stays_that(tmp_path, monkeypatch):
    """As /tmp of a fresh container, empty."""
    monkeypatch.setenv("WIRE_BY_WIRE_DATA", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    (tmp_path / "t").chmod(0o1777)
    record.learner("ada")
    assert stat.S_IMODE((tmp_path / "t").stat().st_mode) == 0o1777


def test_what_a_sandbox_writes_is_private(sockets, monkeypatch):
    """Files of an earlier version too."""
    folder = state_dir("mine")
    folder.mkdir(parents=True)
    for name in ("disk", "console", "qemu.log", "companion.log", "docker.json"):
        (folder / name).touch()
    with companion.starting("mine", Quiet()):
        docker._save("mine", Daemon("unix:///none", "", "", "", "it"), ("host-a",))
        with pytest.raises(SandboxError, match="ended at once"):
            companion.launch("no.such.module", "mine", {})
        with alive("mine"):
            run_dir("mine").mkdir()
    assert open_to_others(folder) == []
    assert not folder.parent.stat().st_mode & 0o077


def test_what_the_process_beside_a_sandbox_makes_is_private(sockets):
    with companion.starting("mine", Quiet()):
        pass
    assert os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", LEFT, "mine"]) == 0
    assert {"alive", "disk", "console"} <= {it.name for it in state_dir("mine").iterdir()}
    assert open_to_others(state_dir("mine")) == []
