"""The day before a workshop: what is looked at, and what to do where it is not ok."""

import json
import re
import types
from pathlib import Path

import pytest

from sandbox.__main__ import main
from sandbox.errors import SandboxError
from sandbox.room import workshop


@pytest.fixture
def tried(monkeypatch, cache):
    """Sandboxes that come up at once; what was removed of them."""
    removed = []
    host = types.SimpleNamespace(
        run=lambda *_, **__: types.SimpleNamespace(code=0, stderr="", stdout="")
    )
    up = types.SimpleNamespace(host=lambda _name: host)
    monkeypatch.setattr(workshop, "up", lambda *_, **__: up)
    monkeypatch.setattr(workshop, "down", lambda *, id: removed.append(id))
    return removed


def wrong(found):
    return {it.what: it.fix for it in found if not it.ok}


def test_a_machine_that_can_take_the_course_is_ok(tried, capsys):
    assert main(["doctor", "--workshop"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert all(line.startswith("ok ") for line in lines)
    assert len(set(tried)) == 1


def test_too_little_memory_and_disk_are_said(tried, monkeypatch):
    monkeypatch.setattr(workshop.memory, "available", lambda: 2**30)
    monkeypatch.setattr(workshop.shutil, "disk_usage", lambda _: types.SimpleNamespace(free=2**20))
    found = wrong(workshop.check())
    assert {*found} == {"memory", "disk"}
    assert "1600 MiB" in found["memory"]


def test_a_sandbox_that_does_not_come_up_is_removed_and_said(tried, monkeypatch, capsys):
    def fails(*_, **__):
        raise SandboxError("QEMU ended.", why="no memory", fix="close programs")

    monkeypatch.setattr(workshop, "up", fails)
    assert main(["doctor", "--workshop", "--json"]) == 1
    found = [it for it in json.loads(capsys.readouterr().out) if not it["ok"]]
    assert [(it["found"], it["fix"]) for it in found] == [
        ("QEMU ended.; no memory", "close programs")
    ]
    assert tried


def test_a_slow_machine_is_not_ok(tried, monkeypatch):
    monkeypatch.setattr(workshop, "UP_SECONDS", -1.0)
    assert {*wrong(workshop.check())} == {"2 hosts come up"}


def test_a_container_that_does_not_run_is_not_ok(tried, monkeypatch):
    host = types.SimpleNamespace(
        run=lambda *_, **__: types.SimpleNamespace(code=125, stderr="no space left\n", stdout="")
    )
    monkeypatch.setattr(workshop, "up", lambda *_, **__: types.SimpleNamespace(host=lambda _: host))
    [found] = [it for it in workshop.check() if not it.ok]
    assert (found.what, found.found) == ("a container runs", "no space left")


def test_a_data_folder_that_cannot_be_made_is_not_ok(tried, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WIRE_BY_WIRE_DATA", str(tmp_path / "file" / "data"))
    assert {*wrong(workshop.check())} == {"progress is kept"}
    assert main(["doctor", "--workshop"]) == 1


def test_memory_or_processors_end_a_room():
    assert workshop.room(8, 64).ends == "memory"
    few = workshop.room(256, 2)
    assert (few.learners, few.ends) == (2 * workshop.SHARE, "processors")
    assert few.seconds == workshop.RUN_ALONE * workshop.SHARE
    assert workshop.room(4, 8).seconds == workshop.RUN_ALONE
    assert "more would lack processors" in repr(few)


@pytest.mark.parametrize(
    ("memory", "processors"),
    [(1, 8), (64, 0), (-3, 2), ("64", 4), (64, "4"), (float("nan"), 2), (64, float("inf"))],
)
def test_a_machine_for_nobody_is_one_message(memory, processors):
    with pytest.raises(SandboxError, match="takes no learner"):
        workshop.room(memory, processors)


def test_the_page_has_the_table_that_is_computed():
    page = (Path(__file__).parents[2] / "binder/README.md").read_text()
    rows = re.findall(
        r"^\| (\d+) GiB, (\d+) processors \| (\d+) \| (\w+) \| (\d+) GiB \|", page, re.M
    )
    assert len(rows) >= 4
    for memory, processors, learners, ends, disk in rows:
        found = workshop.room(int(memory), int(processors))
        assert (found.learners, found.ends, found.disk) == (int(learners), ends, int(disk))
