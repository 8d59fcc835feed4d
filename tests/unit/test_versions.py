"""What the hosts' files were built with is kept, and what differs from what was proved is said."""

import json

import pytest

from sandbox.engine import versions

KERNEL = "linux-binary-7.2-cloud-amd64"
WAS = {
    "hosts": {"crun": "1.2", "docker.io": "28.5.2+dfsg4-5", KERNEL: "7.2-1"},
    "toolbox": {"curl": "8.1"},
}


@pytest.fixture
def built(tmp_path, monkeypatch):
    """Records lists in a folder, which it gives; WAS is what was proved."""
    monkeypatch.setattr(versions, "PROVED", tmp_path / "proved.json")
    (tmp_path / "proved.json").write_text(json.dumps(WAS))

    def record(now):
        for place, packages in now.items():
            lines = [f"{name} {version}\n" for name, version in reversed(packages.items())]
            (tmp_path / place).write_text("".join(lines))
        versions.record(tmp_path, **{place: tmp_path / place for place in now})
        return tmp_path

    return record


def test_what_is_recorded_is_read(built):
    folder = built(WAS)
    assert versions.read(folder) == WAS
    assert versions.summary(WAS) == {"Docker Engine": "28.5.2+dfsg4-5", "Linux": "7.2-1"}


def test_the_same_packages_are_no_notice(built):
    assert versions.notice(built(WAS)) == ""


def test_newer_packages_are_one_line(built):
    hosts = {"crun": "1.3", "docker.io": "29.0-1", "linux-binary-7.3-cloud-amd64": "7.3-1"}
    said = versions.notice(built({"hosts": hosts, "toolbox": {"curl": "8.1"}}))
    assert said == (
        "4 of the hosts' packages differ from those the course was last proved with: "
        "Docker Engine 29.0-1 (proved: 28.5.2+dfsg4-5), Linux 7.3-1 (proved: 7.2-1)"
    )
    assert versions.changes(WAS, {"hosts": hosts, "toolbox": {}}) == [
        "hosts: crun 1.2 -> 1.3",
        "hosts: docker.io 28.5.2+dfsg4-5 -> 29.0-1",
        "hosts: linux-binary-7.2-cloud-amd64 7.2-1 -> none",
        "hosts: linux-binary-7.3-cloud-amd64 none -> 7.3-1",
        "toolbox: curl 8.1 -> none",
    ]


def test_where_nothing_is_known_nothing_is_said(built, tmp_path):
    assert versions.notice(tmp_path / "nowhere") == ""
    versions.PROVED.write_text("no list")
    assert versions.notice(built(WAS)) == ""


def test_what_was_proved_is_committed_with_all_that_lessons_show():
    proved = versions.proved()
    assert list(versions.summary(proved)) == list(versions.SHOWN.values())
    assert {"hosts", "toolbox"} == set(proved)
    assert list(proved["hosts"]) == sorted(proved["hosts"])
