"""The wall of a room: what it takes, what it refuses, whom it shows; and a learner's side of it."""

import contextlib
import dataclasses
import http.client
import http.server
import io
import json
import re
import socket
import stat
import subprocess
import sys
import threading
import time
import urllib.error
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sandbox
from sandbox import record
from sandbox.labs import names
from sandbox.record import Share
from sandbox.room import share
from sandbox.room import wall as served
from tests.room import lab, lesson, report, wall
from tests.unit.records import records

LAB = names()[0]
NOW = 1_000_000.0


@pytest.fixture(scope="module")
def wall_file(tmp_path_factory):
    return tmp_path_factory.mktemp("wall") / "wall.sqlite"


@pytest.fixture(scope="module")
def running(wall_file):
    with wall(wall_file) as client:
        yield client


@pytest.fixture
def client(running):
    """A wall whose room is empty."""
    for learner in running.room():
        running.send({"learner": learner["learner"]}, method="DELETE")
    yield running
    # What this test's learner still sends has come when this is free.
    with share._sending:
        pass


def test_what_a_learner_sends_is_in_the_room(client):
    sent = report(labs={LAB: lab(best=40)}, lessons={"01-bridge": lesson(2.0)}, name="Ada")
    assert client.send(sent) == (200, {})
    [found] = client.room()
    assert {key: found[key] for key in sent} == sent
    assert found["item"] == "01-bridge"
    assert 0 <= found["silent"] < 20


def test_a_later_report_takes_the_place_of_the_earlier(client):
    client.send(report(labs={LAB: lab(best=40)}))
    time.sleep(served.LEAST_SECONDS)
    assert client.send(report(labs={LAB: lab(best=60)}))[0] == 200
    assert [it["labs"][LAB]["best"] for it in client.room()] == [60]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        report() | {"more": 1},
        report() | {"learner": "../x"},
        report() | {"learner": f"{1:016x}\n"},
        report(name="x" * 41),
        report() | {"name": 5},
        report(lessons={"none": lesson()}),
        report(lessons={"01-bridge": lesson(right=-1)}),
        report(lessons={"01-bridge": lesson(started=1e300)}),
        report(labs={LAB: {}}),
        report(labs={LAB: lab(best=10**9)}),
        report(labs={LAB: lab(done="yes")}),
        b"[" * 30_000,
        json.dumps(report(lessons={"01-bridge": lesson(float("nan"))})).encode(),
        report(labs={f"{number:02}-x": lab() for number in range(100)} | {"00-y": lab()}),
    ],
    ids=lambda body: str(body)[:40],
)
def test_what_is_no_report_is_refused_in_one_sentence(client, body):
    status, said = client.send(body)
    assert status == 400
    assert said["error"].endswith("is not as it should be.")
    assert client.room() == []


def test_items_of_another_version_of_the_course_are_no_mistake(client):
    assert client.send(report(lessons={"77-new": lesson()}, labs={"88-mine": lab()}))[0] == 200


@pytest.mark.parametrize("body", [b"", {}, {"learner": 5}, {"learner": "\ud800"}, {"learner": "x"}])
def test_nobody_is_forgotten_by_mistake(client, body):
    client.send(report())
    assert client.send(body, method="DELETE")[0] == 400
    assert len(client.room()) == 1


def test_who_has_no_token_sends_and_reads_nothing(client):
    for token in ("", "x", client.instructor):
        assert client.ask("progress", report(), token=token)[0] == 403
    for token in ("", "x", client.learners):
        assert client.ask("room", token=token)[0] == 403
    assert client.room() == []


def test_a_learner_who_sends_too_often_is_told_when_to_come_again(client):
    statuses = [client.ask("progress", report(), token=client.learners) for _ in range(5)]
    assert [it[0] for it in statuses][:2] == [200, 429]
    assert statuses[1][2]["Retry-After"] == "1"


def test_a_flood_and_a_body_without_end_leave_it_answering(client):
    host, port = re.search(r"//([\d.]+):(\d+)", client.page).groups()
    with socket.create_connection((host, int(port)), timeout=20) as idle:
        idle.sendall(b"POST /progress HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert client.ask("progress", b"x" * 200_000, token=client.learners)[0] == 400
    with ThreadPoolExecutor(50) as pool:
        bad = list(pool.map(lambda _: client.ask("progress", b"{", token="x")[0], range(400)))
    assert set(bad) == {403}
    assert client.send(report())[0] == 200


def test_two_hundred_learners_are_seen(client):
    def work(number):
        for best in (10, 20, 30):
            while (
                client.send(report(number, labs={LAB: lab(best=best)}, name=f"n{number}"))[0] == 429
            ):
                time.sleep(served.LEAST_SECONDS)
        return number

    with ThreadPoolExecutor(200) as pool:
        assert sorted(pool.map(work, range(200))) == list(range(200))
    room = client.room()
    assert len(room) == 200
    assert {it["labs"][LAB]["best"] for it in room} == {30}


def test_the_page_has_nothing_of_the_room_and_no_script_but_its_own(client):
    client.send(report(name="Ada"))
    status, page, headers = client.ask("")
    assert status == 200
    assert b"Ada" not in page
    assert "script-src 'self'" in headers["Content-Security-Policy"]
    assert client.ask("wall.js")[0] == client.ask("wall.css")[0] == 200
    assert client.ask("../wall.py")[0] == 404


def test_a_room_outlives_its_server(client, wall_file):
    client.send(report(name="Ada"))
    with wall(wall_file) as second:
        assert (second.instructor, second.learners) == (client.instructor, client.learners)
        assert [it["name"] for it in second.room()] == ["Ada"]
    assert stat.S_IMODE(wall_file.stat().st_mode) == 0o600


def test_as_a_service_of_a_hub_it_is_below_the_hubs_path(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = {
        "JUPYTERHUB_SERVICE_NAME": "wall",
        "JUPYTERHUB_SERVICE_PREFIX": "/services/wall/",
        "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{port}",
    }
    with wall(tmp_path / "wall.sqlite", **told) as client:
        assert client.page == "https://YOUR-HUB/services/wall/"
        client.page = f"http://127.0.0.1:{port}/services/wall/"
        assert client.send(report())[0] == 200


def test_in_a_learners_server_of_a_hub_it_listens_where_it_is_told(tmp_path):
    told = {
        "JUPYTERHUB_SERVICE_PREFIX": "/user/ada/",
        "JUPYTERHUB_SERVICE_URL": "http://0.0.0.0:1/",
    }
    with wall(tmp_path / "wall.sqlite", **told) as client:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", client.page)


def test_a_port_that_is_taken_is_one_message(client, tmp_path):
    port = re.search(r":(\d+)", client.page)[1]
    done = subprocess.run(
        [sys.executable, "-m", "sandbox", "wall", "--file", str(tmp_path / "x"), "--port", port],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"cannot listen at port {port}" in done.stderr and "Traceback" not in done.stderr


def test_a_room_that_cannot_be_kept_is_one_message(tmp_path):
    with pytest.raises(sandbox.SandboxError, match="cannot be kept"):
        served.Room(tmp_path / "none" / "wall.sqlite")
    (tmp_path / "text").write_text("no database at all, but quite some text " * 20)
    with pytest.raises(sandbox.SandboxError, match="cannot be kept"):
        served.Room(tmp_path / "text")


def put(room, sent, now):
    room.put(served.read_report(sent), now)


def test_how_long_somebody_is_at_an_item_is_told_by_the_walls_clock(tmp_path):
    room = served.Room(tmp_path / "wall.sqlite")
    put(room, report(lessons={"01-bridge": lesson(5e9)}), NOW)
    put(room, report(lessons={"01-bridge": lesson(5e9, answered=1)}), NOW + 60)
    [found] = room.learners(NOW + 90)
    assert (found["item"], found["there"], found["silent"]) == ("01-bridge", 90, 30)
    put(room, report(lessons={"01-bridge": lesson(5e9)}, labs={LAB: lab(6e9)}), NOW + 100)
    assert room.learners(NOW + 110)[0]["there"] == 10
    room.close()


def test_a_full_room_takes_nobody_else(client, wall_file):
    room = served.Room(wall_file)
    for number in range(served.MOST_LEARNERS):
        put(room, report(number), NOW)
    room.close()
    assert client.send(report(served.MOST_LEARNERS))[0] == 403
    assert client.send(report(3))[0] == 200


# A learner's side


def answer_quiz(question, right, questions):
    record.change(record.answer_quiz, "01-bridge", question, right, questions, time.time())


def told(client, learner=None):
    """The room's learners once what the condition asks for has come, within 10 s."""
    deadline = time.monotonic() + 10
    while not (found := [it for it in client.room() if learner is None or learner(it)]):
        assert time.monotonic() < deadline, client.room()
        time.sleep(0.05)
    return found


def test_a_learner_who_shares_is_seen_without_a_name_and_forgotten_when_it_stops(client):
    record.begin(LAB, 100, {})
    assert "shows your progress" in sandbox.share_progress(client.url, client.learners)
    [found] = client.room()
    assert (found["name"], found["item"]) == ("", LAB)
    answer_quiz("Which?", True, 2)
    [later] = told(client, lambda it: it["lessons"])
    assert later["lessons"]["01-bridge"]["right"] == 1
    sandbox.stop_sharing()
    assert client.room() == []
    answer_quiz("Why?", True, 2)
    time.sleep(0.5)
    assert client.room() == []


@given(records(), st.integers(0, 2**64 - 1))
def test_a_wall_takes_what_is_sent_of_any_record(kept, number):
    sent = share.summary(kept, Share("https://wall", "token", f"{number:016x}", "Ada"))
    assert served.read_report(json.loads(json.dumps(asdict(sent)))) == sent


def test_a_wall_of_before_takes_what_is_sent():
    """Walls are not updated on one day with all their learners."""
    numbers = {"type": "integer", "minimum": 0, "maximum": 10_000}
    seconds = {"type": "number", "minimum": 0, "maximum": 1e11}

    def table(fields):
        row = {
            "type": "object",
            "properties": fields,
            "required": [*fields],
            "additionalProperties": False,
        }
        return {
            "type": "object",
            "propertyNames": {"pattern": r"\A[0-9]{2}-[a-z0-9-]{1,60}\Z"},
            "additionalProperties": row,
            "maxProperties": 100,
        }

    fields = {
        "learner": {"type": "string", "pattern": r"\A[0-9a-f]{16}\Z"},
        "name": {"type": "string", "maxLength": 40},
        "lessons": table(
            {"started": seconds, "right": numbers, "answered": numbers, "questions": numbers}
        ),
        "labs": table(
            {"started": seconds, "best": numbers, "points": numbers, "done": {"type": "boolean"}}
        ),
    }
    wanted = {
        "type": "object",
        "properties": fields,
        "required": [*fields],
        "additionalProperties": False,
    }
    assert wanted == served.SCHEMA
    assert [it.name for it in dataclasses.fields(share.Report)] == [*fields]


def test_what_is_sent_holds_no_answer_and_no_learners_name():
    record.learner("ada-lovelace")
    record.begin(LAB, 100, {})
    kept = record.change(record.answer, LAB, "q", "my secret")
    sent = json.dumps(asdict(share.summary(kept, Share("https://wall", "token", "0" * 16))))
    assert "secret" not in sent and "ada" not in sent


@pytest.mark.parametrize(
    ("url", "token", "words"),
    [
        ("ftp://x", "t", "not a wall's address"),
        (5, "t", "not a wall's address"),
        ("http://127.0.0.1:9", "t", "No wall answers"),
        ("http://[", "t", "No wall answers"),
        ("http://127.0.0.1:x", "t", "No wall answers"),
        ("http://127.0.0.1:9/a b", "t", "No wall answers"),
        ("http://127.0.0.1:9", 5, "not a token"),
    ],
)
def test_a_wall_that_is_none_is_one_message(url, token, words):
    with pytest.raises(sandbox.SandboxError, match=words):
        sandbox.share_progress(url, token)
    assert not record.path().exists()


def test_sharing_twice_takes_the_later_name(client):
    for name in ("Ada", "Ada L."):
        sandbox.share_progress(client.url, client.learners, name)
    assert [it["name"] for it in client.room()] == ["Ada L."]
    with pytest.raises(sandbox.SandboxError, match="is not a name"):
        sandbox.share_progress(client.url, client.learners, "x" * 41)


def test_what_waits_to_be_sent_does_not_come_after_it_was_forgotten(client):
    sandbox.share_progress(client.url, client.learners)
    for number in range(5):
        answer_quiz(f"question {number}", True, 5)
    assert "has forgotten you" in sandbox.stop_sharing()
    time.sleep(2 * served.LEAST_SECONDS + 0.5)
    assert client.room() == []
    assert sandbox.stop_sharing() == "Nothing was shared."


@pytest.fixture
def other(tmp_path):
    """A second wall."""
    with wall(tmp_path / "other.sqlite") as found:
        yield found


def down(monkeypatch, url):
    """Have the wall at that address not answer until the answer is called."""
    ask = share._ask

    def refused(method, sharing, body):
        if sharing.url == url:
            raise ConnectionRefusedError("connection refused")
        ask(method, sharing, body)

    monkeypatch.setattr(share, "_ask", refused)
    return lambda: monkeypatch.setattr(share, "_ask", ask)


def test_who_stops_while_the_wall_is_down_is_the_same_learner_later(client, monkeypatch):
    # Nothing else tells the wall before it is shared with again.
    monkeypatch.setattr(record, "listeners", [])
    sandbox.share_progress(client.url, client.learners)
    [before] = client.room()
    back = down(monkeypatch, client.url)
    assert "still there" in sandbox.stop_sharing()
    back()
    sandbox.share_progress(client.url, client.learners)
    assert [it["learner"] for it in client.room()] == [before["learner"]]


def test_another_wall_gets_another_learner_and_the_first_forgets(client, other):
    sandbox.share_progress(client.url, client.learners)
    [first] = client.room()
    assert "has forgotten you" in sandbox.share_progress(other.url, other.learners)
    assert client.room() == []
    [second] = other.room()
    assert second["learner"] != first["learner"]
    assert "has forgotten you" in sandbox.stop_sharing()
    assert other.room() == []
    kept = record.read()
    assert (kept.share, kept.left) == (None, ())


def test_a_wall_that_could_not_be_told_is_told_later(client, other, monkeypatch):
    sandbox.share_progress(client.url, client.learners)
    back = down(monkeypatch, client.url)
    said = sandbox.share_progress(other.url, other.learners)
    assert f"could not tell {client.url} (connection refused) to forget you" in said
    assert len(client.room()) == 1
    back()
    answer_quiz("Which?", True, 2)
    deadline = time.monotonic() + 10
    while client.room() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert client.room() == []
    [kept] = other.room()
    assert record.read().share.learner == kept["learner"]


def test_a_wall_that_refuses_leaves_the_one_before(client, other):
    sandbox.share_progress(client.url, client.learners)
    with pytest.raises(sandbox.SandboxError, match="refused your progress"):
        sandbox.share_progress(other.url, "wrong")
    assert (len(client.room()), other.room()) == (1, [])
    assert record.read().share.url == client.url


class CutOff(io.BytesIO):
    def read(self, size=-1):
        raise http.client.IncompleteRead(b"")


@pytest.mark.parametrize("body", [io.BytesIO(b"[" * 2000), io.BytesIO(b"[]"), CutOff()])
def test_a_refusal_without_words_is_told_by_its_status(body):
    error = urllib.error.HTTPError("https://wall", 500, "It broke", {}, body)
    assert share._words(error) == "HTTP Error 500: It broke"


def test_a_token_is_not_sent_on_to_where_an_address_leads():
    with http.server.HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        with pytest.raises(sandbox.SandboxError, match="refused your progress"):
            sandbox.share_progress(url, "secret")
        with pytest.raises(sandbox.SandboxError, match="No wall answers"):
            sandbox.share_progress(f"{url}/page", "secret")
        server.shutdown()
    assert Elsewhere.asked == ["/progress", "/page/progress"]


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """Sends elsewhere what is asked of a wall, or answers with a page."""

    asked: ClassVar[list[str]] = []

    def do_POST(self):
        self.asked.append(self.path)
        page = self.path.startswith("/page")
        self.send_response(200 if page else 302)
        self.send_header("Location", "/login")
        self.end_headers()
        self.wfile.write(b"<html>" if page else b"")

    do_GET = do_POST

    def log_message(self, *_):
        pass


def test_a_sender_that_failed_sends_again(client, monkeypatch):
    sandbox.share_progress(client.url, client.learners)
    good = record.read().share
    record.change(replace, share=replace(good, url="http://127.0.0.1:x"))
    time.sleep(0.3)
    record.change(replace, share=good)
    record.begin(LAB, 100, {})
    told(client, lambda it: LAB in it["labs"])


def test_a_wall_that_refuses_says_why(client):
    with pytest.raises(sandbox.SandboxError, match="not that of this room"):
        sandbox.share_progress(client.url, "wrong")


def test_work_never_waits_for_a_wall_that_hangs():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        record.change(replace, share=Share(url, "t", "0" * 16))
        began = threading.active_count()
        for number in range(20):
            answer_quiz(f"question {number}", True, 20)
        # One thread sends, whatever there is to send.
        assert threading.active_count() <= began + 1
        assert len(record.read().lesson("01-bridge").quiz) == 20
