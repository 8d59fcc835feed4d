"""The process beside a sandbox."""

import subprocess
import sys

from sandbox.engine import companion
from sandbox.paths import state_dir

HOLDER = """
import sys
from sandbox.engine import companion
companion.hold_alive(sys.argv[1])
print(flush=True)
sys.stdin.read()
"""


def test_a_companion_lives_until_its_process_ends(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    state_dir("held").mkdir(parents=True)
    assert not companion.living("held")
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, "held"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        assert companion.living("held")
    assert not companion.living("held")
