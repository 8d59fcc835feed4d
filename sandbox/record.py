"""What a learner has done, in one file of the user's data folder."""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox.errors import SandboxError, setting
from sandbox.paths import data_dir, opened

__all__ = [
    "answer_quiz",
    "begin",
    "begin_lesson",
    "change",
    "learner",
    "listeners",
    "merge",
    "of_lab",
    "of_lesson",
    "path",
    "read",
    "start_path",
    "under_way",
]

VERSION = 1
# Each is called with all that is kept after a change, and returns at once.
listeners: list[Callable[[dict[str, Any]], None]] = []
_LESSON = re.compile(r"lessons/(\d\d-[a-z0-9-]+)\.ipynb")


def path() -> Path:
    """The file: JSON, ``{"version": 1, "learner": "…", "lessons": {name: {…}}, "labs": {…}}``."""
    return data_dir() / "progress.json"


def start_path(lab: str) -> Path:
    """The file that keeps how the hosts were when a lab began."""
    return data_dir() / "starts" / f"{lab}.json"


def read() -> dict[str, Any]:
    """All of it. Raises SandboxError if the file is not one of ours."""
    try:
        return _read(path(), "Move it away to begin a new one.")
    except FileNotFoundError:
        return {"version": VERSION, "learner": "", "lessons": {}, "labs": {}}


def _read(file: Path, fix: str) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise SandboxError(f"{file} cannot be read.", why=str(error), fix=fix) from error
    if not isinstance(found, dict) or found.get("version") != VERSION:
        raise SandboxError(f"{file} is no progress of this version of the course.", fix=fix)
    found = {"learner": "", "lessons": {}, "labs": {}, **found}
    parts = [found["lessons"], found["labs"]]
    if not isinstance(found.get("share", {}), dict) or not all(
        isinstance(part, dict) and all(map(_in_order, part.values())) for part in parts
    ):
        raise SandboxError(f"{file} is not in order.", fix=fix)
    return found


# What is kept of a lesson or lab, but for a lab's ``done``, which may be None.
_NUMBERS = ("started", "opened", "questions", "best", "points")
_TABLES = {"quiz": bool, "hints": int, "answers": str}


def _in_order(row: Any) -> bool:
    return (
        isinstance(row, dict)
        and all(isinstance(row.get(name, 0), int | float) for name in _NUMBERS)
        and isinstance(row.get("done"), int | float | None)
        and all(
            isinstance(row.get(name, {}), dict)
            and all(isinstance(it, kind) for it in row.get(name, {}).values())
            for name, kind in _TABLES.items()
        )
    )


def change(make: Callable[[dict[str, Any]], None]) -> None:
    """Have make change what is kept; other notebooks wait meanwhile. Raises SandboxError."""
    try:
        with opened(data_dir() / "progress.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            kept = read()
            make(kept)
            _write(path(), json.dumps(kept, indent=2, ensure_ascii=False))
    except OSError as error:
        raise SandboxError(
            f"What you did cannot be kept in {data_dir()}.",
            why=error.strerror or str(error),
            fix="Make room there; or choose another folder, and "
            f"{setting('WIRE_BY_WIRE_DATA', 'FOLDER')}.",
        ) from error
    for listener in listeners:
        listener(kept)


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
    if name is None and (kept := read()["learner"]):
        return str(kept)
    if name is not None and not isinstance(name, str):
        raise SandboxError(f"{name!r} is no learner's name.", fix='Write it in quotes: "ada".')
    chosen = secrets.token_hex(4) if name is None else name
    change(lambda kept: kept.update(learner=chosen))
    return chosen


def of_lab(name: str) -> dict[str, Any]:
    """What is kept of a lab: ``started`` (seconds since 1970), ``hints`` by task's title,
    ``answers`` by question, ``best`` and ``points``, ``done`` (seconds it took, or None),
    ``finished``, whether all was done since it was last begun."""
    return {
        "started": 0.0, "hints": {}, "answers": {}, "best": 0, "points": 0, "done": None,
        **read()["labs"].get(name, {}),
    }  # fmt: skip


def under_way() -> dict[str, dict[str, Any]]:
    """The labs that were begun and not finished since, by name, each as ``of_lab`` gives it.

    Raises SandboxError if the record is not in order.
    """
    labs = {name: of_lab(name) for name in read()["labs"]}
    # Earlier versions kept only that a lab had once been done.
    return {
        name: lab
        for name, lab in labs.items()
        if lab["started"] and not lab.get("finished", lab["done"] is not None)
    }


def begin(name: str, points: int, start: dict[str, Any]) -> None:
    """A lab is begun anew; the best score of earlier times stays.

    start: how the hosts are, see ``scene.read_raw``. Raises SandboxError.
    """

    def make(kept: dict[str, Any]) -> None:
        start_path(name).parent.mkdir(mode=0o700, exist_ok=True)
        _write(start_path(name), json.dumps(start))
        before = kept["labs"].get(name, {})
        kept["labs"][name] = {
            "started": time.time(), "hints": {}, "answers": {}, "best": before.get("best", 0),
            "points": points, "done": before.get("done"), "finished": False,
        }  # fmt: skip

    change(make)


def begin_lesson() -> None:
    """Keep that the lesson whose notebook this kernel belongs to was opened; else do nothing.

    Jupyter Server tells a kernel its notebook's path as ``JPY_SESSION_NAME``. Raises SandboxError.
    """
    found = _LESSON.search(os.environ.get("JPY_SESSION_NAME", ""))
    if not found:
        return
    now = time.time()

    def keep(kept: dict[str, Any]) -> None:
        lesson = _lesson(kept, found[1])
        lesson.setdefault("started", now)
        lesson["opened"] = now

    change(keep)


def of_lesson(name: str) -> dict[str, Any]:
    """What is kept of a lesson: ``started`` and ``opened`` last (seconds since 1970), ``quiz``,
    whether each question was answered right at the first try, ``questions``, how many there are.
    """
    return {"started": 0.0, "quiz": {}, "questions": 0, **read()["lessons"].get(name, {})}


def answer_quiz(name: str, question: str, right: bool, questions: int) -> None:
    """Keep the first answer to a question of a lesson's quiz. questions: how many it has.

    Raises SandboxError.
    """

    def keep(kept: dict[str, Any]) -> None:
        lesson = _lesson(kept, name)
        lesson.setdefault("started", time.time())
        lesson.setdefault("quiz", {}).setdefault(question, right)
        lesson["questions"] = questions

    change(keep)


def _lesson(kept: dict[str, Any], name: str) -> dict[str, Any]:
    lesson: dict[str, Any] = kept["lessons"].setdefault(name, {})
    return lesson


def merge(file: Path) -> None:
    """Take in what was kept elsewhere: of each lab the better score, and answers not given here.

    Raises SandboxError if it is no such file.
    """
    fix = "It is to be what .save(“progress.json”) wrote."
    try:
        theirs = _read(file, fix)
    except FileNotFoundError as error:
        raise SandboxError(f"There is no file {file}.", fix=fix) from error

    def take(kept: dict[str, Any]) -> None:
        kept["learner"] = kept["learner"] or theirs["learner"]
        for name, lesson in theirs["lessons"].items():
            mine = _lesson(kept, name)
            kept["lessons"][name] = {
                **lesson, **mine, "quiz": {**lesson.get("quiz", {}), **mine.get("quiz", {})},
            }  # fmt: skip
        for name, lab in theirs["labs"].items():
            mine = kept["labs"].setdefault(name, {})
            mine["best"] = max(mine.get("best", 0), lab.get("best", 0))
            mine.setdefault("points", lab.get("points", 0))
            if not mine.get("done"):
                mine["done"] = lab.get("done")

    change(take)
