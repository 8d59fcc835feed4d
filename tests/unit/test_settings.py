"""The environment variables of the course: read in one place, documented, told by doctor."""

import ast
import re
from pathlib import Path

import pytest

from sandbox import errors, settings, status
from sandbox.__main__ import main
from sandbox.engine.docker import DockerEngine
from sandbox.errors import SandboxError
from sandbox.settings import SETTINGS

ROOT = Path(__file__).parents[2]
# Python itself reads it.
BY_PYTHON = {"TMPDIR"}


def sources():
    """The modules that run on the learner's machine, parsed."""
    for path in sorted((ROOT / "sandbox").rglob("*.py")):
        if path.relative_to(ROOT / "sandbox").parts[0] != "guest":
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def test_the_table_in_the_readme_is_the_table():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    part = text.partition("## Settings\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \|$", part, re.MULTILINE)
    assert rows == [(it.name, it.purpose, it.default) for it in SETTINGS.values()]


def test_one_module_reads_the_environment():
    """What hands the whole of it on to another program names no variable."""
    reads = re.compile(r"environ(\.get\(|\[|\.setdefault)|getenv")
    found = {path.name for path, _ in sources() if reads.search(path.read_text(encoding="utf-8"))}
    assert found == {"settings.py"}


def test_what_is_in_the_table_is_read_and_what_is_read_is_there():
    read, said = set(), set()
    for path, tree in sources():
        if path.name == "settings.py":
            continue
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Attribute(attr="read", value=ast.Name(id="settings"))):
                    read |= {it.value for it in node.args if isinstance(it, ast.Constant)}
                case ast.Call(func=ast.Name(id="chosen"), args=[ast.Constant(value=name)]):
                    read.add(name)
                case ast.Constant(value=str(name)):
                    said.add(name)
    assert read <= {*SETTINGS}
    assert {*SETTINGS} - BY_PYTHON <= read | said


def test_scripts_and_images_know_no_other_variable_of_ours():
    for path in (ROOT / "Makefile", *(ROOT / "scripts").rglob("*"), *(ROOT / "binder").iterdir()):
        if path.is_file() and "__pycache__" not in path.parts:
            text = path.read_bytes().decode(errors="replace")
            found = {*re.findall(r"\b(?:SANDBOX|WIRE_BY_WIRE)_[A-Z_]+\b", text)}
            assert found <= {*SETTINGS}, path


@pytest.mark.parametrize("name", [it.name for it in SETTINGS.values() if it.takes])
def test_what_a_variable_does_not_take_is_one_message_of_one_form(monkeypatch, name):
    known = SETTINGS[name]
    monkeypatch.setenv(name, "nonsense")
    with pytest.raises(SandboxError, match=f"^{name} is 'nonsense'") as caught:
        errors.chosen(name)
    assert known.takes in caught.value.why
    assert f"export {name}={known.example}; or run unset {name}" in caught.value.fix
    for good in ("", known.example):
        monkeypatch.setenv(name, good)
        assert errors.chosen(name) == good


def test_a_variable_that_is_not_in_the_table_is_not_read():
    with pytest.raises(KeyError):
        settings.read("SANDBOX_ENGIN")


def test_doctor_tells_what_is_set_and_no_secret(cache, monkeypatch, capsys):
    monkeypatch.setattr(DockerEngine, "problem", staticmethod(lambda: SandboxError("none here")))
    for name in SETTINGS:
        if name not in ("HOME", "TMPDIR", "WIRE_BY_WIRE_CACHE", "SANDBOX_ID"):
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SANDBOX_ENGINE", "vm")
    monkeypatch.setenv("DOCKER_HOST", "tcp://ada:hunter@22@10.1.2.3:2375")
    told = settings.given()
    assert {*told} == {
        "SANDBOX_ENGINE",
        "SANDBOX_ID",
        "DOCKER_HOST",
        "WIRE_BY_WIRE_CACHE",
        "TMPDIR",
    }
    assert told["DOCKER_HOST"] == "tcp://[secret]@10.1.2.3:2375"
    assert status.doctor("unit-none")["settings"] == told
    main(["doctor", "--id", "unit-none"])
    said = capsys.readouterr().out
    assert "\nSet: SANDBOX_ENGINE=vm\n" in said
    assert "Set: DOCKER_HOST=tcp://[secret]@10.1.2.3:2375\n" in said
