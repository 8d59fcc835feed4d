"""A lab by nbgrader's own commands: source, release, submissions, grades, feedback, export."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from sandbox.labs import load, names
from sandbox.labs.__main__ import main

ROOT = Path(__file__).parents[2]
LAB = names()[0]
pytestmark = [pytest.mark.timeout(600)]


def nbgrader(course, *words):
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", *words],
        cwd=course,
        check=False,
        capture_output=True,
        text=True,
        # nbgrader calls alembic by its name.
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course whose lab is released."""
    folder = tmp_path_factory.mktemp("course")
    shutil.copy(ROOT / "labs" / "nbgrader_config.py", folder)
    assert main(["source", LAB, "--course", str(folder)]) == 0
    nbgrader(folder, "generate_assignment", LAB, "--create")
    return folder


def cells_of(path):
    return nbformat.read(path, as_version=4).cells


def test_a_release_holds_no_solution_and_no_hidden_task(course):
    lab = load(LAB)
    released = course / "release" / LAB
    assert [it.name for it in released.iterdir()] == [f"{LAB}.ipynb"]
    text = "\n".join(cell.source for cell in cells_of(released / f"{LAB}.ipynb"))
    for _, lines in lab.hidden().solution:
        assert lines.splitlines()[0] not in text
    for task in lab.hidden().tasks:
        assert task.title not in text
    assert "%%host a\n# your commands" in text


def test_a_release_goes_out_and_a_submission_comes_back_by_the_exchange(course, tmp_path):
    (tmp_path / "exchange").mkdir(mode=0o777)
    where = (f"--Exchange.root={tmp_path / 'exchange'}", "--course=wire-by-wire")
    nbgrader(course, "release_assignment", LAB, *where)
    student = tmp_path / "student"
    student.mkdir()
    nbgrader(student, "fetch_assignment", LAB, *where)
    page = student / LAB / f"{LAB}.ipynb"
    page.write_text(page.read_text().replace("# your commands", "docker ps"))
    nbgrader(student, "submit", LAB, *where)
    nbgrader(course, "collect", LAB, *where, f"--CourseDirectory.submitted_directory={tmp_path}/in")
    [collected] = (tmp_path / "in").glob(f"*/{LAB}/{LAB}.ipynb")
    assert "%%host a\ndocker ps" in [cell.source for cell in cells_of(collected)]


@pytest.mark.engine
def test_the_gradebook_has_what_the_hosts_show(course):
    release = course / "release" / LAB / f"{LAB}.ipynb"
    for student in ("ada", "grace", "mallory"):
        target = course / "submitted" / student / LAB / f"{LAB}.ipynb"
        target.parent.mkdir(parents=True)
        notebook = nbformat.read(release, as_version=4)
        if student == "ada":
            solution = load(LAB, "ada").hidden().solution
            notebook.cells += [
                nbformat.v4.new_code_cell(f"%%host {host}\n{lines}") for host, lines in solution
            ]
        if student == "mallory":
            # Cells that would give points by themselves, if what they say or do counted.
            for cell in notebook.cells:
                if cell.metadata.get("nbgrader", {}).get("grade"):
                    cell.source = "100.0"
                    cell.metadata.nbgrader.points = 1000
                    cell.outputs = [
                        nbformat.v4.new_output("execute_result", data={"text/plain": "1000"})
                    ]
            trap = "import sandbox.labs\nsandbox.labs.checking.check = lambda *_, **__: 1"
            notebook.cells.insert(0, nbformat.v4.new_code_cell(trap))
            notebook.cells.insert(
                0, nbformat.v4.new_code_cell("import os\nos.kill(os.getpid(), 9)")
            )
        nbformat.write(notebook, target)
    assert main(["grade-all", str(course / "submitted"), "--out", str(course / "graded")]) == 0
    nbgrader(course, "autograde", LAB)
    nbgrader(course, "generate_feedback", LAB)
    nbgrader(course, "export")
    with (course / "grades.csv").open() as file:
        scores = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert scores == {"ada": 110.0, "grace": 0.0, "mallory": 0.0}
    page = (course / "feedback" / "grace" / LAB / f"{LAB}.html").read_text()
    assert "there is no network" in page
