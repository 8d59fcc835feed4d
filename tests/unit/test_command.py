"""What a hostile newcomer gives the command lines: each time one message, and a status."""

import os
import runpy
import subprocess
import sys

import pytest

from sandbox.__main__ import main
from sandbox.errors import SandboxError
from sandbox.labs.__main__ import main as labs

BAD = [
    ["up", "--hosts", "0"], ["up", "--hosts", "-1"], ["up", "--hosts", "two"],
    ["up", "--hosts", ""], ["up", "--id", "../x"], ["status", "--id", "a b"],
    ["status", "--id", "\udcff"], ["down", "--id", "\n"], ["reset", "--id", "Ä"],
    ["doctor", "--id", "BAD"], ["shell", ""], ["shell", "host-z", ""], ["build", "--hosts", "9"],
    ["report", "--file", "/proc"], ["report", "--file", ""], ["report", "--file", "/\udcff/x"],
    ["wall", "--port", "²"], ["wall", "--port", "70000"], ["wall", "--file", "/proc/x"],
    ["wall", "--file", "", "--port", "0"], ["wall", "--host", "a..b", "--port", "0"],
    ["wall", "--host", "\udcff", "--port", "0"], ["wall", "--host", "a" * 300, "--port", "0"],
    ["wall", "--host", "192.0.2.1", "--port", "0"], ["nosuch"], [],
]  # fmt: skip
BAD_LABS = [
    ["grade", ""], ["grade", "/proc"], ["grade", "\udcff.ipynb"], ["grade", "/dev/null"],
    ["grade-all", "nosuch"], ["grade-all", "/proc", "-j", "²"],
    ["grade-all", "/proc", "--shard", "²/³"], ["source", "--course", "/proc/x"],
    ["source", "nosuch"], ["job", "/dev/null", "--image", "x", "--claim", "y"],
]  # fmt: skip


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(
    ("run", "words"), [*((main, it) for it in BAD), *((labs, it) for it in BAD_LABS)]
)
def test_bad_words_are_one_message(capsys, run, words):
    try:
        status = run(words)
    except SystemExit as ended:
        # argparse has said it, after how the command is used.
        status = ended.code
        assert "usage: " in capsys.readouterr().err
        assert status == 2
    else:
        said = capsys.readouterr().err
        assert status in (1, 2)
        assert said.count("sandbox: ") == 1
        assert "Traceback" not in said
        assert " invalid _" not in said


def ran(command, module="sandbox", shell="exec", **environ):
    """How the command ends in a shell, and what it says there on standard error."""
    found = subprocess.run(
        [
            "bash",
            "-o",
            "pipefail",
            "-c",
            command.replace("RUN", f'{shell} "$@"'),
            "bash",
            sys.executable,
            "-m",
            module,
        ],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in found.stderr
    assert "ignored" not in found.stderr
    return found.returncode, found.stderr


@pytest.fixture(params=["", "1"], ids=["buffered", "unbuffered"])
def buffered(request, sockets):
    return {"PYTHONUNBUFFERED": request.param}


LISTS = {"sandbox": ("status", 1), "sandbox.labs": ("list", 0)}


@pytest.mark.parametrize("module", LISTS)
def test_a_reader_that_left_is_no_failure(buffered, module):
    command, status = LISTS[module]
    code, said = ran(f"RUN {command} | head -0", module, shell="", **buffered)
    assert said == ""
    assert code in (0, status)


@pytest.mark.parametrize("module", LISTS)
def test_output_that_cannot_be_written_is_said(buffered, module):
    command, _ = LISTS[module]
    code, said = ran(f"RUN {command} > /dev/full", module, **buffered)
    assert code in (1, 2)
    assert said == ("sandbox: The output cannot be written.\nWhy: No space left on device\n")


@pytest.mark.usefixtures("sockets")
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-"])
def test_closed_streams_change_nothing(closed):
    assert ran(f"RUN status {closed}") == (1, "")


@pytest.mark.parametrize("module", LISTS)
def test_all_streams_closed_change_nothing_in_either_command(buffered, module):
    command, status = LISTS[module]
    assert ran(f"RUN {command} >&- 2>&- <&-", module, **buffered) == (status, "")


@pytest.mark.usefixtures("sockets")
@pytest.mark.parametrize(
    "place",
    [
        "mkdir gone; cd gone; rmdir ../gone;",
        "cd /proc;",
        "unset HOME TERM;",
        "export LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0;",
    ],
)
def test_an_odd_place_changes_nothing(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    assert ran(f"{place} RUN status") == (1, "")
    code, said = ran(f"{place} RUN up --id 'Ä'")
    assert (code, said.count("\n")) == (1, 3)


@pytest.mark.parametrize("name", ["WIRE_BY_WIRE_CACHE", "XDG_CACHE_HOME"])
@pytest.mark.parametrize("words", [["status"], ["doctor"], ["down"], ["up"]], ids=str)
def test_an_account_without_a_home_is_told_so(monkeypatch, capsys, name, words):
    def nobody(_id):
        raise KeyError

    for variable in ("HOME", "WIRE_BY_WIRE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("pwd.getpwuid", nobody)
    if name == "WIRE_BY_WIRE_CACHE":
        monkeypatch.setenv(name, "~nosuch/cache")
    assert main(words) == 1
    said = capsys.readouterr().err
    assert said.count("has no home folder") == 1


@pytest.mark.usefixtures("cache")
def test_interrupt_is_one_line(monkeypatch, capsys):
    def interrupt(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr("sandbox.hosts.sandbox.reset", interrupt)
    assert main(["reset"]) == 130
    assert capsys.readouterr().err == "sandbox: interrupted\n"


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(
    ("script", "build"),
    [("drift", "sandbox.engine.vm.VMEngine.build"), ("newer_qemu", "sandbox.engine.assets.base")],
)
def test_a_script_whose_build_fails_says_why_in_one_message(monkeypatch, capsys, script, build):
    def fail(*_arguments, **_options):
        raise SandboxError("host-a was not ready.", why="it was busy")

    monkeypatch.setattr(build, fail)
    monkeypatch.setattr("sys.argv", [script])
    # A developer's last drift stays.
    monkeypatch.setattr("shutil.rmtree", lambda *_arguments, **_options: None)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(f"scripts/{script}.py", run_name="__main__")
    assert ended.value.code == 1
    assert capsys.readouterr().err == "sandbox: host-a was not ready.\nWhy: it was busy\n"
