"""The kit's set-up where something is missing, or goes wrong: one line, and nothing left behind."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
# What it calls itself, and what it asks for.
TOOLS = ("dirname", "ls", "tr", "mkdir", "cp", "rm", "sha256sum")
NEEDED = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mke2fs": "e2fsprogs",
    "make": "make",
}


@pytest.fixture
def kit(tmp_path):
    """A kit without packages or hosts, in a folder whose name has all that may trouble a shell."""
    folder = tmp_path / "a kit, “it's” $HOME %41 #1"
    (folder / "course").mkdir(parents=True)
    (folder / "wheels" / VERSION).mkdir(parents=True)
    shutil.copy(ROOT / "scripts/kit/setup.sh", folder)
    (folder / "course/README.md").write_text("The course")
    sums(folder)
    return folder


def sums(kit):
    (kit / "SHA256SUMS").unlink(missing_ok=True)
    names = [path.relative_to(kit) for path in kit.rglob("*") if path.is_file()]
    said = subprocess.run(
        ["sha256sum", *names], cwd=kit, check=True, capture_output=True, text=True
    )
    (kit / "SHA256SUMS").write_text(said.stdout)


@pytest.fixture
def path(tmp_path):
    """A PATH of nothing but what the set-up needs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in TOOLS:
        (folder / name).symlink_to(shutil.which(name))
    (folder / "python3").symlink_to(sys.executable)
    for name in NEEDED:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return folder


def set_up(kit, path):
    home = kit.parent / "home"
    home.mkdir(exist_ok=True)
    done = subprocess.run(
        ["/bin/sh", kit / "setup.sh"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": str(path), "HOME": str(home)},
    )
    return done.returncode, done.stderr, home / "wire-by-wire"


# mke2fs is looked for in /sbin, too, where this machine has it.
@pytest.mark.parametrize("program", [name for name in NEEDED if name != "mke2fs"])
def test_a_program_that_is_missing_is_named_by_its_package(kit, path, program):
    (path / program).unlink()
    code, said, course = set_up(kit, path)
    assert (code, said) == (
        1,
        f"Please install first: {NEEDED[program]} (these are Debian's names).\n",
    )
    assert not course.exists()


def test_a_python_that_the_kit_has_nothing_for_is_said(kit, path):
    (kit / "wheels" / VERSION).rename(kit / "wheels" / "3.99")
    code, said, course = set_up(kit, path)
    assert code == 1
    assert said == "This kit has packages for Python 3.99 only. Install one of them.\n"
    assert not course.exists()


def test_what_goes_wrong_leaves_no_course_behind(kit, path):
    (path / "make").write_text("#!/bin/sh\necho no such wheel >&2\nexit 3\n")
    code, said, course = set_up(kit, path)
    assert (code, said) == (3, "no such wheel\n")
    assert not course.exists()


def test_a_folder_that_is_there_is_left_alone(kit, path):
    course = kit.parent / "home" / "wire-by-wire"
    course.mkdir(parents=True)
    (course / "mine").write_text("")
    code, said, _ = set_up(kit, path)
    assert code == 1
    assert "is there already" in said
    assert (course / "mine").exists()


def test_pip_finds_the_packages_whatever_the_kits_folder_is_called(kit, path):
    wheel = kit / "wheels" / VERSION / "demo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as packed:
        packed.writestr(
            "demo-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"
        )
        packed.writestr("demo-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        packed.writestr("demo-1.0.dist-info/RECORD", "")
    sums(kit)
    (path / "make").write_text(
        f"#!/bin/sh\n{sys.executable} -m pip download --quiet --dest got demo || exit 4\n"
        "echo found >&2\nexit 3\n"
    )
    code, said, _ = set_up(kit, path)
    assert (code, said) == (3, "found\n")


@pytest.mark.parametrize("harm", ["changed", "removed"])
def test_a_damaged_kit_is_named_before_anything_is_made(kit, path, harm):
    file = kit / "course/README.md"
    file.write_text("The curse") if harm == "changed" else file.unlink()
    code, said, course = set_up(kit, path)
    assert code == 1
    assert said.startswith("This kit is damaged (course/README.md: FAILED")
    assert len(said.splitlines()) == 1
    assert not course.exists()
