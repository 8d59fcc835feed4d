"""``down`` removes what it can, says what it could not, and loses no record of that."""

import json
from types import SimpleNamespace

import pytest
from docker.errors import APIError

from sandbox.__main__ import main
from sandbox.engine import docker
from sandbox.engine.control import SUPERVISOR
from sandbox.engine.docker import DockerEngine
from sandbox.errors import SandboxError
from sandbox.hosts import plan
from sandbox.paths import sandbox_ids, state_dir
from sandbox.steps import Quiet
from tests.alive import alive

pytestmark = pytest.mark.usefixtures("sockets")


@pytest.fixture(autouse=True)
def _no_docker(monkeypatch, sockets):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{sockets}/none.sock")


def on_docker(sandbox_id, text=None):
    """A record of hosts on a Docker that is gone."""
    folder = state_dir(sandbox_id)
    folder.mkdir(parents=True, exist_ok=True)
    daemon = {"url": "unix:///none/docker.sock", "ca": "", "cert": "", "key": "", "origin": "it"}
    settings = {"daemon": daemon, "scope": f"wbw-{sandbox_id}-", "hosts": ["host-a"]}
    (folder / "docker.json").write_text(json.dumps(settings) if text is None else text)
    return folder / "docker.json"


@pytest.mark.parametrize("text", [None, "", "{}", "half of it"])
def test_the_record_of_a_docker_that_is_gone_stays_and_is_told(capsys, text):
    record = on_docker("mine", text)
    assert main(["down", "--id", "mine"]) == 1
    said = capsys.readouterr()
    assert "label=wire-by-wire.sandbox=mine" in said.err
    assert str(record) in said.err
    assert "is removed" not in said.out
    assert record.exists()
    record.unlink()
    assert main(["down", "--id", "mine"]) == 0
    assert sandbox_ids() == []


def test_a_docker_that_is_gone_keeps_no_vm(monkeypatch):
    """A VM and hosts on a Docker may have one id."""
    on_docker("mine")
    (state_dir("mine") / "disk").touch()
    monkeypatch.setattr("sandbox.engine.vm.companion.STOP_SECONDS", 0.3)
    monkeypatch.setattr("sandbox.engine.companion.pids", lambda _module, _id: [process.pid])
    with alive("mine") as process:
        assert main(["down", "--id", "mine"]) == 1
        assert process.wait(5)
    assert not (state_dir("mine") / "disk").exists()


def test_a_docker_that_answers_keeps_no_vm_either(monkeypatch):
    on_docker("mine")
    monkeypatch.setattr(docker.Daemon, "connect", lambda _self: SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(docker, "_remove_all", lambda _client, _id: None)
    monkeypatch.setattr("sandbox.engine.vm.companion.STOP_SECONDS", 0.3)
    with alive("mine") as process:
        pids = {SUPERVISOR: [process.pid]}
        monkeypatch.setattr("sandbox.engine.companion.pids", lambda name, _id: pids.get(name, []))
        assert main(["down", "--id", "mine"]) == 0
        assert process.wait(5)
    assert sandbox_ids() == []


def test_down_all_goes_on_with_the_others(capsys):
    on_docker("a")
    for name in ("b", "c"):
        state_dir(name).mkdir()
    assert main(["down", "--all"]) == 1
    said = capsys.readouterr()
    assert said.out == "b is removed\nc is removed\n"
    assert "a is not removed" in said.err
    assert sandbox_ids() == ["a"]


def test_the_record_outlives_the_cache(cache, capsys):
    record = on_docker("a")
    (cache / "base-0123456789ab").mkdir()
    assert main(["down", "--all", "--cache"]) == 1
    assert record.exists()
    assert not (cache / "base-0123456789ab").exists()
    assert "the records of a stay" in capsys.readouterr().out


def test_a_start_on_another_docker_does_not_forget_the_first(monkeypatch):
    record = on_docker("mine")
    before = record.read_text()
    with pytest.raises(SandboxError, match=r"/none/docker\.sock") as caught:
        DockerEngine().start("mine", plan.recipe(1), internet=False, steps=Quiet())
    assert "down --id mine" in caught.value.fix
    assert record.read_text() == before


def test_what_docker_keeps_does_not_keep_the_rest(monkeypatch):
    gone = []

    def refuse(**_options):
        raise APIError("409", explanation="has active endpoints")

    def thing(name, remove=None):
        return SimpleNamespace(name=name, remove=remove or (lambda **_options: gone.append(name)))

    client = SimpleNamespace(
        containers=SimpleNamespace(list=lambda **_: [thing("x", refuse), thing("y")]),
        networks=SimpleNamespace(list=lambda **_: [thing("lan", refuse), thing("net")]),
        volumes=SimpleNamespace(list=lambda **_: [thing("volume")]),
        close=lambda: None,
    )
    record = on_docker("mine")
    monkeypatch.setattr(docker.Daemon, "connect", lambda _self: client)
    with pytest.raises(SandboxError, match="may have left") as caught:
        DockerEngine().remove("mine")
    assert gone == ["y", "net", "volume"]
    assert "the container x: has active endpoints; the network lan" in caught.value.why
    assert record.exists()


def test_a_folder_that_cannot_be_deleted_is_said(monkeypatch, capsys):
    state_dir("mine").mkdir(parents=True)
    monkeypatch.setattr(
        "sandbox.engine.choose.shutil", SimpleNamespace(rmtree=lambda *_, **__: None)
    )
    assert main(["down", "--id", "mine"]) == 1
    said = capsys.readouterr()
    assert str(state_dir("mine")) in said.err
    assert said.out == ""
