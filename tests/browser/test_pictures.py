"""Pictures in JupyterLab: of a lesson as it came, half-run, after a reload, and in any order."""

import json
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import expect

from tests.browser.notebook import open_notebook, run_code_cell

ROOT = Path(__file__).parents[2]
LESSON = "03-none.ipynb"
pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(60_000)
    yield page
    page.close()


def pictures(name):
    """The numbers of the cells of a lesson that have one, among all cells."""
    cells = json.loads((ROOT / "lessons" / name).read_text())["cells"]
    return [
        number
        for number, cell in enumerate(cells)
        if any(
            "wire-by-wire-topology" in "".join(output.get("data", {}).get("text/html", ""))
            for output in cell.get("outputs", ())
        )
    ]


def save(page):
    page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_function("!window.jupyterapp.shell.currentWidget.context.model.dirty")


def expect_drawn(page, number):
    """Scroll straight to that cell: what is above it may not be in the page at all."""
    page.evaluate("at => window.jupyterapp.shell.currentWidget.content.scrollToItem(at)", number)
    cell = page.locator(f'.jp-Notebook .jp-Cell[data-windowed-list-index="{number}"]')
    expect(cell.locator(".wbw-canvas canvas")).to_be_visible()


def test_pictures_of_a_lesson_as_it_came_are_drawn_also_half_run_and_after_a_reload(
    page, lab, sandbox_up
):
    first, *_, last = pictures(LESSON)
    open_notebook(page, lab, f"lessons/{LESSON}")
    expect_drawn(page, last)
    run_code_cell(page, 0)
    save(page)
    open_notebook(page, lab, f"lessons/{LESSON}")
    expect_drawn(page, last)
    expect_drawn(page, first)


def test_a_cell_run_after_a_reload_draws_in_a_notebook_that_is_not_trusted(page, lab, sandbox_up):
    new = nbformat.v4.new_code_cell
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
    notebook.cells = [
        new("import sandbox\nsandbox.up()"),
        *(new("sandbox.topology()") for _ in range(2)),
        new("1", outputs=[nbformat.v4.new_output("display_data", {"text/html": "<b>old</b>"})]),
    ]
    address, token = lab
    place = address.replace("/lab", "/api/contents/lessons/half-run.ipynb") + token
    put = page.request.put(place, data={"type": "notebook", "content": notebook})
    assert put.ok, put.text()
    open_notebook(page, lab, "lessons/half-run.ipynb")
    for number in (0, 1):
        run_code_cell(page, number)
    expect_drawn(page, 1)
    save(page)
    open_notebook(page, lab, "lessons/half-run.ipynb")
    # JupyterLab took its script out of what was run before the reload; the text is there.
    before = page.locator(".jp-Notebook .jp-CodeCell").nth(1)
    expect(before.locator("pre").first).to_contain_text("host-a")
    expect(page.locator(".wbw-canvas")).to_have_count(0)
    run_code_cell(page, 2)
    expect_drawn(page, 2)
    expect(page.locator("script[data-wire-by-wire]")).to_have_count(1)
