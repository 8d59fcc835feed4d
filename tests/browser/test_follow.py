"""The probe's panel in JupyterLab: pick, send, watch; what cannot be sent is said."""

import pytest
from playwright.sync_api import expect

from sandbox.steps import Quiet
from tests.browser.notebook import new_cell, open_lesson, run_code_cell
from tests.hosts import answers, ok

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]


@pytest.fixture
def panel(browser, lab, sandbox_up):
    context = browser.new_context(viewport={"width": 1300, "height": 1400})
    page = context.new_page()
    page.set_default_timeout(60_000)
    open_lesson(page, lab, "00-start-here.ipynb")
    run_code_cell(page, 0)
    sandbox_up.reset(Quiet())
    a = sandbox_up.host("a")
    ok(a, "docker run -d --name web -p 8080:80 toolbox; docker run -d --name client toolbox")
    answers(a, "curl -s -m 5 http://198.18.0.11:8080")
    cell = new_cell(page, "sandbox.follow()")
    page.keyboard.press("Control+Enter")
    yield cell.locator(".wire-by-wire-follow")
    context.close()


def test_a_probe_is_sent_and_watched_to_its_end(panel, tmp_path):
    said = panel.locator("div[role=status], div[role=alert]")
    expect(said).to_contain_text("Pick both ends")
    source, destination = (panel.get_by_label(name, exact=True) for name in ("From", "To"))
    assert "host-a/web" in panel.locator("datalist option").evaluate_all(
        "options => options.map((it) => it.value)"
    )
    source.fill("host-b")
    destination.fill("host-a")
    panel.get_by_label("Port", exact=True).fill("8080")
    panel.get_by_label("Port", exact=True).press("Enter")
    send = panel.get_by_role("button", name="Send", exact=True)
    send.click()
    expect(said).to_contain_text("tcp host-b → host-a (198.18.0.11:8080)")
    expect(said).to_contain_text("answered at host-a/web")
    count, now = panel.locator(".wbw-count"), panel.locator(".wbw-now")
    expect(count).to_have_text("way there, hop 1 of 5")
    expect(panel.locator(".wbw-canvas canvas")).to_be_visible()
    step = panel.get_by_role("button", name="Step", exact=True)
    step.click()
    step.click()
    expect(now).to_contain_text("host-a docker0 out")
    expect(now).to_contain_text("destination 198.18.0.11:8080 becomes 172.17.0.2:80")
    assert "172.17.0.2" in now.locator("mark").all_inner_texts()
    panel.screenshot(path=tmp_path / "step.png")

    # A second journey takes the first one's place.
    source.fill("host-a/client")
    destination.fill("host-a/web")
    panel.get_by_role("button", name="icmp", exact=True).click()
    send.click()
    expect(said).to_contain_text("icmp host-a/client → host-a/web (172.17.0.2)")
    expect(count).to_have_text("way there, hop 1 of 4")
    panel.get_by_label("Speed").select_option("4")
    panel.get_by_role("button", name="Play", exact=True).click()
    expect(count).to_have_text("the end")
    expect(now).to_contain_text("answered at host-a/web")

    source.fill("host-a/nobody")
    send.click()
    expect(said).to_contain_text("There is no container, host or namespace 'host-a/nobody'.")
    # The journey before is no answer to that.
    expect(panel.locator(".wbw-canvas")).to_be_hidden()
    expect(send).to_be_enabled()
