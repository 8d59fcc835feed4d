import stat

import pytest
from platformdirs.macos import MacOS
from platformdirs.unix import Unix

from sandbox import paths, steps
from sandbox.errors import SandboxError


def test_an_error_says_what_why_and_what_to_do():
    error = SandboxError("It broke.", why="a reason", fix="a command")
    assert str(error) == "It broke.\nWhy: a reason\nWhat to do: a command"
    assert error._render_traceback_() == [f"SandboxError: {error}"]


def test_the_cache_can_be_put_elsewhere(cache):
    assert paths.cache_dir() == cache
    assert cache.is_dir()


def test_a_cache_that_cannot_be_made_is_one_message(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("WIRE_BY_WIRE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(SandboxError, match="WIRE_BY_WIRE_CACHE"):
        paths.cache_dir()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An account that has set nothing."""
    for name in ("WIRE_BY_WIRE_CACHE", "WIRE_BY_WIRE_DATA", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


PLACES = {
    "linux": (Unix, ".cache", ".local/share"),
    "darwin": (MacOS, "Library/Caches", "Library/Application Support"),
}


@pytest.mark.parametrize("platform", PLACES)
def test_each_platform_has_its_own_place_for_a_cache_and_for_data(home, monkeypatch, platform):
    """What somebody has learned is found again by the next version of the course."""
    usual, cache, data = PLACES[platform]
    monkeypatch.setattr(paths.sys, "platform", platform)
    assert paths.cache_dir() == home / cache / "wire-by-wire"
    assert paths.data_dir() == home / data / "wire-by-wire"
    assert paths.cache_dir() == usual("wire-by-wire").user_cache_path
    assert paths.data_dir() == usual("wire-by-wire").user_data_path


@pytest.mark.parametrize("platform", PLACES)
def test_on_linux_those_places_can_be_named(home, monkeypatch, platform):
    _, cache, data = PLACES[platform]
    monkeypatch.setattr(paths.sys, "platform", platform)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "c"))
    monkeypatch.setenv("XDG_DATA_HOME", "~/d")
    named = platform == "linux"
    assert paths.cache_dir() == home / ("c" if named else cache) / "wire-by-wire"
    assert paths.data_dir() == home / ("d" if named else data) / "wire-by-wire"


def test_sockets_live_in_a_private_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert stat.S_IMODE(paths.run_root().stat().st_mode) == 0o700


def test_a_folder_open_to_others_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    paths.run_root().chmod(0o755)
    with pytest.raises(SandboxError, match="not private"):
        paths.run_root()


def test_a_path_too_long_for_a_socket_is_said_beforehand(tmp_path, monkeypatch):
    deep = tmp_path / ("x" * 90)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    with pytest.raises(SandboxError, match="too long for a socket"):
        paths.run_dir("default")


def test_a_long_step_says_what_it_does_and_the_time_left(capsys):
    steps.TextSteps().begin("Building", left=12.4)
    assert "Building, about 12 s left" in capsys.readouterr().err
