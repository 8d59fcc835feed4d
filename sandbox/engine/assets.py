"""What the VM runs on, built once and cached: kernel, initramfs, root disk, snapshots.

cache/
    base-HASH/          vmlinuz, initrd, root (ext4)
    snapshot-HASH/      ram, state, data (ext4): a VM whose hosts are up

A folder appears by a rename when all in it is there, so a build that is interrupted leaves
only a ``.new`` folder that the next one removes. HASH covers what goes into the folder: commands,
packages, files, FORMAT. A comment that is corrected in this code builds nothing again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import lzma
import os
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import settings
from sandbox.engine import child, kuryr, qemu, versions
from sandbox.errors import SandboxError, course, setting, shell
from sandbox.paths import FULL_BYTES, TAG, cache_dir, is_ours, marked
from sandbox.steps import Steps

__all__ = [
    "BUILD_VM",
    "EXPIRED",
    "GUEST",
    "LIB",
    "LINK_VM",
    "NOTICE",
    "TOOLBOX",
    "VM",
    "AssetStatus",
    "base",
    "base_path",
    "building",
    "clear",
    "complete",
    "digest",
    "guest_files",
    "hold",
    "lacks",
    "locked",
    "mmdebstrap",
    "offered",
    "packages",
    "prune",
    "status",
    "toolbox_command",
    "undated",
    "which",
]

# Raise it with a change to the course that makes something else of the same inputs: another step of
# a build that is no command's argument, another layout of a folder in the cache or of an archive.
# Then everybody builds again, and archives and kits have to be made again.
FORMAT = 1
GUEST = Path(__file__).parent.parent / "guest"
LIB = "/usr/lib/wire-by-wire"
TOOLBOX = "/usr/share/wire-by-wire/toolbox.tar"
ROOT_FILES = (
    "addresses.py",
    "agent.py",
    "attempt.py",
    "bpf.py",
    "capture.py",
    "mux.py",
    "netlink.py",
    "nftables.py",
    "probe.py",
    "state.py",
    "wire.py",
    "capabilities.sh",
    "vm.py",
    "vm_build.py",
    "vm-guest",
    "vm-init",
    "host-cgroups",
    "host-entrypoint",
)
# To be run in the hosts' root: the small VM that they run, of the kernel that is installed there,
# and its command.
VM = "/usr/share/wire-by-wire/vm"
BUILD_VM = f"python3 {LIB}/vm_build.py {VM}"
LINK_VM = f"ln -s {LIB}/vm.py /usr/local/bin/vm"
# A list of a root's packages, as dpkg-query(1) and dpkg-deb(1) show them.
PACKAGES = "packages"
LISTED = r"--showformat='${Package} ${Version}\n'"
DOCUMENTATION = ("doc", "info", "locale", "man")
MODULES = ("drivers/block/virtio_blk", "fs/overlayfs/overlay")
# How many builds of a kind stay in the cache: one snapshot for each number of hosts.
# A mount namespace of a command's own, unshare(1).
UNSHARE = ("unshare", "--mount")
KEPT = {"base": 1, "snapshot": 4}
# Seconds that each step took on a 2-core machine without KVM (tests/benchmarks); only the
# display of the time left uses them.
SECONDS = {"toolbox": 14, "python": 10, "root": 60, "accelerator": 8, "snapshot": 80}
# What apt says of a Release file whose Valid-Until has passed (apt-secure(8)), and what we say. A
# mirror that stands still for a time is no reason to build nothing.
EXPIRED = "is expired (invalid since"
NOTICE = "Using the Debian mirror's packages as they are: it has not been updated for a while"
NEEDED_BYTES = 4 * 1024**3

_PROGRAMS = {qemu.QEMU: "qemu-system-x86", "qemu-img": "qemu-utils", "mke2fs": "e2fsprogs"}
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@dataclass(frozen=True, slots=True)
class AssetStatus:
    """Whether a sandbox can start without building. path: the base assets. size: bytes."""

    ready: bool
    why: str
    path: Path
    size: int


def lacks() -> list[str]:
    """Names of the Debian packages that the VM engine misses here; [] when it can run."""
    missing = [package for program, package in _PROGRAMS.items() if not which(program)]
    if complete(base_path()):
        return missing
    if packed := offered():
        return missing + (["zstd"] if packed.suffix == ".zst" and not which("zstd") else [])
    if not which("mmdebstrap"):
        missing.append("mmdebstrap")
    if os.getuid() and not which("newuidmap"):
        # Without root, mmdebstrap works in a user namespace.
        missing.append("uidmap")
    if not _KEYRING.exists():
        missing.append("debian-archive-keyring")
    return missing


def offered() -> Path | None:
    """The archive of this version's base in the folder that WIRE_BY_WIRE_HOSTS names, or None."""
    folder = settings.read("WIRE_BY_WIRE_HOSTS")
    found = sorted(Path(folder).glob(f"{base_path().name}.tar.*")) if folder else []
    found = [file for file in found if file.suffix != ".sha256"]
    return found[0] if found else None


def which(program: str) -> str | None:
    """The path of an installed program, or None."""
    # A plain user's PATH on Debian has no /usr/sbin, where mke2fs lives.
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")


def _require_programs() -> None:
    if missing := lacks():
        raise SandboxError(
            "The embedded VM needs programs that are not installed.",
            fix=shell(f"sudo apt install --no-install-recommends {' '.join(missing)}"),
        )


def digest(*parts: object) -> str:
    """A short name for these inputs: plain values, alike on every machine and Python."""
    return hashlib.sha256(repr((FORMAT, *parts)).encode()).hexdigest()[:12]


def guest_files(*names: str) -> list[tuple[str, bytes, int]]:
    """For each of these files its path in ``guest``, its bytes, its x bits.

    names: in ``guest``; a folder is all the files in it.
    """
    found: list[Path] = []
    for name in names:
        path = GUEST / name
        found += sorted(path.rglob("*")) if path.is_dir() else [path]
    files = [path for path in found if path.is_file() and "__pycache__" not in path.parts]
    # What the umask left to others counts for nothing.
    return [
        (str(p.relative_to(GUEST)), p.read_bytes(), 0o111 if p.stat().st_mode & 0o100 else 0)
        for p in files
    ]


def base_path() -> Path:
    """The folder that ``base`` makes for this version of the course."""
    # Python files count as they are, comments too: byte code is of one version of Python, and a
    # traceback from a host has to name lines that are there.
    inputs = (
        guest_files(*ROOT_FILES, "toolbox", "kuryr"),
        toolbox_command(Path("toolbox"), Path("toolbox.tar")),
        _root_command(Path("guest"), Path("work"), Path("root")),
        kuryr.INPUTS,
        _initramfs(b"", dict.fromkeys(MODULES, b"")),
    )
    return cache_dir() / f"base-{digest(*inputs)}"


def status() -> AssetStatus:
    """What is built for this version of the course. Builds nothing."""
    path = base_path()
    ready = complete(path)
    why = "built" if ready else f"not built yet: {course('build')}"
    return AssetStatus(ready, why, path, _size(cache_dir()))


def _size(folder: Path) -> int:
    """Bytes that its files take, but for those that go meanwhile, as in a build."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += Path(path, name).lstat().st_blocks * 512
    return total


def complete(folder: Path) -> bool:
    """Whether every file that the build left there has the length that it had then."""
    try:
        sizes = json.loads((folder / "sizes.json").read_text())
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError):
        return False


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Keep folder from being pruned while the block runs, or while this process lives."""
    with (folder / "in-use").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


@contextmanager
def locked(steps: Steps) -> Iterator[None]:
    """One builder at a time; what an interrupted one left is removed."""
    lock_path = cache_dir() / "build.lock"
    with lock_path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            steps.begin("Waiting for another build")
            fcntl.flock(lock, fcntl.LOCK_EX)
        for left in cache_dir().glob("*.new"):
            if is_ours(left.name):
                shutil.rmtree(left, ignore_errors=True)
        yield


def clear(keep: Collection[str] = ()) -> list[Path]:
    """Delete what the course made in its cache; gives what stays there.

    keep: ids of sandboxes whose folders stay.  Links are removed, never followed.

    Raises SandboxError while a build runs, if the folder does not carry our mark, or if something
    of ours cannot be deleted; what was deleted before is gone then.
    """
    cache = cache_dir()
    if not marked(cache):
        raise SandboxError(
            f"{cache} does not carry the mark of the course's cache, so nothing in it was deleted.",
            fix=f"look into {cache}, and delete what you do not need yourself",
        )
    try:
        with (cache / "build.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            last = ("build.lock", TAG)
            for path in sorted(cache.iterdir()):
                if path.name == "sandboxes" and keep and not path.is_symlink():
                    for folder in path.iterdir():
                        if folder.name not in keep:
                            _delete(folder)
                elif is_ours(path.name) and path.name not in last:
                    _delete(path)
            if stays := [path for path in sorted(cache.iterdir()) if path.name not in last]:
                (cache / "build.lock").unlink()
                return stays
            for name in last:
                (cache / name).unlink()
    except BlockingIOError as error:
        raise SandboxError(
            f"The sandbox's files are being built, so the cache {cache} stays.",
            fix="wait until that is done, or stop it, and run this again",
        ) from error
    except OSError as error:
        raise SandboxError(
            f"Not everything in the cache {cache} could be deleted.",
            why=str(error),
            fix="make it writable, and run this again",
        ) from error
    # A folder that is reached by a link, or is a mount, stays, empty.
    with contextlib.suppress(OSError):
        cache.rmdir()
    return []


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


@contextmanager
def building(folder: Path, steps: Steps) -> Iterator[Path | None]:
    """One builder at a time: gives a new folder to fill, or None when folder is complete."""
    with locked(steps):
        if complete(folder):
            yield None
            return
        fresh = folder.with_name(folder.name + ".new")
        try:
            _require_space()
            fresh.mkdir()
            yield fresh
            sizes = {p.name: p.stat().st_size for p in fresh.iterdir() if p.is_file()}
            (fresh / "sizes.json").write_text(json.dumps(sizes))
            shutil.rmtree(folder, ignore_errors=True)
            fresh.rename(folder)
            prune(folder)
        except OSError as error:
            raise _unwritable(str(error)) from error
        except (SandboxError, subprocess.CalledProcessError) as error:
            # A program that meets a full disk dies of it; QEMU by SIGBUS, without a word.
            if shutil.disk_usage(cache_dir()).free < FULL_BYTES:
                raise _unwritable("the disk filled up") from error
            if isinstance(error, SandboxError):
                raise
            said = (error.stderr or b"").decode(errors="replace").strip().splitlines()[-3:]
            raise SandboxError(
                f"{Path(error.cmd[0]).name} failed while the sandbox's files were made.",
                why="\n".join(said) or str(error),
                fix=f"to see what is missing here: {course('doctor')}",
            ) from error
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def _unwritable(why: str) -> SandboxError:
    return SandboxError(
        f"The sandbox's files could not be written to {cache_dir()}.",
        why=why,
        fix="make room there; or choose a folder on another disk, and "
        f"{setting('WIRE_BY_WIRE_CACHE', 'FOLDER')}",
    )


def _require_space() -> None:
    free = shutil.disk_usage(cache_dir()).free
    if free < NEEDED_BYTES:
        raise OSError(f"{free / 1e9:.1f} GB free, building takes {NEEDED_BYTES / 1e9:.1f} GB")


def prune(current: Path) -> None:
    """Remove the builds of the same kind that were used longest ago and by no sandbox now."""
    kind = current.name.split("-")[0]
    others = [folder for folder in cache_dir().glob(f"{kind}-*") if folder != current]
    others.sort(key=_last_used, reverse=True)
    for folder in others[KEPT[kind] - 1 :]:
        try:
            with (folder / "in-use").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue


def _last_used(folder: Path) -> float:
    with contextlib.suppress(OSError):
        return (folder / "in-use").stat().st_mtime
    with contextlib.suppress(OSError):
        return folder.stat().st_mtime
    return 0.0


def base(steps: Steps) -> Path:
    """The folder with vmlinuz, initrd and root, built if need be.

    Raises SandboxError if programs are missing, the packages cannot be had or the disk is full.
    """
    folder = base_path()
    if complete(folder):
        return folder
    _require_programs()
    with building(folder, steps) as fresh:
        if fresh is not None:
            _build_base(fresh, steps)
    return folder


def _build_base(folder: Path, steps: Steps) -> None:
    work = folder / "work"
    work.mkdir()
    left = sum(SECONDS.values())
    steps.begin("Installing the toolbox image's Debian packages", left=left)
    toolbox = work / "toolbox.tar"
    dated = _mmdebstrap(toolbox_command(GUEST / "toolbox", toolbox), work, steps)
    left -= SECONDS["toolbox"]
    steps.begin("Installing the hosts' Python packages", left=left)
    kuryr.install(GUEST / "kuryr", work / "kuryr")
    left -= SECONDS["python"]
    steps.begin("Installing the hosts' Debian packages", left=left)
    command = _root_command(GUEST, work, folder / "root")
    _mmdebstrap(command, work, steps, dated=dated)
    versions.record(folder, hosts=work / "packages", toolbox=work / f"toolbox.tar.{PACKAGES}")
    if notice := versions.notice(folder):
        steps.begin(notice)
    (work / "vmlinuz").rename(folder / "vmlinuz")
    modules = {
        name: lzma.decompress((work / f"{Path(name).name}.ko.xz").read_bytes()) for name in MODULES
    }
    (folder / "initrd").write_bytes(_initramfs((work / "busybox").read_bytes(), modules))
    shutil.rmtree(work)


def _root_command(guest: Path, work: Path, output: Path) -> list[str]:
    """The command that makes the root disk, and in work what else comes out of that root.

    guest: the folder ``guest``.  work: has ``toolbox.tar`` and ``kuryr``; gets the list of
    packages, the kernel, busybox, and MODULES.
    """
    listed = packages()
    files = shlex.join(str(guest / name) for name in ROOT_FILES)
    return mmdebstrap(
        listed["suite"],
        "minbase",
        [*listed["packages"], *listed["kernel"]],
        None,
        f'mkdir -p "$1{LIB}" "$1/usr/share/wire-by-wire" "$1/var/lib/docker"',
        f"copy-in {files} {LIB}",
        f"upload {shlex.quote(str(work / 'toolbox.tar'))} {TOOLBOX}",
        f"copy-in {shlex.quote(str(work / 'kuryr'))} {Path(kuryr.PLACE).parent}",
        f'chown -R 0:0 "$1{kuryr.PLACE}" && chroot "$1" {kuryr.COMPILE}',
        f'chroot "$1" dpkg-query --show {LISTED} > "$1/{PACKAGES}"',
        f"download /{PACKAGES} {shlex.quote(str(work / PACKAGES))}",
        f'rm "$1/{PACKAGES}"',
        f'chroot "$1" {BUILD_VM} && chroot "$1" {LINK_VM}',
        f'cd "$1" && rm -rf {" ".join(listed["drop"])} var/lib/apt/lists/* var/cache/apt',
        'mkdir "$1/out" && mv "$1"/usr/lib/modules/*/vmlinuz "$1/out/vmlinuz"',
        'cp "$1/usr/bin/busybox" "$1/out"',
        *(f'cp "$1"/usr/lib/modules/*/kernel/{name}.ko.xz "$1/out"' for name in MODULES),
        f"sync-out /out {shlex.quote(str(work))}",
        'rm -r "$1/out"',
        # The disk is made in here, where its files belong to root whatever account runs this,
        # and leaves as a download, which needs no folder that both may write to.
        # A bind mount shows the root without the /proc and /dev that hooks have in it.
        'disk=$(mktemp) view=$(mktemp -d); mount --bind "$1" "$view" 2> /dev/null || view=$1;'
        ' size=$(du -smx "$view" | cut -f1);'
        ' PATH=$PATH:/usr/sbin:/sbin mke2fs -q -t ext4 -O ^has_journal -m 0 -d "$view" "$disk"'
        " $((size + size / 8 + 32))M || exit;"
        ' [ "$view" = "$1" ] || umount "$view"; rmdir "$view" 2> /dev/null;'
        ' mv "$disk" "$1/root.ext4"',
        f"download /root.ext4 {shlex.quote(str(output))}",
    )


def packages() -> dict[str, Any]:
    """``guest/packages.toml``."""
    return tomllib.loads((GUEST / "packages.toml").read_text("utf-8"))


def toolbox_command(files: Path, output: Path) -> list[str]:
    """The command that makes the toolbox image's root, and beside it a list of its packages.

    files: the folder ``guest/toolbox``.
    """
    listed = packages()
    toolbox = listed["toolbox"]
    return mmdebstrap(
        listed["suite"],
        "extract",
        toolbox["packages"],
        output,
        # They are unpacked and not installed, so dpkg knows of none.
        f'for deb in "$1"/var/cache/apt/archives/*.deb; do dpkg-deb --show {LISTED} "$deb"; done'
        f' > "$1/{PACKAGES}"',
        f"download /{PACKAGES} {shlex.quote(f'{output}.{PACKAGES}')}",
        f'rm "$1/{PACKAGES}"',
        'cat "$1"/usr/share/ca-certificates/mozilla/*.crt > "$1/etc/ssl/certs/ca-certificates.crt"',
        'cd "$1" && rm -rf ' + shlex.join(toolbox["drop"]),
        'ln -sf nc.openbsd "$1/usr/bin/nc"',
        # Whatever has no program of its own is busybox.
        'names=$(chroot "$1" /usr/bin/busybox --list) || exit;'
        ' for name in $names; do [ -e "$1/usr/bin/$name" ] ||'
        ' [ -e "$1/usr/sbin/$name" ] || ln -s busybox "$1/usr/bin/$name"; done',
        f'cp -r --no-preserve=ownership {shlex.quote(str(files))}/. "$1"',
    )


def mmdebstrap(
    suite: str, variant: str, packages: list[str], output: Path | None, *hooks: str
) -> list[str]:
    """An mmdebstrap(1) command. output: a tar archive; None when the hooks take what counts."""
    return [
        "mmdebstrap",
        f"--variant={variant}",
        f"--include={','.join(packages)}",
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in DOCUMENTATION),
        # A root that is only extracted comes to no later hook.
        *(f"--{'extract' if variant == 'extract' else 'customize'}-hook={hook}" for hook in hooks),
        # They are copied from the machine that builds.
        f"--{'extract' if variant == 'extract' else 'customize'}-hook="
        'rm -f "$1/etc/resolv.conf" "$1/etc/hostname"',
        f"--format={'tar' if output else 'null'}",
        suite,
        str(output or "-"),
    ]


def undated(command: list[str]) -> list[str]:
    """That mmdebstrap command for a mirror whose Release file is past its date (EXPIRED)."""
    return [command[0], '--aptopt=Acquire::Check-Valid-Until "false"', *command[1:]]


def _mmdebstrap(arguments: list[str], work: Path, steps: Steps, *, dated: bool = True) -> bool:
    """Run it; gives whether the mirror is up to date. dated: False when it is known not to be."""
    result = _run(arguments if dated else undated(arguments), work)
    if dated and result.returncode and EXPIRED in result.stderr:
        steps.begin(NOTICE)
        dated, result = False, _run(undated(arguments), work)
    if result.returncode:
        if "No space left" in result.stderr:
            raise OSError("the disk filled up")
        tail = "\n".join(result.stderr.strip().splitlines()[-8:])
        raise SandboxError(
            "The root of the sandbox's hosts could not be made.",
            why=tail or f"mmdebstrap ended with status {result.returncode}",
            fix=f"check that this machine reaches its Debian mirror, then: {course('build')}",
        )
    return dated


def _run(arguments: list[str], work: Path) -> subprocess.CompletedProcess[str]:
    # What it leaves when it is killed is then removed with that folder, and its mounts end with
    # their namespace. Without root, it works as users that may not enter an account's own folders,
    # and has a namespace of its own.
    if os.getuid():
        return child.run(arguments, {})
    own = UNSHARE if child.works(*UNSHARE, "true") else ()
    return child.run([*own, *arguments], {"TMPDIR": str(work)})


def _initramfs(busybox: bytes, modules: dict[str, bytes]) -> bytes:
    """The VM's initramfs. modules: loaded in this order."""
    files = {"init": (GUEST / "initramfs-init").read_bytes(), "bin/busybox": busybox}
    for number, (name, module) in enumerate(modules.items()):
        files[f"modules/{number}-{Path(name).name}.ko"] = module
    return _cpio(files)


def _cpio(files: dict[str, bytes]) -> bytes:
    """An initramfs archive of executables (kernel's Documentation/driver-api/early-userspace)."""
    folders = sorted({str(Path(name).parent) for name in files} - {"."})
    entries = [(name, 0o040755, b"") for name in folders]
    entries += [(name, 0o100755, content) for name, content in files.items()]
    archive = b""
    for number, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        encoded = name.encode() + b"\0"
        numbers = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0)
        archive += b"070701" + b"".join(b"%08X" % n for n in numbers) + encoded
        archive += b"\0" * (-len(archive) % 4) + content
        archive += b"\0" * (-len(archive) % 4)
    return archive
