"""Keys typed at the course's widgets stay with them, and leave the notebook as it is."""

import pytest
from playwright.sync_api import expect

from tests.browser.notebook import new_cell, open_notebook

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]
# What cuts, inserts, deletes, turns, splits, merges, runs, undoes and moves cells in command mode.
KEYS = (
    "x", "b", "a", "d", "d", "m", "y", "r", "c", "v", "z", "1", "o", "j", "k", "Shift+m",
    "Shift+j", "ArrowDown", "ArrowUp", "Enter", "Space", "Escape", "Control+Enter", "Shift+Enter",
    "Alt+Enter", "Control+a", "Control+Shift+ArrowUp", "i", "i", "0", "Delete", "Backspace",
)  # fmt: skip
# Where a cell shows it, what of it takes keys.
SHOWN = {
    "ipywidgets": """
import ipywidgets as w
from sandbox.widgets.box import Box
Box([w.Dropdown(options=["one", "two"]), w.Select(options=["one", "two"]), w.Checkbox(),
     w.RadioButtons(options=["one", "two"]), w.ToggleButtons(options=["one", "two"]),
     w.Button(description="press"), w.Text(), w.Combobox(), w.BoundedIntText(), w.IntSlider(),
     w.Tab([w.HTML("one"), w.HTML("two")], titles=["One", "Two"]), w.Textarea()])
""",
    "prediction": 'import sandbox\nsandbox.predict("Which?", "One", "Two")',
    "quiz": 'import sandbox\nsandbox.quiz("quizzes/01-bridge.toml")',
    "advice": "from sandbox.lessons import choose_driver\nchoose_driver()",
    "picture": """
from sandbox.model.state import Snapshot
from sandbox.views.topology import Topology
Topology(Snapshot(0, "", ()))
""",
    "live picture": """
from sandbox.widgets.live import LiveTopology
LiveTopology()
""",
}
CONTROLS = "select, input, button, textarea, summary, [tabindex='0'], [tabindex='-1'], a[href]"
# The notebook's cells and which is active, and how often one was run.
STATE = """() => {
  const notebook = jupyterapp.shell.currentWidget.content;
  return JSON.stringify({
    active: notebook.activeCellIndex,
    cells: [...notebook.model.cells].map((it) => [it.type, it.id, it.sharedModel.source,
                                                  it.executionCount]),
    selected: notebook.widgets.filter((it) => notebook.isSelected(it)).length,
    dialogs: document.querySelectorAll('.jp-Dialog').length,
  });
}"""


@pytest.fixture(scope="module")
def page(browser, lab):
    page = browser.new_page(viewport={"width": 1280, "height": 1400})
    page.set_default_timeout(60_000)
    open_notebook(page, lab, "lessons/00-start-here.ipynb")
    yield page
    page.close()


def shown(page, code):
    """What a new cell with that code shows."""
    cell = new_cell(page, "")
    page.evaluate(
        "code => {"
        "  jupyterapp.shell.currentWidget.content.activeCell.model.sharedModel.source = code }",
        code,
    )
    page.keyboard.press("Control+Enter")
    expect(cell.locator(".jp-OutputArea-output [class*='wire-by-wire']").first).to_be_attached()
    return cell.locator(".jp-OutputArea-output [class*='wire-by-wire']").first


def type_at(page, control):
    """Type every key at a control; gives those that did something to the notebook."""
    wrong = []
    before = page.evaluate(STATE)
    for key in KEYS:
        control.focus()
        page.keyboard.press(key)
        after = page.evaluate(STATE)
        if after != before:
            wrong.append((key, before, after))
            before = after
    return wrong


@pytest.mark.parametrize("what", SHOWN)
def test_no_key_typed_at_a_widget_reaches_the_notebook(page, what):
    widget = shown(page, SHOWN[what])
    expect(widget.locator(CONTROLS).first).to_be_attached()
    tried = 0
    for control in widget.locator(CONTROLS).all():
        if not control.is_visible() or not control.is_enabled():
            continue
        wrong = type_at(page, control)
        assert not wrong, (control.evaluate("it => it.outerHTML"), [key for key, *_ in wrong])
        tried += 1
    assert tried


def test_a_widget_is_used_by_its_keys(page):
    widget = shown(page, SHOWN["ipywidgets"])
    choice = widget.locator("select").first
    choice.focus()
    page.keyboard.press("ArrowDown")
    expect(choice).to_have_value("two")
    box = widget.locator("input[type=checkbox]")
    box.focus()
    page.keyboard.press("Space")
    expect(box).to_be_checked()
    page.keyboard.press("Tab")
    expect(box).not_to_be_focused()
    radio = widget.locator("input[type=radio]")
    radio.first.focus()
    page.keyboard.press("ArrowDown")
    expect(radio.last).to_be_checked()
    text = widget.locator("input[type=text]").first
    text.focus()
    # The other tests' keys are in it.
    text.fill("")
    page.keyboard.type("xbadd")
    expect(text).to_have_value("xbadd")


def test_the_notebook_is_saved_from_a_widget_too(page):
    widget = shown(page, SHOWN["ipywidgets"])
    widget.locator("select").first.focus()
    page.keyboard.press("Control+s")
    page.wait_for_function("!jupyterapp.shell.currentWidget.context.model.dirty")
