"""JupyterLab trusts the course's notebooks as they came, and no others."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.sign import NotebookNotary

ROOT = Path(__file__).parents[2]
BROKEN = (
    b"no JSON",
    b"",
    b"[]",
    b"null",
    b"{}",
    b"5",
    b'{"cells": 5, "nbformat": 4}',
    b"\xff\xfe",
    b'{"nbformat": 99, "nbformat_minor": 0, "metadata": {}, "cells": []}',
    b'{"nbformat": "x"}',
    b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "code"}]}',
)


@pytest.fixture
def course(tmp_path):
    folder = tmp_path / "course"
    for name in ("lessons", "labs/01-a-lab", "scripts"):
        (folder / name).mkdir(parents=True)
    shutil.copy(ROOT / "scripts/trust.py", folder / "scripts")
    for name in ("lessons/01-as-it-came", "lessons/02-changed", "labs/01-a-lab/01-a-lab"):
        write(folder, name, name)
    for number, text in enumerate(BROKEN):
        (folder / f"lessons/{number}-broken.ipynb").write_bytes(text)
    (folder / "lessons/folder-broken.ipynb").mkdir()
    return folder


def write(course, name, text):
    output = nbformat.v4.new_output("display_data", {"text/html": f"<script>{text}</script>"})
    cell = nbformat.v4.new_code_cell("1", outputs=[output])
    notebook = nbformat.v4.new_notebook(cells=[cell])
    nbformat.write(notebook, course / f"{name}.ipynb")


def git(course, *arguments):
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", "-C", course, *who, *arguments], check=True, capture_output=True)


def run(course, data, *words):
    return subprocess.run(
        [sys.executable, course / "scripts/trust.py", *words],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "JUPYTER_DATA_DIR": str(data)},
    )


def trusted(course, data):
    notary = NotebookNotary(data_dir=str(data))
    return {
        path.stem
        for path in course.rglob("*.ipynb")
        if "broken" not in path.stem and notary.check_signature(nbformat.read(path, as_version=4))
    }


def test_notebooks_as_committed_are_trusted(course, tmp_path):
    git(course, "init", "-q")
    git(course, "add", ".")
    git(course, "commit", "-qm", "The course")
    write(course, "lessons/02-changed", "something else")
    write(course, "lessons/04-from-elsewhere", "of a stranger")
    said = run(course, tmp_path / "data")
    assert said.stdout + said.stderr == ""
    assert trusted(course, tmp_path / "data") == {"01-as-it-came", "01-a-lab"}


def test_all_of_a_course_that_was_just_copied_are_trusted_once(course, tmp_path):
    """As a kit's or an image's, which has no history."""
    said = run(course, tmp_path / "data", "--new")
    assert said.stdout + said.stderr == ""
    write(course, "lessons/04-from-elsewhere", "of a stranger")
    assert run(course, tmp_path / "data").stdout == ""
    assert trusted(course, tmp_path / "data") == {"01-as-it-came", "01-a-lab", "02-changed"}


def test_a_folder_that_cannot_be_written_is_told_of_in_one_line(course, tmp_path):
    (tmp_path / "data").write_text("a file")
    said = run(course, tmp_path / "data", "--new")
    assert said.stdout.startswith("You will see a lesson's pictures as text until you run their ")
    assert said.stdout.count("\n") == 1
    assert said.stderr == ""
