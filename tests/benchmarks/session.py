"""What a learner's session takes of memory: JupyterLab, a kernel and the VM, as a lesson runs.

python -m tests.benchmarks.session [LESSON]      lesson 04 without an argument
"""

import contextlib
import ctypes
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import sandbox

ROOT = Path(__file__).parents[2]
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
KINDS = {"jupyter-lab": "JupyterLab", "ipykernel": "kernel", "qemu-system": "VM"}


def descendants(pid):
    """Processes below that one, its orphans too: see prctl(2), PR_SET_CHILD_SUBREAPER."""
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield int(child)
            yield from descendants(int(child))


def resident(pid):
    """Its name here, and the bytes that it has, each shared page by parts."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_text()
        told = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return "", 0
    kind = next((name for word, name in KINDS.items() if word in command), "the sandbox's Python")
    found = re.search(r"^Pss: +(\d+) kB", told, re.MULTILINE)
    return kind, int(found[1]) * 1024 if found else 0


def sample(but):
    sizes = Counter()
    for pid in set(descendants(os.getpid())) - but:
        kind, size = resident(pid)
        sizes[kind] += size
    return sizes


def main():
    lesson = sys.argv[1] if len(sys.argv) > 1 else "04-overlay"
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    os.environ["SANDBOX_ID"] = f"bench-{os.getpid()}"
    bin_folder = Path(sys.executable).parent
    most = Counter()
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [bin_folder / "jupyter-lab", "--no-browser", "--ServerApp.port=0", "--allow-root"],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        # Not of a learner's session: in JupyterLab the browser asks for the cells.
        runner = subprocess.Popen(
            [bin_folder / "jupyter-execute", f"lessons/{lesson}.ipynb"],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        began = time.monotonic()
        try:
            while runner.poll() is None and time.monotonic() - began < 900:
                now = sample({runner.pid})
                most = max(most, now, key=Counter.total)
                time.sleep(0.5)
        finally:
            for process in (runner, server):
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(20)
                process.kill()
            sandbox.down()
    if runner.returncode:
        sys.exit(f"lesson {lesson} did not run to its end")
    print(f"| lesson {lesson}, at its most | MiB |\n| --- | --- |")
    for kind, size in most.most_common():
        print(f"| {kind} | {size >> 20} |")
    print(f"| all of it | {most.total() >> 20} |")


if __name__ == "__main__":
    main()
