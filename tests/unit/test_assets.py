"""Building is atomic, locked and says when the disk is full; no package is installed here."""

import fcntl
import os
import subprocess
import threading
from pathlib import Path

import pytest

from sandbox.engine import assets, child, image, qemu, snapshot
from sandbox.errors import SandboxError
from sandbox.hosts import plan
from sandbox.paths import cache_dir
from sandbox.steps import Quiet


def build(folder, content=b"x"):
    with assets.building(folder, Quiet()) as fresh:
        if fresh:
            (fresh / "file").write_bytes(content)
        return fresh


def test_a_build_appears_whole_and_once(cache):
    folder = cache_dir() / "base-1"
    assert build(folder)
    assert assets.complete(folder)
    assert build(folder) is None


@pytest.mark.parametrize("harm", ["truncate", "delete"])
def test_a_damaged_build_is_built_again(cache, harm):
    folder = cache_dir() / "base-1"
    build(folder)
    (folder / "file").unlink() if harm == "delete" else (folder / "file").write_bytes(b"")
    assert not assets.complete(folder)
    assert build(folder)
    assert assets.complete(folder)


def test_an_interrupted_build_leaves_nothing(cache):
    folder = cache_dir() / "base-1"
    with pytest.raises(KeyboardInterrupt), assets.building(folder, Quiet()) as fresh:
        (fresh / "file").write_bytes(b"half")
        raise KeyboardInterrupt
    assert sorted(p.name for p in cache_dir().iterdir()) == ["CACHEDIR.TAG", "build.lock"]


def test_what_a_killed_build_left_is_removed_by_the_next(cache):
    (cache_dir() / "base-0.new").mkdir()
    build(cache_dir() / "base-1")
    assert not (cache_dir() / "base-0.new").exists()


def test_a_full_disk_says_so_and_leaves_nothing(cache):
    building = assets.building(cache_dir() / "base-1", Quiet())
    with pytest.raises(SandboxError, match="make room") as caught, building:
        raise OSError(28, "No space left on device")
    assert "No space left" in caught.value.why
    assert sorted(p.name for p in cache_dir().iterdir()) == ["CACHEDIR.TAG", "build.lock"]


def test_too_little_room_is_said_before_the_work(cache, monkeypatch):
    monkeypatch.setattr(assets, "NEEDED_BYTES", 10**18)
    with pytest.raises(SandboxError, match="could not be written"):
        build(cache_dir() / "base-1")


def test_two_builders_build_once(cache):
    folder = cache_dir() / "base-1"
    with (cache_dir() / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        results = []
        threads = [threading.Thread(target=lambda: results.append(build(folder))) for _ in range(2)]
        for thread in threads:
            thread.start()
        fcntl.flock(lock, fcntl.LOCK_UN)
    for thread in threads:
        thread.join(10)
    assert len([fresh for fresh in results if fresh]) == 1


def test_an_older_build_is_pruned_unless_in_use(cache):
    first, second, third = (cache_dir() / f"base-{n}" for n in range(3))
    build(first)
    with assets.hold(first):
        build(second)
        assert first.exists()
    build(third)
    assert not first.exists()
    assert not second.exists()


def test_the_snapshots_used_last_are_kept(cache):
    folders = [cache_dir() / f"snapshot-{n}" for n in range(6)]
    for age, folder in enumerate(folders[:5]):
        build(folder)
        os.utime(folder, (1000 - age, 1000 - age))
    with assets.hold(folders[4]):
        pass
    build(folders[5])
    assert [folder.exists() for folder in folders] == [True, True, False, False, True, True]


def test_a_snapshot_goes_with_the_very_build_of_the_base_that_it_was_taken_on(cache, monkeypatch):
    """In its memory is what the guest read of that root; a root built again is another one."""
    monkeypatch.setattr(qemu, "version", lambda: "10.0")
    base = cache / "base-1"
    base.mkdir(parents=True)

    def made_anew():
        (base / "root").unlink(missing_ok=True)
        command = [assets.which("mke2fs"), "-q", "-t", "ext4", base / "root", "1M"]
        subprocess.run(command, check=True, capture_output=True)
        return snapshot.path(plan.recipe(2), base, "tcg")

    first = made_anew()
    assert snapshot.path(plan.recipe(2), base, "tcg") == first
    assert made_anew() != first


def test_what_is_built_needs_no_programs_to_build_it(cache, monkeypatch):
    """An image of the course has the files, and an account that may not build any."""
    run = {"qemu-system-x86_64", "qemu-img", "mke2fs"}
    monkeypatch.setattr(assets, "which", lambda program: program if program in run else None)
    monkeypatch.setattr(assets, "_KEYRING", cache / "none")
    monkeypatch.setattr(assets.os, "getuid", lambda: 1000)
    assert assets.lacks() == ["mmdebstrap", "uidmap", "debian-archive-keyring"]
    build(assets.base_path())
    assert assets.lacks() == []


def test_the_initramfs_is_a_newc_archive():
    archive = assets._cpio({"init": b"#!", "bin/busybox": b"12345"})
    assert archive.startswith(b"070701")
    assert archive.count(b"070701") == 4
    assert len(archive) % 4 == 0
    assert b"TRAILER!!!" in archive


EXPIRED = (
    "E: Release file for mirror/dists/forky/InRelease is expired (invalid since 3d 2h 1min 7s). "
    "Updates for this repository will not be applied.\n"
)


@pytest.fixture
def mmdebstrap(tmp_path):
    """A command that ends as mmdebstrap does where apt says ``said`` of a list it must check."""

    def command(said):
        path = tmp_path / "mmdebstrap"
        (tmp_path / "said").write_text(said)
        path.write_text(
            f'#!/bin/sh\necho "$*" >> {tmp_path}/runs\n'
            f"case $* in *Check-Valid-Until*) ;; *) cat {tmp_path}/said >&2; exit 25 ;; esac\n"
        )
        path.chmod(0o755)
        return [str(path), "--quiet", "forky"]

    return command


def test_a_mirror_past_its_date_is_used_and_said(mmdebstrap, tmp_path):
    steps = []

    class Told(Quiet):
        def begin(self, text, *, left=None):
            steps.append(text)

    assets._mmdebstrap(mmdebstrap(EXPIRED), tmp_path, Told())
    assert steps == [assets.NOTICE]
    assert len((tmp_path / "runs").read_text().splitlines()) == 2


def test_no_other_failure_turns_the_check_of_the_date_off(mmdebstrap, tmp_path):
    with pytest.raises(SandboxError, match="could not be made"):
        assets._mmdebstrap(mmdebstrap("E: Unable to locate package crun\n"), tmp_path, Quiet())
    assert len((tmp_path / "runs").read_text().splitlines()) == 1
    assert "Valid-Until" not in " ".join(assets.mmdebstrap("forky", "minbase", [], None))


@pytest.mark.parametrize(("said", "status"), [("", 0), (EXPIRED, 0), ("E: No route\n", 1)])
def test_the_image_takes_a_mirror_past_its_date_and_says_so(said, status, tmp_path):
    (tmp_path / "said").write_text(said)
    first = f"{{ cat {tmp_path}/said >&2; [ ! -s {tmp_path}/said ]; }}"
    done = subprocess.run(
        ["sh", "-c", image._dated(first, "echo again")], capture_output=True, text=True, check=False
    )
    assert bool(done.returncode) == bool(status)
    assert done.stdout == (f"{assets.NOTICE}\nagain\n" if said == EXPIRED else "")


def test_a_folder_that_goes_while_it_is_measured_counts_nothing(tmp_path, monkeypatch):
    """As those of a build do, which ``doctor`` may meet."""
    (tmp_path / "file").write_bytes(b"x" * 4096)
    (tmp_path / "gone").mkdir()
    real = os.scandir

    def scandir(path="."):
        if os.fspath(path).endswith("gone"):
            raise FileNotFoundError
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert assets._size(tmp_path) == 4096


def test_what_a_build_mounts_ends_with_it(tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    mount = f"mount -t tmpfs none {place} && touch {place}/there && ls {place}"
    found = assets._run(["sh", "-c", mount], tmp_path)
    # An account that may not mount has nothing to leave behind.
    assert found.stdout == (
        "there\n" if not os.getuid() and child.works(*assets.UNSHARE, "true") else ""
    )
    assert str(place) not in Path("/proc/mounts").read_text()
