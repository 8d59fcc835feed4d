"""A journey in a browser: step by step, the header that changed, where it ended."""

import dataclasses

import pytest

from sandbox.views.journey import Journey
from tests.unit.test_journey import IN, OUT, WHOLE, sights, syn, told

playwright = pytest.importorskip("playwright.sync_api")

OUTSIDE = syn("198.18.0.12", "198.18.0.11", dport=8080)
INSIDE = syn("198.18.0.12", "172.18.0.3", ttl=63)
DROPPED = told(
    sights(
        ("host-b", "eth0", OUT, OUTSIDE),
        ("host-a", "eth0", IN, OUTSIDE),
        ("host-a", "br-323322e22ed2", OUT, INSIDE),
    ),
    address="198.18.0.11",
    port=8080,
    source="host-b",
    sent="198.18.0.12",
    outcome="silence",
)


@pytest.fixture
def opened(browser, tmp_path):
    """Opens the saved page of a journey; no script of it may fail, nor ask for anything."""
    failed = []
    pages = []

    def open_page(passage):
        page = browser.new_page(viewport={"width": 1280, "height": 1400})
        pages.append(page)
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: failed.append(str(error)))
        page.on("request", lambda it: it.url.startswith("file:") or failed.append(it.url))
        page.goto(Journey(passage).save(tmp_path / "journey.html").as_uri())
        page.wait_for_function("document.querySelector('[data-milliseconds]')")
        return page

    yield open_page
    for page in pages:
        page.close()
    assert failed == []


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


def now(page):
    return page.locator(".wbw-now").inner_text()


def pixels(page):
    return page.evaluate(
        "document.querySelector('.wbw-canvas canvas').toDataURL().length"
        " + document.querySelector('.wbw-canvas canvas').toDataURL()"
    )


def test_it_is_stepped_through_to_its_end_and_back(opened):
    page = opened(WHOLE)
    count = page.locator(".wbw-count")
    assert count.inner_text() == "way there, hop 1 of 4"
    assert button(page, "Back").is_disabled()
    seen = [now(page).splitlines()[0]]
    pictures = [pixels(page)]
    for number in range(2, 9):
        button(page, "Step").click()
        way = f"way there, hop {number}" if number < 5 else f"way back, hop {number - 4}"
        playwright.expect(count).to_have_text(f"{way} of 4")
        page.wait_for_timeout(1000)
        seen.append(now(page).splitlines()[0])
        pictures.append(pixels(page))
    assert [line.split()[0] for line in seen[:4]] == ["host-a/web", "host-a", "host-a", "host-a/db"]
    assert seen[7].endswith("on its way back")
    # The packet is drawn elsewhere at each hop.
    assert len(set(pictures)) == 8
    button(page, "Step").click()
    playwright.expect(count).to_have_text("the end")
    assert now(page).startswith("answered at host-a/db")
    assert button(page, "Step").is_disabled()
    button(page, "Back").click()
    playwright.expect(count).to_have_text("way back, hop 4 of 4")
    button(page, "First").click()
    assert now(page).splitlines()[0] == seen[0]


def test_it_plays_by_itself_and_pauses(opened):
    page = opened(WHOLE)
    count = page.locator(".wbw-count")
    # A busy browser shows some hops for less time than lies between two looks from here.
    count.evaluate(
        "it => { window.shown = [it.textContent]; new MutationObserver(() =>"
        " window.shown.push(it.textContent)).observe(it, {childList: true, subtree: true}); }"
    )
    button(page, "Play").click()
    page.wait_for_function("window.shown.length > 1")
    button(page, "Pause").click()
    stood = count.inner_text()
    assert stood != "the end"
    page.wait_for_timeout(1500)
    assert count.inner_text() == stood
    page.get_by_label("Speed").select_option("4")
    button(page, "Play").click()
    playwright.expect(count).to_have_text("the end")
    playwright.expect(button(page, "Play")).to_be_visible()
    ways = [f"{way}, hop {hop} of 4" for way in ("way there", "way back") for hop in range(1, 5)]
    assert page.evaluate("window.shown") == [*ways, "the end"]


def test_the_field_that_changed_is_marked_and_the_table_leads_there(opened):
    page = opened(DROPPED)
    page.get_by_text("All hops").click()
    rows = page.locator(".wbw-hops tr")
    assert rows.count() == 5
    listed = [rows.nth(number).locator("td").nth(1).inner_text() for number in range(1, 4)]
    assert listed == ["host-b", "host-a", "host-a"]
    button(page, "Show hop 3").click()
    assert rows.nth(3).get_attribute("aria-current") == "step"
    marks = page.locator(".wbw-now mark").all_inner_texts()
    assert set(marks) == {"172.18.0.3", "63", "80"}
    packet = rows.nth(3).locator("details")
    packet.locator("summary").click()
    assert "destination 172.18.0.3" in packet.inner_text()


def test_a_packet_that_is_lost_stops_where_it_was_seen_last(opened):
    page = opened(DROPPED)
    for _ in range(3):
        button(page, "Step").click()
    assert page.locator(".wbw-count").inner_text() == "the end"
    assert now(page).startswith("lost at host-a: it went out by br-323322e22ed2 and was seen at")
    place = page.evaluate("document.querySelector('.wbw-journey').dataset.at")
    assert place == "3"
    # Either level of detail has a place for each hop.
    button(page, "Simple").click()
    button(page, "Back").click()
    assert "way there, hop 3 of 3" in page.locator(".wbw-count").inner_text()


def test_names_are_no_markup(opened):
    evil = '<img src=x onerror="document.title=1">'
    passage = dataclasses.replace(
        WHOLE, ending=dataclasses.replace(WHOLE.ending, why=evil), unseen=(evil,)
    )
    page = opened(passage)
    page.get_by_text("All hops").click()
    for _ in range(8):
        button(page, "Step").click()
    assert evil in now(page)
    assert page.title() != "1"
