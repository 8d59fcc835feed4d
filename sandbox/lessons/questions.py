"""What a lesson asks: predictions before a cell decides them, and the quiz at its end."""

from __future__ import annotations

import html
import sys
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox import record
from sandbox.errors import SandboxError, expect

if TYPE_CHECKING:
    from ipywidgets import Box, Widget

__all__ = ["Asked", "Outcome", "outcome", "predict", "quiz"]

# The two colours have a contrast of 4.5 or more on JupyterLab's light and dark backgrounds.
_RIGHT, _WRONG = "#2a8540", "#d6453d"


class Asked:
    """Questions on the page: a widget, and where none can be shown, its text."""

    def __init__(self, widget: Box, text: str) -> None:
        from sandbox.views.keys import KEEPS_KEYS, keys

        self.widget, self._text = widget, text
        widget.add_class(KEEPS_KEYS)
        widget.children = (*widget.children, keys())

    def __repr__(self) -> str:
        return self._text

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        return {**self.widget._repr_mimebundle_(**options), "text/plain": self._text}


class _Prediction:
    """A question that was asked, and what became of it."""

    def __init__(self, question: str, answers: tuple[str, ...]) -> None:
        self.question, self.answers = question, answers
        self.chosen: str | None = None
        self.happened: str | None = None
        self._choice = _radio_buttons(answers)
        self._said = _text()
        self._choice.observe(self._choose, names="value")
        self.widget = _column(_text(f"<b>{html.escape(question)}</b>"), self._choice, self._said)

    @property
    def is_right(self) -> bool:
        return self.happened is not None and self.chosen == self.happened

    def _choose(self, change: Mapping[str, Any]) -> None:
        self.chosen = change["new"]
        self._said.value = html.escape(f"Your prediction: {self.chosen}. Now run the next cell.")

    def close(self) -> None:
        """What has not been chosen by now was not predicted."""
        self._choice.disabled = True
        self._said.value = html.escape(
            f"Your prediction: {self.chosen}."
            if self.chosen
            else "No prediction. Run this cell again to be asked again."
        )

    def decide(self, happened: str) -> None:
        self.happened = happened
        self.close()
        if self.chosen:
            mine = html.escape(f"Your prediction: {self.chosen}")
            self._said.value = f"{mine} {_mark(self.is_right)}"


# Of this kernel, by question: asking again replaces what was.
_asked: dict[str, _Prediction] = {}


def predict(question: str, *answers: str) -> Asked:
    """Ask what the next cell will show. The answer counts if it is given before a cell runs.

    answers: two or more, all different; ``outcome`` says later which of them happened.

    Raises SandboxError for fewer, or for one given twice.
    """
    if len(set(answers)) < max(2, len(answers)):
        raise SandboxError(
            f"A prediction needs two or more answers, all different; it has {answers!r}.",
            fix='sandbox.predict("Does it work?", "Yes", "No")',
        )
    prediction = _Prediction(question, answers)
    _asked.pop(question, None)
    _asked[question] = prediction
    _before_next_cell(prediction.close)
    return Asked(prediction.widget, _as_text(question, answers))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a prediction. predicted: "" for none.  right, of: the score so far."""

    happened: str
    predicted: str
    right: int
    of: int

    def __str__(self) -> str:
        mine = f"You predicted: {self.predicted}" if self.predicted else "You made no prediction"
        return (
            f"What happened: {self.happened}\n{mine}\n"
            f"Predictions right so far: {self.right} of {self.of}"
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        first, second, score = (html.escape(line) for line in str(self).split("\n"))
        if self.predicted:
            second += f" {_mark(self.predicted == self.happened)}"
        return f"<div>{first}<br>{second}<br><small>{score}</small></div>"


def outcome(happened: str) -> Outcome:
    """Say which answer of the last question happened, and score what was predicted.

    happened: that answer, word for word.

    Raises SandboxError if no question was asked yet, or the last one has no such answer.
    """
    if not _asked:
        raise SandboxError(
            "There is no prediction to score yet.",
            fix="Run the cell with the question first: sandbox.predict(…)",
        )
    last = list(_asked.values())[-1]
    if happened not in last.answers:
        raise SandboxError(
            f"{happened!r} is no answer to the question asked last, {last.question!r}.",
            fix="Run the cell with the question first, then the one that decides it, then this.",
        )
    last.decide(happened)
    decided = [prediction for prediction in _asked.values() if prediction.happened]
    right = sum(prediction.is_right for prediction in decided)
    return Outcome(happened, last.chosen or "", right, len(decided))


@dataclass(frozen=True, slots=True)
class _Answer:
    text: str
    why: str
    right: bool


@dataclass(frozen=True, slots=True)
class _Question:
    ask: str
    answers: tuple[_Answer, ...]


def quiz(path: str | Path) -> Asked:
    """Questions with answers to choose from, each answered at once with the reason.

    The first answer to each is kept under the file's name, see ``record``.

    path: a TOML file of ``[[questions]]``, each with ``ask`` and two or more
    ``[[questions.answers]]``, which have ``text``, ``why`` and, exactly one of them,
    ``right = true``. A path that is not absolute starts at the notebook's folder.

    Raises SandboxError if it cannot be read or a question is not of that form.
    """
    expect(path, (str, Path), "a file's name", 'write it in quotes: "quizzes/01.toml"')
    questions = _read_quiz(Path(path))
    first_tries: dict[str, bool] = {}
    score, unkept = _text(), _text()

    def answered(question: _Question, is_right: bool) -> None:
        first_tries.setdefault(question.ask, is_right)
        if len(first_tries) == len(questions):
            score.value = f"Right at the first try: {sum(first_tries.values())} of {len(questions)}"
        lesson, now = Path(path).stem, time.time()
        try:
            record.change(record.answer_quiz, lesson, question.ask, is_right, len(questions), now)
        except SandboxError as error:
            unkept.value = html.escape(str(error))

    asking = [_asking(n, question, answered) for n, question in enumerate(questions, 1)]
    texts = [
        _as_text(f"{n}. {question.ask}", [answer.text for answer in question.answers])
        for n, question in enumerate(questions, 1)
    ]
    return Asked(_column(*asking, score, unkept), "\n".join(texts))


def _asking(
    number: int, question: _Question, answered: Callable[[_Question, bool], None]
) -> Widget:
    choice = _radio_buttons([answer.text for answer in question.answers])
    reason = _text()

    def chosen(_change: object) -> None:
        answer = question.answers[choice.index]
        reason.value = f"{_mark(answer.right)}: {html.escape(answer.why)}"
        answered(question, answer.right)

    choice.observe(chosen, names="index")
    return _column(_text(f"<b>{number}. {html.escape(question.ask)}</b>"), choice, reason)


def _read_quiz(path: Path) -> tuple[_Question, ...]:
    def wrong(why: str) -> SandboxError:
        return SandboxError(
            f"The quiz {path} cannot be shown.",
            why=why,
            fix="lessons/quizzes/ has examples of the form",
        )

    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise wrong(error.strerror or str(error)) from None
    except ValueError as error:
        raise wrong(f"it is not TOML: {error}") from None
    questions = []
    for n, entry in enumerate(_tables(data, "questions"), 1):
        answers = tuple(
            _Answer(str(a.get("text", "")), str(a.get("why", "")), a.get("right") is True)
            for a in _tables(entry, "answers")
        )
        question = _Question(str(entry.get("ask", "")), answers)
        if not question.ask:
            raise wrong(f"question {n} has no ask")
        if len({a.text for a in answers}) < max(2, len(answers)):
            raise wrong(f"question {n} needs two or more answers, all different")
        if sum(a.right for a in answers) != 1:
            raise wrong(f"question {n} needs exactly one answer with right = true")
        if not all(a.text and a.why for a in answers):
            raise wrong(f"an answer of question {n} lacks its text or its why")
        questions.append(question)
    if not questions:
        raise wrong("it has no [[questions]]")
    return tuple(questions)


def _tables(table: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    found = table.get(key)
    return [t for t in found if isinstance(t, dict)] if isinstance(found, list) else []


def _as_text(question: str, answers: Sequence[str]) -> str:
    return "\n".join([question, *(f"   ( ) {answer}" for answer in answers)])


def _mark(is_right: bool) -> str:
    text, colour = ("✓ Right", _RIGHT) if is_right else ("✗ Not so", _WRONG)
    return f'<b style="color: {colour}">{text}</b>'


def _before_next_cell(call: Callable[[], None]) -> None:
    """Call it once, when the next cell begins to run; never outside IPython."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None:
        return

    def begins(_info: object) -> None:
        shell.events.unregister("pre_run_cell", begins)
        call()

    shell.events.register("pre_run_cell", begins)


def _radio_buttons(texts: Sequence[str]) -> Any:
    import ipywidgets

    return ipywidgets.RadioButtons(
        options=texts, value=None, layout={"width": "auto"}, description_allow_html=False
    )


def _text(value: str = "") -> Any:
    import ipywidgets

    return ipywidgets.HTML(value)


def _column(*children: Widget) -> Box:
    import ipywidgets

    return ipywidgets.VBox(children)
