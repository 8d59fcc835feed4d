"""What status and reset make of a sandbox that hangs or has ended; no VM."""

import json
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

import sandbox
from sandbox import status as module
from sandbox.engine import companion
from sandbox.engine.base import EngineState, Site
from sandbox.engine.vm import LAST, VMEngine
from sandbox.errors import SandboxError
from sandbox.hosts.host import Host
from sandbox.paths import state_dir


def test_hosts_that_hang_are_asked_at_once_and_not_for_long(tmp_path, monkeypatch):
    names = ("host-a", "host-b", "host-c", "host-d")
    listeners = [companion.bind(tmp_path / f"{name}.sock") for name in names]
    found = SimpleNamespace(
        hosts=names,
        engine="vm",
        internet=False,
        host=lambda name: Host(
            name, "198.18.0.11", f"unix://{tmp_path}/{name}.sock", str(tmp_path / f"{name}.sock")
        ),
    )
    state = EngineState("unix:///none", Site("", {}, ""), "", 0, names, internet=False)
    monkeypatch.setattr(module, "find_with_state", lambda _id: (found, state))
    monkeypatch.setattr(module, "ANSWER_SECONDS", 1)
    began = time.monotonic()
    rows = module.status("s")["hosts"]
    assert time.monotonic() - began < 3
    assert [row["problem"] for row in rows] == [f"{name} does not answer." for name in names]
    for listener in listeners:
        listener.close()


def test_reset_starts_again_what_ended_by_itself_and_nothing_that_was_removed(cache, monkeypatch):
    begun = []

    def begin(_engine, id, recipe, *, internet, steps):
        begun.append((id, recipe.hosts, internet))

    monkeypatch.setattr(VMEngine, "reset", begin)
    with pytest.raises(SandboxError, match="is not running"):
        sandbox.reset(id="s")
    state_dir("s").mkdir(parents=True)
    for damaged in ("", "[]", '{"hosts": 3}'):
        (state_dir("s") / LAST).write_text(damaged)
        with pytest.raises(SandboxError, match="is not running"):
            sandbox.reset(id="s")
    (state_dir("s") / LAST).write_text(json.dumps({"hosts": 3, "internet": True}))
    sandbox.reset(id="s")
    assert begun == [("s", ("host-a", "host-b", "host-c"), True)]


@pytest.mark.parametrize("name", ["supervisor", "relay"])
def test_what_runs_beside_a_sandbox_is_not_imported_by_it(name):
    """Python warns, in the log, of a program that is run and was imported before."""
    module = f"sandbox.engine.{name}"
    code = f"import sys, sandbox.__main__, sandbox.status; print({module!r} in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
