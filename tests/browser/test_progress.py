"""My progress in JupyterLab: a lesson is begun, its quiz answered, and both are seen."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.notebook import open_lesson, run_code_cell

pytestmark = pytest.mark.engine
ROOT = Path(__file__).parents[2]
# Of no other test in this JupyterLab, which all share a record.
LESSON = "02-host"


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1200, "height": 1400})
    page = context.new_page()
    page.set_default_timeout(60_000)
    yield page
    context.close()


def code_cells():
    cells = json.loads((ROOT / f"lessons/{LESSON}.ipynb").read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def shown(page, lab):
    """The progress as its notebook shows it when its cell is run."""
    open_lesson(page, lab, "progress.ipynb")
    return run_code_cell(page, 0).locator(".wire-by-wire-progress")


def test_a_lesson_that_is_begun_and_a_quiz_that_is_answered_are_seen(page, lab, tmp_path):
    open_lesson(page, lab, f"{LESSON}.ipynb")
    run_code_cell(page, 0)
    line = shown(page, lab).locator("tr", has_text=LESSON)
    expect(line).to_contain_text("begun")

    open_lesson(page, lab, f"{LESSON}.ipynb")
    quiz = run_code_cell(page, next(n for n, code in enumerate(code_cells()) if "quiz(" in code))
    quiz.get_by_role("radio").first.check()
    expect(quiz).to_contain_text(re.compile("✓ Right|✗ Not so"))
    progress = shown(page, lab)
    expect(progress.locator("tr", has_text=LESSON)).to_contain_text("right at the first try")
    page.screenshot(path=tmp_path / "progress.png")

    progress.get_by_role("link", name=LESSON).click()
    expect(page.locator(".lm-TabBar-tab.jp-mod-current")).to_have_text(f"{LESSON}.ipynb")
