"""Prove the VM with the QEMU of a newer Debian, beside the one that is installed.

    .venv/bin/python scripts/newer_qemu.py [SUITE]...    else trixie and the hosts' own suite

Its packages and the snapshot go into build/qemu-SUITE; nothing on this machine is installed. The
VM boots, is saved and resumes there, QEMU has nothing to say about its options, and the tests of
the sandbox pass.
"""

import os
import platform
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from sandbox.command import run
from sandbox.engine import assets, qemu, snapshot
from sandbox.engine.vm import VMEngine
from sandbox.errors import SandboxError
from sandbox.hosts import plan
from sandbox.paths import cache_dir
from sandbox.steps import Quiet, TextSteps

ROOT = Path(__file__).absolute().parents[1]
PACKAGES = ["qemu-system-x86", "qemu-utils"]
PROGRAMS = (qemu.QEMU, "qemu-img")
TESTS = ("tests/integration/test_sandbox.py", "tests/integration/test_drivers.py")
# They run with the libraries of their own suite, and find their firmware there.
WRAPPER = """#!/bin/sh
export QEMU_MODULE_DIR={modules}
exec {started} "$@"
"""


def install(suite: str, folder: Path) -> Path:
    """Make folder/bin with that suite's QEMU. Raises CalledProcessError, FileNotFoundError."""
    root, programs, archive = folder / "root", folder / "bin", folder / "root.tar"
    command = assets.mmdebstrap(suite, "extract", PACKAGES, archive)
    subprocess.run([*assets.undated(command), "--quiet"], check=True)
    root.mkdir()
    programs.mkdir()
    subprocess.run(["tar", "-x", "--exclude=./dev", "-f", archive, "-C", root], check=True)
    archive.unlink()
    library = root / f"usr/lib/{platform.machine()}-linux-gnu"
    loader = next(library.glob("ld-linux-*.so.*"), None)
    if loader is None:
        raise FileNotFoundError(f"{library} has no ld-linux")
    data = [word for name in ("qemu", "seabios") for word in ("-L", root / "usr/share" / name)]
    for program in PROGRAMS:
        started = [
            loader,
            "--argv0",
            program,
            "--library-path",
            library,
            root / "usr/bin" / program,
        ]
        if program == qemu.QEMU:
            started += data
        path = programs / program
        path.write_text(
            WRAPPER.format(
                modules=shlex.quote(str(library / "qemu")), started=shlex.join(map(str, started))
            )
        )
        path.chmod(0o755)
    return programs


def prove(suite: str, base: Path) -> bool:
    """Whether the course holds with that suite's QEMU; what was measured is printed."""
    folder = ROOT / f"build/qemu-{suite}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    installed = os.environ["PATH"]
    os.environ["PATH"] = f"{install(suite, folder)}:{installed}"
    os.environ["WIRE_BY_WIRE_CACHE"] = str(folder / "cache")
    try:
        # The hosts' files are those of this version, whichever QEMU runs them.
        (cache_dir() / base.name).symlink_to(base)
        return _proved(base)
    finally:
        os.environ["PATH"] = installed


def _proved(base: Path) -> bool:
    print(f"QEMU {qemu.version()}", flush=True)
    recipe = plan.recipe(2)
    began = time.monotonic()
    try:
        VMEngine().build(recipe, TextSteps())
    except SandboxError as error:
        print(error)
        return False
    print(f"booted and saved in {time.monotonic() - began:.0f} s", flush=True)
    accelerator, _ = qemu.accelerator(base)
    said = (snapshot.path(recipe, base, accelerator) / "log").read_text().strip()
    if said:
        print(f"QEMU says: {said}", flush=True)
    tests = [sys.executable, "-m", "pytest", "--no-skip", "--exhaustive", *TESTS]
    return subprocess.run(tests, cwd=ROOT, check=False).returncode == 0 and not said


def main(suites: list[str]) -> int:
    """The exit status: 0 if the course holds with each suite's QEMU."""
    # Another sandbox, and another cache, than the learner's.
    os.environ["SANDBOX_ENGINE"] = "vm"
    os.environ["SANDBOX_ID"] = f"qemu-{os.getpid()}"
    base = assets.base(Quiet())
    held = {suite: prove(suite, base) for suite in suites}
    for suite, holds in held.items():
        print(f"QEMU of {suite}: {'the course holds with it' if holds else 'see above'}")
    return 0 if all(held.values()) else 1


if __name__ == "__main__":
    chosen = sys.argv[1:] or ["trixie", assets.packages()["suite"]]
    sys.exit(run(lambda: main(chosen)))
