"""A lab in JupyterLab: Start, a hint, do, Check, points."""

import pytest
from playwright.sync_api import expect

from sandbox.labs import load, names
from sandbox.labs.checking import run_commands
from tests.browser.conftest import LEARNER
from tests.browser.notebook import open_notebook, run_code_cell

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]
LAB = names()[0]


@pytest.fixture
def panel(browser, lab, sandbox_up):
    context = browser.new_context(viewport={"width": 1300, "height": 1800})
    page = context.new_page()
    page.set_default_timeout(60_000)
    open_notebook(page, lab, f"labs/{LAB}/{LAB}.ipynb")
    cell = run_code_cell(page, 0)
    yield cell.locator(".wire-by-wire-lab")
    context.close()


def test_a_lab_is_done_by_clicks(panel, sandbox_up, tmp_path):
    said = panel.locator("div[role=status], div[role=alert]")
    report = panel.locator(".wire-by-wire-report")
    start, check = (panel.get_by_role("button", name=it, exact=True) for it in ("Start", "Check"))
    expect(said).to_contain_text("Press “Start”")
    expect(check).to_be_disabled()
    start.click()
    expect(said).to_contain_text("It is set up.")
    check.click()
    expect(report).to_contain_text("0 of 100 points")
    expect(report).to_contain_text("seen: there is no network")
    legend = panel.locator(".wbw-legend")
    expect(legend).to_contain_text("not as it should be")
    panel.screenshot(path=tmp_path / "begun.png")
    first = panel.get_by_role("button", name="Hint", exact=True).first
    first.click()
    expect(panel).to_contain_text("Two options of docker network create")
    panel.get_by_role("button", name="Hint (costs 2)", exact=True).click()
    expect(panel).to_contain_text("2 points taken off")

    run_commands(sandbox_up, load(LAB, LEARNER).hidden().solution, "The solution")
    check.click()
    expect(report).to_contain_text("98 of 100 points")
    expect(said).to_contain_text("All tasks are done. Best so far: 98 of 100 points.")
    expect(legend).to_contain_text("new")
    expect(legend).not_to_contain_text("not as it should be")
    panel.screenshot(path=tmp_path / "done.png")
