"""QEMU: its command line, its monitor, and which accelerator works on this machine."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shlex
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import memory
from sandbox.engine import child
from sandbox.errors import SandboxError, chosen, setting, shell
from sandbox.guest.addresses import VM_GATEWAY, VM_NAME_SERVER, VM_NETWORK
from sandbox.paths import cache_dir

__all__ = [
    "PANIC",
    "QEMU",
    "Monitor",
    "VMSpec",
    "accelerator",
    "command",
    "cpu",
    "last_words",
    "processors",
    "spawn",
    "translated_code",
    "version",
]

QEMU = "qemu-system-x86_64"
PROBE_SECONDS = 8.0
ANSWER_SECONDS = 30.0
FORCED_PROBE_SECONDS = 40.0
VERSION_SECONDS = 20.0
_UNTRIED = "/dev/kvm opens, and is tried when the assets are built"
# A guest whose kernel panics ends QEMU without a word of QEMU's own: -no-reboot.
PANIC = "Kernel panic"
_CMDLINE = (
    "console=ttyS0 quiet panic=-1 init_on_alloc=0 mitigations=off nowatchdog "
    "cgroup_no_v1=all random.trust_cpu=1"
)
# What TCG makes slow: it copies byte by byte under ERMS and FSRM, walks a fifth level of page
# tables, and ends a block of translated code at each of SMAP's instructions.
_TCG_CPU = "max,-erms,-fsrm,-la57,-smap"
# With libraries at other addresses in each process, QEMU 7.2 was seen to translate their code
# again and again (perf: most of a program's start was tcg_gen_code).
_TCG_CMDLINE = "norandmaps"


@dataclass(frozen=True, slots=True)
class VMSpec:
    """What one QEMU process is made of.

    kernel, initrd, root: the base assets.  data: the disk of /var/lib/docker.
    data_format: ``raw`` or ``qcow2``.  ram: the file behind the guest's memory.
    ram_shared: True while a snapshot is made, else writes to memory stay private.
    memory: MiB.  incoming: wait for a snapshot's device state instead of booting.
    console: where the serial console is logged.  internet: let the guest out.
    """

    kernel: Path
    initrd: Path
    root: Path
    data: Path
    data_format: str
    ram: Path
    ram_shared: bool
    memory: int
    incoming: bool
    console: Path
    internet: bool


def version() -> str:
    """QEMU's version, such as ``7.2.22``.

    Raises SandboxError if QEMU is not installed or does not say it.
    """
    if not shutil.which(QEMU):
        raise SandboxError(
            f"{QEMU} is not installed.",
            fix=f"on Debian or Ubuntu: {shell('sudo apt install qemu-system-x86 qemu-utils')}",
        )
    try:
        done = subprocess.run(
            [QEMU, "--version"], check=False, capture_output=True, stdin=subprocess.DEVNULL,
            timeout=VERSION_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        why = str(error)
    else:
        found = re.search(rb"version (\d\S*)", done.stdout)
        if found and not done.returncode:
            return found[1].decode(errors="replace")
        said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()[-3:]
        why = "\n".join(said) or f"it ended with status {done.returncode} and said nothing"
    raise SandboxError(
        f"{shutil.which(QEMU)} reports no version, so it cannot run the VM.",
        why=why,
        fix=f"on Debian or Ubuntu: {shell('sudo apt install --reinstall qemu-system-x86')}; "
        f"or, to use a Docker that runs, {setting('SANDBOX_ENGINE', 'docker')}",
    )


def accelerator(base: Path | None = None) -> tuple[str, str]:
    """The accelerator to use and the reason: ``("tcg", "/dev/kvm is missing")``.

    base: folder of the base assets. With them, KVM counts only once it has run the VM's own
    kernel to its first process: a device node that opens says little inside clouds'
    containers. The outcome is kept until QEMU, the kernel here or the assets change.

    Raises SandboxError if SANDBOX_ACCELERATOR names one that does not work or does not exist.
    """
    forced = chosen("SANDBOX_ACCELERATOR")
    if forced == "tcg":
        return forced, "SANDBOX_ACCELERATOR says so"
    # A machine on which KVM is slow gets more time when it is asked for.
    name, reason = _found(base, PROBE_SECONDS if not forced else FORCED_PROBE_SECONDS)
    if not forced:
        return name, reason
    if name == "tcg" and reason != _UNTRIED:
        raise SandboxError(
            "SANDBOX_ACCELERATOR is kvm, and KVM does not work here.",
            why=reason,
            fix=f"{setting('SANDBOX_ACCELERATOR')}; the VM then runs without KVM, only slower",
        )
    return "kvm", "SANDBOX_ACCELERATOR says so"


def _found(base: Path | None, seconds: float) -> tuple[str, str]:
    """The faster accelerator that works; KVM has so many seconds to run the kernel."""
    if not os.path.exists("/dev/kvm"):
        return "tcg", "there is no /dev/kvm"
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg", "this account may not open /dev/kvm"
    if base is None:
        return "tcg", _UNTRIED
    key = [version(), platform.release(), platform.version(), cpu(), base.name, _probe(Path()),
           seconds]  # fmt: skip
    record = cache_dir() / "accelerator.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(record.read_text())
        if known["key"] == key:
            return known["name"], known["reason"]
    if _kvm_boots(base, seconds):
        name, reason = "kvm", "/dev/kvm ran the kernel"
    else:
        name, reason = "tcg", f"/dev/kvm opens, but ran no kernel within {seconds:.0f} s"
    # Where it cannot be kept, it is tried again.
    with contextlib.suppress(OSError):
        record.write_text(json.dumps({"key": key, "name": name, "reason": reason}))
    return name, reason


def cpu() -> str:
    """This machine's processor model."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def _probe(base: Path) -> list[str]:
    """The command that ends well if KVM runs that base's kernel."""
    return [
        *(QEMU, *_machine("kvm"), "-m", "256", "-kernel", str(base / "vmlinuz")),
        *("-initrd", str(base / "initrd"), "-append", f"{_CMDLINE} wire-by-wire.probe"),
    ]


def _kvm_boots(base: Path, seconds: float) -> bool:
    process = subprocess.Popen(
        child.bound(_probe(base)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        return process.wait(seconds) == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        process.kill()
        process.wait()


def processors(accel: str) -> int:
    """The VM's processors.

    The kernel patches its own code as it runs (static keys: each packet socket that asks for
    times, each traced rule) by way of an int3. Under TCG a second processor may still run a
    translation of that int3 when the kernel no longer expects one: a panic, "Oops: int3", as seen
    here with QEMU 7.2 and by others with 8.0 (LKML, July 2023, "qemu-x86_64 booting with 8.0.0
    stil see int3").
    """
    return 1 if accel == "tcg" else 2


def translated_code() -> int:
    """MiB that TCG may keep translated code in, by the memory of this machine or container.

    When they are full, all of it is thrown away, and translated again as it is run.
    """
    return max(160, min(512, memory.limit() // 2**25))


def _machine(accel: str, translated: int | None = None) -> list[str]:
    options = accel
    if accel == "tcg":
        size = translated_code() if translated is None else translated
        options = f"tcg,thread=multi,tb-size={size}"
    # The kernel's clock needs no hardware timer that QEMU would have to emulate.
    return ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-machine", "pc,usb=off,vmport=off,dump-guest-core=off", "-accel", options,
            "-cpu", "host" if accel == "kvm" else _TCG_CPU,
            "-smp", str(processors(accel))]  # fmt: skip


def command(
    spec: VMSpec, accel: str, *, monitor_fd: int, port_fd: int, translated: int | None = None
) -> list[str]:
    """QEMU's argument list. The monitor and the agent's port are sockets that it inherits.

    translated: MiB for TCG's translated code; None for what fits this machine.
    """
    share = "on" if spec.ram_shared else "off"
    restrict = "off" if spec.internet else "on"
    cmdline = f"{_CMDLINE} {_TCG_CMDLINE}" if accel == "tcg" else _CMDLINE
    arguments = [
        QEMU, *_machine(accel, translated), "-m", str(spec.memory),
        "-object", f"memory-backend-file,id=ram,size={spec.memory}M,mem-path={_option(spec.ram)},"
        f"share={share}",
        "-machine", "memory-backend=ram",
        "-kernel", str(spec.kernel), "-initrd", str(spec.initrd), "-append", cmdline,
        "-drive", f"if=none,id=root,file={_option(spec.root)},format=raw,readonly=on",
        "-device", "virtio-blk-pci,drive=root",
        "-drive", f"if=none,id=data,file={_option(spec.data)},format={spec.data_format},"
        # A write that fails, as on a full disk, stops the VM and is tried again when it goes on.
        "cache=unsafe,discard=unmap,werror=stop",
        "-device", "virtio-blk-pci,drive=data",
        "-netdev", f"user,id=net,net={VM_NETWORK},host={VM_GATEWAY},dns={VM_NAME_SERVER},"
        f"ipv6=off,restrict={restrict}",
        "-device", "virtio-net-pci,netdev=net,romfile=",
        "-device", "virtio-serial-pci",
        "-chardev", f"socket,id=port,fd={port_fd}",
        "-device", "virtserialport,chardev=port,name=wire-by-wire",
        "-chardev", f"socket,id=monitor,fd={monitor_fd}",
        "-qmp", "chardev:monitor",
        "-chardev", f"file,id=console,path={_option(spec.console)}",
        "-device", "isa-serial,chardev=console",
    ]  # fmt: skip
    return [*arguments, "-incoming", "defer"] if spec.incoming else arguments


def _option(path: Path) -> str:
    # In QEMU's options a comma inside a value is written twice.
    return str(path).replace(",", ",,")


def spawn(spec: VMSpec, accel: str, log: Path) -> tuple[subprocess.Popen[bytes], Monitor, int]:
    """Start QEMU: the process, its monitor, and our end of the agent's port.

    QEMU ends when the calling thread does, however that ends. Raises SandboxError if it does not
    start.
    """
    with contextlib.ExitStack() as unwind:
        monitor, monitor_theirs = map(unwind.enter_context, socket.socketpair())
        port, port_theirs = map(unwind.enter_context, socket.socketpair())
        fds = monitor_theirs.fileno(), port_theirs.fileno()
        with monitor_theirs, port_theirs, log.open("wb") as output:
            process = subprocess.Popen(
                child.bound(command(spec, accel, monitor_fd=fds[0], port_fd=fds[1])),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=fds,
            )
        unwind.callback(process.wait)
        unwind.callback(process.kill)
        try:
            asked = Monitor(monitor)
        except (SandboxError, OSError, ValueError) as error:
            process.kill()
            process.wait()
            raise SandboxError("QEMU did not start.", why=last_words(log, spec.console)) from error
        unwind.pop_all()
    return process, asked, port.detach()


def last_words(log: Path, console: Path) -> str:
    """What a QEMU that ended said last: a panic of the guest's kernel, else its own words.

    log: its output.  console: the guest's serial console.
    """
    said, lines = (
        path.read_text(errors="replace").strip() if path.exists() else "" for path in (log, console)
    )
    panic = [line for line in lines.splitlines() if PANIC in line]
    return "\n".join(panic) or said or "\n".join(lines.splitlines()[-5:]) or "it said nothing"


class Monitor:
    """QEMU's machine protocol (QMP) on a connected socket. sock: readable when there are events."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._number, self._heard = 0, b""
        self._events: list[dict[str, Any]] = []
        sock.settimeout(ANSWER_SECONDS)
        self._line()
        self.execute("qmp_capabilities")

    def execute(self, name: str, **arguments: object) -> Any:
        """Run one command and return its result. Raises SandboxError on QEMU's refusal."""
        self._number += 1
        request = {"execute": name, "arguments": arguments, "id": self._number}
        try:
            self.sock.sendall(json.dumps(request).encode() + b"\n")
            while line := self._line():
                reply = json.loads(line)
                if "event" in reply:
                    self._events.append(reply)
                # Of an answer that came too late.
                if reply.get("id") != self._number:
                    continue
                if "return" in reply:
                    return reply["return"]
                if "error" in reply:
                    raise SandboxError(f"QEMU refused {name}.", why=reply["error"]["desc"])
        except OSError as error:
            raise SandboxError("QEMU does not answer.", why=str(error)) from error
        raise SandboxError(f"QEMU ended instead of answering {name}.")

    def events(self) -> list[dict[str, Any]] | None:
        """The events since the last call, without waiting for any; None when QEMU has ended.

        What came while a command was run is among them, and does not make ``sock`` readable.
        """
        ended = False
        self.sock.setblocking(False)
        try:
            data = self.sock.recv(65536)
            self._heard += data
            ended = not data
        except BlockingIOError:
            pass
        except OSError:
            ended = True
        finally:
            self.sock.settimeout(ANSWER_SECONDS)
        while b"\n" in self._heard:
            said = json.loads(self._line())
            if "event" in said:
                self._events.append(said)
        events, self._events = self._events, []
        return None if ended and not events else events

    def _line(self) -> bytes:
        """The next line; b"" when QEMU has ended. Raises OSError when none comes in time."""
        while b"\n" not in self._heard:
            data = self.sock.recv(65536)
            if not data:
                return b""
            self._heard += data
        line, _, self._heard = self._heard.partition(b"\n")
        return line

    def _ignore_shared(self) -> None:
        # Memory stays in its file, so only the devices' state is written or read.
        self.execute(
            "migrate-set-capabilities",
            capabilities=[{"capability": "x-ignore-shared", "state": True}],
        )

    def save(self, state: Path, deadline: float = 60.0) -> None:
        """Stop the guest and write its devices' state. Its memory is in the RAM file."""
        self._ignore_shared()
        self.execute("stop")
        self.execute("migrate", uri=f"exec:cat > {shlex.quote(str(state))}")
        self._migrated(deadline)

    def load(self, state: Path, deadline: float = 20.0) -> None:
        """Take up a saved state in a QEMU started with ``incoming``; the guest then runs."""
        self._ignore_shared()
        self.execute("migrate-incoming", uri=f"exec:cat {shlex.quote(str(state))}")
        self._migrated(deadline)

    def _migrated(self, deadline: float) -> None:
        end = time.monotonic() + deadline
        while time.monotonic() < end:
            info = self.execute("query-migrate")
            if info.get("status") == "completed":
                return
            if info.get("status") == "failed":
                raise SandboxError("QEMU could not carry over the VM's state.",
                                   why=info.get("error-desc", ""))  # fmt: skip
            time.sleep(0.01)
        raise SandboxError(f"QEMU's state did not move within {deadline:.0f} s.")

    def close(self) -> None:
        """Close the connection; QEMU keeps running."""
        self.sock.close()
