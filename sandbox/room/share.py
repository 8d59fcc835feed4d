"""A learner's progress on an instructor's wall: sent when it changes, if the learner says so.

Nothing waits for it, and nothing fails with it. What is sent has no name unless one is given, no
answer, and nothing of the hosts.
"""

from __future__ import annotations

import contextlib
import functools
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
    ends it, and so does sharing with another wall.

    url, token: as the instructor says.  name: what to call you there; "" for nobody's name.

    Raises SandboxError if there is no wall, or it refuses your progress.
    """
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise SandboxError(f"{url!r} is no address of a wall.", fix='It begins with "https://".')
    if not isinstance(token, str):
        raise SandboxError(f"{token!r} is no token.", fix="Write it in quotes.")
    if not isinstance(name, str) or len(name) > LONGEST_NAME:
        raise SandboxError(
            f"{name!r} is no name.", fix=f"Write at most {LONGEST_NAME} characters in quotes."
        )
    url = url.rstrip("/")
    with _sending:
        kept = record.read()
        before = _sharing(kept)
        known = [it for it in (before, *_left(kept)) if it and it["url"] == url]
        # A learner is somebody else on every wall, so that two of them cannot be joined.
        learner = known[0]["learner"] if known else secrets.token_hex(8)
        sharing = {"url": url, "token": token, "name": name, "learner": learner}
        try:
            _send("POST", sharing, summary({**kept, "share": sharing}))
        except urllib.error.HTTPError as error:
            raise SandboxError("The wall refused your progress.", why=_words(error)) from error
        except _FAILURES as error:
            raise SandboxError(f"No wall answers at {url}.", why=str(error)) from error

        def keep(all_of_it: dict[str, Any]) -> None:
            _leave(all_of_it)
            left = [it for it in _left(all_of_it) if it["url"] != url]
            all_of_it["share"] = {**sharing, "left": left}

        record.change(keep)
    who = f" as {name}" if name else ""
    said = f"{url} shows your progress{who}; sandbox.stop_sharing() ends it."
    if before and before["url"] != url:
        said += f" {_forgotten(_have_forgotten())}"
    return said


def stop_sharing() -> str:
    """Send nothing more, and have every wall forget you; gives a sentence. Raises SandboxError."""
    kept = record.read()
    if _sharing(kept) is None and not _left(kept):
        return "Nothing was shared."
    record.change(_leave)
    return f"Nothing more is sent. {_forgotten(_have_forgotten())}"


def _left(kept: dict[str, Any]) -> list[dict[str, str]]:
    """The walls that are still to forget a learner, each with its token and who that is there."""
    found = kept.get("share", {}).get("left", [])
    parts = ("url", "token", "learner")
    return [
        it
        for it in (found if isinstance(found, list) else ())
        if isinstance(it, dict) and all(isinstance(it.get(part), str) for part in parts)
    ]


def _leave(kept: dict[str, Any]) -> None:
    """Share nothing more; the wall is kept until it has forgotten the learner."""
    if (sharing := _sharing(kept)) is not None:
        me = {part: sharing[part] for part in ("url", "token", "learner")}
        kept["share"] = {"left": [*_left(kept), me]}


def _have_forgotten() -> dict[str, str]:
    """Ask the walls that were left to forget the learner; why not, by address, of those that did
    not. They are asked again after the next change."""
    failed = {}
    with _sending:
        for wall in _left(record.read()):
            try:
                _send("DELETE", wall, {"learner": wall["learner"]})
            except urllib.error.HTTPError as error:
                failed[wall["url"]] = _words(error)
            except _FAILURES as error:
                failed[wall["url"]] = str(error)
            else:
                record.change(functools.partial(_strike, wall))
    return failed


def _strike(wall: dict[str, str], kept: dict[str, Any]) -> None:
    left = [it for it in _left(kept) if it != wall]
    kept["share"] = {**kept.get("share", {}), "left": left}
    if not left and _sharing(kept) is None:
        del kept["share"]


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


def _send(method: str, sharing: dict[str, str], body: dict[str, Any]) -> None:
    """Ask the wall, and once more where it says that this came too soon."""
    try:
        _ask(method, sharing, body)
    except urllib.error.HTTPError as error:
        pause = error.headers.get("Retry-After", "")
        if error.code != 429 or not pause.isdigit() or int(pause) > LONGEST_PAUSE:
            raise
        error.close()
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
    with error, contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads(error.read(2000))["error"])
    return str(error)


class _Sender:
    """Sends what is kept, after each change, in a thread that ends when there is nothing left."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due = self._works = False

    def give(self, kept: dict[str, Any]) -> None:
        if _sharing(kept) is None and not _left(kept):
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
            with contextlib.suppress(Exception):
                _have_forgotten()


record.listeners.append(_Sender().give)
