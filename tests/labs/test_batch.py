"""A class is graded, some at once; one that breaks stops nobody, and a second run goes on."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from sandbox.labs import load, names
from sandbox.labs.batch import entries
from sandbox.labs.job import manifests
from sandbox.paths import cache_dir, sandbox_ids
from tests.hosts import until
from tests.nobody import USER, as_nobody

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]
LAB = names()[0]
ROOT = Path(__file__).parents[2]
STUDENTS = ("ada", "grace", "linus")


def whole(student):
    """The cells of a submission that has every point."""
    lab = load(LAB, student).hidden()
    return [nbformat.v4.new_code_cell(f"%%host {host}\n{lines}") for host, lines in lab.solution]


def hand_in(folder, student, cells):
    path = folder / "submitted" / student / LAB / f"{LAB}.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


@pytest.fixture
def classroom(tmp_path):
    """Three submissions: a whole one, the untouched release, and one that is no notebook."""
    hand_in(tmp_path, "ada", whole("ada"))
    hand_in(tmp_path, "grace", [])
    hand_in(tmp_path, "linus", []).write_text("{")
    return tmp_path


def command(folder):
    return [
        sys.executable,
        "-m",
        "sandbox.labs",
        "grade-all",
        str(folder / "submitted"),
        "--out",
        str(folder / "graded"),
        "-j",
        "2",
    ]


def test_a_class_is_graded_and_gone_on_with(classroom):
    first = subprocess.run(command(classroom), capture_output=True, text=True, check=False)
    assert first.returncode == 1, first.stderr
    assert "3 submissions, 3 of them to grade, 2 at once" in first.stdout
    assert f"ada {LAB}: 110 of 110 points" in first.stdout
    assert f"grace {LAB}: 0 of 110 points" in first.stdout
    assert "is no notebook" in first.stdout
    with (classroom / "graded" / "grades.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(it["student"], it["earned"]) for it in rows] == [
        ("ada", "110"),
        ("grace", "0"),
        ("linus", ""),
    ]
    report = classroom / "graded" / "ada" / LAB / "report.json"
    assert json.loads(report.read_text())["earned"] == 110
    written = report.stat().st_mtime_ns
    second = subprocess.run(command(classroom), capture_output=True, text=True, check=False)
    assert "3 submissions, 1 of them to grade" in second.stdout
    assert report.stat().st_mtime_ns == written
    assert not [it for it in sandbox_ids() if it.startswith("grade-")]


def test_a_batch_that_is_broken_off_leaves_nothing_running(classroom):
    process = subprocess.Popen(command(classroom), stdout=subprocess.DEVNULL)
    until("a sandbox is made", lambda: any(it.startswith("grade-") for it in sandbox_ids()), 60)
    process.send_signal(signal.SIGINT)
    assert process.wait(120) != 0
    deadline = time.monotonic() + 30
    while any(it.startswith("grade-") for it in sandbox_ids()):
        assert time.monotonic() < deadline, sandbox_ids()
        time.sleep(0.5)


def pod(command, folder):
    """That command of a pod of the Job, as the pod would run it."""
    cache = cache_dir()
    binds = [("--ro-bind", path, path) for path in (ROOT, sys.prefix)] + [
        ("--bind", cache, cache),
        ("--ro-bind", folder / "submitted", "/tmp/class/submitted"),
        ("--bind", folder / "graded", "/tmp/class/graded"),
    ]
    return subprocess.Popen(
        [*as_nobody(*binds), *command],
        env={
            "PATH": f"{sys.prefix}/bin:{os.environ['PATH']}",
            "HOME": "/tmp",
            "WIRE_BY_WIRE_CACHE": str(cache),
            "SANDBOX_ENGINE": "vm",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_pods_of_a_job_grade_a_class_without_privileges(classroom):
    (classroom / "graded").mkdir()
    _, job = manifests(entries(classroom / "submitted"), image="-", claim="-")
    spec = job["spec"]["template"]["spec"]
    assert spec["securityContext"]["runAsUser"] == USER
    [container] = spec["containers"]
    pods = []
    for index in range(job["spec"]["completions"]):
        words = [it.replace("$(JOB_COMPLETION_INDEX)", str(index)) for it in container["command"]]
        pods.append(pod([it.replace("/class/", "/tmp/class/") for it in words], classroom))
    said = [it.communicate()[0] for it in pods]
    assert [it.returncode for it in pods] == [0, 0, 1], said
    # They leave the table of all to who started them.
    assert not (classroom / "graded" / "grades.csv").exists()
    after = subprocess.run(command(classroom), capture_output=True, text=True, check=False)
    assert "3 submissions, 1 of them to grade" in after.stdout
    with (classroom / "graded" / "grades.csv").open() as file:
        assert [it["earned"] for it in csv.DictReader(file)] == ["110", "0", ""]
    assert not [it for it in sandbox_ids() if it.startswith("grade-")]
