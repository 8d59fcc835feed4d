"""The process beside a sandbox."""

import subprocess
import sys
import threading
import time

import pytest

import sandbox
from sandbox.engine import companion
from sandbox.errors import SandboxError
from sandbox.paths import alive_file, new_run_dir, run_dir, state_dir
from tests.alive import HOLDER, alive

pytestmark = pytest.mark.usefixtures("sockets")


def test_a_companion_lives_until_its_process_ends():
    assert not companion.living("held")
    with alive("held"):
        assert companion.living("held")
    assert not companion.living("held")


def test_many_who_ask_at_once_do_not_see_each_other():
    state_dir("none").mkdir(parents=True)
    alive_file("none").touch()
    code = (
        "import sys; from sandbox.engine import companion;"
        "sys.exit(any(companion.living('none') for _ in range(1500)))"
    )
    askers = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(6)]
    assert [asker.wait() for asker in askers] == [0] * 6


def test_many_who_ask_do_not_keep_a_companion_from_starting():
    state_dir("held").mkdir(parents=True)
    alive_file("held").touch()
    asking = True

    def ask():
        while asking:
            companion.living("held")

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            with alive("held") as process:
                assert process.poll() is None
                assert companion.living("held")
    finally:
        asking = False
        for thread in threads:
            thread.join()


def test_a_sandbox_has_one_companion():
    with alive("held"):
        began = time.monotonic()
        second = subprocess.run(
            [sys.executable, "-c", HOLDER, "held"], capture_output=True, text=True, check=False
        )
        assert "BlockingIOError" in second.stderr
        assert time.monotonic() - began < companion.HOLD_SECONDS


def test_a_sandbox_is_found_from_another_environment(sockets, monkeypatch):
    with alive("held"):
        chosen = run_dir("held")
        (sockets / "run").mkdir()
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(sockets / "run"))
        assert new_run_dir("held") != chosen
        assert run_dir("held") == chosen
    # The next one starts where that environment says.
    with alive("held"):
        assert run_dir("held") == new_run_dir("held") != chosen


@pytest.mark.parametrize("said", ["/", "/home/held", "held", "/tmp/wire-by-wire/../held", "\0", ""])
def test_no_other_folder_passes_for_the_sockets(said):
    """It is removed when the sandbox ends."""
    state_dir("held").mkdir(parents=True)
    alive_file("held").write_text(said)
    assert run_dir("held") == new_run_dir("held")


def test_a_recorded_folder_that_others_may_enter_is_refused():
    with alive("held"):
        run_dir("held").parent.chmod(0o755)
        with pytest.raises(SandboxError, match="not private"):
            run_dir("held")


def test_a_living_sandbox_without_its_sockets_is_not_killed(monkeypatch):
    monkeypatch.setattr(companion, "STOP_SECONDS", 0.2)
    with alive("held") as process:
        with pytest.raises(SandboxError, match="nothing can reach it") as caught:
            sandbox.up(1, id="held")
        assert "--fresh" in caught.value.fix
        assert process.poll() is None


def test_who_starts_it_a_moment_later_finds_it(monkeypatch):
    """Two calls may find a relay ended, and each starts one."""
    with alive("held"):
        run_dir("held").mkdir()
        (run_dir("held") / "engine.sock").touch()
        companion.launch("sandbox.engine.relay", "held", {"daemon": {}})
    with pytest.raises(SandboxError, match="ended at once"):
        companion.launch("no.such.module", "held", {})
