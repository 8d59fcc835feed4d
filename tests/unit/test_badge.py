"""The README's Binder badge: it opens lesson 00, of the repository that a clone is of."""

import re
import subprocess
from pathlib import Path

import pytest

from scripts import badge

ROOT = Path(__file__).parents[2]


def test_the_badge_opens_the_first_lesson():
    [link] = re.findall(r"\]\((https://mybinder\.org/v2/\S+)\)", (ROOT / "README.md").read_text())
    path = link.partition("?urlpath=lab/tree/")[2]
    assert (ROOT / path).name == "00-start-here.ipynb"
    assert (ROOT / path).is_file()


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://github.com/ada/wires.git", "gh/ada/wires/main"),
        ("git@github.com:ada/wires.git", "gh/ada/wires/main"),
        ("https://x-access-token:SECRET@github.com/ada/wires", "gh/ada/wires/main"),
        ("https://SECRET@gitlab.com/ada/wires", "gl/ada%2Fwires/main"),
        ("https://gitlab.com/net/ada/wires", "gl/net%2Fada%2Fwires/main"),
        (
            "ssh://git@git.example.org:2222/ada/wires.git",
            "git/https%3A%2F%2Fgit.example.org%2Fada%2Fwires/main",
        ),
    ],
)
def test_it_leads_to_where_the_clone_is_from(url, place):
    assert badge.place(url, "main") == place
    said = badge.led((ROOT / "README.md").read_text(), place)
    assert f"(https://mybinder.org/v2/{place}?urlpath=lab/tree/lessons/00-start-here.ipynb)" in said
    assert badge.led(said, place) == said


@pytest.mark.parametrize(
    "url", ["", "/srv/course", "file:///srv/course", "ftp://SECRET@example.org/x"]
)
def test_a_clone_of_a_folder_has_no_badge(url, tmp_path, monkeypatch, capsys):
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    if url:
        subprocess.run(["git", "-C", tmp_path, "remote", "add", "origin", url], check=True)
    monkeypatch.chdir(tmp_path)
    before = badge.README.read_text()
    assert badge.main() == 1
    said = capsys.readouterr().err
    assert "which mybinder.org cannot reach. Publish the course" in said
    assert "SECRET" not in said
    assert badge.README.read_text() == before


def test_a_readme_without_a_badge_is_left_and_said(tmp_path, monkeypatch, capsys):
    readme = tmp_path / "README.md"
    readme.write_text("# Mine\n")
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    url = "https://github.com/ada/wires"
    subprocess.run(["git", "-C", tmp_path, "remote", "add", "origin", url], check=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(badge, "README", readme)
    assert badge.main() == 1
    assert "has no Binder badge" in capsys.readouterr().err
    assert readme.read_text() == "# Mine\n"
