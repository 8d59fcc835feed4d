"""Every lesson is run by nbval, and what it prints is compared with what is stored."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
CHECKS = Path(__file__).parent / "checks"
# They share the processors.
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))


def nbval(notebook, root=ROOT, python=sys.executable):
    """The command that runs a notebook of the course in root, and compares its outputs."""
    return [
        str(python),
        "-m",
        "pytest",
        "--nbval",
        "-p",
        "no:cacheprovider",
        "-q",
        "-rN",
        "--color=no",
        f"--nbval-cell-timeout={240 * WORKERS}",
        "--nbval-current-env",
        f"--nbval-sanitize-with={root}/tests/lessons/sanitize.cfg",
        "-o",
        "addopts=",
        "-c",
        "/dev/null",
        str(notebook),
    ]


def compare(notebook, checks=CHECKS):
    """Run a notebook; gives what nbval says, and whether all its outputs are as they are stored and
    what is checked between its cells holds.

    checks: the folder with what is checked of each notebook (between_cells.py).
    """
    result = subprocess.run(
        [*nbval(notebook), "-p", "text_first", "-p", "between_cells", "--checks", str(checks)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        env={**os.environ, "PYTHONPATH": f"{Path(__file__).parent}:{ROOT}"},
    )
    return result.stdout + result.stderr, result.returncode == 0 and "passed" in result.stdout


@pytest.mark.engine
@pytest.mark.timeout(900)
@pytest.mark.parametrize("path", sorted(ROOT.glob("lessons/*.ipynb")), ids=lambda p: p.stem)
def test_a_lesson_prints_what_is_stored(path, sandbox_up):
    said, same = compare(path)
    if not same:
        # The first cell that differs; what comes after may follow from it.
        pytest.fail(said.partition("FAILURES")[2][:8000] or said[-8000:], pytrace=False)


def written(path, *cells):
    """A notebook of those sources, without outputs."""
    notebook = nbformat.v4.new_notebook()
    notebook.cells += [nbformat.v4.new_code_cell(source) for source in cells]
    nbformat.write(notebook, path)
    return path


def test_what_is_checked_between_cells_is_made_where_it_belongs_and_can_fail(tmp_path):
    marks = tmp_path / "marks"
    lesson = written(
        tmp_path / "lesson.ipynb",
        *(f"open({str(marks)!r}, 'a').write('{number}'); None" for number in range(3)),
    )
    made = (
        "import sandbox\n"
        "from pathlib import Path\n"
        "from between_cells import after\n"
        "sandbox.host = str\n"
        f"seen = Path({str(marks)!r}).read_text\n"
        "@after(\"write('2')\")\n"
        "def all_ran(a, b): assert (a, b, seen()) == ('a', 'b', '012')\n"
        "@after(\"write('1')\")\n"
        "def two_ran(a, b): assert seen() == 'nothing'\n"
    )
    checks = tmp_path / "lesson.py"
    checks.write_text(made)
    said, same = compare(lesson, tmp_path)
    assert not same
    assert "Cell 1: after it, two_ran found: assert '01' == 'nothing'" in said
    assert "1 failed, 2 passed" in said
    checks.write_text("from between_cells import after\n@after('write')\ndef it(a, b): pass\n")
    said, same = compare(lesson, tmp_path)
    assert not same
    assert "it is to be made after the cell with 'write', and 3 cells have that text" in said


def test_a_difference_is_shown_as_text_with_its_cell(tmp_path, monkeypatch):
    # Where it is set, pytest would repeat every message, however long, in its summary.
    monkeypatch.setenv("CI", "true")
    code = (
        "class Picture:\n"
        "    def __repr__(self): return 'as before\\nnew text'\n"
        "    def _repr_html_(self): return '<script>' + 9000 * 'x' + '</script>'\n"
        "Picture()"
    )
    data = {"text/plain": "as before\nold text", "text/html": "<script></script>"}
    notebook = nbformat.v4.new_notebook()
    for source, stored in ((code, data), (code, {**data, "text/plain": "as before\nnew text"})):
        cell = nbformat.v4.new_code_cell(source, execution_count=1)
        cell.outputs = [nbformat.v4.new_output("execute_result", stored, execution_count=1)]
        notebook.cells.append(cell)
    nbformat.write(notebook, tmp_path / "lesson.ipynb")
    said, same = compare(tmp_path / "lesson.ipynb")
    first, second = said.partition("FAILURES")[2].split("Cell 1: ")
    assert not same
    assert "Cell 0: Cell outputs differ" in first
    assert "The text differs:" in first
    assert "\n-old text\n+new text" in first
    assert "<script>" not in first.partition("The text differs:")[2]
    assert "text/html differs:" in second
    assert len(said) < 20000
