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
from typing import Any

from sandbox import record
from sandbox.errors import SandboxError

__all__ = ["LONGEST_NAME", "NAME", "share_progress", "stop_sharing", "summary"]

SECONDS = 5.0
# A wall that is asked too often says when to come again; longer than this is not waited.
LONGEST_PAUSE = 10
LONGEST_NAME = 40
# Of a lesson or lab; quizzes of somebody's own may have others.
NAME = r"[0-9]{2}-[a-z0-9-]{1,60}"
_FAILURES = (OSError, ValueError, http.client.HTTPException)
# Held while something is on its way, so that what is forgotten does not come after.
_sending = threading.Lock()


def summary(kept: dict[str, Any]) -> dict[str, Any]:
    """What a wall is sent of a learner's record, JSON-ready."""
    sharing = kept["share"]
    lessons = {}
    for name, lesson in kept["lessons"].items():
        quiz = lesson.get("quiz", {})
        lessons[name] = {
            "started": lesson.get("opened", lesson.get("started", 0.0)),
            "right": sum(quiz.values()),
            "answered": len(quiz),
            "questions": lesson.get("questions", 0),
        }
    labs = {
        name: {
            "started": lab.get("started", 0.0),
            "best": lab.get("best", 0),
            "points": lab.get("points", 0),
            "done": lab.get("done") is not None,
        }
        for name, lab in kept["labs"].items()
    }
    lessons, labs = (
        {name: row for name, row in part.items() if re.fullmatch(NAME, name)}
        for part in (lessons, labs)
    )
    return {
        "learner": sharing["learner"], "name": sharing["name"], "lessons": lessons, "labs": labs,
    }  # fmt: skip


def _sharing(kept: dict[str, Any]) -> dict[str, str] | None:
    """Where a learner's record is shared, and as whom; None for nowhere."""
    found = kept.get("share")
    parts = ("url", "token", "name", "learner")
    if isinstance(found, dict) and all(isinstance(found.get(part), str) for part in parts):
        return found
    return None


def share_progress(url: str, token: str, name: str = "") -> str:
    """Show your progress on your instructor's wall, what you did before too; ``stop_sharing``
    ends it.

    url, token: as the instructor says.  name: what to call you there; "" for nobody's name.

    Raises SandboxError if there is no wall, or it does not take you.
    """
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise SandboxError(f"{url!r} is no address of a wall.", fix='It begins with "https://".')
    if not isinstance(token, str):
        raise SandboxError(f"{token!r} is no token.", fix="Write it in quotes.")
    if not isinstance(name, str) or len(name) > LONGEST_NAME:
        raise SandboxError(
            f"{name!r} is no name.", fix=f"Write at most {LONGEST_NAME} characters in quotes."
        )
    kept = record.read()
    sharing = {
        "url": url.rstrip("/"), "token": token, "name": name,
        # Who stopped while the wall was down is not forgotten there.
        "learner": kept.get("share", {}).get("learner") or secrets.token_hex(8),
    }  # fmt: skip
    try:
        with _sending:
            _send("POST", sharing, summary({**kept, "share": sharing}))
    except urllib.error.HTTPError as error:
        raise SandboxError("The wall does not take you.", why=_words(error)) from error
    except _FAILURES as error:
        raise SandboxError(f"No wall answers at {url}.", why=str(error)) from error
    record.change(lambda all_of_it: all_of_it.update(share=sharing))
    return (
        f"{url} shows your progress{f' as {name}' if name else ''}; sandbox.stop_sharing() ends it."
    )


def stop_sharing() -> str:
    """Send nothing more, and have the wall forget you; gives a sentence. Raises SandboxError."""
    sharing = _sharing(record.read())
    if sharing is None:
        return "Nothing was shared."
    me = {"learner": sharing["learner"]}
    record.change(lambda kept: kept.update(share=me))
    try:
        with _sending:
            _send("DELETE", sharing, me)
    except _FAILURES as error:
        return (
            f"Nothing more is sent. The wall could not be told ({error}): it still shows what it "
            "has. Share and stop again when it answers."
        )
    record.change(lambda kept: kept.pop("share", None))
    return "Nothing more is sent, and the wall has forgotten you."


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A wall does not send elsewhere, and its token is for nobody else."""

    def redirect_request(self, *_: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect)


def _send(method: str, sharing: dict[str, str], body: dict[str, Any]) -> None:
    """Ask the wall, and once more where it says that this came too soon."""
    try:
        _ask(method, sharing, body)
    except urllib.error.HTTPError as error:
        pause = error.headers.get("Retry-After", "")
        if error.code != 429 or not pause.isdigit() or int(pause) > LONGEST_PAUSE:
            raise
        time.sleep(int(pause))
        _ask(method, sharing, body)


def _ask(method: str, sharing: dict[str, str], body: dict[str, Any]) -> None:
    request = urllib.request.Request(
        f"{sharing['url']}/progress", json.dumps(body).encode(), method=method,
        headers={"Authorization": f"token {sharing['token']}", "Content-Type": "application/json"},
    )  # fmt: skip
    with _opener.open(request, timeout=SECONDS) as answer:
        if json.loads(answer.read(100)) != {}:
            raise ValueError("what answers there is no wall")


def _words(error: urllib.error.HTTPError) -> str:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads(error.read(2000))["error"])
    return str(error)


class _Sender:
    """Sends what is kept, after each change, in a thread that ends when there is nothing left."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due = self._works = False

    def give(self, kept: dict[str, Any]) -> None:
        if _sharing(kept) is None:
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
                if sharing := _sharing(kept):
                    _send("POST", sharing, summary(kept))


record.listeners.append(_Sender().give)
