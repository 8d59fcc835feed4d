"""Every lesson is run by nbval, and what it prints is compared with what is stored."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# They share the processors.
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))


def nbval(root, name, python=sys.executable):
    """The command that runs a lesson of the course in root, and compares its outputs."""
    return [
        str(python), "-m", "pytest", "--nbval", "-p", "no:cacheprovider", "-q",
        f"--nbval-cell-timeout={240 * WORKERS}", "--nbval-current-env",
        f"--nbval-sanitize-with={root}/tests/lessons/sanitize.cfg",
        "-o", "addopts=", "-c", "/dev/null", f"{root}/lessons/{name}.ipynb",
    ]  # fmt: skip


@pytest.mark.engine
@pytest.mark.timeout(900)
@pytest.mark.parametrize("path", sorted(ROOT.glob("lessons/*.ipynb")), ids=lambda p: p.stem)
def test_a_lesson_prints_what_is_stored(path, sandbox_up):
    command = nbval(ROOT, path.stem)
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 0, result.stdout[-6000:]
    assert "passed" in result.stdout
