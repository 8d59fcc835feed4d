"""Build the hosts with today's Debian packages, list what changed, and prove the course with them.

The files go into build/drift, not into the cache that lessons use. When the tests pass, the list
of packages becomes the one that the course was proved with (sandbox/engine/proved.json).
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from sandbox.command import run
from sandbox.engine import assets, versions
from sandbox.engine.vm import VMEngine
from sandbox.hosts import plan
from sandbox.steps import TextSteps

ROOT = Path(__file__).absolute().parents[1]
CACHE = ROOT / "build/drift"
TESTS = ("tests/integration/test_drivers.py", "tests/lessons")


def main() -> int:
    """The exit status: 0 if the course holds with today's packages."""
    os.environ["WIRE_BY_WIRE_CACHE"] = str(CACHE)
    shutil.rmtree(CACHE, ignore_errors=True)
    VMEngine().build(plan.recipe(2), TextSteps())
    base = assets.base_path()
    changed = versions.changes(versions.proved(), versions.read(base))
    for line in changed:
        print(line)
    print(f"{len(changed)} packages changed", flush=True)
    tests = [sys.executable, "-m", "pytest", "--no-skip", "--exhaustive", *TESTS]
    status = subprocess.run(tests, cwd=ROOT, check=False).returncode
    if status == 0 and changed:
        shutil.copy(base / versions.FILE, versions.PROVED)
        print(f"The course holds with them: {versions.PROVED.relative_to(ROOT)} has them now.")
    elif status:
        print("The tests failed; what changed is listed above them.")
    return status


if __name__ == "__main__":
    sys.exit(run(main))
