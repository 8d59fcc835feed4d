"""Advice works when it is followed, and is written in the language of where it is read."""

import ast
import inspect
import operator
import re
import shlex
import sys
from pathlib import Path

import pytest

import sandbox
from sandbox import errors
from sandbox.__main__ import _parser
from sandbox.labs.__main__ import main as labs
from sandbox.settings import SETTINGS

PACKAGE = Path(sandbox.__file__).parent
# What these make is written for its place.
WRITERS = ("advice", "course", "setting", "shell", "written")
COMMANDS = re.compile(
    r"python -m sandbox|\bsudo |\b(un)?set [A-Z_]{4}|\bexport [A-Z_]{4}|[A-Z]_[A-Z_]+=[a-z]"
)
# These have a command that does the same.
TWICE = re.compile(r"sandbox\.(up|down|reset)\(")


def sources():
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.relative_to(PACKAGE).parts[0] not in ("guest", "errors.py"):
            yield path, ast.parse(path.read_text())


def text(node):
    """What a string expression says, with 1 for each value, and nothing for advice in it."""
    match node:
        case ast.Constant(value=str(said)):
            return said
        case ast.JoinedStr(values=parts):
            return "".join(map(text, parts))
        case ast.FormattedValue(value=ast.Call(func=ast.Name(id=name))) if name in WRITERS:
            return ""
        case ast.FormattedValue():
            return "1"
        case ast.BinOp(left=left, right=right):
            return text(left) + text(right)
    return ""


def uses():
    """Each use of a writer: where, its name, its positional arguments, its keywords."""
    for path, tree in sources():
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Name(id=name), args=args) if name in WRITERS:
                    given = {it.arg: it.value.value for it in node.keywords}
                    yield f"{path.name}:{node.lineno}", name, args, given


def strings():
    """Each string of the package that may be read by somebody: where, and what it says."""
    for path, tree in sources():
        unread = {id(it.value) for it in ast.walk(tree) if isinstance(it, ast.Expr)} | {
            id(it.value) for it in ast.walk(tree) if getattr(it, "arg", "") == "prog"
        }
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Name(id=name)) if name in WRITERS:
                    unread |= {id(it) for it in ast.walk(node)}
                case ast.JoinedStr(values=parts):
                    unread |= {id(it) for it in parts}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in unread:
                yield f"{path.name}:{node.lineno}", text(node)


def accepted(command):
    """Whether the command line takes these words."""
    words = shlex.split(command)
    _parser().parse_args(words)


def takes(function, call):
    """Raises TypeError if the function does not take that call; … is for what a reader knows."""
    node = ast.parse(call.replace("…", "..."), mode="eval").body
    left_out = any(isinstance(it, ast.Constant) and it.value is ... for it in node.args)
    signature = inspect.signature(function)
    bind = signature.bind_partial if left_out else signature.bind
    bind(*([] if left_out else node.args), **{it.arg: it.value for it in node.keywords})


def test_what_is_the_same_in_both_places_is_in_the_language_of_neither():
    found = [it for it in strings() if COMMANDS.search(it[1]) or TWICE.search(it[1])]
    assert found == []


def test_calls_in_advice_are_calls_of_the_course():
    said = [said for _, said in strings()]
    said += [text(args[0]) for _, name, args, _ in uses() if name == "advice"]
    call = r"\bsandbox(?:\.\w+)+\([^()]*\)"
    found = [it for said_here in said for it in re.findall(call, said_here)]
    assert len(found) > 10
    assert any(call.startswith("sandbox.lessons.") for call in found)
    for call in found:
        name = call.partition("(")[0].removeprefix("sandbox.")
        takes(operator.attrgetter(name)(sandbox), call)


def test_commands_in_advice_are_commands_of_the_course(capsys):
    seen = 0
    for where, name, args, given in uses():
        seen += 1
        if name == "course" and given.get("module"):
            with pytest.raises(SystemExit, match=r"^0$"):
                labs([text(args[0]), "--help"])
        elif name == "course":
            accepted(text(args[0]))
        elif name == "written":
            accepted(f"{text(args[0])} --id x")
            assert callable(getattr(sandbox, text(args[0]))), where
    assert seen > 40


def test_variables_in_advice_are_read_somewhere():
    for where, name, args, _ in uses():
        if name == "setting" and isinstance(args[0], ast.Constant):
            assert args[0].value in SETTINGS, where


OPTIONS = {
    "up": [
        ("3", "--hosts 3"),
        ("internet=True", "--internet"),
        ("fresh=True", "--fresh"),
        ("leave_lab=True", "--leave-lab"),
    ],
    "reset": [],
    "down": [],
}


@pytest.mark.parametrize("id", ["default", "mine"])
@pytest.mark.parametrize("name", OPTIONS)
def test_a_call_is_python_in_a_notebook_and_shell_in_a_terminal(monkeypatch, name, id):
    monkeypatch.delenv("SANDBOX_ID", raising=False)
    monkeypatch.setattr("IPython.get_ipython", object)
    takes(getattr(sandbox, name), errors.written(name, id, *OPTIONS[name]))
    monkeypatch.setattr("IPython.get_ipython", lambda: None)
    python, module, package, *words = shlex.split(errors.written(name, id, *OPTIONS[name]))
    assert (module, package) == ("-m", "sandbox")
    assert Path(python).samefile(sys.executable)
    accepted(shlex.join(words))
    assert ("--id" in words) == (id == "mine")


def test_the_python_of_a_command_is_the_one_that_has_the_course(monkeypatch, tmp_path):
    monkeypatch.setattr("IPython.get_ipython", lambda: None)
    bin = tmp_path / "my course" / "bin"
    bin.mkdir(parents=True)
    for name in ("python", "python3"):
        (bin / name).symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", f"{bin}/python3")
    assert errors.course("up") == f"'{bin}/python3' -m sandbox up"
    monkeypatch.chdir(tmp_path / "my course")
    assert errors.course("up") == "bin/python3 -m sandbox up"
    monkeypatch.setenv("PATH", str(bin))
    assert errors.course("up") == "python -m sandbox up"
    # A folder that is gone is no reason to say nothing.
    monkeypatch.setenv("PATH", "")
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert errors.course("up") == f"'{bin}/python3' -m sandbox up"


def test_a_process_that_nobody_reads_gives_both(monkeypatch):
    monkeypatch.setenv(errors.UNSEEN, "1")
    said = errors.written("reset", errors.default_id())
    assert re.search(
        r'-m sandbox reset --id \S+ \(in a notebook: sandbox\.reset\(id=".+"\)\)$', said
    )


@pytest.mark.parametrize("name", ["SANDBOX_ENGINE", "TMPDIR"])
def test_a_setting_holds_for_what_is_run_next(monkeypatch, name):
    monkeypatch.setattr("IPython.get_ipython", lambda: None)
    assert errors.setting(name, "x") == f"run export {name}=x"
    assert errors.setting(name) == f"run unset {name}"
    monkeypatch.setattr("IPython.get_ipython", object)
    # A kernel has chosen its temporary folder already.
    wanted = "start it from there" if name == "TMPDIR" else f"run %env {name}=x in a cell"
    assert errors.setting(name, "x").endswith(wanted)
