"""The hosts' files in one file, for a machine or an image that builds nothing.

Nearly all of the memory that a snapshot saves is what the guest has read of its root. Such pages
are not in the archive a second time:

    ram.map     for each page of ``ram`` 0 for an empty one, n for the root's block n - 1, or OWN
    ram.own     the pages that the map calls OWN, one after the other
"""

from __future__ import annotations

import hashlib
import mmap
import os
import shutil
import subprocess
import tempfile
from array import array
from pathlib import Path

from sandbox.engine import assets
from sandbox.errors import SandboxError, setting, shell
from sandbox.paths import cache_dir
from sandbox.steps import Steps

__all__ = ["digest_path", "pack", "sha256", "unpack"]

# ext4's blocks and the guest's pages are of that size.
PAGE = 4096
OWN = 2**32 - 1
# How long unpacking takes (tests/benchmarks/image.py); only the display of the time left uses it.
SECONDS = 8
# A window of 128 MiB is the largest that every zstd unpacks without being told.
COMPRESSORS = {"gz": "gzip", "zst": "zstd -9 -T0 --long=27"}


def pack(folder: Path, snapshot: Path, compression: str = "zst") -> Path:
    """Write the base and that snapshot of it into folder, and return the file. Beside it is its
    digest, which ``sha256sum --check`` reads and ``unpack`` asks for.

    compression: ``zst``, or ``gz`` for machines that may lack zstd. Raises SandboxError if that
    program is missing or the folder cannot be written to.
    """
    program = COMPRESSORS[compression].split()[0]
    if not assets.which(program):
        raise SandboxError(f"{program} is not installed.", fix=shell(f"sudo apt install {program}"))
    try:
        return _pack(folder, snapshot, compression)
    except OSError as error:
        raise SandboxError(
            f"The hosts' files could not be packed into {folder}.",
            why=str(error),
            fix="make room there, or name another folder",
        ) from error


def _pack(folder: Path, snapshot: Path, compression: str) -> Path:
    base = assets.base_path()
    file = folder / f"{base.name}.tar.{compression}"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        part = Path(work) / snapshot.name
        part.mkdir()
        _divide(snapshot / "ram", base / "root", part)
        kept = [
            f"{snapshot.name}/{path.name}"
            for path in snapshot.iterdir()
            if path.name not in ("ram", "in-use")
        ]
        parts = [f"{snapshot.name}/{name}" for name in ("ram.map", "ram.own")]
        _tar(
            # The disk of /var/lib/docker is mostly holes.
            "--create",
            "--sparse",
            "--exclude=in-use",
            "--use-compress-program",
            COMPRESSORS[compression],
            "--file",
            f"{work}/all",
            "--directory",
            base.parent,
            base.name,
            *kept,
            "--directory",
            work,
            *parts,
        )
        digest = digest_path(file)
        digest.unlink(missing_ok=True)
        Path(work, "all").rename(file)
        digest.write_text(f"{sha256(file)}  {file.name}\n")
    return file


def digest_path(file: Path) -> Path:
    """Where that file's digest is."""
    return file.with_name(f"{file.name}.sha256")


def sha256(file: Path) -> str:
    """The file's SHA-256, in hex."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def unpack(steps: Steps) -> None:
    """Unpack the archive that WIRE_BY_WIRE_HOSTS offers into the cache, if it is of use there.

    Raises SandboxError if it is damaged or the cache cannot be written to.
    """
    file = assets.offered()
    if file is None or assets.complete(assets.base_path()):
        return
    try:
        with assets.locked(steps):
            if not assets.complete(assets.base_path()):
                steps.begin("Unpacking the hosts", left=SECONDS)
                _check(file)
                _unpack(file)
    except OSError as error:
        raise SandboxError(
            f"The hosts' files could not be unpacked from {file} to {cache_dir()}.",
            why=str(error),
            fix="make room there; if the archive is damaged, have them built: "
            f"{setting('WIRE_BY_WIRE_HOSTS')}",
        ) from error


def _check(file: Path) -> None:
    """Raises SandboxError if the file is not the one that was packed."""
    digest = digest_path(file)
    try:
        whole = digest.read_text().split()[:1] == [sha256(file)]
    except FileNotFoundError:
        raise SandboxError(
            f"The checksum of the hosts' files in {file} is missing.",
            why=f"it is written beside them, in {digest.name}",
            fix=f"copy both files; or have the hosts' files built: {setting('WIRE_BY_WIRE_HOSTS')}",
        ) from None
    if not whole:
        raise SandboxError(
            f"The hosts' files in {file} are damaged.",
            why=f"their SHA-256 is not the one in {digest.name}",
            fix="copy both files again; or have the hosts' files built: "
            f"{setting('WIRE_BY_WIRE_HOSTS')}",
        )


def _unpack(file: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cache_dir(), prefix="unpack-", suffix=".new") as work:
        # Not the packer's account, which root would give them.
        _tar("--extract", "--no-same-owner", "--file", file, "--directory", work)
        base = Path(work, assets.base_path().name)
        for snapshot in Path(work).glob("snapshot-*"):
            _join(snapshot, base / "root")
        # The base last: with it, all is there.
        for folder in (*Path(work).glob("snapshot-*"), base):
            shutil.rmtree(cache_dir() / folder.name, ignore_errors=True)
            folder.rename(cache_dir() / folder.name)
            assets.prune(cache_dir() / folder.name)


def _divide(ram: Path, root: Path, part: Path) -> None:
    """Write ram.map and ram.own to part."""
    pages = array("I")
    with ram.open("rb") as memory, _mapped(root) as blocks, (part / "ram.own").open("wb") as own:
        places = {
            _digest(blocks[at : at + PAGE]): at // PAGE + 1 for at in range(0, len(blocks), PAGE)
        }
        while page := memory.read(PAGE):
            if not any(page):
                pages.append(0)
            elif place := places.get(_digest(page)):
                pages.append(place)
            else:
                pages.append(OWN)
                own.write(page)
    (part / "ram.map").write_bytes(pages.tobytes())


def _join(snapshot: Path, root: Path) -> None:
    """Make ram of ram.map and ram.own, and remove these."""
    pages = array("I", (snapshot / "ram.map").read_bytes())
    with (
        (snapshot / "ram").open("wb") as memory,
        _mapped(root) as blocks,
        (snapshot / "ram.own").open("rb") as own,
    ):
        for number, place in enumerate(pages):
            if place:
                memory.seek(number * PAGE)
                at = (place - 1) * PAGE
                memory.write(own.read(PAGE) if place == OWN else blocks[at : at + PAGE])
        memory.truncate(len(pages) * PAGE)
    for name in ("ram.map", "ram.own"):
        (snapshot / name).unlink()


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _digest(page: bytes) -> bytes:
    return hashlib.blake2b(page, digest_size=16).digest()


def _tar(*arguments: str | os.PathLike[str]) -> None:
    """Raises OSError with tar's last words."""
    done = subprocess.run(
        ["tar", *arguments], check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        raise OSError("\n".join(done.stderr.strip().splitlines()[-3:]))
