"""How far a learner is: kept, shown, saved, and taken in elsewhere."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

import sandbox
from sandbox import record
from sandbox.labs import names
from sandbox.magic import load_ipython_extension

ROOT = Path(__file__).parents[2]
LAB = names()[0]


class Shell:
    def register_magic_function(self, *_):
        pass

    def set_hook(self, *_, **__):
        pass

    def set_custom_exc(self, *_):
        pass


def answer_quiz(question, right, questions):
    record.change(record.answer_quiz, "01-bridge", question, right, questions, time.time())


def lab_row():
    return next(it for it in sandbox.my_progress().labs if it.notebook.stem == LAB)


def lesson_row(name):
    return next(it for it in sandbox.my_progress().lessons if it.notebook.stem == name)


def test_it_begins_with_every_lesson_and_lab_and_nothing_done():
    progress = sandbox.my_progress()
    assert [it.notebook for it in progress.lessons] == sorted(ROOT.glob("lessons/[0-9]*.ipynb"))
    assert [it.notebook.stem for it in progress.labs] == names()
    assert all(it.notebook.exists() for it in (*progress.lessons, *progress.labs))
    assert progress.summary == "0 of 16 lessons begun; 0 of 1400 points of the labs earned"
    assert {it.state for it in (*progress.lessons, *progress.labs)} == {""}
    assert not record.path().exists()


def test_a_lesson_is_begun_when_its_first_cell_runs(monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "course/lessons/04-overlay.ipynb")
    load_ipython_extension(Shell())
    assert lesson_row("04-overlay").state == "begun"
    first = record.read().lesson("04-overlay")
    load_ipython_extension(Shell())
    again = record.read().lesson("04-overlay")
    assert again.started == first.started
    assert again.opened > first.opened


@pytest.mark.parametrize("name", ["", "course/notes.ipynb", "lessons/progress.ipynb"])
def test_another_notebook_begins_no_lesson(monkeypatch, name):
    monkeypatch.setenv("JPY_SESSION_NAME", name)
    load_ipython_extension(Shell())
    assert not record.path().exists()


def test_a_lesson_can_be_run_where_nothing_can_be_kept(monkeypatch):
    record.path().write_text("{")
    monkeypatch.setenv("JPY_SESSION_NAME", "lessons/04-overlay.ipynb")
    load_ipython_extension(Shell())
    assert record.path().read_text() == "{"


def test_the_first_answer_to_a_question_counts():
    for right in (False, True):
        answer_quiz("Which?", right, 3)
    answer_quiz("Why?", True, 3)
    assert lesson_row("01-bridge").state == (
        "quiz: 1 of 2 right at the first try, 1 not answered yet"
    )


def test_a_lab_shows_its_best_score_and_how_long_it_took():
    record.begin(LAB, 100, {})
    assert lab_row().state == "begun"
    record.change(record.keep_score, LAB, 60, 100, 1500.0)
    record.begin(LAB, 100, {})
    assert (lab_row().best, lab_row().state) == (60, "done in 25 min")
    assert f"{LAB:24} 60/100 points  done in 25 min" in str(sandbox.my_progress())
    assert "60/100" in sandbox.my_progress()._repr_html_()


def test_its_links_lead_to_the_notebooks_from_where_it_is_shown(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT / "lessons")
    shown = sandbox.my_progress()._repr_html_()
    assert 'href="01-bridge.ipynb"' in shown
    assert f'href="../labs/{LAB}/{LAB}.ipynb"' in shown
    saved = sandbox.my_progress().save(tmp_path / "progress.html").read_text()
    assert "<!doctype html>" in saved
    assert "/lessons/01-bridge.ipynb" in saved


def test_what_is_saved_has_no_token_of_a_wall(tmp_path):
    share = record.Share("https://wall", "secret", "0" * 16)
    record.change(replace, share=share, left=(share,))
    assert "secret" not in sandbox.my_progress().save(tmp_path / "progress.json").read_text()


def test_in_a_copy_of_the_course_its_links_stay_there(monkeypatch, tmp_path):
    for name in ("lessons", "labs"):
        (tmp_path / "copy" / name).mkdir(parents=True)
    (tmp_path / "copy/lessons/00-start-here.ipynb").write_text("{}")
    monkeypatch.chdir(tmp_path / "copy/lessons")
    assert 'href="01-bridge.ipynb"' in sandbox.my_progress()._repr_html_()


def test_progress_saved_on_one_machine_is_taken_in_on_another(monkeypatch, tmp_path):
    record.learner("ada")
    answer_quiz("Which?", True, 2)
    record.begin(LAB, 100, {})
    record.change(record.keep_score, LAB, 60, 100, 1500.0)
    saved = sandbox.my_progress().save(tmp_path / "progress.json")
    monkeypatch.setenv("WIRE_BY_WIRE_DATA", str(tmp_path / "other"))
    answer_quiz("Why?", False, 2)
    record.change(record.keep_score, LAB, 20, 100, None)
    sandbox.restore_progress(saved)
    assert lesson_row("01-bridge").state == "quiz: 1 of 2 right at the first try"
    assert (lab_row().best, lab_row().done) == (60, 1500.0)
    assert record.learner() == "ada"
    # Where more was done, nothing gets less.
    record.change(record.keep_score, LAB, 80, 100, None)
    sandbox.restore_progress(saved)
    assert lab_row().best == 80


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"version": 2}', '{"version": 1, "labs": []}', '{"version":1,"labs":{"a":1}}'],
)
def test_a_file_that_is_no_progress_is_refused(tmp_path, text):
    file = tmp_path / "progress.json"
    file.write_text(text)
    with pytest.raises(sandbox.SandboxError, match=r"progress\.json"):
        sandbox.restore_progress(file)
    assert not record.path().exists()


@pytest.mark.parametrize("name", ["progress.csv", "none/progress.json", "none/progress.html"])
def test_where_it_cannot_be_saved_is_one_message(tmp_path, name):
    with pytest.raises(sandbox.SandboxError, match="saved as"):
        sandbox.my_progress().save(tmp_path / name)


def test_a_record_of_before_lessons_were_kept_is_read():
    record.path().write_text(json.dumps({"version": 1, "learner": "ada", "labs": {}}))
    assert sandbox.my_progress().lessons[0].state == ""
    answer_quiz("Which?", True, 1)
    assert lesson_row("01-bridge").state == "quiz: 1 of 1 right at the first try"
