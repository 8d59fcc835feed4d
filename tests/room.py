"""A room of learners, and a wall that runs: what tests of both send and read."""

import contextlib
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request


def report(number=1, *, lessons=None, labs=None, name=""):
    return {"learner": f"{number:016x}", "name": name, "lessons": lessons or {}, "labs": labs or {}}


def lesson(started=1.0, right=0, answered=0, questions=0):
    return {"started": started, "right": right, "answered": answered, "questions": questions}


def lab(started=1.0, best=0, points=100, done=False):
    return {"started": started, "best": best, "points": points, "done": done}


class Client:
    """What learners and an instructor ask of a wall that runs."""

    def __init__(self, said):
        [self.page, self.instructor] = re.search(r"(https?://\S+/)#(\S+)", said).groups()
        [self.url, self.learners] = re.search(r'share_progress\("(\S+)", "(\S+)"', said).groups()

    def ask(self, path, body=None, *, token="", method=None, **headers):
        """Status, what was answered, and its headers."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        request = urllib.request.Request(
            self.page + path, data, {"Authorization": f"token {token}", **headers}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(), error.headers

    def send(self, body, **more):
        status, said, _ = self.ask("progress", body, token=self.learners, **more)
        return status, json.loads(said)

    def room(self):
        status, said, _ = self.ask("room", token=self.instructor)
        assert status == 200
        return json.loads(said)["learners"]


@contextlib.contextmanager
def wall(file, **environment):
    """A client of a wall, started as its command does, that ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", "wall", "--file", str(file), "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        said = "".join(process.stdout.readline() for _ in range(3))
        assert "share_progress" in said, f"the wall did not start: {said}"
        yield Client(said)
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()
