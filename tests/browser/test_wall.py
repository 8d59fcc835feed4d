"""The instructor's page in a browser: who is where, who may need help."""

import time

import pytest
from playwright.sync_api import expect

from sandbox.labs import names
from sandbox.room.wall import Room, read_report
from tests.room import lab, lesson, report, wall

LAB = names()[0]
MINUTE = 60


@pytest.fixture
def client(tmp_path):
    now = time.time()
    room = Room(tmp_path / "wall.sqlite")
    stuck = read_report(report(1, name="Ada", lessons={"04-overlay": lesson(5.0)}))
    room.put(stuck, now - 100 * MINUTE)
    room.put(stuck, now - MINUTE)
    done = {"started": 9.0, "best": 100, "points": 100, "done": True}
    quiz = lesson(1.0, right=4, answered=5, questions=5)
    grace = report(2, name="<b>Grace</b>", lessons={"01-bridge": quiz}, labs={LAB: done})
    room.put(read_report(grace), now)
    for number in range(3, 30):
        room.put(read_report(report(number, labs={LAB: lab(best=20)})), now)
    room.close()
    with wall(tmp_path / "wall.sqlite") as client:
        yield client


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1500, "height": 1000})
    yield page
    page.close()


def test_a_room_is_seen_at_a_glance(page, client, tmp_path):
    asked, refused = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: refused.append(message.text))
    page.goto(f"{client.page}#{client.instructor}")
    expect(page.locator("#summary")).to_have_text("29 learners; 1 may need help")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(29)
    # Who may need help is the first.
    expect(rows.first.locator("th")).to_have_text("Ada")
    expect(rows.first.locator(".where")).to_have_text("04-overlay, 100 min")
    grace = rows.filter(has_text="<b>Grace</b>")
    expect(grace.locator("td.done")).to_have_text(["4/5", "100"])
    page.screenshot(path=tmp_path / "wall.png")
    # It follows the room, and its address keeps the token from the server's log.
    assert client.send(report(1, name="Ada", lessons={"05-ipvlan": lesson(6.0)}))[0] == 200
    expect(page.locator("#summary")).to_have_text("29 learners; 0 may need help")
    assert not [url for url in asked if client.instructor in url]
    assert not [url for url in asked if not url.startswith(client.page)]
    assert refused == []


def test_a_wrong_address_is_said(page, client):
    page.goto(f"{client.page}#wrong")
    expect(page.locator("#summary")).to_have_text("The token is not that of this room.")
