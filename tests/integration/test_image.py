"""The image of the course as BinderHub builds and starts it: no network, no rights, one processor.

Chromium enters the container's own network; nothing else of this machine does.
"""

import json
import os
import re
import shutil
import tempfile
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from sandbox.labs.batch import entries
from sandbox.labs.job import manifests
from tests.browser.notebook import new_cell, open_lesson
from tests.hosts import until
from tests.labs.test_batch import LAB, hand_in, whole
from tests.nobody import USER
from tests.podman import ROOT, Podman

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(900, func_only=True),
    pytest.mark.skipif(os.getuid() != 0, reason="its limits of memory and processors need root"),
]
MEBIBYTE = 2**20
# What BinderHub has a container run: helm-chart/binderhub/values.yaml (cmd) and
# binderhub/binderspawner_mixin.py (arguments), jupyterhub/binderhub b9fad99.
BASE = "/user/ada/"
TOKEN = "a-token-of-binders"
COMMAND = [
    "python3", "-c", "import os, sys, jupyterlab; os.execvp('jupyter-lab', sys.argv)",
    "--ip=0.0.0.0", "--port=8888",
    *(f"--{name}.{option}" for name in ("NotebookApp", "ServerApp")
      for option in (f"base_url={BASE}", f"token={TOKEN}", "trust_xheaders=True")),
]  # fmt: skip


@pytest.fixture(scope="module")
def podman():
    # Short, as the path of a socket has 107 bytes; and on a disk, which /tmp may not be.
    tool = Podman(Path(tempfile.mkdtemp(prefix="i-", dir="/var/tmp")))
    try:
        tool.debian()
        tool.build(ROOT / "binder/Dockerfile", "course")
        yield tool
    finally:
        tool.close()


@pytest.fixture(scope="module")
def course(podman):
    """The id of a container that runs JupyterLab."""
    with podman.container("course", *COMMAND) as made:
        yield made


def python(podman, course, code):
    return podman("exec", course, "python", "-c", f"import sandbox; {code}")


def test_the_image_is_small(podman):
    assert int(podman("image", "inspect", "--format={{.Size}}", "course")) <= 1.6e9
    pushed = podman.folder / "pushed"
    podman("push", "--compress", "course", f"dir:{pushed}")
    assert sum(path.stat().st_size for path in pushed.iterdir()) <= 600e6
    shutil.rmtree(pushed)


def test_the_session_has_no_rights_and_no_network(podman, course):
    status = podman("exec", course, "cat", "/proc/1/status")
    assert re.search(r"^Uid:\t1000\t1000\t1000\t1000$", status, re.MULTILINE)
    assert re.search(r"^CapBnd:\t0+$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE)
    assert re.search(r"^Seccomp:\t2$", status, re.MULTILINE)
    assert podman("exec", course, "ls", "/sys/class/net").split() == ["lo"]
    # What a Hub's own learners are started by.
    assert podman("exec", course, "jupyterhub-singleuser", "--version").startswith("5.")


def test_the_hosts_were_not_built_there(podman, course):
    podman("exec", course, "python", "-m", "sandbox", "up")
    log = podman("exec", course, "cat", "/tmp/wire-by-wire-build.log")
    assert "Unpacking the hosts" in log
    assert "What the hosts need is ready" in log
    assert "for the first time" not in log
    ran = python(podman, course, "print(sandbox.host('a').run('docker run --rm toolbox true'))")
    assert "code=0" in ran
    podman("exec", course, "python", "-m", "sandbox", "down")


@pytest.fixture(scope="module")
def page(podman, course):
    """A page of Chromium's, in the container's network."""
    pid = podman("inspect", "--format={{.State.Pid}}", course).strip()
    chromium = podman.folder / "chromium"
    chromium.write_text(
        f'#!/bin/sh\nexec nsenter --net=/proc/{pid}/ns/net {shutil.which("chromium")} "$@"\n'
    )
    chromium.chmod(0o755)
    with sync_playwright() as session:
        browser = session.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-background-networking"]
        )
        expect.set_options(timeout=60_000)
        page = browser.new_page(viewport={"width": 1400, "height": 1500})
        page.set_default_timeout(60_000)
        yield page
        browser.close()


SERVER = f"http://127.0.0.1:8888{BASE}lab", f"?token={TOKEN}"


def code_cells(podman, course, lesson):
    cells = json.loads(podman("exec", course, "cat", f"lessons/{lesson}"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def run_all(page, podman, course, lesson, tmp_path):
    """Run a lesson's cells, and return them, their errors and the most memory meanwhile."""
    # As nobody has run it, so that what is there was run here.
    podman("exec", course, "jupyter", "nbconvert", "--clear-output", "--inplace",
           "--log-level=ERROR", f"lessons/{lesson}")  # fmt: skip
    assert not any(cell["execution_count"] for cell in code_cells(podman, course, lesson))
    open_lesson(page, SERVER, lesson)
    for name in ("Run", "Run All Cells"):
        page.get_by_role("menuitem", name=name, exact=True).click()
    most, deadline = 0, time.monotonic() + 600
    while True:
        assert time.monotonic() < deadline, "the lesson's cells took longer than 600 s"
        page.keyboard.press("Control+S")
        time.sleep(3)
        most = max(most, podman.resident(course))
        try:
            code = code_cells(podman, course, lesson)
        except json.JSONDecodeError:
            continue  # It is being saved.
        errors = [out for cell in code for out in cell["outputs"] if out["output_type"] == "error"]
        if errors or all(cell["execution_count"] for cell in code):
            page.screenshot(path=tmp_path / "lesson.png")
            return code, errors, most


@pytest.mark.parametrize("lesson", ["01-bridge.ipynb", "04-overlay.ipynb"])
def test_a_lesson_runs_there(podman, course, page, lesson, tmp_path):
    stored = json.loads((ROOT / "lessons" / lesson).read_text())["cells"]
    code, errors, most = run_all(page, podman, course, lesson, tmp_path)
    assert len(code) == sum(cell["cell_type"] == "code" for cell in stored)
    assert errors == []
    assert [cell["execution_count"] for cell in code] == [*range(1, len(code) + 1)]
    assert most <= 1600 * MEBIBYTE


def test_the_panel_launches_a_container(podman, course, page, tmp_path):
    open_lesson(page, SERVER, "00-start-here.ipynb")
    cell = new_cell(page, "import sandbox; sandbox.up(2, fresh=True); sandbox.panel()")
    page.keyboard.press("Control+Enter")
    panel = cell.locator(".wire-by-wire-panel")
    expect(panel.locator(".wbw-canvas canvas")).to_be_visible()
    panel.get_by_role("tab", name="Containers").click()
    name = panel.locator(".wire-by-wire-field:visible").filter(
        has=page.get_by_text("Name", exact=True)
    )
    name.locator("input").fill("web")
    panel.get_by_role("button", name="Launch", exact=True).click()
    expect(panel.locator(".wire-by-wire-command code")).to_contain_text("docker run -d --name web")
    expect(panel.locator(".wbw-canvas")).to_have_attribute(
        "aria-label", re.compile(r"\b1 container")
    )
    page.screenshot(path=tmp_path / "panel.png")
    seen = python(podman, course, "print(sandbox.host('a').run('docker ps').stdout)")
    assert " web" in seen


def test_a_terminal_there_has_the_courses_python(podman, course, page):
    podman("exec", course, "python", "-m", "sandbox", "up")
    open_lesson(page, SERVER, "00-start-here.ipynb")
    for entry in ("File", "New", "Terminal"):
        page.get_by_text(entry, exact=True).first.click()
    page.locator(".jp-Terminal .xterm-screen").click()
    page.keyboard.type("cd /; python -m sandbox status > /tmp/answer\n")
    look = ("exec", course, "sh", "-c", "cat /tmp/answer 2> /dev/null || true")
    until("the terminal answers", lambda: "host-b" in podman(*look), 60)


def test_a_pod_of_a_job_grades_a_submission_there(podman, tmp_path):
    hand_in(tmp_path, "ada", whole("ada"))
    (tmp_path / "graded").mkdir()
    for path in (tmp_path / "graded", *tmp_path.glob("submitted/**/*")):
        os.chown(path, USER, USER)
    _, job = manifests(entries(tmp_path / "submitted"), image="course", claim="-")
    [pod] = job["spec"]["template"]["spec"]["containers"]
    command = [word.replace("$(JOB_COMPLETION_INDEX)", "0") for word in pod["command"]]
    options = [
        # A pod's command is instead of the image's entry point.
        f"--entrypoint={json.dumps(command)}",
        f"--volume={tmp_path}/submitted:/class/submitted:ro",
        f"--volume={tmp_path}/graded:/class/graded",
    ]
    with podman.container("course", options=options) as graded:
        status = podman("wait", graded).strip()
        said = podman("logs", graded)
    assert status == "0", said
    report = json.loads((tmp_path / "graded" / "ada" / LAB / "report.json").read_text())
    assert report["earned"] == 110
