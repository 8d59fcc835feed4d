"""A VM that has booted and brought its hosts up, saved so that sandboxes resume from there.

The guest's memory is a file that QEMU maps shared while the snapshot is made and private
(copy-on-write) when sandboxes run from it, so all of them share one copy in the page cache.
The devices' state is what a migration with x-ignore-shared writes (qemu docs/devel/migration).
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.engine import assets, link, qemu
from sandbox.engine.base import LABEL, Recipe, Site
from sandbox.errors import SandboxError
from sandbox.guest.mux import Loop, Mux
from sandbox.paths import cache_dir, opened, run_root
from sandbox.steps import Steps

if TYPE_CHECKING:
    from docker import DockerClient

__all__ = ["SITE", "memory", "path", "ready", "take"]

SITE = Site(scope="", labels={LABEL: "vm"}, image="host")
# The disk of /var/lib/docker, for mke2fs(8).
DATA_SIZE = "6G"
DATA_OPTIONS = ("-t", "ext4", "-O", "^has_journal", "-E", "root_owner=0:0")
BOOT_SECONDS = 180.0
# Now and then a boot under TCG (QEMU 7.2) panicked in its first seconds, and the next one did not:
# see qemu.processors, which takes the one known cause away.
BOOTS = 3


class _Panic(SandboxError):
    """The guest's kernel panicked."""


def memory(recipe: Recipe) -> int:
    """The VM's memory in MiB: each host is a dockerd, its containerd and the learner's things."""
    return 640 + 192 * len(recipe.hosts)


def path(recipe: Recipe, base: Path, accelerator: str) -> Path:
    """Where the snapshot of this recipe is or will be; its name covers all it depends on.

    Its memory holds what the guest has read of the root, so it goes with that very build of the
    base: another one of the same inputs is another file system.
    """
    cpu = qemu.cpu() if accelerator != "tcg" else ""
    # No place of this machine is in the name, nor how much of its memory QEMU takes for itself.
    vm = _first(Path("base"), Path("snapshot"), recipe)
    command = qemu.command(vm, accelerator, monitor_fd=0, port_fd=0, translated=0)
    inputs = (
        base.name,
        _uuid(base / "root"),
        qemu.version(),
        accelerator,
        cpu,
        command,
        (*DATA_OPTIONS, DATA_SIZE),
        SITE,
        recipe.key,
    )
    return cache_dir() / f"snapshot-{assets.digest(*inputs)}"


def _uuid(image: Path) -> bytes:
    """An ext4 image's UUID, which mke2fs makes anew each time; of no image b""."""
    try:
        with image.open("rb") as file:
            # The superblock begins at 1024, s_uuid 0x68 on (Documentation/filesystems/ext4).
            file.seek(1024 + 0x68)
            return file.read(16)
    except FileNotFoundError:
        return b""


def ready(folder: Path) -> bool:
    """Whether that snapshot is there, whole."""
    return assets.complete(folder)


def take(recipe: Recipe, base: Path, accelerator: str, steps: Steps) -> Path:
    """The folder of the snapshot (ram, state, data), made if need be.

    Raises SandboxError if the VM does not come up or the disk is full.
    """
    folder = path(recipe, base, accelerator)
    if ready(folder):
        return folder
    with assets.building(folder, steps) as fresh:
        if fresh is not None:
            _boot(fresh, recipe, base, accelerator, steps)
    return folder


def spec(base: Path, folder: Path, recipe: Recipe, **rest: object) -> qemu.VMSpec:
    """The VM of that snapshot; rest: the fields of qemu.VMSpec that vary."""
    return qemu.VMSpec(
        kernel=base / "vmlinuz",
        initrd=base / "initrd",
        root=base / "root",
        ram=folder / "ram",
        memory=memory(recipe),
        **rest,  # type: ignore[arg-type]
    )


def _first(base: Path, folder: Path, recipe: Recipe) -> qemu.VMSpec:
    """The VM that boots, to be saved in folder."""
    return spec(
        base,
        folder,
        recipe,
        data=folder / "data",
        data_format="raw",
        ram_shared=True,
        incoming=False,
        console=folder / "console",
        internet=False,
    )


def _boot(folder: Path, recipe: Recipe, base: Path, accelerator: str, steps: Steps) -> None:
    for others in reversed(range(BOOTS)):
        try:
            with tempfile.TemporaryDirectory(dir=run_root(), prefix="build-") as sockets:
                _boot_and_save(folder, Path(sockets), recipe, base, accelerator, steps)
            break
        except _Panic:
            if not others:
                raise
            for path in folder.iterdir():
                path.unlink()


def _boot_and_save(
    folder: Path,
    sockets: Path,
    recipe: Recipe,
    base: Path,
    accelerator: str,
    steps: Steps,
) -> None:
    left = assets.SECONDS["snapshot"]
    steps.begin("Starting the VM for the first time", left=left)
    subprocess.run(
        [assets.which("mke2fs") or "mke2fs", "-q", *DATA_OPTIONS, folder / "data", DATA_SIZE],
        check=True,
        capture_output=True,
    )
    vm = _first(base, folder, recipe)
    process, monitor, port = qemu.spawn(vm, accelerator, folder / "log")
    running = True

    def serve() -> None:
        while running:
            loop.step()
        mux.close()

    loop = Loop()
    mux = Mux(loop, port)
    listeners = [
        link.listen(loop, lambda: mux, sockets / "engine.sock", link.ENGINE),
        link.listen(loop, lambda: mux, sockets / "agent.sock", link.VM_AGENT),
    ]
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    from docker.errors import DockerException

    try:
        client = _engine(f"unix://{sockets}/engine.sock", process, folder)
        left -= 20
        steps.begin("Bringing up the hosts", left=left)
        recipe.prepare(client, SITE, steps)
        client.close()
        steps.begin("Saving the VM", left=5)
        link.ask(link.connect(f"{sockets}/agent.sock"), b'{"op": "settle"}', timeout=120)
        monitor.save(folder / "state")
    except (DockerException, OSError) as error:
        _keep_logs(folder)
        # A connection that breaks is noticed before the process that held it has ended.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
            raise _ended(process, folder) from error
        raise SandboxError("The hosts did not come up in the VM.", why=str(error)) from error
    except SandboxError:
        _keep_logs(folder)
        raise
    finally:
        process.kill()
        process.wait()
        monitor.close()
        running = False
        loop.call(lambda: None)
        thread.join(5)
        for listener in listeners:
            listener.close()
    # It saves room, where the file system can.
    subprocess.run(["fallocate", "--dig-holes", folder / "ram"], check=False, capture_output=True)


def _engine(url: str, process: subprocess.Popen[bytes], folder: Path) -> DockerClient:
    from docker import DockerClient
    from docker.errors import DockerException

    deadline = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise _ended(process, folder)
        with contextlib.suppress(DockerException):
            return DockerClient(base_url=url, timeout=120)
        time.sleep(0.3)
    raise SandboxError(
        f"The VM's Docker Engine did not answer within {BOOT_SECONDS:.0f} s.",
        why=f"the VM's console is in {cache_dir()}/last-failed-boot.log",
    )


def _ended(process: subprocess.Popen[bytes], folder: Path) -> SandboxError:
    said = qemu.last_words(folder / "log", folder / "console")
    return (_Panic if qemu.PANIC in said else SandboxError)(
        f"QEMU ended with status {process.returncode} while the VM started.",
        why=said,
        fix=f"read all that the VM said in {cache_dir()}/last-failed-boot.log",
    )


def _keep_logs(folder: Path) -> None:
    with opened(cache_dir() / "last-failed-boot.log", "wb") as kept:
        for name in ("log", "console"):
            if (folder / name).exists():
                with (folder / name).open("rb") as source:
                    shutil.copyfileobj(source, kept)
