"""Make one file that sets the course up on a Linux machine that has no network.

python scripts/kit/build.py [FILE] [--python 3.11 ...]      build/wire-by-wire-kit.tar

In it are the course as committed, the hosts' files as built here, and the Python packages. Unpacked
there, ``sh kit/setup.sh`` does the rest; it begins by checking each file's digest. The digest of
the kit itself is beside it: ``sha256sum --check wire-by-wire-kit.tar.sha256``.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from sandbox.command import run
from sandbox.engine import archive
from sandbox.engine.vm import VMEngine
from sandbox.hosts import plan
from sandbox.steps import TextSteps

ROOT = Path(__file__).parents[2]
VERSIONS = ("3.11", "3.12", "3.13")
LOCKS = ("requirements.lock", "requirements-test.lock")


def build(file: Path, versions: tuple[str, ...] = VERSIONS) -> None:
    """Write the kit. versions: of Python that it is to work with."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        kit = Path(folder) / "kit"
        (kit / "course").mkdir(parents=True)
        shutil.copy(Path(__file__).with_name("setup.sh"), kit)
        course = kit / "course.tar"
        _run("git", "-C", ROOT, "archive", "--output", course, "HEAD")
        _run("tar", "--extract", "--file", course, "--directory", kit / "course")
        course.unlink()
        for version in versions:
            _wheels(kit / "wheels" / version, version)
        snapshot = Path(VMEngine().build(plan.recipe(2), TextSteps()))
        archive.pack(kit / "hosts", snapshot, "gz")
        files = sorted(path for path in kit.rglob("*") if path.is_file())
        sums = [f"{archive.sha256(path)}  {path.relative_to(kit)}\n" for path in files]
        (kit / "SHA256SUMS").write_text("".join(sums))
        _run("tar", "--create", "--file", file, "--directory", folder, "kit")
    archive.digest_path(file).write_text(f"{archive.sha256(file)}  {file.name}\n")
    print(f"{file}: {file.stat().st_size >> 20} MiB, for Python {', '.join(versions)}")


def _wheels(folder: Path, version: str) -> None:
    locks = [word for name in LOCKS for word in ("--requirement", ROOT / name)]
    _run(
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
        "--no-deps",
        "--only-binary=:all:",
        "--python-version",
        version,
        "--dest",
        folder,
        *locks,
    )


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True)


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", default=ROOT / "build/wire-by-wire-kit.tar")
    parser.add_argument("--python", nargs="+", default=VERSIONS, metavar="VERSION")
    options = parser.parse_args()
    build(options.file.absolute(), tuple(options.python))
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
