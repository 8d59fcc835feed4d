"""An instructor's wall: a page that shows a room's progress at a glance.

A small web server, on loopback unless told otherwise, or a service of a JupyterHub. Learners who
share their progress send it here; the instructor's page reads it. Each has a token of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hmac
import json
import re
import secrets
import socket
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, get_type_hints
from urllib.parse import urlsplit

import jsonschema
import tornado.httpserver
import tornado.netutil
import tornado.web

from sandbox import settings
from sandbox.course import lessons, title
from sandbox.errors import SandboxError, course
from sandbox.labs.lab import load, names
from sandbox.paths import make_private
from sandbox.room.share import LONGEST_NAME, NAME, LabReport, LessonReport, Report
from sandbox.views.page import FRONTEND, template

__all__ = ["SCHEMA", "Item", "Room", "items", "read_report", "serve"]

# A report of everything that the course has takes 6 kB.
MOST_BYTES = 32 * 1024
MOST_LEARNERS = 500
# Between two reports of one learner.
LEAST_SECONDS = 1.0
ROLES = ("instructor", "learners")

_KINDS: dict[type, dict[str, object]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer", "minimum": 0, "maximum": 10_000},
    # Seconds since 1970.
    float: {"type": "number", "minimum": 0, "maximum": 1e11},
}
_LEARNER = r"\A[0-9a-f]{16}\Z"


def _object(fields: dict[str, dict[str, object]]) -> dict[str, object]:
    return {
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }


def _table(row: type) -> dict[str, object]:
    """Rows like that dataclass, by the name of a lesson or lab."""
    fields = {name: _KINDS[kind] for name, kind in get_type_hints(row).items()}
    return {
        "type": "object",
        "propertyNames": {"pattern": rf"\A{NAME}\Z"},
        "additionalProperties": _object(fields),
        "maxProperties": 100,
    }


# What a ``Report`` is to be like.
SCHEMA = _object(
    {
        "learner": {"type": "string", "pattern": _LEARNER},
        "name": {"type": "string", "maxLength": LONGEST_NAME},
        "lessons": _table(LessonReport),
        "labs": _table(LabReport),
    }
)
_validator = jsonschema.Draft202012Validator(SCHEMA)


def read_report(sent: Any) -> Report:
    """The report that was sent as JSON. Raises ValueError with the place of what is wrong in it."""
    problem = next(_validator.iter_errors(sent), None)
    if problem is not None:
        raise ValueError(problem.json_path)
    lessons = {name: LessonReport(**row) for name, row in sent["lessons"].items()}
    labs = {name: LabReport(**row) for name, row in sent["labs"].items()}
    return Report(sent["learner"], sent["name"], lessons, labs)


@dataclass(frozen=True, slots=True)
class Item:
    """A lesson or a lab. minutes: how long it takes."""

    name: str
    title: str
    kind: str
    minutes: int


def items() -> tuple[Item, ...]:
    """The course, in order."""
    found = []
    for notebook in lessons():
        said = re.search(r"takes about (\d+) minutes", notebook.read_text(encoding="utf-8"))
        minutes = int(said[1]) if said else 45
        found.append(Item(notebook.stem, title(notebook), "lesson", minutes))
    for name in names():
        lab = load(name)
        found.append(Item(name, lab.title, "lab", lab.minutes))
    return tuple(found)


class Room:
    """What a room's learners have sent, in a file of SQLite. Raises SandboxError."""

    def __init__(self, path: Path) -> None:
        try:
            path.touch(mode=0o600)
            with contextlib.ExitStack() as on_failure:
                self._base = on_failure.enter_context(contextlib.closing(sqlite3.connect(path)))
                self._base.execute("PRAGMA journal_mode=WAL")
                # Not before: what is no database may be anybody's file or folder. SQLite makes
                # the last two, with the first one's mode, and may leave them.
                for name in (path, f"{path}-wal", f"{path}-shm"):
                    make_private(Path(name))
                self._prepare()
                on_failure.pop_all()
        except (OSError, sqlite3.Error) as error:
            raise SandboxError(
                f"The room cannot be kept in {path}.",
                why=str(error),
                fix=f"Name another file: {course('wall --file FILE')}",
            ) from error

    def _prepare(self) -> None:
        with self._base:
            self._base.executescript(
                "CREATE TABLE IF NOT EXISTS token (role TEXT PRIMARY KEY, value TEXT);"
                "CREATE TABLE IF NOT EXISTS learner (id TEXT PRIMARY KEY, report TEXT,"
                " seen REAL, item TEXT, since REAL);"
            )
            for role in ROLES:
                self._base.execute(
                    "INSERT OR IGNORE INTO token VALUES (?, ?)",
                    (role, secrets.token_urlsafe(16)),
                )

    def token(self, role: str) -> str:
        """The token of the ``instructor``, or of all ``learners``."""
        query = self._base.execute("SELECT value FROM token WHERE role = ?", (role,))
        return str(query.fetchone()[0])

    def seen(self, learner: str) -> float | None:
        """When that learner sent something last, in seconds since 1970."""
        row = self._base.execute("SELECT seen FROM learner WHERE id = ?", (learner,)).fetchone()
        return float(row[0]) if row else None

    def size(self) -> int:
        return int(self._base.execute("SELECT count(*) FROM learner").fetchone()[0])

    def put(self, report: Report, now: float) -> None:
        """Keep a learner's report in place of the one before."""
        item = _current(report)
        row = self._base.execute(
            "SELECT item, since FROM learner WHERE id = ?", (report.learner,)
        ).fetchone()
        # Learners' clocks may be wrong; how long somebody is at an item is told by this one.
        since = row[1] if row and row[0] == item else now
        with self._base:
            self._base.execute(
                "INSERT OR REPLACE INTO learner VALUES (?, ?, ?, ?, ?)",
                (report.learner, json.dumps(dataclasses.asdict(report)), now, item, since),
            )

    def forget(self, learner: str) -> None:
        with self._base:
            self._base.execute("DELETE FROM learner WHERE id = ?", (learner,))

    def learners(self, now: float) -> list[dict[str, object]]:
        """All of them: their reports, ``item``, where they are, and for how many seconds they are
        ``there`` and have been ``silent``.
        """
        rows = self._base.execute("SELECT report, seen, item, since FROM learner ORDER BY id")
        return [
            {**json.loads(report), "item": item, "there": now - since, "silent": now - seen}
            for report, seen, item, since in rows
        ]

    def close(self) -> None:
        self._base.close()


def _current(report: Report) -> str:
    """Where the learner is: the lesson or lab that was begun last; "" for none."""
    began = {name: lesson.started for name, lesson in report.lessons.items()}
    began |= {name: lab.started for name, lab in report.labs.items()}
    return max(filter(began.get, began), key=began.__getitem__, default="")


class _Handler(tornado.web.RequestHandler):
    def initialize(self, wall: Wall) -> None:
        self.wall = wall

    def set_default_headers(self) -> None:
        self.set_header(
            "Content-Security-Policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        )
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-store")

    def refuse(self, status: int, why: str) -> None:
        self.set_status(status)
        self.finish({"error": why})

    def may(self, role: str) -> bool:
        """Whether the request has that role's token; else it is refused."""
        kind, _, given = self.request.headers.get("Authorization", "").partition(" ")
        right = self.wall.tokens[role]
        if kind == "token" and hmac.compare_digest(given.encode(), right.encode()):
            return True
        self.refuse(403, "The token is not that of this room.")
        return False

    def write_error(self, status_code: int, **_: Any) -> None:
        self.finish({"error": self._reason})


class _Progress(_Handler):
    def body(self) -> Any:
        """What was sent, or None if it is no JSON; NaN is none (RFC 8259, 6)."""
        try:
            return json.loads(self.request.body, parse_constant=_no_number)
        except (ValueError, RecursionError):
            return None

    def post(self) -> None:
        if not self.may("learners"):
            return
        try:
            report = read_report(self.body())
        except ValueError as error:
            self.refuse(400, f"{error} is not as it should be.")
            return
        now, before = time.time(), self.wall.room.seen(report.learner)
        if before is None and self.wall.room.size() >= MOST_LEARNERS:
            self.refuse(403, f"The room is full: it has {MOST_LEARNERS} learners.")
        elif before is not None and 0 <= now - before < LEAST_SECONDS:
            self.set_header("Retry-After", "1")
            self.refuse(429, "That was too soon after the one before.")
        else:
            self.wall.room.put(report, now)
            self.finish({})

    def delete(self) -> None:
        if not self.may("learners"):
            return
        body = self.body()
        learner = body.get("learner") if isinstance(body, dict) else None
        if not isinstance(learner, str) or not re.match(_LEARNER, learner):
            self.refuse(400, "$.learner is not as it should be.")
            return
        self.wall.room.forget(learner)
        self.finish({})


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


class _RoomNow(_Handler):
    def get(self) -> None:
        if self.may("instructor"):
            learners = self.wall.room.learners(time.time())
            course = [dataclasses.asdict(item) for item in self.wall.course]
            self.finish({"course": course, "learners": learners})


class _Page(_Handler):
    """The page itself has nothing of the room; its script asks with the token of its address."""

    def get(self) -> None:
        self.finish(template("wall.html").render())


class _File(_Handler):
    def get(self, name: str) -> None:
        kind = "text/css" if name.endswith("css") else "text/javascript"
        self.set_header("Content-Type", f"{kind}; charset=utf-8")
        self.finish((FRONTEND / name).read_bytes())


@dataclass(frozen=True, slots=True)
class Wall:
    """A room, the course, and each role's token."""

    room: Room
    course: tuple[Item, ...]
    tokens: dict[str, str]


def _application(room: Room, prefix: str) -> tornado.web.Application:
    """The wall of that room, below the path prefix, which begins and ends with a slash."""
    tokens = {role: room.token(role) for role in ROLES}
    given = {"wall": Wall(room, items(), tokens)}
    at = re.escape(prefix)
    return tornado.web.Application(
        [
            (at, _Page, given),
            (f"{at}(wall\\.js|wall\\.css)", _File, given),
            (f"{at}room", _RoomNow, given),
            (f"{at}progress", _Progress, given),
        ]
    )


def serve(file: Path, host: str, port: int, say: Callable[[str], None]) -> None:
    """Serve the room kept in that file until interrupted.

    Where a JupyterHub starts it as a service, the Hub says where to listen, and below which path
    (https://jupyterhub.readthedocs.io/en/stable/reference/services.html). Raises SandboxError if
    it cannot listen there.
    """
    prefix = "/"
    # A Hub tells a learner's server the others, too; a service alone has a name.
    if settings.read("JUPYTERHUB_SERVICE_NAME"):
        prefix = settings.read("JUPYTERHUB_SERVICE_PREFIX") or prefix
        told = urlsplit(settings.read("JUPYTERHUB_SERVICE_URL"))
        host, port = told.hostname or host, told.port or port
    with contextlib.closing(Room(file)) as room:
        application = _application(room, prefix)
        try:
            sockets = tornado.netutil.bind_sockets(port, host)
        except (socket.gaierror, UnicodeError) as error:
            raise SandboxError(
                f"{host!r} is not an address of this machine.",
                why=getattr(error, "strerror", None) or str(error),
                fix=f"Choose another one: {course('wall --host 127.0.0.1')}",
            ) from error
        except OSError as error:
            raise SandboxError(
                f"The wall cannot listen at port {port} of {host}.",
                why=error.strerror or str(error),
                fix=f"Choose another port: {course('wall --port 8766')}",
            ) from error
        where = f"[{host}]" if ":" in host else host
        at = f"http://{where}:{sockets[0].getsockname()[1]}"
        if prefix != "/":
            at = f"https://YOUR-HUB{prefix.rstrip('/')}"
        say(f"The room's page, for you alone:  {at}/#{room.token('instructor')}")
        say("Each learner who wants to be seen runs:")
        say(f'sandbox.share_progress("{at}", "{room.token("learners")}", name="…")')
        try:
            asyncio.run(_serve(application, sockets))
        except KeyboardInterrupt:
            say("The wall is closed; its room is kept.")


async def _serve(application: tornado.web.Application, sockets: list[socket.socket]) -> None:
    server = tornado.httpserver.HTTPServer(
        application,
        max_body_size=MOST_BYTES,
        max_header_size=MOST_BYTES,
        idle_connection_timeout=60,
        body_timeout=10,
    )
    server.add_sockets(sockets)
    await asyncio.Event().wait()
