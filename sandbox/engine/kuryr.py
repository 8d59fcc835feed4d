"""What a host has in /opt/kuryr: OpenStack's kuryr-libnetwork, and what stands in for its cloud."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from sandbox.errors import SandboxError, course

__all__ = ["COMPILE", "INPUTS", "PLACE", "install"]

PLACE = "/opt/kuryr"
LOCK = "requirements.lock"
# The hosts' Python, for which LOCK was made.
PYTHON = "3.14"
PIP = (
    "--no-deps",
    "--no-compile",
    "--require-hashes",
    "--only-binary=:all:",
    f"--python-version={PYTHON}",
    "--implementation=cp",
    f"--abi=cp{PYTHON.replace('.', '')}",
    "--abi=none",
    "--platform=manylinux2014_x86_64",
    "--platform=manylinux1_x86_64",
)
# Of ``site``, of every folder in it, and of all files: each compiled module in these wheels only
# speeds up one in Python that is there too.
UNNEEDED, NOWHERE, UNUSED = ("bin", "include", "wrapt-stubs"), ("tests", "locale"), (".so", ".pyi")
# To be run in the hosts' root: byte code is for one version of Python.
COMPILE = f"python3 -m compileall -q --invalidation-mode unchecked-hash {PLACE}/site"
# What ``install`` does to its source.
INPUTS = (LOCK, PIP, UNNEEDED, NOWHERE, UNUSED)


def install(source: Path, folder: Path) -> None:
    """Make folder: a copy of source with the packages that its LOCK names in ``site``.

    source: ``guest/kuryr``. Raises SandboxError if the packages cannot be had.
    """
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("__pycache__"))
    site = folder / "site"
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            *PIP,
            f"--target={site}",
            f"--requirement={folder / LOCK}",
        ],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    if result.returncode:
        raise SandboxError(
            "The Python packages of the hosts (Kuryr's) could not be installed.",
            why="\n".join(result.stderr.strip().splitlines()[-4:]),
            fix="check that this machine reaches its Python package index and that "
            f"{sys.executable} has pip, then: {course('build')}",
        )
    for unneeded in UNNEEDED:
        shutil.rmtree(site / unneeded, ignore_errors=True)
    for path in [found for name in NOWHERE for found in site.rglob(name)]:
        shutil.rmtree(path, ignore_errors=True)
    for path in site.rglob("*"):
        if path.suffix in UNUSED:
            path.unlink()
    for path in (site / "libexec").rglob("*"):
        path.chmod(0o755)
