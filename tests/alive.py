"""Processes that live as a sandbox's companion, without a sandbox."""

import subprocess
import sys
from contextlib import contextmanager

from sandbox.paths import state_dir

HOLDER = """
import sys
from sandbox.engine import companion
companion.hold_alive(sys.argv[1])
print(flush=True)
sys.stdin.read()
"""


@contextmanager
def alive(sandbox_id):
    """That sandbox's companion, which does nothing but live."""
    state_dir(sandbox_id).mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", HOLDER, sandbox_id]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"\n"
        yield process
