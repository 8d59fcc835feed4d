"""Predictions are scored by what was chosen before a cell ran; quizzes answer with the reason."""

from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from sandbox import SandboxError, outcome, predict, quiz, record
from sandbox.lessons import questions

ROOT = Path(__file__).parents[2]
GOOD = """
[[questions]]
ask = "Which?"
[[questions.answers]]
text = "this"
right = true
why = "because"
[[questions.answers]]
text = "that"
why = "it <b>never</b> did"
"""


@pytest.fixture(autouse=True)
def _nothing_asked(monkeypatch):
    monkeypatch.setattr(questions, "_asked", {})


@pytest.fixture
def shell():
    shell = InteractiveShell.instance()
    yield shell
    InteractiveShell.clear_instance()


def radio_of(widget):
    return getattr(widget, "widget", widget).children[1]


def said_by(widget):
    return getattr(widget, "widget", widget).children[2].value


def test_a_prediction_that_happened_is_right():
    widget = predict("Does it work?", "Yes", "No")
    radio_of(widget).value = "No"
    found = outcome("No")
    assert (found.predicted, found.right, found.of) == ("No", 1, 1)
    assert "You predicted: No" in str(found)
    assert "✓ Right" in said_by(widget)


def test_one_that_did_not_is_not_and_none_counts_as_asked():
    radio_of(predict("First?", "Yes", "No")).value = "Yes"
    assert "✗ Not so" in outcome("No")._repr_html_()
    predict("Second?", "Yes", "No")
    assert str(outcome("Yes")) == (
        "What happened: Yes\nYou made no prediction\nPredictions right so far: 0 of 2"
    )


def test_an_outcome_that_is_run_twice_counts_once():
    radio_of(predict("Does it work?", "Yes", "No")).value = "Yes"
    assert outcome("Yes") == outcome("Yes")


def test_what_is_chosen_after_the_next_cell_began_does_not_count(shell):
    widget = predict("Does it work?", "Yes", "No")
    shell.run_cell("1", store_history=True)
    assert radio_of(widget).disabled
    assert "No prediction" in said_by(widget)
    assert outcome("Yes").predicted == ""


def test_a_question_that_is_asked_again_can_be_answered_again(shell):
    predict("Does it work?", "Yes", "No")
    shell.run_cell("1", store_history=True)
    radio_of(predict("Does it work?", "Yes", "No")).value = "Yes"
    found = outcome("Yes")
    assert (found.right, found.of) == (1, 1)


def test_an_outcome_belongs_to_the_question_asked_last():
    with pytest.raises(SandboxError, match="no prediction to score"):
        outcome("Yes")
    predict("Does it work?", "Yes", "No")
    with pytest.raises(SandboxError, match="no answer to the question asked last"):
        outcome("Maybe")


@pytest.mark.parametrize("answers", [(), ("Yes",), ("Yes", "Yes")])
def test_a_question_without_a_choice_is_refused(answers):
    with pytest.raises(SandboxError, match="two or more answers"):
        predict("Does it work?", *answers)


def test_html_in_a_question_is_shown_as_it_is():
    widget = predict("Is 1 <2?", "<b>", "no")
    assert "&lt;2" in widget.widget.children[0].value
    radio_of(widget).value = "<b>"
    assert "&lt;b&gt;" in said_by(widget)


def test_a_quiz_says_why_and_counts_first_tries(tmp_path):
    path = tmp_path / "01-bridge.toml"
    path.write_text(GOOD)
    question, score, unkept, _ = quiz(path).widget.children
    radio_of(question).value = "that"
    assert "it &lt;b&gt;never" in said_by(question)
    assert "✗" in said_by(question)
    assert "0 of 1" in score.value
    radio_of(question).value = "this"
    assert "because" in said_by(question)
    assert "✓" in said_by(question)
    assert "0 of 1" in score.value
    assert not unkept.value
    kept = record.read().lesson("01-bridge")
    assert (kept.quiz, kept.questions) == ({"Which?": False}, 1)


def test_a_quiz_that_cannot_be_kept_still_answers(tmp_path, monkeypatch):
    monkeypatch.setenv("WIRE_BY_WIRE_DATA", str(tmp_path / "quiz.toml" / "data"))
    (tmp_path / "quiz.toml").write_text(GOOD)
    question, _, unkept, _ = quiz(tmp_path / "quiz.toml").widget.children
    radio_of(question).value = "this"
    assert "because" in said_by(question)
    assert "WIRE_BY_WIRE_DATA" in unkept.value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (GOOD.replace("right = true", ""), "exactly one answer"),
        (GOOD.replace('why = "because"', ""), "lacks its text or its why"),
        (GOOD.replace('"that"', '"this"'), "all different"),
        (GOOD.replace('ask = "Which?"', ""), "question 1 has no ask"),
        ("", "no [[questions]]"),
        ("questions = 3", "no [[questions]]"),
        ("[[questions", "it is not TOML"),
    ],
)
def test_a_quiz_of_another_form_is_one_message(tmp_path, text, why):
    path = tmp_path / "quiz.toml"
    path.write_text(text)
    with pytest.raises(SandboxError) as refused:
        quiz(path)
    assert why in refused.value.why


def test_a_quiz_that_is_not_there_is_one_message(tmp_path):
    with pytest.raises(SandboxError, match=r"none\.toml cannot be shown"):
        quiz(tmp_path / "none.toml")


@pytest.mark.parametrize("path", sorted(ROOT.glob("lessons/quizzes/*.toml")), ids=lambda p: p.stem)
def test_the_lessons_quizzes_are_of_that_form(path):
    assert 3 <= len(questions._read_quiz(path)) <= 6


def test_where_no_widget_can_be_shown_the_question_is_a_text(tmp_path):
    asked = predict("Does it work?", "Yes", "No")
    shown = asked._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in shown
    assert shown["text/plain"] == "Does it work?\n   ( ) Yes\n   ( ) No"
    path = tmp_path / "quiz.toml"
    path.write_text(GOOD)
    assert repr(quiz(path)) == "1. Which?\n   ( ) this\n   ( ) that"
