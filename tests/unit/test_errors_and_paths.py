import stat

import pytest

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
