"""The kit sets the course up where there is no network, and a lesson runs there."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lessons.test_lessons import nbval
from tests.nobody import as_nobody

ROOT = Path(__file__).parents[2]
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
# As somebody may have unpacked it.
KIT = "/tmp/it's “a” kit"
pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]
_spec = importlib.util.spec_from_file_location("kit_build", ROOT / "scripts/kit/build.py")
kit_build = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(kit_build)


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kit")
    kit_build.build(folder / "kit.tar", (VERSION,))
    subprocess.run(["tar", "-xf", folder / "kit.tar", "-C", folder], check=True)
    subprocess.run(["sha256sum", "--check", "kit.tar.sha256"], cwd=folder, check=True)
    (folder / "kit.tar").unlink()
    return folder / "kit"


def alone(kit, home, *command):
    """Run it as another user, without any network, where only /tmp and home can be written to."""
    return subprocess.run(
        [*as_nobody(("--ro-bind", kit, KIT), ("--bind", home, "/tmp/home")), *command],
        env={"PATH": os.environ["PATH"], "HOME": "/tmp/home", "SANDBOX_ENGINE": "vm"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_course_is_set_up_without_a_network_and_a_lesson_runs(kit, tmp_path):
    done = alone(kit, tmp_path, "sh", f"{KIT}/setup.sh", "/tmp/home/course")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The course is in /tmp/home/course" in done.stdout
    # Nothing is left to be fetched or built when it is opened.
    ready = alone(kit, tmp_path, "make", "-C", "/tmp/home/course", "setup")
    assert ready.returncode == 0, ready.stdout + ready.stderr
    course = Path("/tmp/home/course")
    ran = alone(
        kit,
        tmp_path,
        *nbval(course / "lessons/00-start-here.ipynb", course, course / ".venv/bin/python"),
    )
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
    assert "passed" in ran.stdout
    again = alone(kit, tmp_path, "sh", f"{KIT}/setup.sh", "/tmp/home/course")
    assert again.returncode == 1
    assert "is there already" in again.stderr
