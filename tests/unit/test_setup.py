"""What make does before the course can run: a Python that is too old, a .venv that cannot stay."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def course(tmp_path):
    """The course's scripts in a folder with an unusual name, and a PATH without a Python."""
    folder = tmp_path / "my “course”, it's $HOME"
    (folder / "scripts").mkdir(parents=True)
    for name in ("python", "venv", "system-packages"):
        shutil.copy(ROOT / "scripts" / name, folder / "scripts")
    shutil.copy(ROOT / "pyproject.toml", folder)
    # It installs for the machine; here it only tells that it was asked.
    (folder / "scripts/system-packages").write_text('#!/bin/sh\necho "$PYTHON" > asked\n')
    (tmp_path / "bin").mkdir()
    for name in ("sh", "sed", "dirname", "tr", "cat"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    return folder


def command(course, name, text):
    path = course.parent / "bin" / name
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def old(course, name="python3"):
    """A Python 3.10: it says its version, and takes no other word for it."""
    command(course, name, "case $2 in *print*) echo 3.10 ;; *) exit 1 ;; esac")


def new(course, name="python3"):
    # Without pip, a .venv is there at once.
    venv = f'{sys.executable} "$@" --without-pip'
    command(course, name, f'[ "$2" = venv ] && exec {venv}; exec {sys.executable} "$@"')


def venv(course, *arguments):
    return subprocess.run(
        [course / "scripts/venv", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": str(course.parent / "bin")},
    )


def finish(course):
    """As the last line of the set-up does."""
    (course / ".venv/ready").write_text(f"{course}\n")


@pytest.mark.parametrize("name", ["", "python3"])
def test_a_python_that_is_too_old_is_one_message_and_nothing_is_made(course, name):
    old(course)
    done = venv(course, name)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert "needs Python 3.11 or newer (here: python3 is 3.10)" in done.stderr
    assert not (course / ".venv").exists()
    assert not (course / "asked").exists()


def test_no_python_is_one_message(course):
    assert "(here: no python3)" in venv(course).stderr


def test_a_newer_one_that_is_there_is_used(course):
    old(course)
    new(course, "python3.11")
    assert venv(course).returncode == 0
    assert (course / "asked").read_text() == "python3.11\n"
    finish(course)
    assert venv(course, "--check").returncode == 0


def test_a_venv_that_cannot_stay_is_made_again(course):
    new(course)
    assert venv(course).returncode == 0
    mine = course / ".venv/mine"
    mine.write_text("")
    # Half-made: its last line is missing.
    assert venv(course, "--check").returncode == 1
    assert venv(course).returncode == 0
    assert not mine.exists()
    finish(course)
    mine.write_text("")
    assert venv(course).returncode == 0
    assert mine.exists()
    python = course / ".venv/bin/python"
    python.unlink()
    python.symlink_to("/no/such/python")
    assert venv(course, "--check").returncode == 1
    assert venv(course).returncode == 0
    assert not mine.exists()
    finish(course)
    python.unlink()
    python.write_text((course.parent / "bin/python3").read_text().replace("exec", "exit 1 #"))
    assert venv(course, "--check").returncode == 1


def test_a_course_that_was_moved_makes_another_venv(course):
    new(course)
    venv(course)
    finish(course)
    moved = course.rename(course.with_name("elsewhere"))
    assert venv(moved, "--check").returncode == 1
