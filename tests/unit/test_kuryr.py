"""What hosts get from the Python package index is pinned, and its lack is one message."""

import re

import pytest

from sandbox.engine import assets, kuryr
from sandbox.errors import SandboxError

SOURCE = assets.GUEST / "kuryr"


def names(path, pattern):
    return {name.lower() for name in re.findall(pattern, path.read_text(), re.M)}


def test_every_package_that_is_wanted_is_pinned_with_its_hash():
    wanted = names(SOURCE / "requirements.in", r"^([a-zA-Z][\w.-]*)")
    assert names(SOURCE / kuryr.LOCK, r"^([a-zA-Z][\w.-]*)==\S+ --hash=sha256:\w{64}$") == wanted


def test_an_index_that_is_not_reached_is_one_message(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(SandboxError, match="could not be installed") as caught:
        kuryr.install(SOURCE, tmp_path / "kuryr")
    assert "No matching distribution" in caught.value.why
    assert "python -m sandbox build" in str(caught.value)
