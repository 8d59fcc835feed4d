"""What the browser tests do in JupyterLab."""

import re

from playwright.sync_api import expect


def open_lesson(page, lab, name):
    open_notebook(page, lab, f"lessons/{name}")


def open_notebook(page, lab, path):
    address, token = lab
    page.goto(f"{address}/tree/{path}{token}&reset")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    # Who runs a cell before there is a kernel is asked to select one.
    status = page.locator("#jp-main-statusbar")
    expect(status).to_contain_text("(ipykernel) | Idle")
    # JupyterLab attaches cells out of sight when it has time.
    expect(status).to_contain_text(re.compile(r"Cell \d+/\d+"))
    count = int(re.search(r"Cell \d+/(\d+)", status.inner_text())[1])
    expect(page.locator(".jp-Notebook .jp-Cell")).to_have_count(count)


def run_code_cell(page, number):
    cell = page.locator(".jp-Notebook .jp-CodeCell").nth(number)
    prompt = cell.locator(".jp-InputPrompt")
    # A click scrolls to its target, and looks it up again when JupyterLab draws the cell anew.
    prompt.click()
    page.keyboard.press("Control+Enter")
    expect(prompt).to_have_text(re.compile(r"\[[1-9]\d*\]"), timeout=60_000)
    return cell


def new_cell(page, text):
    """A code cell below the last one, with that text."""
    page.locator(".jp-Notebook .jp-CodeCell").last.locator(".jp-InputPrompt").click()
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    page.keyboard.press("Enter")
    page.keyboard.type(text)
    return page.locator(".jp-Notebook .jp-CodeCell").last
