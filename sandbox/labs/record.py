"""What a learner has done, in one file of the user's data folder."""

from __future__ import annotations

import fcntl
import json
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox.errors import SandboxError
from sandbox.paths import data_dir

__all__ = ["begin", "change", "learner", "of_lab", "path", "read", "start_path"]

VERSION = 1


def path() -> Path:
    """The file: JSON, ``{"version": 1, "learner": "…", "labs": {name: {…}}}``."""
    return data_dir() / "progress.json"


def start_path(lab: str) -> Path:
    """The file that keeps how the hosts were when a lab began."""
    return data_dir() / "starts" / f"{lab}.json"


def read() -> dict[str, Any]:
    """All of it. Raises SandboxError if the file is not one of ours."""
    try:
        found = json.loads(path().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"version": VERSION, "learner": "", "labs": {}}
    except (OSError, ValueError) as error:
        raise SandboxError(
            f"{path()} cannot be read.", why=str(error), fix="Move it away to begin a new one."
        ) from error
    if not isinstance(found, dict) or found.get("version") != VERSION:
        raise SandboxError(
            f"{path()} is not of this version of the course.",
            fix="Move it away to begin a new one.",
        )
    return found


def change(make: Callable[[dict[str, Any]], None]) -> None:
    """Have make change what is kept; other notebooks wait meanwhile. Raises SandboxError."""
    try:
        with (data_dir() / "progress.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            kept = read()
            make(kept)
            _write(path(), json.dumps(kept, indent=2, ensure_ascii=False))
    except OSError as error:
        raise SandboxError(
            f"What you did cannot be kept in {data_dir()}.",
            why=error.strerror or str(error),
            fix="Make room there, or set WIRE_BY_WIRE_DATA to another folder.",
        ) from error


def _write(target: Path, text: str) -> None:
    """In one step: whoever reads it gets the old text or the new."""
    new = target.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
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
    ``answers`` by question, ``best`` and ``points``, ``done`` (seconds it took, or None)."""
    return {
        "started": 0.0, "hints": {}, "answers": {}, "best": 0, "points": 0, "done": None,
        **read()["labs"].get(name, {}),
    }  # fmt: skip


def begin(name: str, points: int, start: dict[str, dict[str, Any]]) -> None:
    """A lab is begun anew; the best score of earlier times stays.

    start: how the hosts are, see ``scene.read_raw``. Raises SandboxError.
    """

    def make(kept: dict[str, Any]) -> None:
        start_path(name).parent.mkdir(exist_ok=True)
        _write(start_path(name), json.dumps(start))
        before = kept["labs"].get(name, {})
        kept["labs"][name] = {
            "started": time.time(), "hints": {}, "answers": {}, "best": before.get("best", 0),
            "points": points, "done": before.get("done"),
        }  # fmt: skip

    change(make)
