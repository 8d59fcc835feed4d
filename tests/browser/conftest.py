import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api")
ROOT = Path(__file__).parents[2]
LEARNER = "ada"


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium, without a window."""
    chromium = shutil.which("chromium")
    assert chromium, "chromium is not installed; scripts/system-packages chromium installs it"
    playwright.expect.set_options(timeout=60_000)
    with playwright.sync_playwright() as session:
        started = session.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-background-networking"],
        )
        yield started
        started.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory, sandbox_up):
    """The address of a JupyterLab on loopback, with its token."""
    home = tmp_path_factory.mktemp("jupyter")
    notebooks = home / "course"
    for folder in ("lessons", "labs"):
        shutil.copytree(ROOT / folder, notebooks / folder)
    record = home / "data" / "progress.json"
    record.parent.mkdir()
    record.write_text(json.dumps({"version": 1, "learner": LEARNER, "labs": {}}))
    options = f"--no-browser --ServerApp.port=0 --notebook-dir={notebooks}"
    said = home / "said"
    with said.open("wb") as output:
        process = subprocess.Popen(
            ["make", "lab", f"LAB_OPTIONS={options} --ServerApp.config_file={home}/none.py"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=ROOT,
            start_new_session=True,
            env={**os.environ, "WIRE_BY_WIRE_DATA": str(record.parent)},
        )
    try:
        address, token = _address(process, said)
        _await_server(address)
        yield address, token
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def _address(process, said):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(
            r"(http://127\.0\.0\.1:\d+/lab)\S*(\?token=\w+)\s", said.read_text(errors="replace")
        ):
            return found.groups()
        time.sleep(0.1)
    raise AssertionError(f"JupyterLab did not say its address within 60 s: {said.read_text()}")


def _await_server(address):
    # It names its address a moment before it listens.
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(address, timeout=10).close()
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
