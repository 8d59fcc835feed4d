"""The course as pages to read, in a browser: its pictures are drawn, and it asks nobody."""

import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    subprocess.run([sys.executable, ROOT / "scripts/site/build.py", folder], check=True)
    return folder


def test_a_page_draws_its_pictures_without_a_kernel_or_another_site(browser, site, tmp_path):
    page = browser.new_page(viewport={"width": 1300, "height": 1000})
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((site / "index.html").as_uri())
    page.get_by_role("link", name="Start here: your own Docker hosts").first.click()
    picture = page.locator(".wire-by-wire-topology").first
    picture.scroll_into_view_if_needed()
    expect(picture.locator("canvas")).to_be_visible()
    picture.get_by_role("button", name="Full").click()
    expect(picture.locator(".wbw-legend")).to_contain_text("host's interface")
    page.screenshot(path=tmp_path / "site.png")
    assert not [url for url in asked if not url.startswith(("file:", "data:"))]
    page.close()
