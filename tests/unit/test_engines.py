"""A new engine is one module: one that is made up here goes through every command."""

import ast
import json
from pathlib import Path

import pytest

import sandbox
from sandbox import report
from sandbox.__main__ import main
from sandbox.engine import choose
from sandbox.engine.base import Engine, EngineState, Report, Site
from sandbox.engine.choose import ENGINES
from sandbox.errors import SandboxError
from sandbox.hosts import capabilities
from sandbox.paths import state_dir
from sandbox.steps import Quiet

PACKAGE = Path(sandbox.__file__).parent
# What is not an engine's own: the seam, and what all engines and their hosts have between them.
SEAM = {"base", "choose", "companion", "link"}


class Toy(Engine):
    """An engine whose sandboxes are names in a dictionary; no host of theirs answers."""

    name = "toy"
    logs = ("toy.log",)

    def __init__(self):
        self.boxes, self.lacks, self.left, self.looks = {}, None, ["the toy's box"], 0

    def problem(self):
        return self.lacks

    def report(self):
        facts = {"works": True, "packages": {"toy": "1"}}
        return Report(self.lacks, "it is in this room", facts, ("Toy: 3 bricks",), ("buy bricks",))

    def packages(self):
        return ["toy: 1.0"]

    def build(self, recipe, steps):
        return f"a box of {len(recipe.hosts)} bricks"

    def purge(self):
        gone, self.left = self.left, []
        return gone

    def start(self, sandbox_id, recipe, *, internet, steps):
        self.boxes[sandbox_id] = EngineState(
            "unix:///none", Site("", {}, ""), "of wood", 0, recipe.hosts, internet
        )
        return self.boxes[sandbox_id]

    reset = start

    def remove(self, sandbox_id):
        self.boxes.pop(sandbox_id, None)

    def state(self, sandbox_id):
        self.looks += 1
        return self.boxes.get(sandbox_id)

    def last_words(self, sandbox_id):
        return "it is a toy"

    def host_url(self, sandbox_id, host):
        return "unix:///none/engine.sock"

    def agent_path(self, sandbox_id, host):
        return "/none/agent.sock"


@pytest.fixture
def toy(monkeypatch, sockets):
    made = Toy()
    monkeypatch.setitem(ENGINES, "toy", made)
    monkeypatch.setenv("SANDBOX_ENGINE", "toy")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{sockets}/none.sock")
    return made


def test_it_goes_through_every_command(toy, capsys):
    assert main(["build"]) == 0
    assert "a box of 2 bricks" in capsys.readouterr().err
    assert main(["build", "--pack", "folder"]) == 1
    assert "Only the embedded VM's files can be packed." in capsys.readouterr().err
    assert main(["up", "--id", "mine"]) == 0
    assert capsys.readouterr().out == "host-a 198.18.0.11\nhost-b 198.18.0.12\n"
    box = sandbox.find("mine")
    assert (box.engine, box.hosts) == ("toy", ("host-a", "host-b"))
    assert main(["status", "--id", "mine"]) == 1
    said = capsys.readouterr().out
    assert said.startswith(
        "mine: engine toy (of wood)\nhost-a  198.18.0.11  host-a does not answer"
    )
    assert main(["reset", "--id", "mine"]) == 0
    assert main(["down", "--id", "mine"]) == 0
    assert capsys.readouterr().out == "mine is removed\n"
    assert sandbox.find("mine") is None
    assert main(["down", "--id", "mine", "--cache"]) == 0
    assert "\nthe toy's box is removed\n" in capsys.readouterr().out
    assert toy.left == []


def test_doctor_and_the_bug_report_say_what_it_says_of_itself(toy, tmp_path, capsys):
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    for line in ("Engine: toy (SANDBOX_ENGINE=toy)", "Toy: 3 bricks", "To get more: buy bricks"):
        assert f"{line}\n" in said
    main(["doctor", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["toy"] == {"works": True, "packages": {"toy": "1"}}
    state_dir("mine").mkdir(parents=True)
    (state_dir("mine") / "toy.log").write_text("click\n")
    text = report.write(tmp_path / "report.txt").read_text()
    assert "toy.works: True\n" in text
    assert "toy.packages" not in text
    assert "\ntoy: 1.0\n" in text
    assert "the end of toy.log ==\nclick\n" in text


def test_it_is_chosen_by_its_place_in_the_table(toy, monkeypatch):
    monkeypatch.setenv("SANDBOX_ENGINE", "")
    monkeypatch.setattr("sandbox.engine.vm.assets.lacks", lambda: ["qemu-system-x86"])
    assert choose.choose("mine") is toy
    assert choose.reason(toy, choose.reports()) == (
        "no Docker can be used, and the embedded VM misses programs"
    )
    # A sandbox goes on there though another Docker was named since.
    runs_on = ENGINES["docker"]
    assert choose.reason(runs_on, choose.reports()) == "the sandbox runs on it already"
    toy.lacks = SandboxError("The toy is broken.", why="it fell", fix="glue it")
    with pytest.raises(SandboxError) as caught:
        choose.choose("mine")
    assert caught.value.what == (
        "No engine works here: no Docker can be used, and the embedded VM misses programs, and the "
        "toy is broken."
    )
    assert caught.value.why.startswith(
        "it fell; missing: qemu-system-x86; No Docker Engine answers"
    )
    assert caught.value.fix.startswith("glue it; or sudo apt install")
    monkeypatch.setenv("SANDBOX_ENGINE", "toy")
    with pytest.raises(SandboxError, match="SANDBOX_ENGINE is toy, and the toy is b") as caught:
        choose.choose("mine")
    assert (caught.value.why, caught.value.fix) == ("it fell", "glue it")
    monkeypatch.setenv("SANDBOX_ENGINE", "train")
    with pytest.raises(SandboxError, match="it has to be docker, vm or toy"):
        choose.choose("mine")


def test_what_its_hosts_lack_is_to_be_had_where_it_says(toy, monkeypatch):
    lacking = {"ipvlan": "no such module"}
    monkeypatch.setattr(capabilities, "probe", lambda _host, _needs: lacking)
    for elsewhere, fix in (
        ("", ""),
        ("go next door", "for hosts that have them, go next door, and run this again"),
    ):
        monkeypatch.setattr(toy, "elsewhere", lambda where=elsewhere: where)
        with pytest.raises(SandboxError, match="lack: ipvlan interfaces") as caught:
            sandbox.up(1, needs={"ipvlan"}, id="mine", steps=Quiet())
        assert caught.value.fix == fix


def test_what_it_knows_of_a_sandbox_that_does_not_run_counts(toy, monkeypatch, capsys):
    monkeypatch.setattr(toy, "ended", lambda _id: (3, True))
    sandbox.reset(id="mine")
    assert (len(toy.boxes["mine"].hosts), toy.boxes["mine"].internet) == (3, True)
    state_dir("other").mkdir(parents=True)
    monkeypatch.setattr(toy, "recorded", lambda id: id == "other")
    assert main(["down", "--id", "mine", "--cache"]) == 1
    assert "in use by: other" in capsys.readouterr().err


def test_what_it_cannot_remove_is_said_and_its_record_stays(toy, monkeypatch, capsys):
    def refuse(_id):
        raise SandboxError("The bricks are glued.")

    state_dir("mine").mkdir(parents=True)
    monkeypatch.setattr(toy, "remove", refuse)
    assert main(["down", "--id", "mine"]) == 1
    assert "mine is not removed. The bricks are glued." in capsys.readouterr().err
    assert state_dir("mine").exists()


def test_one_look_is_enough_for_a_command(toy, capsys):
    sandbox.up(2, id="mine", steps=Quiet())
    for words in (["status"], ["doctor"], ["up"], ["build"]):
        toy.looks = 0
        main([*words, "--id", "mine"])
        assert (words, toy.looks) == (words, 1)


def test_an_engine_that_lacks_what_others_ask_for_cannot_be_made():
    with pytest.raises(TypeError, match="host_url"):
        type("Half", (Engine,), {"name": "half"})()


def outside():
    """Each module but the engines', as a tree."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.parent.name != "engine":
            yield path.relative_to(PACKAGE), ast.parse(path.read_text())


def test_nobody_else_imports_an_engines_module():
    for path, tree in outside():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "sandbox.engine":
                assert {alias.name for alias in node.names} <= SEAM, path
            elif isinstance(node, ast.ImportFrom) and node.module:
                package, _, name = node.module.rpartition(".")
                assert package != "sandbox.engine" or name in SEAM, path


def test_nobody_else_asks_for_an_engines_name():
    for path, tree in outside():
        for node in ast.walk(tree):
            if isinstance(node, ast.Compare):
                sides = {
                    it.value
                    for it in (node.left, *node.comparators)
                    if isinstance(it, ast.Constant)
                }
                assert not sides & ENGINES.keys(), (path, node.lineno)
