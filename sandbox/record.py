"""What a learner has done, in one file of the user's data folder.

What changes it are plain functions from a record to a record, which ``change`` keeps the result of.
"""

from __future__ import annotations

import fcntl
import json
import re
import reprlib
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from sandbox import settings
from sandbox.errors import SandboxError, setting
from sandbox.paths import data_dir, opened

__all__ = [
    "LabRecord",
    "LessonRecord",
    "Record",
    "Share",
    "answer",
    "answer_quiz",
    "as_text",
    "begin",
    "begin_lab",
    "begin_lesson",
    "change",
    "keep_score",
    "learner",
    "listeners",
    "merge",
    "open_lesson",
    "path",
    "read",
    "restore",
    "start_path",
    "take_hint",
    "under_way",
]

# One more for every field that is added: a course writes only those that it knows.
VERSION = 1
# More than any count that is kept, and any time in seconds.
LARGEST = 10**11
_LESSON = re.compile(r"lessons/(\d\d-[a-z0-9-]+)\.ipynb")
_P = ParamSpec("_P")
_T = TypeVar("_T")
_Json = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class LessonRecord:
    """A lesson that was begun.

    started, opened: when first and last, in seconds since 1970.  quiz: whether each question was
    answered right at the first try.  questions: how many the quiz has.
    """

    started: float = 0.0
    opened: float = 0.0
    quiz: Mapping[str, bool] = field(default_factory=dict)
    questions: int = 0

    @property
    def right(self) -> int:
        return sum(self.quiz.values())


@dataclass(frozen=True, slots=True)
class LabRecord:
    """A lab, as it was begun last, and the best of all times.

    started: seconds since 1970; 0 for never.  hints: how many were taken, by task's title.
    answers: by question.  best, points: the best score, and all there are.  done: seconds it took,
    or None.  finished: whether all was done since it was last begun.
    """

    started: float = 0.0
    hints: Mapping[str, int] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)
    best: int = 0
    points: int = 0
    done: float | None = None
    finished: bool = False


@dataclass(frozen=True, slots=True)
class Share:
    """A wall that progress is sent to. learner: who that is there.  name: "" for none."""

    url: str
    token: str = field(repr=False)
    learner: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """All that is kept. learner: a name, which labs follow from; "" if none was drawn yet.

    share: the wall it is sent to, or None.  left: walls that are still to forget the learner.
    """

    learner: str = ""
    lessons: Mapping[str, LessonRecord] = field(default_factory=dict)
    labs: Mapping[str, LabRecord] = field(default_factory=dict)
    share: Share | None = None
    left: tuple[Share, ...] = ()

    def lesson(self, name: str) -> LessonRecord:
        return self.lessons.get(name, LessonRecord())

    def lab(self, name: str) -> LabRecord:
        return self.labs.get(name, LabRecord())


# Each is called with all that is kept after a change, and returns at once.
listeners: list[Callable[[Record], None]] = []


def open_lesson(kept: Record, name: str, now: float) -> Record:
    """A lesson is opened at that time."""
    before = kept.lesson(name)
    return _with_lesson(kept, name, replace(before, started=before.started or now, opened=now))


def answer_quiz(
    kept: Record, name: str, question: str, right: bool, questions: int, now: float
) -> Record:
    """A question of a lesson's quiz is answered; the first answer counts.

    questions: how many the quiz has.
    """
    lesson = kept.lesson(name) if name in kept.lessons else LessonRecord(now, now)
    quiz = {**lesson.quiz, question: lesson.quiz.get(question, right)}
    return _with_lesson(kept, name, replace(lesson, quiz=quiz, questions=questions))


def begin_lab(kept: Record, name: str, points: int, now: float) -> Record:
    """A lab is started over; the best score of earlier times stays. points: all there are."""
    before = kept.lab(name)
    begun = LabRecord(started=now, points=points, best=before.best, done=before.done)
    return _with_lab(kept, name, begun)


def take_hint(kept: Record, name: str, task: str, most: int) -> Record:
    """One more hint is taken for a task of a lab. task: its title.  most: how many it has."""
    lab = kept.lab(name)
    hints = {**lab.hints, task: min(lab.hints.get(task, 0) + 1, most)}
    return _with_lab(kept, name, replace(lab, hints=hints))


def answer(kept: Record, name: str, question: str, text: str) -> Record:
    """A question of a lab is answered; the last answer counts."""
    lab = kept.lab(name)
    return _with_lab(kept, name, replace(lab, answers={**lab.answers, question: text}))


def keep_score(kept: Record, name: str, earned: int, points: int, took: float | None) -> Record:
    """A lab was checked. took: the seconds since its start if all was done, else None."""
    before = kept.lab(name)
    after = replace(
        before,
        best=max(before.best, earned),
        points=points,
        done=took if before.done is None else before.done,
        finished=before.finished or took is not None,
    )
    return _with_lab(kept, name, after)


def merge(mine: Record, theirs: Record) -> Record:
    """What was done here and elsewhere: of each lab and question the better result.

    Who the learner is, where it is shared, and labs as they were begun last, stay those of mine.
    """
    lessons = {
        name: _merged_lesson(mine.lesson(name), theirs.lesson(name))
        for name in {**mine.lessons, **theirs.lessons}
    }
    labs = {
        name: _merged_lab(mine.lab(name), theirs.lab(name)) for name in {**mine.labs, **theirs.labs}
    }
    return replace(mine, learner=mine.learner or theirs.learner, lessons=lessons, labs=labs)


def _merged_lesson(mine: LessonRecord, theirs: LessonRecord) -> LessonRecord:
    quiz = {
        question: mine.quiz.get(question, False) or theirs.quiz.get(question, False)
        for question in {**mine.quiz, **theirs.quiz}
    }
    return LessonRecord(
        started=min(filter(None, (mine.started, theirs.started)), default=0.0),
        opened=max(mine.opened, theirs.opened),
        quiz=quiz,
        questions=max(mine.questions, theirs.questions),
    )


def _merged_lab(mine: LabRecord, theirs: LabRecord) -> LabRecord:
    took = [done for done in (mine.done, theirs.done) if done is not None]
    return replace(
        mine,
        best=max(mine.best, theirs.best),
        points=max(mine.points, theirs.points),
        done=min(took, default=None),
    )


def _with_lesson(kept: Record, name: str, lesson: LessonRecord) -> Record:
    return replace(kept, lessons={**kept.lessons, name: lesson})


def _with_lab(kept: Record, name: str, lab: LabRecord) -> Record:
    return replace(kept, labs={**kept.labs, name: lab})


def path() -> Path:
    """The file, see ``as_text``."""
    return data_dir() / "progress.json"


def start_path(lab: str) -> Path:
    """The file that keeps how the hosts were when a lab began."""
    return data_dir() / "starts" / f"{lab}.json"


def read() -> Record:
    """All of it. Raises SandboxError if the file is not one of ours."""
    try:
        return _read(path(), "Correct it in an editor, or move it away to start a new one.")
    except FileNotFoundError:
        return Record()


def change(
    make: Callable[Concatenate[Record, _P], Record], *given: _P.args, **named: _P.kwargs
) -> Record:
    """Keep what make gives for what is kept, and give it; other notebooks wait until it is kept.

    given, named: what make takes beyond that record. Raises SandboxError.
    """
    try:
        with opened(data_dir() / "progress.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            kept = make(read(), *given, **named)
            _write(path(), as_text(kept))
    except OSError as error:
        raise SandboxError(
            f"What you did cannot be kept in {data_dir()}.",
            why=error.strerror or str(error),
            fix="Make room there; or choose another folder, and "
            f"{setting('WIRE_BY_WIRE_DATA', 'FOLDER')}.",
        ) from error
    for listener in listeners:
        listener(kept)
    return kept


def _write(target: Path, text: str) -> None:
    """In one step: whoever reads it gets the old text or the new."""
    new = target.with_suffix(".new")
    with opened(new, "w") as file:
        file.write(text)
    new.replace(target)


def learner(name: str | None = None) -> str:
    """Who learns here: the name given, which is kept, or the one kept, or a new random one.

    Raises SandboxError.
    """
    if name is None and (kept := read().learner):
        return kept
    if name is not None and not isinstance(name, str):
        raise SandboxError(f"{name!r} is not a learner's name.", fix='Write it in quotes: "ada".')
    chosen = secrets.token_hex(4) if name is None else name
    return change(lambda kept: replace(kept, learner=chosen)).learner


def under_way() -> dict[str, LabRecord]:
    """The labs that were begun and not finished since, by name.

    Raises SandboxError if the record is not in order.
    """
    return {name: lab for name, lab in read().labs.items() if lab.started and not lab.finished}


def begin(name: str, points: int, start: _Json) -> None:
    """A lab is started, or started over, see ``begin_lab``.

    start: how the hosts are, see ``scene.read_raw``. Raises SandboxError.
    """

    def make(kept: Record) -> Record:
        start_path(name).parent.mkdir(mode=0o700, exist_ok=True)
        _write(start_path(name), json.dumps(start))
        return begin_lab(kept, name, points, time.time())

    change(make)


def begin_lesson() -> None:
    """Keep that the lesson whose notebook this kernel belongs to was opened; else do nothing.

    Jupyter Server tells a kernel its notebook's path as ``JPY_SESSION_NAME``. Raises SandboxError.
    """
    if found := _LESSON.search(settings.read("JPY_SESSION_NAME")):
        change(open_lesson, found[1], time.time())


def restore(file: Path) -> None:
    """Take in what was kept elsewhere, see ``merge``. Raises SandboxError if it is no such file."""
    fix = "Use a file that .save(“progress.json”) wrote."
    try:
        theirs = _read(file, fix)
    except FileNotFoundError as error:
        raise SandboxError(f"There is no file {file}.", fix=fix) from error
    change(merge, theirs)


def as_text(kept: Record) -> str:
    """The file's text: JSON, ``{"version": 1, "learner": "…", "lessons": {name: {…}}, "labs":
    {name: {…}}}`` and, if there is any wall, ``"share": {…, "left": [{…}]}``.

    Raises SandboxError for text that UTF-8 cannot hold.
    """
    parts = asdict(kept)
    share, left = parts.pop("share"), parts.pop("left")
    if share or left:
        parts["share"] = {**(share or {}), "left": left}
    text = json.dumps({"version": VERSION, **parts}, indent=2, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise SandboxError(
            "What you wrote cannot be kept.",
            why=f"{text[error.start]!a} is only half of a character",
            fix="Write it again without that.",
        ) from error
    return text


def _read(file: Path, fix: str) -> Record:
    """Raises FileNotFoundError, and SandboxError with that fix if it is not one of ours."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        # JSON can escape half of a character, which could not be written again.
        json.dumps(found, ensure_ascii=False).encode()
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise SandboxError(f"{file} cannot be read.", why=str(error), fix=fix) from error
    version = found.get("version") if isinstance(found, dict) else None
    if version != VERSION:
        newer = isinstance(version, int) and version > VERSION
        raise SandboxError(
            f"{file} is not a progress file of this version of the course.",
            why="a newer version wrote it" if newer else "",
            fix="Update the course; the file stays as it is." if newer else fix,
        )
    try:
        return _record(found)
    except ValueError as error:
        raise SandboxError(f"{file} is not in order.", why=str(error), fix=fix) from error


def _record(found: _Json) -> Record:
    """Raises ValueError for what is not of the form. Earlier versions kept less."""
    share = _value(found, "share", dict, {})
    return Record(
        learner=_value(found, "learner", str, ""),
        lessons={name: _lesson(row) for name, row in _table(found, "lessons", dict).items()},
        labs={name: _lab(row) for name, row in _table(found, "labs", dict).items()},
        share=_share(share) if "url" in share else None,
        left=tuple(_share(_checked("left", it, dict)) for it in _value(share, "left", list, [])),
    )


def _lesson(row: _Json) -> LessonRecord:
    started = _seconds(row, "started", 0.0)
    return LessonRecord(
        started=started,
        opened=_seconds(row, "opened", started),
        quiz=_table(row, "quiz", bool),
        questions=_value(row, "questions", int, 0),
    )


def _lab(row: _Json) -> LabRecord:
    done = None if row.get("done") is None else _seconds(row, "done", 0.0)
    return LabRecord(
        started=_seconds(row, "started", 0.0),
        hints=_table(row, "hints", int),
        answers=_table(row, "answers", str),
        best=_value(row, "best", int, 0),
        points=_value(row, "points", int, 0),
        done=done,
        finished=_value(row, "finished", bool, done is not None),
    )


def _share(row: _Json) -> Share:
    url, token, learner = (
        _checked(part, row.get(part), str) for part in ("url", "token", "learner")
    )
    return Share(url, token, learner, _value(row, "name", str, ""))


def _table(row: _Json, name: str, kind: type[_T]) -> dict[str, _T]:
    return {key: _checked(name, it, kind) for key, it in _value(row, name, dict, {}).items()}


def _value(row: _Json, name: str, kind: type[_T], default: _T) -> _T:
    return _checked(name, row.get(name, default), kind)


def _seconds(row: _Json, name: str, default: float) -> float:
    found = row.get(name, default)
    # JSON has one kind of number. A clock that was set back made some less than 0.
    if isinstance(found, int) and not isinstance(found, bool) and abs(found) <= LARGEST:
        found = float(found)
    return _checked(name, found, float)


def _checked(name: str, found: object, kind: type[_T]) -> _T:
    least = 0 if kind is int else -LARGEST
    if (
        not isinstance(found, kind)
        # Python's bool is an int; JSON's is not.
        or (isinstance(found, bool) and kind is not bool)
        or (isinstance(found, int | float) and not least <= found <= LARGEST)
    ):
        raise ValueError(f"{name} is {reprlib.repr(found)}")
    return found
