"""How far a learner is: every lesson and lab of the course, with what is kept of each."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

from sandbox import record
from sandbox.errors import SandboxError, expect
from sandbox.labs.lab import COURSE, load, names
from sandbox.views.page import save_page, template, unwritable

__all__ = ["CourseProgress", "lessons", "my_progress", "restore_progress", "title"]

LESSONS = COURSE.parent / "lessons"


@dataclass(frozen=True, slots=True)
class LessonRow:
    """A lesson. right, answered, questions: of its quiz, those at the first try and all."""

    notebook: Path
    title: str
    started: bool
    right: int
    answered: int
    questions: int

    @property
    def state(self) -> str:
        if self.answered:
            left = self.questions - self.answered
            more = f", {left} not answered yet" if left > 0 else ""
            return f"quiz: {self.right} of {self.answered} right at the first try{more}"
        return "begun" if self.started else ""


@dataclass(frozen=True, slots=True)
class LabRow:
    """A lab. best, points: the best score, and all there are.  done: seconds it took, or None."""

    notebook: Path
    title: str
    started: bool
    best: int
    points: int
    done: float | None

    @property
    def state(self) -> str:
        if self.done is not None:
            return f"done in {max(1, round(self.done / 60))} min"
        return "begun" if self.started or self.best else ""


@dataclass(frozen=True, slots=True)
class CourseProgress:
    """All lessons and labs, and how far the learner is; a notebook shows it as a page."""

    lessons: tuple[LessonRow, ...]
    labs: tuple[LabRow, ...]

    @property
    def summary(self) -> str:
        begun = sum(lesson.started for lesson in self.lessons)
        earned, points = sum(lab.best for lab in self.labs), sum(lab.points for lab in self.labs)
        return (
            f"{begun} of {len(self.lessons)} lessons begun; "
            f"{earned} of {points} points of the labs earned"
        )

    def __str__(self) -> str:
        lines = [self.summary, "", "Lessons"]
        lines += [f"  {it.notebook.stem:24} {it.state}".rstrip() for it in self.lessons]
        lines += ["", "Labs"]
        for lab in self.labs:
            score = f"{lab.best}/{lab.points} points"
            lines.append(f"  {lab.notebook.stem:24} {score:14} {lab.state}".rstrip())
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self._html(Path.cwd())

    def _html(self, folder: Path) -> str:
        """folder: of the page, from which its links lead to the notebooks."""
        root = _around(folder)
        links = {}
        for notebook in [it.notebook for it in self.lessons] + [it.notebook for it in self.labs]:
            here = root / notebook.relative_to(COURSE.parent)
            links[notebook] = Path(os.path.relpath(here, folder)).as_posix()
        return str(template("progress.html").render(progress=self, links=links))

    def save(self, path: str | Path) -> Path:
        """Write it to path: with ``.html`` a page to read, with ``.json`` what
        ``sandbox.restore_progress`` takes in elsewhere. Gives path.

        Raises SandboxError for another ending, or if it cannot be written.
        """
        path = Path(path)
        if path.suffix == ".html":
            return save_page(path, "My progress", self._html(path.parent), "progress")
        if path.suffix != ".json":
            raise SandboxError(
                f"Progress cannot be saved as {path.name!r}.",
                fix="Name it with .html, a page to read, or .json, to go on elsewhere.",
            )
        # Whoever has the file does not share as its learner.
        kept = replace(record.read(), share=None, left=())
        try:
            path.write_text(record.as_text(kept) + "\n", encoding="utf-8")
        except OSError as error:
            raise unwritable(f"The progress could not be saved as {path}.", error) from None
        return path


def my_progress() -> CourseProgress:
    """How far you are: every lesson with its quiz, every lab with its points.

    It is kept in one file, ``progress.json`` in your data folder. Raises SandboxError if that
    cannot be read.
    """
    kept = record.read()
    found = []
    for notebook in lessons():
        begun, lesson = notebook.stem in kept.lessons, kept.lesson(notebook.stem)
        found.append(
            LessonRow(
                notebook, title(notebook), begun, lesson.right, len(lesson.quiz), lesson.questions
            )
        )
    labs = []
    for name in names():
        lab, mine = load(name, kept.learner), kept.lab(name)
        notebook = lab.folder / f"{name}.ipynb"
        labs.append(
            LabRow(notebook, lab.title, bool(mine.started), mine.best, lab.points, mine.done)
        )
    return CourseProgress(tuple(found), tuple(labs))


def restore_progress(path: str | Path) -> CourseProgress:
    """Take in what ``my_progress().save("progress.json")`` wrote elsewhere; gives all there is now.

    It never lowers a score: each lab keeps the better one, each question the better answer.
    Raises SandboxError if it is not such a file.
    """
    expect(path, (str, Path), "a file's name", 'write it in quotes: "progress.json"')
    record.restore(Path(path))
    return my_progress()


def _around(folder: Path) -> Path:
    """The copy of the course that a folder is in, or the course itself."""
    for parent in (folder.absolute(), *folder.absolute().parents):
        if (parent / "lessons/00-start-here.ipynb").exists() and (parent / "labs").exists():
            return parent
    return COURSE.parent


def lessons() -> list[Path]:
    """The lessons' notebooks, in order."""
    return sorted(LESSONS.glob("[0-9][0-9]-*.ipynb"))


def title(notebook: Path) -> str:
    """What a notebook's first line says."""
    first = json.loads(notebook.read_text(encoding="utf-8"))["cells"][0]["source"][0]
    return str(first).strip("# \n")
