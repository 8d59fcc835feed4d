"""The wall of a room: what it takes, what it refuses, whom it shows; and a learner's side of it."""

import contextlib
import json
import re
import socket
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import sandbox
from sandbox import record, share, wall
from sandbox.labs import names
from tests.room import end, lab, lesson, report, start

LAB = names()[0]
NOW = 1_000_000.0


@pytest.fixture(scope="module")
def wall_file(tmp_path_factory):
    return tmp_path_factory.mktemp("wall") / "wall.sqlite"


@pytest.fixture(scope="module")
def running(wall_file):
    process, client = start(wall_file)
    yield client
    end(process)


@pytest.fixture
def client(running):
    """A wall whose room is empty."""
    for learner in running.room():
        running.send({"learner": learner["learner"]}, method="DELETE")
    return running


def test_what_a_learner_sends_is_in_the_room(client):
    sent = report(labs={LAB: lab(best=40)}, lessons={"01-bridge": lesson(2.0)}, name="Ada")
    assert client.send(sent) == (200, {})
    [found] = client.room()
    assert {key: found[key] for key in sent} == sent
    assert found["item"] == "01-bridge"
    assert 0 <= found["silent"] < 20


def test_a_later_report_takes_the_place_of_the_earlier(client):
    client.send(report(labs={LAB: lab(best=40)}))
    time.sleep(wall.LEAST_SECONDS)
    assert client.send(report(labs={LAB: lab(best=60)}))[0] == 200
    assert [it["labs"][LAB]["best"] for it in client.room()] == [60]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"\xff", report() | {"more": 1}, report() | {"learner": "../x"},
        report() | {"learner": f"{1:016x}\n"}, report(name="x" * 41), report() | {"name": 5},
        report(lessons={"99-none": lesson()}), report(lessons={"01-bridge": lesson(right=-1)}),
        report(lessons={"01-bridge": lesson(started=1e300)}), report(labs={LAB: {}}),
        report(labs={LAB: lab(best=10**9)}), report(labs={LAB: lab(done="yes")}),
        b'{"learner": NaN}',
    ],
    ids=lambda body: str(body)[:40],
)  # fmt: skip
def test_what_is_no_report_is_refused_in_one_sentence(client, body):
    status, said = client.send(body)
    assert status == 400
    assert said["error"].endswith("is not as it should be.")
    assert client.room() == []


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
                time.sleep(wall.LEAST_SECONDS)
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
    process, second = start(wall_file)
    assert (second.instructor, second.learners) == (client.instructor, client.learners)
    assert [it["name"] for it in second.room()] == ["Ada"]
    end(process)
    assert stat.S_IMODE(wall_file.stat().st_mode) == 0o600


def test_as_a_service_of_a_hub_it_is_below_the_hubs_path(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = {
        "JUPYTERHUB_SERVICE_PREFIX": "/services/wall/",
        "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{port}",
    }
    process, client = start(tmp_path / "wall.sqlite", **told)
    assert client.page == f"http://127.0.0.1:{port}/services/wall/"
    assert client.send(report())[0] == 200
    end(process)


def test_a_port_that_is_taken_is_one_message(client, tmp_path):
    port = re.search(r":(\d+)", client.page)[1]
    done = subprocess.run(
        [sys.executable, "-m", "sandbox", "wall", "--file", str(tmp_path / "x"), "--port", port],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "cannot be listened at" in done.stderr and "Traceback" not in done.stderr


def test_a_room_that_cannot_be_kept_is_one_message(tmp_path):
    with pytest.raises(sandbox.SandboxError, match="cannot be kept"):
        wall.Room(tmp_path / "none" / "wall.sqlite")
    (tmp_path / "text").write_text("no database at all, but quite some text " * 20)
    with pytest.raises(sandbox.SandboxError, match="cannot be kept"):
        wall.Room(tmp_path / "text")


def test_how_long_somebody_is_at_an_item_is_told_by_the_walls_clock(tmp_path):
    room = wall.Room(tmp_path / "wall.sqlite")
    room.put(report(lessons={"01-bridge": lesson(5e9)}), NOW)
    room.put(report(lessons={"01-bridge": lesson(5e9, answered=1)}), NOW + 60)
    [found] = room.learners(NOW + 90)
    assert (found["item"], found["there"], found["silent"]) == ("01-bridge", 90, 30)
    room.put(report(lessons={"01-bridge": lesson(5e9)}, labs={LAB: lab(6e9)}), NOW + 100)
    assert room.learners(NOW + 110)[0]["there"] == 10
    room.close()


def test_a_full_room_takes_nobody_else(client, wall_file):
    room = wall.Room(wall_file)
    for number in range(wall.MOST_LEARNERS):
        room.put(report(number), NOW)
    room.close()
    assert client.send(report(wall.MOST_LEARNERS))[0] == 403
    assert client.send(report(3))[0] == 200


# A learner's side


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
    record.answer_quiz("01-bridge", "Which?", True, 2)
    [later] = told(client, lambda it: it["lessons"])
    assert later["lessons"]["01-bridge"]["right"] == 1
    sandbox.stop_sharing()
    assert client.room() == []
    record.answer_quiz("01-bridge", "Why?", True, 2)
    time.sleep(0.5)
    assert client.room() == []


def test_what_is_sent_holds_no_answer_and_no_learners_name():
    record.learner("ada-lovelace")
    record.begin(LAB, 100, {})
    record.change(lambda kept: kept["labs"][LAB]["answers"].update(q="my secret"))
    record.change(lambda kept: kept.update(share={"learner": "0" * 16, "name": ""}))
    sent = json.dumps(share.summary(record.read()))
    assert "secret" not in sent and "ada" not in sent


@pytest.mark.parametrize(
    ("url", "token", "words"),
    [
        ("ftp://x", "t", "no address of a wall"),
        (5, "t", "no address of a wall"),
        ("http://127.0.0.1:9", "t", "No wall answers"),
        ("http://[", "t", "No wall answers"),
    ],
)
def test_a_wall_that_is_none_is_one_message(url, token, words):
    with pytest.raises(sandbox.SandboxError, match=words):
        sandbox.share_progress(url, token)
    assert "share" not in record.read()


def test_a_wall_that_refuses_says_why(client):
    with pytest.raises(sandbox.SandboxError, match="not that of this room"):
        sandbox.share_progress(client.url, "wrong")


def test_work_never_waits_for_a_wall_that_hangs():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        sharing = {"url": url, "token": "t", "name": "", "learner": "0" * 16}
        record.change(lambda kept: kept.update(share=sharing))
        began = threading.active_count()
        for number in range(20):
            record.answer_quiz("01-bridge", f"question {number}", True, 20)
        # One thread sends, whatever there is to send.
        assert threading.active_count() <= began + 1
        assert len(record.of_lesson("01-bridge")["quiz"]) == 20
