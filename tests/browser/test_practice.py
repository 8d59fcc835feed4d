"""The widget of lesson 15: it breaks something, takes the answer, and sees the repair."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import expect

import sandbox
from sandbox.lessons.shop import FAULTS
from tests.browser.notebook import open_lesson, run_code_cell
from tests.hosts import ok, wrong_steps

LESSON = "15-troubleshooting.ipynb"
pytestmark = pytest.mark.engine


@pytest.fixture
def practice(browser, lab, sandbox_up):
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    page = context.new_page()
    page.set_default_timeout(60_000)
    open_lesson(page, lab, LESSON)
    run_code_cell(page, 0)
    cells = json.loads((Path(__file__).parents[2] / "lessons" / LESSON).read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    yield run_code_cell(page, code.index("sandbox.practice()")).locator(".wire-by-wire-practice")
    context.close()


def test_a_fault_is_found_by_the_tree_named_and_repaired(practice, sandbox_up, tmp_path):
    said, choice = practice.get_by_role("status"), practice.locator("select")
    expect(choice).to_be_disabled()
    practice.get_by_role("button", name="Break something").click()
    expect(said).to_contain_text("Something is broken.", timeout=180_000)
    expect(practice.locator("table")).to_contain_text("✗")

    steps = sandbox.lessons.decision_tree().branches[sandbox.lessons.calls().failed]
    [wrong] = wrong_steps(steps)
    fault = next(fault for fault in FAULTS if fault.step == wrong)
    other = next(it for it in FAULTS if it != fault)
    answer = practice.get_by_role("button", name="That is it")
    choice.select_option(other.cause)
    answer.click()
    expect(said).to_contain_text("Not so")
    expect(said).to_contain_text(f"“{other.step}”")
    choice.select_option(fault.cause)
    answer.click()
    expect(said).to_contain_text(f"Right, and the step “{fault.step}” shows it")
    practice.screenshot(path=tmp_path / "right.png")

    practice.get_by_role("button", name="Call again").click()
    expect(said).to_contain_text("Not all calls succeed yet.")
    practice.get_by_role("button", name="Show the repair").click()
    expect(said).to_contain_text(f"%%host {fault.host}")
    for command in fault.repair:
        ok(sandbox_up.host(fault.host), command)
    practice.get_by_role("button", name="Call again").click()
    expect(said).to_contain_text("All calls succeed: it is repaired.")
    expect(practice.locator("table")).not_to_contain_text("✗")
