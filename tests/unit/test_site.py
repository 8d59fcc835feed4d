"""The course as pages to read: all of it is there, its links lead somewhere, it asks nobody."""

import html.parser
import importlib.util
import shutil
import urllib.parse
from pathlib import Path

import pytest

pytest.importorskip("myst_nb")
# Of what comes in Sphinx 11: the theme's and the parser's to mend.
pytestmark = pytest.mark.filterwarnings(
    "ignore::PendingDeprecationWarning", "ignore::DeprecationWarning"
)
ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("site_build", ROOT / "scripts/site/build.py")
site_build = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(site_build)


class Page(html.parser.HTMLParser):
    """Ids of a page, where its links lead to, and what it loads by itself."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.links, self.loaded = set(), [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if "id" in found:
            self.ids.add(found["id"])
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        for name in ("src", "href"):
            if name in found and tag in ("script", "link", "img", "iframe"):
                self.loaded.append(found[name])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    assert site_build.build(folder) == 0
    return folder


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path) for path in site.rglob("*.html") if "_static" not in path.parts}


def test_every_lesson_and_lab_is_a_page(site):
    notebooks = [*ROOT.glob("lessons/*.ipynb"), *ROOT.glob("labs/*/*.ipynb")]
    assert len(notebooks) > 30
    for notebook in notebooks:
        assert (site / notebook.relative_to(ROOT)).with_suffix(".html").exists(), notebook


def test_each_link_within_leads_somewhere(pages):
    followed = 0
    for path, page in pages.items():
        for link in page.links + page.loaded:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc or link == "#":
                continue
            target = (path.parent / urllib.parse.unquote(parts.path)).resolve()
            target = path.resolve() if not parts.path else target
            assert target.exists(), f"{path}: {link}"
            if parts.fragment and target in pages:
                known = pages[target].ids
                assert urllib.parse.unquote(parts.fragment) in known, f"{path}: {link}"
            followed += 1
    assert followed > 1000


def test_nothing_is_loaded_from_elsewhere(pages):
    for path, page in pages.items():
        assert not [it for it in page.loaded if urllib.parse.urlsplit(it).netloc], path


def test_a_lesson_has_its_stored_outputs_and_pictures(site):
    text = (site / "lessons/01-bridge.html").read_text(encoding="utf-8")
    assert "class Picture" in text
    assert "wire-by-wire-topology" in text
    assert "1 received" in text


def test_a_link_that_leads_nowhere_is_a_failure(tmp_path):
    root = tmp_path / "course"
    for folder in ("lessons", "labs"):
        (root / folder).mkdir(parents=True)
    shutil.copy(ROOT / "lessons/00-start-here.ipynb", root / "lessons")
    (root / "README.md").write_text("# A course\n\n[lost](lessons/99-none.ipynb)\n")
    assert site_build.build(tmp_path / "site", root) != 0
