"""A learner's progress on an instructor's wall: sent when it changes, if the learner says so.

Nothing waits for it, and nothing fails with it. What is sent has no name unless one is given, no
answer, and nothing of the hosts.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import secrets
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from sandbox import record
from sandbox.errors import SandboxError
from sandbox.record import Record, Share

__all__ = [
    "LONGEST_NAME",
    "NAME",
    "LabReport",
    "LessonReport",
    "Report",
    "share_progress",
    "stop_sharing",
    "summary",
]

SECONDS = 5.0
# A wall that is asked too often says when to come again; longer than this is not waited.
LONGEST_PAUSE = 10
LONGEST_NAME = 40
# Of a lesson or lab; quizzes of somebody's own may have others.
NAME = r"[0-9]{2}-[a-z0-9-]{1,60}"
_FAILURES = (OSError, ValueError, http.client.HTTPException)
# Held while something is on its way, so that what is forgotten does not come after.
_sending = threading.Lock()


@dataclass(frozen=True, slots=True)
class LessonReport:
    """started: when it was opened last, in seconds since 1970.  right, answered, questions: of its
    quiz, those at the first try and all."""

    started: float
    right: int
    answered: int
    questions: int


@dataclass(frozen=True, slots=True)
class LabReport:
    """started: when it was begun last, in seconds since 1970.  done: whether it ever was."""

    started: float
    best: int
    points: int
    done: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What a wall is sent. learner: who that is there.  name: "" for none."""

    learner: str
    name: str
    lessons: Mapping[str, LessonReport]
    labs: Mapping[str, LabReport]


def summary(kept: Record, share: Share) -> Report:
    """What that wall is sent of a learner's record."""
    lessons = {
        name: LessonReport(lesson.opened, lesson.right, len(lesson.quiz), lesson.questions)
        for name, lesson in kept.lessons.items()
        if re.fullmatch(NAME, name)
    }
    labs = {
        name: LabReport(lab.started, lab.best, lab.points, lab.done is not None)
        for name, lab in kept.labs.items()
        if re.fullmatch(NAME, name)
    }
    return Report(share.learner, share.name, lessons, labs)


def share_progress(url: str, token: str, name: str = "") -> str:
    """Show your progress on your instructor's wall, including what you did before.

    ``stop_sharing`` ends it, and so does sharing with another wall.

    url, token: as the instructor says.  name: what to call you there; "" for no name.

    Raises SandboxError if there is no wall, or it refuses your progress.
    """
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise SandboxError(f"{url!r} is not a wall's address.", fix='It begins with "https://".')
    if not isinstance(token, str):
        raise SandboxError(f"{token!r} is not a token.", fix="Write it in quotes.")
    if not isinstance(name, str) or len(name) > LONGEST_NAME:
        raise SandboxError(
            f"{name!r} is not a name.", fix=f"Write at most {LONGEST_NAME} characters in quotes."
        )
    url = url.rstrip("/")
    with _sending:
        kept = record.read()
        before = kept.share
        known = [it for it in (before, *kept.left) if it and it.url == url]
        # A learner is somebody else on every wall, so that two of them cannot be joined.
        learner = known[0].learner if known else secrets.token_hex(8)
        share = Share(url, token, learner, name)
        # What could not be kept is not sent.
        record.as_text(_shared(kept, share))
        try:
            _send("POST", share, asdict(summary(kept, share)))
        except urllib.error.HTTPError as error:
            raise SandboxError("The wall refused your progress.", why=_words(error)) from error
        except _FAILURES as error:
            raise SandboxError(f"No wall answers at {url}.", why=str(error)) from error
        record.change(_shared, share)
    who = f" as {name}" if name else ""
    said = f"{url} shows your progress{who}; sandbox.stop_sharing() ends it."
    if before and before.url != url:
        said += f" {_forgotten(_have_forgotten())}"
    return said


def stop_sharing() -> str:
    """Send nothing more, and have every wall forget you; gives a sentence. Raises SandboxError."""
    kept = record.read()
    if kept.share is None and not kept.left:
        return "Nothing was shared."
    record.change(_leave)
    return f"Nothing more is sent. {_forgotten(_have_forgotten())}"


def _shared(kept: Record, share: Share) -> Record:
    """Share with that wall alone."""
    left = tuple(wall for wall in _leave(kept).left if wall.url != share.url)
    return replace(kept, share=share, left=left)


def _leave(kept: Record) -> Record:
    """Share nothing more; the wall is kept until it has forgotten the learner."""
    if kept.share is None:
        return kept
    return replace(kept, share=None, left=(*kept.left, replace(kept.share, name="")))


def _have_forgotten() -> dict[str, str]:
    """Ask the walls that were left to forget the learner; why not, by address, of those that did
    not. They are asked again after the next change."""
    failed = {}
    with _sending:
        for wall in record.read().left:
            try:
                _send("DELETE", wall, {"learner": wall.learner})
            except urllib.error.HTTPError as error:
                failed[wall.url] = _words(error)
            except _FAILURES as error:
                failed[wall.url] = str(error)
            else:
                record.change(_strike, wall)
    return failed


def _strike(kept: Record, wall: Share) -> Record:
    return replace(kept, left=tuple(it for it in kept.left if it != wall))


def _forgotten(failed: dict[str, str]) -> str:
    if not failed:
        return "The wall that you left has forgotten you."
    walls = " and ".join(f"{url} ({why})" for url, why in failed.items())
    return (
        f"I could not tell {walls} to forget you, so your progress so far is still there. I try "
        "again whenever you do something in the course; sandbox.stop_sharing() tries at once."
    )


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A wall does not send elsewhere, and its token is for nobody else."""

    def redirect_request(self, *_: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect)


def _send(method: str, wall: Share, body: Mapping[str, object]) -> None:
    """Ask the wall, and once more where it says that this came too soon."""
    try:
        _ask(method, wall, body)
    except urllib.error.HTTPError as error:
        pause = error.headers.get("Retry-After", "")
        if error.code != 429 or not pause.isdigit() or int(pause) > LONGEST_PAUSE:
            raise
        error.close()
        time.sleep(int(pause))
        _ask(method, wall, body)


def _ask(method: str, wall: Share, body: Mapping[str, object]) -> None:
    request = urllib.request.Request(
        f"{wall.url}/progress",
        json.dumps(body).encode(),
        method=method,
        headers={"Authorization": f"token {wall.token}", "Content-Type": "application/json"},
    )
    with _opener.open(request, timeout=SECONDS) as answer:
        if json.loads(answer.read(100)) != {}:
            raise ValueError("what answers there is not a wall")


def _words(error: urllib.error.HTTPError) -> str:
    with error, contextlib.suppress(*_FAILURES, KeyError, TypeError, RecursionError):
        return str(json.loads(error.read(2000))["error"])
    return str(error)


class _Sender:
    """Sends what is kept, after each change, in a thread that ends when there is nothing left."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due = self._works = False

    def give(self, kept: Record) -> None:
        if kept.share is None and not kept.left:
            return
        with self._lock:
            self._due = True
            if self._works:
                return
            self._works = True
        try:
            threading.Thread(target=self._work, daemon=True).start()
        except RuntimeError:
            # No more threads can be had; the next change tries again.
            self._works = False

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._due:
                    self._works = False
                    return
                self._due = False
            # Whatever goes wrong, the next change sends all of it again.
            with contextlib.suppress(Exception), _sending:
                kept = record.read()
                if kept.share:
                    _send("POST", kept.share, asdict(summary(kept, kept.share)))
            with contextlib.suppress(Exception):
                _have_forgotten()


record.listeners.append(_Sender().give)
