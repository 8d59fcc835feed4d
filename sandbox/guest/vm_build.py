#!/usr/bin/python3
"""Makes what vm.py starts: a kernel, its initramfs, and the memory of a machine that booted.

    python3 vm_build.py FOLDER

Runs as root in a host's root that has the packages of a kernel. Standard library only.
"""

from __future__ import annotations

import contextlib
import glob
import json
import lzma
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import vm

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TOOLBOX = "/usr/share/wire-by-wire/toolbox.tar"
MODULES = ("virtio_net", "dummy", "nft_ct")
PROGRAMS = ("/usr/sbin/nft",)
SECONDS = 120
# What is asked of it before it is saved, so that it comes back with its files read and its kernel
# at rest; all that it has to do at first is slow where its processor is emulated twice.
WARM_UP = "nft --version && ip link && ping -c 1 127.0.0.1 && wget -q -O - 127.0.0.1 && sleep 5"


def build(folder: str) -> None:
    """Fill that folder with what vm.py starts, see there.

    Raises vm.Refused if the machine does not boot or is not saved; OSError, CalledProcessError.
    """
    os.makedirs(folder, exist_ok=True)
    (kernel,) = glob.glob("/usr/lib/modules/*/vmlinuz")
    shutil.copy(kernel, f"{folder}/vmlinuz")
    initramfs(os.path.basename(os.path.dirname(kernel)), f"{folder}/initrd")
    with tempfile.TemporaryDirectory() as work, open(f"{work}/log", "w") as log:
        began = time.monotonic()
        vm.make_pipes(work)
        process = subprocess.Popen(
            # A hub's port has no state of its own, so that any other network can take its place.
            [*vm.command("hubport,id=net,hubid=0", work), *vm.booting(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            vm.await_ready(process, vm.BOOT_SECONDS, work, boot=True)
            seconds = time.monotonic() - began
            deadline = time.monotonic() + SECONDS
            said = sys.stderr.buffer.write
            if vm.ask(work, WARM_UP, said, deadline, lambda: process.poll() is None):
                raise vm.Refused("the programs of the VM do not run")
            save(f"{work}/monitor", f"{folder}/state")
        except BaseException:
            for name in ("log", "console"):
                with contextlib.suppress(OSError), open(f"{work}/{name}", errors="replace") as file:
                    print(file.read()[-1000:], file=sys.stderr)
            raise
        finally:
            process.kill()
            process.wait()
    with open(f"{folder}/boot.json", "w") as file:
        json.dump({"seconds": round(seconds, 1)}, file)


def initramfs(version: str, path: str) -> None:
    """Write path: busybox, nft, their modules, the toolbox image's web server, vm-guest.

    version: of the kernel, as in /usr/lib/modules. Raises OSError, CalledProcessError.
    """
    with tempfile.TemporaryDirectory() as root:
        for name in ("bin", "lib/modules", "usr/sbin"):
            os.makedirs(f"{root}/{name}")
        shutil.copy("/usr/bin/busybox", f"{root}/bin/busybox")
        here = os.path.dirname(os.path.realpath(__file__))
        shutil.copy(f"{here}/vm-guest", f"{root}/init")
        os.chmod(f"{root}/init", 0o755)
        for program in PROGRAMS:
            with_libraries(program, root)
        modules(version, root)
        run(["busybox", "tar", "-x", "-f", TOOLBOX, "-C", root, "./srv", "./usr/local/bin/serve"])
        names = subprocess.run(["find", "."], cwd=root, check=True, capture_output=True).stdout
        with open(path, "wb") as file:
            subprocess.run(
                ["busybox", "cpio", "-o", "-H", "newc"],
                cwd=root,
                input=names,
                stdout=file,
                stderr=subprocess.DEVNULL,
                check=True,
            )


def with_libraries(program: str, root: str) -> None:
    """Copy a program and the libraries that it needs. Raises OSError, CalledProcessError."""
    listed = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    files = [word for word in listed.split() if word.startswith("/")]
    for path in (program, *files):
        place = f"{root}/{path}"
        os.makedirs(os.path.dirname(place), exist_ok=True)
        shutil.copy(path, place)


def modules(version: str, root: str) -> None:
    """Copy MODULES and those that they need, unpacked: an emulated processor unpacks slowly.

    Raises OSError, CalledProcessError.
    """
    for name in MODULES:
        listed = subprocess.run(
            ["modprobe", "--show-depends", "--ignore-install", "-S", version, name],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for line in listed.splitlines():
            kind, path, *_ = line.split()
            if kind != "insmod":
                continue
            place = f"{root}/lib/modules/{path.split('/modules/')[1].removesuffix('.xz')}"
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with lzma.open(path) as packed, open(place, "wb") as file:
                shutil.copyfileobj(packed, file)
    run(["depmod", "-b", root, version])


def run(words: list[str]) -> None:
    """Run a command without its output. Raises CalledProcessError if it fails."""
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def save(monitor: str, path: str) -> None:
    """Have QEMU write the machine's memory and devices to path.

    monitor: the path of its QMP socket. Raises vm.Refused if it does not within SECONDS; OSError.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SECONDS)
        connection.connect(monitor)
        lines = connection.makefile("rb")
        lines.readline()

        def execute(name: str, **arguments: object) -> Any:
            request = {"execute": name, "arguments": arguments}
            connection.sendall(json.dumps(request).encode() + b"\n")
            while line := lines.readline():
                reply = json.loads(line)
                if "error" in reply:
                    raise vm.Refused(f"QEMU refused {name}: {reply['error']['desc']}")
                if "return" in reply:
                    return reply["return"]
            raise vm.Refused("QEMU ended")

        execute("qmp_capabilities")
        execute("migrate", uri=f"file:{path}")
        deadline = time.monotonic() + SECONDS
        while (state := execute("query-migrate").get("status")) != "completed":
            if state == "failed" or time.monotonic() > deadline:
                raise vm.Refused(f"QEMU did not save the machine: {state}")
            time.sleep(0.1)


if __name__ == "__main__":
    build(sys.argv[1])
