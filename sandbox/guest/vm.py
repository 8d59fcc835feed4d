#!/usr/bin/python3
"""A small virtual machine on this host: Debian's kernel and busybox, run by QEMU.

Its kernel boots once, when the host's image is built (vm_build.py), and QEMU saves the machine's
memory then; start takes up from there, or boots it again if it is told to. On processors that
QEMU emulates itself, as the embedded VM's are, a boot inside takes minutes.

Standard library only: Debian's python3 runs it. What starts late is imported late: an emulated
processor needs a second for each start of Python with all of it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Sequence

QEMU = "qemu-system-x86_64"
# What QEMU calls the machine, and the model of the hosts' state too.
NAME = "vm"
# Made by vm_build.py: vmlinuz, initrd, state (QEMU's migration stream), boot.json.
FILES = "/usr/share/wire-by-wire/vm"
RUN = "/run/wire-by-wire/vm"
# QEMU's own default, which the saved machine's kernel knows its interface by.
MAC = "52:54:00:12:34:56"
MEMORY = 96
CMDLINE = (
    "console=ttyS0 quiet panic=-1 init_on_alloc=0 mitigations=off nowatchdog norandmaps "
    "random.trust_cpu=1"
)
READY = "the vm is ready"
START_SECONDS, BOOT_SECONDS, STOP_SECONDS, LOOK_SECONDS = 60, 900, 10, 1
WIDTH = 84


class Refused(Exception):
    """What cannot be done, with the reason, in one line."""


class Late(Refused):
    """No answer in time."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks for; gives its exit status, that of exec's command too."""
    parser = argparse.ArgumentParser(prog="vm", description="A virtual machine on this host.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    start_ = commands.add_parser("start", help="start it, on user-mode NAT if nothing is chosen")
    network = start_.add_mutually_exclusive_group()
    network.add_argument("--tap", metavar="NAME", help="on this tap interface")
    network.add_argument("--macvtap", metavar="NAME", help="on this macvtap interface")
    network.add_argument(
        "--port", metavar="HOST:VM", help="user-mode NAT with a forwarded TCP port, as 8080:80"
    )
    start_.add_argument("--boot", action="store_true", help="boot it instead of resuming it")
    exec_ = commands.add_parser("exec", help="run a command in it")
    exec_.add_argument("--timeout", type=int, default=60, metavar="SECONDS")
    exec_.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")
    commands.add_parser("stop", help="switch it off")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "start":
            start(*netdev(chosen), boot=chosen.boot)
        elif chosen.command == "exec":
            words = chosen.words[1:] if chosen.words[:1] == ["--"] else chosen.words
            if not words:
                raise Refused("exec takes a command: vm exec uname -r")
            return execute(" ".join(words), chosen.timeout)
        else:
            stop()
    except (Refused, OSError) as reason:
        print(f"vm: {reason}", file=sys.stderr)
        # As docker exec does: any other status is that of the command inside.
        return 125 if chosen.command == "exec" else 1
    except KeyboardInterrupt:
        left = "; what runs in the VM goes on until it ends" if chosen.command == "exec" else ""
        print(f"vm: interrupted{left}", file=sys.stderr)
        return 130
    return 0


def netdev(chosen: argparse.Namespace) -> tuple[str, tuple[int, ...], str]:
    """QEMU's words for the chosen network, the files that it inherits, and the MAC address.

    chosen: tap, macvtap and port, of which one has words at most. Raises Refused, or OSError if a
    macvtap's device cannot be opened.
    """
    if chosen.tap:
        if not os.path.exists(f"/sys/class/net/{chosen.tap}/tun_flags"):
            raise Refused(
                f"{chosen.tap} is no tap interface of this host; "
                f"ip tuntap add {chosen.tap} mode tap makes it"
            )
        return f"tap,id=net,ifname={chosen.tap},script=no,downscript=no", (), MAC
    if chosen.macvtap:
        import glob

        found = glob.glob(f"/sys/class/net/{glob.escape(chosen.macvtap)}/tap*/dev")
        if not found:
            raise Refused(
                f"{chosen.macvtap} is no macvtap interface of this host; ip link add "
                f"{chosen.macvtap} link eth0 type macvtap mode bridge makes it"
            )
        # It passes on only what is for its own address.
        with open(f"/sys/class/net/{chosen.macvtap}/address") as file:
            mac = file.read().strip()
        opened = os.open(node(found[0]), os.O_RDWR)
        return f"tap,id=net,fd={opened}", (opened,), mac
    if chosen.port:
        outside, _, inside = chosen.port.partition(":")
        if not (outside.isdigit() and inside.isdigit()):
            raise Refused(f"{chosen.port!r} is no pair of ports; write --port 8080:80")
        return f"user,id=net,ipv6=off,hostfwd=tcp::{outside}-:{inside}", (), MAC
    return "user,id=net,ipv6=off", (), MAC


def node(path: str) -> str:
    """The device that path, a dev file of sysfs, names: a container's /dev lacks new ones.

    Raises OSError.
    """
    with open(path) as file:
        major, minor = map(int, file.read().split(":"))
    device = f"/dev/{os.path.basename(os.path.dirname(path))}"
    if os.path.exists(device):
        os.unlink(device)
    os.mknod(device, 0o20600, os.makedev(major, minor))
    return device


def command(net: str, folder: str) -> list[str]:
    """QEMU's words, but for what it boots. net: of -netdev.  folder: of its sockets."""
    return [
        QEMU,
        "-name",
        NAME,
        "-machine",
        "pc,usb=off,vmport=off",
        "-accel",
        "tcg,tb-size=64",
        # Its clock follows its instructions: by a real clock, an emulated processor that runs
        # slowly would do little but answer timer interrupts.
        "-icount",
        "shift=3,sleep=on",
        "-cpu",
        "qemu64",
        "-m",
        str(MEMORY),
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-no-reboot",
        "-netdev",
        net,
        "-device",
        f"virtio-net-pci,netdev=net,mac={MAC},romfile=",
        "-device",
        "virtio-serial-pci",
        "-chardev",
        f"pipe,id=shell,path={folder}/shell",
        "-device",
        "virtserialport,chardev=shell,name=shell",
        "-serial",
        f"file:{folder}/console",
        "-qmp",
        f"unix:{folder}/monitor,server=on,wait=off",
    ]


def booting(folder: str) -> list[str]:
    """QEMU's words that have it boot the kernel and initramfs in folder."""
    return ["-kernel", f"{folder}/vmlinuz", "-initrd", f"{folder}/initrd", "-append", CMDLINE]


def start(net: str, inherited: tuple[int, ...], mac: str, *, boot: bool) -> None:
    """Start the machine, wait until it runs commands, and print how it was started.

    net, inherited, mac: see netdev.  boot: whether it boots, rather than going on where it was
    saved. Raises Refused if it runs already or does not come up in time; then nothing is left.
    """
    if running():
        raise Refused("the VM runs already; vm stop ends it")
    if not os.path.exists(f"{FILES}/state"):
        raise Refused("this host's image has no VM; it is made on x86-64 alone")
    os.makedirs(RUN, mode=0o700, exist_ok=True)
    with locked(time.monotonic() + START_SECONDS):
        if running():
            raise Refused("the VM runs already; vm stop ends it")
        start_alone(net, inherited, mac, boot)


def start_alone(net: str, inherited: tuple[int, ...], mac: str, boot: bool) -> None:
    """The same for whoever holds the lock."""
    import json
    import shlex
    import subprocess

    forget()
    make_pipes(RUN)
    words = command(net, RUN)
    words += booting(FILES) if boot else ["-incoming", f"file:{FILES}/state"]
    began = time.monotonic()
    with open(f"{RUN}/log", "w") as log:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=inherited,
        )
    try:
        with open(f"{RUN}/pid", "w") as file:
            file.write(str(process.pid))
        await_ready(process, BOOT_SECONDS if boot else START_SECONDS, RUN, boot=boot)
        if mac != MAC:
            change = f"ip link set eth0 down; ip link set eth0 address {mac}; ip link set eth0 up"
            ask(RUN, change, write, time.monotonic() + START_SECONDS, running)
    except BaseException as error:
        process.kill()
        process.wait()
        forget()
        with open(f"{RUN}/log") as file:
            said = file.read().strip()
        if isinstance(error, Refused) and said:
            raise Refused(f"{error}; QEMU said: {said}") from error
        raise
    took = time.monotonic() - began
    print(" \\\n    ".join(map(shlex.join, lines(words))))
    with open(f"{FILES}/boot.json") as file:
        seconds = json.load(file)["seconds"]
    print(
        f"booted in {took:.1f} s"
        if boot
        else f"resumed in {took:.1f} s; its boot took {seconds:.1f} s, when this host's image "
        "was built"
    )


def lines(words: list[str]) -> list[list[str]]:
    """The words in lines that are short, and begin with an option each."""
    found = [[words[0]]]
    for at, word in enumerate(words[1:], 1):
        option = [word, *words[at + 1 : at + 2]]
        if word.startswith("-") and len(" ".join([*found[-1], *option])) > WIDTH:
            found.append([])
        found[-1].append(word)
    return found


def await_ready(
    process: subprocess.Popen[bytes], seconds: float, folder: str, *, boot: bool
) -> None:
    """Wait until the machine runs commands; a machine that boots says so on its console.

    folder: of its sockets. Raises Late after so many seconds, Refused if it ends.
    """
    deadline = time.monotonic() + seconds
    late = Late(f"the VM was not ready within {seconds} s")
    if not boot:
        try:
            ask(folder, ":", lambda _: None, deadline, lambda: process.poll() is None)
        except Late:
            raise late from None
        return
    while time.monotonic() < deadline and process.poll() is None:
        if os.path.exists(f"{folder}/console"):
            with open(f"{folder}/console", errors="replace") as file:
                if READY in file.read():
                    return
        time.sleep(0.1)
    raise late if process.poll() is None else Refused("the VM ended")


@contextlib.contextmanager
def locked(deadline: float) -> Iterator[None]:
    """Hold the machine's lock: one at a time starts it or talks with its shell.

    deadline: by time.monotonic(). Raises Late if another has it until then, OSError.
    """
    import fcntl

    with open(f"{RUN}/lock", "w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Late("the VM is busy with another command; vm stop ends both") from None
                time.sleep(0.1)
        yield


def make_pipes(folder: str) -> None:
    """Make the two named pipes that QEMU takes for the machine's shell. Raises OSError."""
    for name in ("shell.in", "shell.out"):
        os.mkfifo(f"{folder}/{name}", 0o600)


def running() -> int | None:
    """The process id of the machine's QEMU, or None."""
    try:
        with open(f"{RUN}/pid") as file:
            pid = int(file.read())
        with open(f"/proc/{pid}/cmdline") as file:
            return pid if file.read().startswith(QEMU) else None
    except (OSError, ValueError):
        return None


def forget() -> None:
    """Remove what a machine that has ended leaves in RUN, but its log. Raises OSError."""
    for name in ("pid", "shell.in", "shell.out", "monitor", "console"):
        if os.path.exists(f"{RUN}/{name}"):
            os.unlink(f"{RUN}/{name}")


def stop() -> None:
    """Switch the machine off, after STOP_SECONDS by force. Raises Refused if none runs."""
    import signal

    pid = running()
    if pid is None:
        raise Refused("no VM runs on this host")
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while running() and time.monotonic() < deadline:
        time.sleep(0.1)
    if running():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    forget()


def execute(line: str, seconds: float) -> int:
    """Run a shell's line in the machine; print what it prints, give its exit status.

    Raises Refused if none runs, Late after so many seconds.
    """
    if running() is None:
        raise Refused("no VM runs on this host; vm start starts it")
    deadline = time.monotonic() + seconds
    with locked(deadline):
        if running() is None:
            raise Refused("the VM ended")
        return ask(RUN, line, write, deadline, running)


def write(data: bytes) -> None:
    """Print it at once. Raises OSError."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def ask(
    folder: str,
    line: str,
    show: Callable[[bytes], object],
    deadline: float,
    alive: Callable[[], object],
) -> int:
    """Send a line to the machine's shell and give its exit status.

    folder: of its pipes.  show: takes what it prints.  deadline: by time.monotonic().
    alive: says whether the machine runs.

    Raises Late at the deadline, Refused if the machine ends, OSError.
    """
    token = os.urandom(8).hex()
    begin, end = f"{token} begin\n".encode(), f"\n{token} ".encode()
    count = line.count("\n") + 1
    unsent = f"{token} {count}\n{line}\n".encode(errors="surrogateescape")
    # For reading and writing, so that the pipes have an end while QEMU has not opened them yet.
    asking = os.open(f"{folder}/shell.in", os.O_RDWR | os.O_NONBLOCK)
    answering = os.open(f"{folder}/shell.out", os.O_RDWR)
    try:
        data, begun = b"", b""
        while (left := deadline - time.monotonic()) > 0:
            wanted = [asking] if unsent else []
            ready, free, _ = select.select([answering], wanted, [], min(left, LOOK_SECONDS))
            if free:
                unsent = unsent[os.write(asking, unsent) :]
            if not ready:
                if free or alive():
                    continue
                raise Refused("the VM ended")
            data += os.read(answering, 1 << 16)
            if not begun:
                _, begun, rest = data.partition(begin)
                # What an earlier command left goes by.
                data = rest if begun else data[-len(begin) :]
                if not begun:
                    continue
            text, found, rest = data.partition(end)
            if found:
                status, whole, _ = rest.partition(b"\n")
                if whole:
                    show(text)
                    return int(status)
                continue
            # Whole lines are shown; the last of them may go on with the token.
            shown = data.rfind(b"\n", 0, max(data.rfind(b"\n"), 0)) + 1
            show(data[:shown])
            data = data[shown:]
    finally:
        os.close(asking)
        os.close(answering)
    raise Late(
        "no answer in time; the VM does nothing else until that command ends, or vm stop ends both"
    )


if __name__ == "__main__":
    import signal

    # Whoever reads the output may have enough of it.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main())
