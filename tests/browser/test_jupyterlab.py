"""JupyterLab as a learner meets it: open a lesson, run cells, click the widget."""

import json
import re
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.notebook import new_cell, open_lesson, run_code_cell

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.engine


@pytest.fixture(autouse=True)
def _no_dialog(request):
    yield
    if "page" in request.fixturenames:
        page = request.getfixturevalue("page")
        assert page.locator(".jp-Dialog").all_inner_texts() == []


@pytest.fixture(scope="module")
def page(browser):
    page = browser.new_page(viewport={"width": 1280, "height": 1400})
    page.set_default_timeout(60_000)
    yield page
    page.close()


def test_the_server_asks_for_its_token(lab):
    address, _ = lab
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(address.replace("/lab", "/api/contents"), timeout=10)
    with refused.value as error:
        assert error.code == 403


def test_start_here_brings_up_hosts_and_runs_a_cell(page, lab, sandbox_up, tmp_path):
    open_lesson(page, lab, "00-start-here.ipynb")
    page.keyboard.press("Escape")
    up = run_code_cell(page, 0)
    expect(up.locator(".jp-OutputArea")).to_contain_text("host-a and host-b are up")
    shell = run_code_cell(page, 2)
    expect(shell.locator(".jp-OutputArea")).to_contain_text("198.18.0.11/24")
    page.screenshot(path=tmp_path / "start-here.png")
    assert (tmp_path / "start-here.png").stat().st_size > 10_000


def code_cells(name):
    cells = json.loads((ROOT / "lessons" / name).read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_rules_that_matched_are_lit_and_hooks_without_are_folded(page, lab, sandbox_up):
    code = code_cells("11-iptables.ipynb")
    lights = next(n for n, source in enumerate(code) if "since=before" in source)
    open_lesson(page, lab, "11-iptables.ipynb")
    for number, source in enumerate(code[: lights + 1]):
        if "predict" not in source:
            shown = run_code_cell(page, number).locator(".jp-OutputArea")
    dnat = shown.get_by_text("DNAT tcp 8080 → 172.18.0.2:80").first
    expect(dnat).to_have_css("font-weight", "600")
    expect(dnat).to_have_attribute("title", re.compile("-j DNAT --to-destination 172.18.0.2:80"))
    masquerade = shown.get_by_text("MASQUERADE from 172.18.0.0/24")
    expect(masquerade).to_be_hidden()
    shown.get_by_text("POSTROUTING: what goes out").click()
    expect(masquerade).to_be_visible()
    expect(masquerade).not_to_have_css("font-weight", "600")


def test_a_prediction_is_kept_then_scored(page, lab, sandbox_up, tmp_path):
    code = code_cells("01-bridge.ipynb")
    asks = next(n for n, source in enumerate(code) if "predict" in source)
    scores = next(n for n, source in enumerate(code) if "outcome" in source)
    open_lesson(page, lab, "01-bridge.ipynb")
    run_code_cell(page, 0)
    cell = run_code_cell(page, asks)
    cell.get_by_label("No, each has an address of its own").click()
    expect(cell).to_contain_text("Your prediction: No, each has an address of its own")
    scored = run_code_cell(page, scores)
    expect(scored).to_contain_text("You predicted: No, each has an address of its own ✓ Right")
    expect(scored).to_contain_text("Predictions right so far: 1 of 1")
    expect(cell).to_contain_text("✓ Right")
    expect(cell.get_by_label("Yes, all have")).to_be_disabled()
    page.screenshot(path=tmp_path / "predict.png")


def test_a_quiz_answers_at_once_with_the_reason(page, lab, tmp_path):
    code = code_cells("01-bridge.ipynb")
    open_lesson(page, lab, "01-bridge.ipynb")
    run_code_cell(page, next(n for n, source in enumerate(code) if "import sandbox" in source))
    cell = run_code_cell(page, next(n for n, source in enumerate(code) if "quiz" in source))
    first = cell.get_by_label("By address and by name")
    first.focus()
    page.keyboard.press("Space")
    expect(cell).to_contain_text("✗ Not so: Names need the embedded DNS server")
    cell.get_by_label("By address only").click()
    expect(cell).to_contain_text("✓ Right: The bridge forwards between all its ports")
    page.screenshot(path=tmp_path / "quiz.png")


def test_interrupt_stops_the_command_on_the_host(page, lab, sandbox_up):
    open_lesson(page, lab, "00-start-here.ipynb")
    run_code_cell(page, 0)
    cell = new_cell(page, "%%host a\necho begun; sleep 4343")
    page.keyboard.press("Control+Enter")
    expect(cell.locator(".jp-OutputArea")).to_contain_text("begun")
    host = sandbox_up.host("a")
    assert host.run("pgrep -f 'sleep 434[3]'").code == 0
    page.keyboard.press("Escape")
    page.keyboard.press("i")
    page.keyboard.press("i")
    prompt = cell.locator(".jp-InputPrompt")
    expect(prompt).to_have_text(re.compile(r"\[[1-9]\d*\]"), timeout=20_000)
    assert host.run("pgrep -f 'sleep 434[3]'").code == 1


def test_tab_completes_the_names_of_hosts(page, lab, sandbox_up):
    open_lesson(page, lab, "00-start-here.ipynb")
    run_code_cell(page, 0)
    cell = new_cell(page, "%%host ho")
    page.keyboard.press("Tab")
    menu = page.locator(".jp-Completer")
    expect(menu).to_contain_text("host-b")
    expect(menu).to_contain_text("host-a")
    page.keyboard.press("Escape")
    assert "%%host ho" in cell.inner_text()


def test_a_terminal_has_the_courses_python(page, lab, sandbox_up, tmp_path):
    open_lesson(page, lab, "00-start-here.ipynb")
    for entry in ("File", "New", "Terminal"):
        page.get_by_text(entry, exact=True).first.click()
    screen = page.locator(".jp-Terminal .xterm-screen")
    screen.click()
    # What the terminal shows is drawn on a canvas, so the answer goes to a file.
    answer = tmp_path / "answer"
    page.keyboard.type(f"cd /; python -m sandbox status > {answer}; sandbox status >> {answer}\n")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if answer.exists() and answer.read_text().count("host-a") == 2:
            return
        time.sleep(0.5)
    raise AssertionError(answer.read_text() if answer.exists() else "the terminal did nothing")
