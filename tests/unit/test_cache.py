"""The cache is a folder of our own, and what is deleted there is ours."""

import fcntl
import shutil
import subprocess

import pytest

from sandbox.__main__ import main
from sandbox.engine import assets
from sandbox.engine.docker import DockerEngine
from sandbox.errors import SandboxError
from sandbox.paths import TAG, cache_dir, marked, state_dir
from sandbox.steps import Quiet
from tests.alive import alive


@pytest.fixture(autouse=True)
def _no_docker(monkeypatch):
    monkeypatch.setattr(DockerEngine, "problem", staticmethod(lambda: SandboxError("none here")))


@pytest.fixture
def shared(cache):
    """The folder that WIRE_BY_WIRE_CACHE names, with files of somebody else."""
    folder = cache.parent
    for name in ("paper.new", "base-5", "sandboxes", "snapshot-0123456789ab"):
        (folder / name).mkdir(parents=True)
        (folder / name / "precious").write_text("work of years")
    (folder / "build.lock").touch()
    (folder / "thesis.txt").touch()
    return folder


def files(folder):
    return sorted(str(it.relative_to(folder)) for it in folder.rglob("*"))


def names(folder):
    return sorted(it.name for it in folder.iterdir())


def test_a_shared_folder_keeps_all_that_is_not_ours(shared):
    before = files(shared)
    with assets.locked(Quiet()):
        (cache_dir() / "base-1.new").mkdir()
    state_dir("x").mkdir(parents=True)
    with assets.locked(Quiet()):
        assert not (cache_dir() / "base-1.new").exists()
    assert main(["down", "--all", "--cache"]) == 0
    assert files(shared) == before


def test_files_of_others_in_our_own_folder_stay_and_are_named(cache, capsys):
    for name in ("paper.new", "base-camp", "snapshots"):
        (cache_dir() / name).mkdir()
        (cache_dir() / name / "precious").touch()
    with assets.locked(Quiet()):
        pass
    (cache_dir() / "base-0123456789ab").mkdir()
    assert main(["down", "--cache"]) == 0
    assert names(cache) == [TAG, "base-camp", "paper.new", "snapshots"]
    assert "base-camp, paper.new, snapshots" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["base-0123456789ab", "sandboxes", "accelerator.json"])
def test_a_link_is_removed_and_never_followed(cache, tmp_path, name):
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "x").mkdir(parents=True)
    (cache_dir() / name).symlink_to(elsewhere)
    (cache_dir() / "snapshot-0123456789ab").mkdir()
    (cache_dir() / "snapshot-0123456789ab" / "inside").symlink_to(elsewhere)
    assert assets.clear() == []
    assert not cache.exists()
    assert files(elsewhere) == ["x"]


def test_the_cache_is_tagged_for_back_ups(cache):
    tag = (cache_dir() / TAG).read_bytes()
    # What the specification asks for: exactly these 43 octets first.
    assert tag[:43] == b"Signature: 8a477f597d28d172789f06886806bc55"


def test_a_folder_that_is_not_ours_is_neither_used_nor_deleted(cache):
    cache.mkdir(parents=True)
    (cache / "thesis.txt").touch()
    with pytest.raises(SandboxError, match="is not a cache of the course") as caught:
        cache_dir()
    assert "thesis.txt" in str(caught.value)
    assert main(["down", "--all", "--cache"]) == 1
    assert names(cache) == ["thesis.txt"]


def test_the_tag_of_another_program_is_not_ours(cache):
    cache.parent.mkdir()
    (cache.parent / TAG).write_text("Signature: 8a477f597d28d172789f06886806bc55\n# of another\n")
    assert cache_dir() == cache
    assert "another" in (cache.parent / TAG).read_text()


def test_our_own_folder_may_be_named_itself(cache, monkeypatch):
    monkeypatch.setenv("WIRE_BY_WIRE_CACHE", str(cache_dir()))
    assert cache_dir() == cache


def test_a_cache_of_an_earlier_version_goes_on_working(tmp_path, monkeypatch):
    monkeypatch.delenv("WIRE_BY_WIRE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    earlier = tmp_path / "wire-by-wire"
    for name in ("base-d0f2582ebb8f", "snapshot-6995bb7e9e1a", "sandboxes/default"):
        (earlier / name).mkdir(parents=True)
    (earlier / "build.lock").touch()
    assert cache_dir() == earlier
    assert marked(earlier)
    assert (earlier / "base-d0f2582ebb8f").exists()


def test_the_named_folder_of_an_earlier_version_goes_on_working(cache):
    earlier = cache.parent
    (earlier / "base-d0f2582ebb8f").mkdir(parents=True)
    (earlier / "build.lock").touch()
    assert cache_dir() == earlier
    assert marked(earlier)


def test_the_cache_stays_while_another_sandbox_lives(cache, sockets, capsys):
    (cache_dir() / "base-0123456789ab").mkdir()
    with alive("other"):
        assert main(["down", "--id", "mine", "--cache"]) == 1
        said = capsys.readouterr()
        assert "in use by: other" in said.err
        assert "down --all --cache" in said.err
        assert said.out == ""
        assert (cache / "base-0123456789ab").exists()
    assert main(["down", "--id", "mine", "--cache"]) == 0
    assert not cache.exists()


def test_the_cache_stays_while_another_sandbox_starts(cache, capsys):
    state_dir("other").mkdir(parents=True)
    with (state_dir("other") / "start.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert main(["down", "--id", "mine", "--cache"]) == 1
    assert "in use by: other" in capsys.readouterr().err


def test_the_cache_stays_while_it_is_built(cache, capsys):
    (cache_dir() / "base-0123456789ab").mkdir()
    with assets.locked(Quiet()):
        assert main(["down", "--cache"]) == 1
    assert "are being built" in capsys.readouterr().err
    assert (cache / "base-0123456789ab").exists()


def test_what_could_not_be_deleted_is_said(cache, capsys, monkeypatch):
    def refuse(path):
        """As on a file system that became read-only."""
        raise PermissionError(13, "Permission denied", str(path))

    (cache_dir() / "base-0123456789ab").mkdir()
    monkeypatch.setattr(assets, "_delete", refuse)
    assert main(["down", "--cache"]) == 1
    said = capsys.readouterr()
    assert "base-0123456789ab" in said.err
    assert "are deleted" not in said.out


@pytest.mark.parametrize("marked_itself", [False, True])
def test_what_is_installed_depends_on_the_files_in_that_folder(cache, tmp_path, marked_itself):
    """scripts/system-packages asks for nothing to build with where all is built."""
    (cache_dir() / "base-0123456789ab").mkdir()
    (cache_dir() / "base-0123456789ab" / "sizes.json").touch()
    named = cache if marked_itself else cache.parent
    # No apt-get is among these programs, so nothing is installed.
    (tmp_path / "bin").mkdir()
    for program in ("grep", "id", "ls"):
        (tmp_path / "bin" / program).symlink_to(shutil.which(program))
    said = subprocess.run(
        [shutil.which("sh"), "-x", "scripts/system-packages"],
        env={
            "PATH": str(tmp_path / "bin"),
            "HOME": "/nowhere",
            "SANDBOX_ENGINE": "vm",
            "WIRE_BY_WIRE_CACHE": str(named),
            "PYTHON": "true",
        },
        capture_output=True,
        text=True,
        check=False,
    ).stderr
    assert "need qemu-img" in said
    assert "need mmdebstrap" not in said
