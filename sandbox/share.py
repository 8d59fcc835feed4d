"""A learner's progress on an instructor's wall: sent when it changes, if the learner says so.

Nothing waits for it, and nothing fails with it. What is sent has no name unless one is given, no
answer, and nothing of the hosts.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
import time
import urllib.error
import urllib.request
from typing import Any

from sandbox import record
from sandbox.errors import SandboxError

__all__ = ["share_progress", "stop_sharing", "summary"]

SECONDS = 5.0
# A wall that is asked too often says when to come again; longer than this is not waited.
LONGEST_PAUSE = 10.0


def summary(kept: dict[str, Any]) -> dict[str, Any]:
    """What a wall is sent of a learner's record, JSON-ready."""
    sharing = kept["share"]
    lessons = {}
    for name, lesson in kept["lessons"].items():
        quiz = lesson.get("quiz", {})
        lessons[name] = {
            "started": lesson.get("started", 0.0),
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
    return {
        "learner": sharing["learner"], "name": sharing["name"], "lessons": lessons, "labs": labs,
    }  # fmt: skip


def share_progress(url: str, token: str, name: str = "") -> str:
    """Show your progress on your instructor's wall, from now on; ``stop_sharing`` ends it.

    url, token: as the instructor says.  name: what to call you there; "" for nobody's name.

    Raises SandboxError if there is no wall, or it does not take you.
    """
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise SandboxError(f"{url!r} is no address of a wall.", fix='It begins with "https://".')
    for text, what in ((token, "token"), (name, "name")):
        if not isinstance(text, str):
            raise SandboxError(f"{text!r} is no {what}.", fix="Write it in quotes.")
    earlier = record.read().get("share", {})
    sharing = {
        "url": url.rstrip("/"), "token": token, "name": name,
        "learner": earlier.get("learner") or secrets.token_hex(8),
    }  # fmt: skip
    try:
        _ask(sharing, "POST", summary({**record.read(), "share": sharing}))
    except urllib.error.HTTPError as error:
        raise SandboxError("The wall does not take you.", why=_words(error)) from error
    except (OSError, ValueError) as error:
        raise SandboxError(f"No wall answers at {url}.", why=str(error)) from error
    record.change(lambda kept: kept.update(share=sharing))
    return (
        f"{url} shows your progress{f' as {name}' if name else ''}; sandbox.stop_sharing() ends it."
    )


def stop_sharing() -> None:
    """Send nothing more, and have the wall forget you. Raises SandboxError."""
    sharing = record.read().get("share")
    if not sharing:
        return
    record.change(lambda kept: kept.pop("share", None))
    with contextlib.suppress(OSError, ValueError):
        _ask(sharing, "DELETE", {"learner": sharing["learner"]})


def _ask(sharing: dict[str, str], method: str, body: dict[str, Any]) -> None:
    request = urllib.request.Request(
        f"{sharing['url']}/progress", json.dumps(body).encode(), method=method,
        headers={"Authorization": f"token {sharing['token']}", "Content-Type": "application/json"},
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=SECONDS):
        pass


def _words(error: urllib.error.HTTPError) -> str:
    with contextlib.suppress(OSError, ValueError):
        return str(json.loads(error.read(2000))["error"])
    return str(error)


class _Sender:
    """Sends the newest of what it is given, in a thread that ends when there is nothing left."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next: dict[str, Any] | None = None
        self._thread: threading.Thread | None = None

    def give(self, kept: dict[str, Any]) -> None:
        if not kept.get("share"):
            return
        with self._lock:
            self._next = kept
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while True:
            with self._lock:
                kept, self._next = self._next, None
                if kept is None:
                    self._thread = None
                    return
            try:
                _ask(kept["share"], "POST", summary(kept))
            except urllib.error.HTTPError as error:
                pause = error.headers.get("Retry-After", "")
                if error.code == 429 and pause.isdigit() and int(pause) <= LONGEST_PAUSE:
                    time.sleep(int(pause))
                    with self._lock:
                        self._next = self._next or kept
            except (OSError, ValueError, KeyError):
                # The next change sends all of it again.
                continue


record.listeners.append(_Sender().give)
