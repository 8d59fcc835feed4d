"""The archive of the hosts' files, on small files of the test's own."""

import os
import random
import subprocess

import pytest

from sandbox.engine import archive, assets
from sandbox.errors import SandboxError
from sandbox.paths import cache_dir
from sandbox.steps import Quiet

PAGE = archive.PAGE


@pytest.fixture
def built(cache):
    """A base of 64 blocks and a snapshot whose memory has some of them, pages of its own, holes."""
    chance = random.Random(7)
    root = [chance.randbytes(PAGE) for _ in range(64)]
    with assets.building(assets.base_path(), Quiet()) as fresh:
        (fresh / "root").write_bytes(b"".join(root))
    with assets.building(cache_dir() / "snapshot-1", Quiet()) as fresh:
        own = [chance.randbytes(PAGE) for _ in range(8)]
        pages = [root[9], root[8], *own, bytes(PAGE), root[0], root[63], bytes(PAGE), bytes(PAGE)]
        (fresh / "ram").write_bytes(b"".join(pages))
        with (fresh / "data").open("wb") as disk:
            disk.truncate(2**30)
            disk.seek(2**20)
            disk.write(b"here")
        (fresh / "state").write_bytes(b"devices")
    return cache_dir() / "snapshot-1"


@pytest.mark.parametrize("compression", ["gz", "zst"])
def test_what_is_unpacked_is_what_was_packed(built, tmp_path, monkeypatch, compression):
    file = archive.pack(tmp_path / "offer", built, compression)
    assert sorted(file.parent.iterdir()) == [file, archive.digest_path(file)]
    check = ["sha256sum", "--check", archive.digest_path(file).name]
    subprocess.run(check, cwd=file.parent, check=True, capture_output=True)
    # Pages that the root has are not in it twice: these files do not compress.
    assert file.stat().st_size < (64 + 8 + 6) * PAGE
    monkeypatch.setenv("WIRE_BY_WIRE_CACHE", str(tmp_path / "other"))
    monkeypatch.setenv("WIRE_BY_WIRE_HOSTS", str(file.parent))
    archive.unpack(Quiet())
    base, snapshot = assets.base_path(), cache_dir() / "snapshot-1"
    assert base.parent == snapshot.parent == tmp_path / "other" / "wire-by-wire"
    assert assets.complete(base)
    assert assets.complete(snapshot)
    for name in ("ram", "state"):
        assert (snapshot / name).read_bytes() == (built / name).read_bytes()
    disk = snapshot / "data"
    assert (disk.stat().st_size, disk.stat().st_blocks * 512 < 2**20) == (2**30, True)
    with disk.open("rb") as unpacked:
        assert os.pread(unpacked.fileno(), 4, 2**20) == b"here"
    assert sorted(path.name for path in cache_dir().iterdir()) == sorted(
        ["CACHEDIR.TAG", "build.lock", base.name, "snapshot-1"]
    )
    # What is there already stays, whatever has become of the archive.
    file.write_bytes(b"")
    archive.unpack(Quiet())
    assert assets.complete(base)


def test_what_is_left_of_a_base_is_replaced(built, tmp_path, monkeypatch):
    file = archive.pack(tmp_path / "offer", built, "gz")
    monkeypatch.setenv("WIRE_BY_WIRE_CACHE", str(tmp_path / "other"))
    monkeypatch.setenv("WIRE_BY_WIRE_HOSTS", str(file.parent))
    assets.base_path().mkdir()
    (assets.base_path() / "root").write_bytes(b"half")
    archive.unpack(Quiet())
    assert assets.complete(assets.base_path())


def test_an_earlier_versions_base_makes_room(built, tmp_path, monkeypatch):
    file = archive.pack(tmp_path / "offer", built, "gz")
    monkeypatch.setenv("WIRE_BY_WIRE_CACHE", str(tmp_path / "other"))
    monkeypatch.setenv("WIRE_BY_WIRE_HOSTS", str(file.parent))
    (cache_dir() / "base-0123456789ab").mkdir()
    archive.unpack(Quiet())
    assert [path.name for path in cache_dir().glob("base-*")] == [assets.base_path().name]


def test_where_it_cannot_be_packed_one_message_says_why(built, tmp_path, monkeypatch):
    (tmp_path / "offer").write_text("a file")
    with pytest.raises(SandboxError, match="could not be packed into"):
        archive.pack(tmp_path / "offer", built, "gz")
    monkeypatch.setitem(archive.COMPRESSORS, "gz", "false")
    with pytest.raises(SandboxError, match="could not be packed into") as caught:
        archive.pack(tmp_path / "other", built, "gz")
    assert "tar: " in caught.value.why
    assert [*(tmp_path / "other").iterdir()] == []
    monkeypatch.setattr(assets, "which", lambda program: None)
    with pytest.raises(SandboxError, match="zstd is not installed"):
        archive.pack(tmp_path / "other", built)


def cut(file):
    file.write_bytes(file.read_bytes()[: 40 * PAGE])


def change_a_byte(file):
    content = bytearray(file.read_bytes())
    content[-100] ^= 1
    file.write_bytes(content)


def lose_the_digest(file):
    archive.digest_path(file).unlink()


def empty_the_digest(file):
    archive.digest_path(file).write_text("")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (cut, "are damaged"),
        (change_a_byte, "are damaged"),
        (empty_the_digest, "are damaged"),
        (lose_the_digest, "The checksum of the hosts' files in .* is missing"),
    ],
)
def test_a_damaged_archive_is_one_message_and_leaves_nothing(
    built, tmp_path, monkeypatch, harm, said
):
    file = archive.pack(tmp_path / "offer", built, "gz")
    harm(file)
    monkeypatch.setenv("WIRE_BY_WIRE_CACHE", str(tmp_path / "other"))
    monkeypatch.setenv("WIRE_BY_WIRE_HOSTS", str(file.parent))
    with pytest.raises(SandboxError, match=said) as caught:
        archive.unpack(Quiet())
    assert str(file) in caught.value.what
    assert "unset WIRE_BY_WIRE_HOSTS" in caught.value.fix
    assert sorted(path.name for path in cache_dir().iterdir()) == ["CACHEDIR.TAG", "build.lock"]


def test_what_cannot_be_unpacked_is_one_message(built, tmp_path, monkeypatch):
    file = archive.pack(tmp_path / "offer", built, "gz")
    cut(file)
    archive.digest_path(file).write_text(archive.sha256(file))
    monkeypatch.setenv("WIRE_BY_WIRE_CACHE", str(tmp_path / "other"))
    monkeypatch.setenv("WIRE_BY_WIRE_HOSTS", str(file.parent))
    with pytest.raises(SandboxError, match=r"could not be unpacked from .*base-") as caught:
        archive.unpack(Quiet())
    assert "tar: " in caught.value.why
    assert sorted(path.name for path in cache_dir().iterdir()) == ["CACHEDIR.TAG", "build.lock"]


def test_an_archive_of_another_version_is_not_offered(built, tmp_path, monkeypatch):
    file = archive.pack(tmp_path / "offer", built, "gz")
    monkeypatch.setenv("WIRE_BY_WIRE_HOSTS", str(file.parent))
    assert assets.offered() == file
    file.rename(file.with_name("base-0123456789ab.tar.gz"))
    # Nor is the digest that is left of one.
    assert assets.offered() is None


def test_with_an_archive_nothing_is_needed_to_build(built, tmp_path, monkeypatch):
    file = archive.pack(tmp_path / "offer", built, "zst")
    monkeypatch.setenv("WIRE_BY_WIRE_CACHE", str(tmp_path / "other"))
    monkeypatch.setattr(assets, "which", lambda program: None)
    assert {"mmdebstrap", "qemu-system-x86"} <= set(assets.lacks())
    monkeypatch.setenv("WIRE_BY_WIRE_HOSTS", str(file.parent))
    assert assets.lacks() == ["qemu-system-x86", "qemu-utils", "e2fsprogs", "zstd"]
