"""What is said of a disk that takes no more."""

import errno
import os
import subprocess

import pytest

from sandbox import paths
from sandbox.engine import disk
from sandbox.errors import SandboxError


def system(number):
    return OSError(number, os.strerror(number))


def program(number):
    said = f"Formatting…\nqemu-img: /x/disk: {os.strerror(number)}\n".encode()
    return subprocess.CalledProcessError(1, "qemu-img", stderr=said)


@pytest.mark.parametrize("failed", [system, program])
@pytest.mark.parametrize(
    ("number", "what"),
    [
        (errno.ENOSPC, "The disk at .* is full, so no start."),
        (errno.EDQUOT, ".* cannot be written to, so no start."),
    ],
)
def test_a_full_disk_and_a_full_quota_are_told_with_where_and_what_to_do(
    tmp_path, failed, number, what
):
    with pytest.raises(SandboxError, match=what) as caught, disk.told(tmp_path, "no start"):
        raise failed(number)
    assert "MB are free" in caught.value.why
    assert str(tmp_path) in str(caught.value)
    assert str(paths.mount_point(tmp_path)) in str(caught.value)
    assert "make room" in caught.value.fix


def test_other_failures_stay_what_they_are(tmp_path):
    with pytest.raises(PermissionError), disk.told(tmp_path, "no start"):
        raise system(errno.EACCES)
    with (
        pytest.raises(SandboxError, match=r"No start\.\nWhy: qemu-img: /x/disk: Input"),
        disk.told(tmp_path, "no start"),
    ):
        raise program(errno.EIO)


def test_the_mount_point_holds_the_folder(tmp_path):
    found = paths.mount_point(tmp_path)
    assert found.is_mount()
    assert tmp_path.resolve().is_relative_to(found)
    assert paths.mount_point(found) == found
